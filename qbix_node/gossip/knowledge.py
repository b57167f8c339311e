"""What a Gossiper knows of streams and of peers, and who may hear of what (spec/gossip.md 2, 3).

What to do with it is decided by the Gossiper.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.peers import Listener
from qbix_node.streams.forks import (
    HeadFork,
    ResolveFork,
    ShownHead,
    StreamFork,
    encode_fork,
    fork_id,
)
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Head, SignedResolve
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import CLOSED, Resolution, closes, standing
from qbix_node.streams.tree import Hash, Prefix
from qbix_node.wire.packing import pack
from qbix_node.wire.references import StreamId

PENDING_MAX = 4  # Heads of a stream that nobody has backed; the oldest makes room
PROOFS_MAX = 2  # of a stream, before its owners choose a branch
NEWS_BYTES_MAX = 120 * 1024  # of Heads or proofs in a packet


@dataclass(frozen=True, slots=True)
class Pending:
    """A Head that ours doesn't continue, nor contradict, as far as is known.

    `peer`: who told of it; None: it covered our log before. `judged`, `compared`: our log when we
    last looked at it, and when that peer last told what it knows. `backed`: it continued that log.
    """

    shown: ShownHead
    prefix: Prefix
    peer: m.PeerId | None
    judged: LogState
    compared: LogState | None = None
    backed: bool = False


@dataclass(slots=True)
class Known:
    """Of one stream. Proofs by id: those that are durable, and those on their way; the same of the
    choice between branches.
    """

    pending: dict[tuple[int, Hash], Pending] = field(default_factory=dict)
    proofs: dict[bytes, StreamFork] = field(default_factory=dict)
    writing: dict[bytes, StreamFork] = field(default_factory=dict)
    resolution: Resolution | None = None
    choosing: Resolution | None = None

    @property
    def forks(self) -> list[StreamFork]:
        return [*self.proofs.values(), *self.writing.values()]

    @property
    def stopped(self) -> str | None:
        """Why nothing is found out of the stream any more."""
        return standing(self.forks, self.resolution)

    @property
    def told(self) -> list[StreamFork]:
        """Proofs that still say something."""
        proofs, chosen = self.proofs.values(), self.resolution
        return [each for each in proofs if chosen is None or closes(each, chosen)]

    def write(self, proof: StreamFork, encoded: bytes) -> None:
        """No entries are awaited any more."""
        self.writing[fork_id(encoded)] = proof
        self.pending.clear()

    def keep_written(self, encoded: bytes) -> None:
        """That proof is durable."""
        name = fork_id(encoded)
        self.proofs[name] = self.writing.pop(name)

    def choose(self, resolution: Resolution) -> None:
        """It is durable, with its proof; of Heads that waited nobody knows on which branch."""
        self.resolution, self.choosing = resolution, None
        self.proofs[fork_id(encode_fork(resolution.fork))] = resolution.fork
        self.pending.clear()

    def resolves(self) -> Iterator[SignedResolve]:
        """All that the owners are known to have signed."""
        for resolution in (self.resolution, self.choosing):
            if resolution is not None:
                yield resolution.signed
        for fork in self.forks:
            if isinstance(fork, HeadFork) and fork.resolved is not None:
                yield fork.resolved.signed

    def await_entries(self, pending: Pending) -> None:
        if self.stopped:
            return
        head = pending.shown.head
        name = head.length, head.root
        if earlier := self.pending.get(name):
            shows_more = pending.prefix.length < earlier.prefix.length
            same = earlier.judged is pending.judged
            self.pending[name] = replace(
                earlier,
                prefix=pending.prefix if shows_more else earlier.prefix,
                judged=pending.judged,
                backed=pending.backed or (same and earlier.backed),
            )
            return
        while len(self.pending) >= PENDING_MAX:
            del self.pending[next(iter(self.pending))]
        self.pending[name] = pending

    def settle(self, head: Head) -> None:
        self.pending.pop((head.length, head.root), None)

    def compared(self, peer: m.PeerId, state: LogState) -> None:
        """That peer has told what it knows of that log of ours."""
        for name, pending in self.pending.items():
            if pending.peer == peer:
                self.pending[name] = replace(pending, compared=state)


@dataclass(slots=True)
class Knowledge:
    """`geneses`, `logs`: of the streams that are here. `followed`: those that are to come, too."""

    geneses: Mapping[StreamId, Genesis]
    logs: Mapping[StreamId, LogState]
    followed: Container[StreamId]
    streams: dict[StreamId, Known]
    peers: dict[m.PeerId, Listener] = field(default_factory=dict)

    def of(self, stream: StreamId) -> Known:
        return self.streams.setdefault(stream, Known())

    def proofs(self, stream: StreamId) -> list[bytes]:
        known = self.streams.get(stream)
        return list(map(encode_fork, known.proofs.values())) if known else []

    def resolution(self, stream: StreamId) -> Resolution | None:
        known = self.streams.get(stream)
        return known.resolution if known else None

    def pending(self, stream: StreamId) -> list[Pending]:
        known = self.streams.get(stream)
        return list(known.pending.values()) if known else []

    def shares(self, peer: m.PeerId, stream: StreamId) -> bool:
        """SPEC gossip 2: whether the peer may hear of the stream, and wants to."""
        if stream not in self.peers[peer].holds or not self.speaks_of(stream):
            return False
        readers = self.geneses[stream].readers
        return readers is None or peer in readers

    def speaks_of(self, stream: StreamId) -> bool:
        """Whether its Heads are told and compared: forks of others are no matter."""
        genesis = self.geneses.get(stream)
        return genesis is not None and genesis.uniqueness is Uniqueness.GOSSIP

    def awaits(self, stream: StreamId) -> bool:
        """Whether it is followed, and nothing of it has come."""
        return stream in self.followed and stream not in self.geneses

    def stopped(self, stream: StreamId) -> str | None:
        """Why it takes nothing further."""
        known = self.streams.get(stream)
        return known.stopped if known else None

    def has_head(self, stream: StreamId, length: int, root: Hash) -> bool:
        head, known = self.logs[stream].signed.head, self.streams.get(stream)
        if (head.length, head.root) == (length, root):
            return True
        return known is not None and (length, root) in known.pending

    def counts(self, head: Head) -> bool:
        """SPEC streams 6.1: shorter Heads don't say on which branch they are."""
        resolution = self.resolution(head.stream)
        return resolution is None or head.length >= resolution.fork_length

    def wants_proof(self, fork: StreamFork) -> bool:
        """SPEC gossip 6."""
        if not self.speaks_of(fork.stream):
            return False
        known = self.streams.get(fork.stream, Known())
        if known.stopped == CLOSED:
            return False
        if isinstance(fork, ResolveFork):
            return True
        if known.resolution is not None:
            return closes(fork, known.resolution)
        alike = [
            each.forked_length
            for each in known.forks
            if isinstance(each, HeadFork) and (each.resolved is None) == (fork.resolved is None)
        ]
        if fork.resolved is not None:
            return not alike  # which Resolve counts is not known yet
        return len(alike) < PROOFS_MAX and fork.forked_length not in alike

    def wants_resolve(self, signed: SignedResolve) -> bool:
        if not self.speaks_of(signed.resolve.stream):
            return False
        known = self.streams.get(signed.resolve.stream, Known())
        if known.stopped == CLOSED:
            return False
        chosen = known.resolution or known.choosing
        return chosen is None or chosen.signed.resolve != signed.resolve

    def rival_of(self, signed: SignedResolve) -> SignedResolve | None:
        """Another Resolve of the stream: its owners may sign one."""
        known = self.streams.get(signed.resolve.stream, Known())
        others = [each for each in known.resolves() if each.resolve != signed.resolve]
        return others[0] if others else None

    def disbelieve(self, peer: m.PeerId, reason: str) -> m.Emit:
        self.peers[peer].lies = True
        return m.Emit(LiarFound(peer, reason))

    # ---- what a peer has not been told ----

    def news_for(self, peer: m.PeerId) -> tuple[ShownHead, ...]:
        """At most what one packet holds."""
        listener, news, size = self.peers[peer], list[ShownHead](), 0
        for stream in listener.holds:
            if self.stopped(stream) or not self.shares(peer, stream):
                continue
            for shown in self._heads(stream):
                more = len(pack(shown.packable()))
                room = len(news) < g.HEADS_MAX and size + more < NEWS_BYTES_MAX
                if room and listener.tell(stream, shown.head):
                    news.append(shown)
                    size += more
        return tuple(news)

    def _heads(self, stream: StreamId) -> list[ShownHead]:
        state = self.logs.get(stream)
        own = [ShownHead(state.signed)] if state else []
        return own + [each.shown for each in self.pending(stream)]

    def proofs_for(self, peer: m.PeerId) -> list[g.Message]:
        """In packets; as many as it may be told in this round."""
        listener, choices, proofs = self.peers[peer], list[g.Message](), list[bytes]()
        while listener.untold and listener.proofs_left > 0:
            stream = next(iter(listener.untold))
            del listener.untold[stream]
            known = self.streams.get(stream)
            if known is None or not self.shares(peer, stream):
                continue
            if known.resolution is not None and listener.tell_proof(known.resolution.encoded):
                proof = encode_fork(known.resolution.fork)
                choices.append(g.Resolve(known.resolution.signed, proof))
                listener.proofs_left -= 1
            new = [each for each in map(encode_fork, known.told) if listener.tell_proof(each)]
            proofs += new
            listener.proofs_left -= len(new)
        return [*choices, *map(g.Proofs, _packets(proofs))]


def _packets(proofs: list[bytes]) -> list[tuple[bytes, ...]]:
    packets, size = list[tuple[bytes, ...]](), 0
    for proof in proofs:
        size += len(proof)
        if not packets or len(packets[-1]) == g.PROOFS_MAX or size > NEWS_BYTES_MAX:
            packets.append(())
            size = len(proof)
        packets[-1] += (proof,)
    return packets
