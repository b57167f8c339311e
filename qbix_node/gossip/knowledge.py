"""What a Gossiper knows of streams and of peers, and who may hear of what (spec/gossip.md 2, 3).

What to do with it is decided by the Gossiper.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.peers import Listener
from qbix_node.streams.forks import ShownHead, StreamFork
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import Head
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import Hash, Prefix
from qbix_node.wire.packing import pack
from qbix_node.wire.references import StreamId

PENDING_MAX = 4  # Heads of a stream that nobody has backed; the oldest makes room
PROOFS_MAX = 2  # of a stream
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
    """Of one stream. Proofs by forked length: those that are durable, and those on their way."""

    pending: dict[tuple[int, Hash], Pending] = field(default_factory=dict)
    proofs: dict[int, bytes] = field(default_factory=dict)
    writing: dict[int, bytes] = field(default_factory=dict)

    @property
    def forked(self) -> bool:
        return bool(self.proofs or self.writing)

    def write(self, length: int, proof: bytes) -> None:
        """No entries are awaited any more."""
        self.writing[length] = proof
        self.pending.clear()

    def keep_written(self, length: int) -> None:
        """That proof is durable."""
        self.proofs[length] = self.writing.pop(length)

    def await_entries(self, pending: Pending) -> None:
        if self.forked:
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
        return list(known.proofs.values()) if known else []

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
        return stream in self.followed and stream not in self.logs

    def is_forked(self, stream: StreamId) -> bool:
        known = self.streams.get(stream)
        return known is not None and known.forked

    def has_head(self, stream: StreamId, length: int, root: Hash) -> bool:
        head, known = self.logs[stream].signed.head, self.streams.get(stream)
        if (head.length, head.root) == (length, root):
            return True
        return known is not None and (length, root) in known.pending

    def wants_proof(self, fork: StreamFork) -> bool:
        if not self.speaks_of(fork.stream):
            return False
        known = self.streams.get(fork.stream, Known())
        lengths = {**known.proofs, **known.writing}
        return len(lengths) < PROOFS_MAX and fork.forked_length not in lengths

    def disbelieve(self, peer: m.PeerId, reason: str) -> m.Emit:
        self.peers[peer].lies = True
        return m.Emit(g.LiarFound(peer, reason))

    # ---- what a peer has not been told ----

    def news_for(self, peer: m.PeerId) -> tuple[ShownHead, ...]:
        """At most what one packet holds."""
        listener, news, size = self.peers[peer], list[ShownHead](), 0
        for stream in listener.holds:
            if self.is_forked(stream) or not self.shares(peer, stream):
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

    def proofs_for(self, peer: m.PeerId) -> list[g.Proofs]:
        """In packets; as many as it may be told in this round."""
        listener, packets, size = self.peers[peer], list[list[bytes]](), 0
        while listener.untold and listener.proofs_left > 0:
            stream = next(iter(listener.untold))
            del listener.untold[stream]
            proofs = self.proofs(stream) if self.shares(peer, stream) else []
            for proof in [each for each in proofs if listener.tell_proof(each)]:
                listener.proofs_left -= 1
                size += len(proof)
                if not packets or len(packets[-1]) == g.PROOFS_MAX or size > NEWS_BYTES_MAX:
                    packets.append([])
                    size = len(proof)
                packets[-1].append(proof)
        return [g.Proofs(tuple(packet)) for packet in packets]
