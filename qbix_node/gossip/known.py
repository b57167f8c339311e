"""What is known of streams beside their logs: Heads that nobody has backed, and proofs of forks
(spec/gossip.md 4, 6).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qbix_node.machines import PeerId
from qbix_node.streams.forks import ShownHead, StreamFork, encode_fork
from qbix_node.streams.messages import Head, SignedHead
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import StreamId

PENDING_MAX = 4  # Heads of a stream that nobody has backed; the oldest makes room
PROOFS_MAX = 2  # of a stream


@dataclass(frozen=True, slots=True)
class Pending:
    shown: ShownHead
    peer: PeerId  # who told of it


@dataclass(slots=True)
class _Stream:
    pending: dict[tuple[int, Hash], Pending] = field(default_factory=dict)
    proofs: dict[int, bytes] = field(default_factory=dict)  # by forked length


class Known:
    """`proofs`: what the store holds, by stream and forked length."""

    def __init__(self, proofs: Mapping[StreamId, Mapping[int, bytes]]) -> None:
        self._streams = {stream: _Stream(proofs=dict(each)) for stream, each in proofs.items()}

    def proofs(self, stream: StreamId) -> list[bytes]:
        known = self._streams.get(stream)
        return list(known.proofs.values()) if known else []

    def pending(self, stream: StreamId) -> list[SignedHead]:
        known = self._streams.get(stream)
        return [each.shown.signed for each in known.pending.values()] if known else []

    def waiting(self) -> list[Pending]:
        """The pending Heads of all streams."""
        return [each for known in self._streams.values() for each in known.pending.values()]

    def is_pending(self, head: Head) -> bool:
        known = self._streams.get(head.stream)
        return known is not None and (head.length, head.root) in known.pending

    def wants(self, fork: StreamFork) -> bool:
        """Whether a proof of that fork says something new."""
        known = self._streams.get(fork.stream)
        return known is None or (
            len(known.proofs) < PROOFS_MAX and fork.forked_length not in known.proofs
        )

    def put_pending(self, shown: ShownHead, peer: PeerId) -> None:
        known = self._streams.setdefault(shown.head.stream, _Stream())
        while len(known.pending) >= PENDING_MAX:
            del known.pending[next(iter(known.pending))]
        known.pending[shown.head.length, shown.head.root] = Pending(shown, peer)

    def settle(self, head: Head) -> None:
        """It waits no longer: what became of it is known."""
        if known := self._streams.get(head.stream):
            known.pending.pop((head.length, head.root), None)

    def put_proof(self, fork: StreamFork) -> bytes:
        """Encoded as it is kept; from then on nothing of the stream is pending."""
        known = self._streams.setdefault(fork.stream, _Stream())
        known.pending.clear()
        encoded = known.proofs[fork.forked_length] = encode_fork(fork)
        return encoded
