"""What a Gossiper knows of streams and of peers, and who may hear of what (spec/gossip.md 2, 3).

What to do with it is decided by the Gossiper.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.early import KeptProofs
from qbix_node.gossip.headsonly import HeadsOnly
from qbix_node.gossip.peers import Listener
from qbix_node.gossip.shown import Shown, difference
from qbix_node.gossip.work import Accused, Decided
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
TELLERS_MAX = 8  # of such a Head, who are asked about it; the newest
PROOFS_MAX = 2  # of a stream, before its owners choose a branch
NEWS_BYTES_MAX = 120 * 1024  # of Heads or proofs in a packet


@dataclass(frozen=True, slots=True)
class Pending:
    """A Head that ours doesn't continue, nor contradict, as far as is known.

    `tellers`: who told of it, who is asked next first; none: it covered our log before. `judged`:
    our log when we last looked at it, and `answered`: who has told what it knows of that log.
    `backed`: it continued that log.
    """

    shown: ShownHead
    prefix: Prefix
    tellers: tuple[m.PeerId, ...]
    judged: LogState | None
    answered: tuple[m.PeerId, ...] = ()
    backed: bool = False

    @property
    def name(self) -> tuple[int, Hash]:
        return self.shown.head.length, self.shown.head.root

    @property
    def seen(self) -> Shown:
        return Shown(self.shown, self.prefix)

    def told_by(self, peers: tuple[m.PeerId, ...]) -> "Pending":
        new = [each for each in peers if each not in self.tellers]
        return replace(self, tellers=(*self.tellers, *new)[-TELLERS_MAX:])


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
    def waiting(self) -> list[Pending]:
        return list(self.pending.values())

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
        name = pending.name
        if earlier := self.pending.get(name):
            same = earlier.judged is pending.judged
            self.pending[name] = replace(
                earlier.told_by(pending.tellers),
                prefix=_tells_more(pending.prefix, earlier.prefix),
                judged=pending.judged,
                answered=earlier.answered if same else (),
                backed=pending.backed or (same and earlier.backed),
            )
            return
        while len(self.pending) >= PENDING_MAX:
            del self.pending[next(iter(self.pending))]
        self.pending[name] = pending

    def settle(self, head: Head) -> None:
        self.pending.pop((head.length, head.root), None)

    def tell(self, head: Head, peer: m.PeerId) -> None:
        """That peer shows this Head, too."""
        if pending := self.pending.get((head.length, head.root)):
            self.pending[pending.name] = pending.told_by((peer,))

    def asked(self, pending: Pending, peer: m.PeerId) -> None:
        """Others come first now."""
        if (pending := self.pending.get(pending.name, pending)).name in self.pending:
            others = tuple([each for each in pending.tellers if each != peer])
            self.pending[pending.name] = replace(pending, tellers=(*others, peer))

    def answered(self, peer: m.PeerId, state: LogState | None) -> None:
        """That peer has told what it knows of that log of ours."""
        for name, pending in self.pending.items():
            if peer in pending.tellers and pending.judged is state:
                answered = (*pending.answered, peer)[-TELLERS_MAX:]
                self.pending[name] = replace(pending, answered=answered)


def _tells_more(one: Prefix, other: Prefix) -> Prefix:
    """Of two that lead to one Head. What is shorter tells more lengths; without peaks, none."""
    if not (one.peaks and other.peaks):
        return one if one.peaks else other
    return one if one.length < other.length else other


@dataclass(slots=True)
class Knowledge:
    """`geneses`, `logs`: of the streams that are here. `followed`: those that are to come, too."""

    geneses: Mapping[StreamId, Genesis]
    logs: Mapping[StreamId, LogState]
    followed: Container[StreamId]
    streams: dict[StreamId, Known]
    heads_only: HeadsOnly = field(default_factory=HeadsOnly)
    early: KeptProofs = field(default_factory=KeptProofs)  # of followed streams that are to come
    others: KeptProofs = field(default_factory=KeptProofs)  # of streams that are nothing to us
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
        if not self.peers[peer].hears(stream) or not self.speaks_of(stream):
            return False
        return self.may_read(peer, stream)

    def may_read(self, peer: m.PeerId, stream: StreamId) -> bool:
        return _reads(peer, self.geneses[stream])

    def speaks_of(self, stream: StreamId) -> bool:
        """Whether its Heads are told and compared: forks of others are no matter."""
        genesis = self.geneses.get(stream)
        return genesis is not None and genesis.uniqueness is Uniqueness.GOSSIP

    def awaits(self, stream: StreamId) -> bool:
        """Whether it is followed, be it for its Heads only, and nothing of it has come."""
        wanted = stream in self.followed or stream in self.heads_only
        return wanted and stream not in self.geneses

    def compares(self, stream: StreamId) -> bool:
        """Whether anything is still to be found out of it."""
        if stream not in self.heads_only:
            here = stream in self.logs
        else:  # SPEC gossip 9: which Heads are of the chosen branch is for who has entries
            here = self.resolution(stream) is None
        return here and self.speaks_of(stream) and self.stopped(stream) is None

    def stopped(self, stream: StreamId) -> str | None:
        """Why it takes nothing further."""
        known = self.streams.get(stream)
        return known.stopped if known else None

    def has_head(self, stream: StreamId, length: int, root: Hash) -> bool:
        state, known = self.logs.get(stream), self.streams.get(stream)
        head = state.signed.head if state else None
        if head is not None and (head.length, head.root) == (length, root):
            return True
        return known is not None and (length, root) in known.pending

    def counts(self, head: Head) -> bool:
        """SPEC streams 6.1: shorter Heads don't say on which branch they are."""
        resolution = self.resolution(head.stream)
        return resolution is None or head.length >= resolution.fork_length

    def contradicted(self, pending: Pending) -> HeadFork | None:
        """What another Head that waits proves together with this one."""
        stream = pending.shown.head.stream
        known = self.streams.get(stream)
        if known is None or known.resolution is not None:
            return None  # then a proof has to show the chosen branch, too
        found = [
            difference(self.geneses[stream], pending.seen, each.seen) for each in known.waiting
        ]
        return next((fork for fork in found if fork is not None), None)

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
        for stream in listener.streams():
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

    def geneses_for(self, peer: m.PeerId) -> g.Geneses | None:
        """Of what it listens to; as many as one packet holds."""
        listener, found, size = self.peers[peer], list[bytes](), 0
        for stream in list(listener.unmet):
            if not (self.speaks_of(stream) and self.may_read(peer, stream)):
                continue
            encoded = self.geneses[stream].encoded
            size += len(encoded)
            if size > NEWS_BYTES_MAX or len(found) == g.GENESES_MAX:
                break
            del listener.unmet[stream]
            found.append(encoded)
        return g.Geneses(tuple(found)) if found else None

    def kept(self, stream: StreamId) -> list[Accused | Decided]:
        """Of a stream that is not here."""
        return [*self.early.use(stream), *self.others.use(stream)]

    def proofs_for(self, peer: m.PeerId) -> list[g.Message]:
        """In packets; as many as it may be told in this round."""
        listener, choices, proofs = self.peers[peer], list[g.Message](), list[bytes]()
        while listener.untold and listener.proofs_left > 0:
            stream = next(iter(listener.untold))
            del listener.untold[stream]
            if stream not in self.geneses:
                for each in self.kept(stream):
                    if _reads(peer, each.genesis) and listener.tell_proof(each.encoded):
                        listener.proofs_left -= 1
                        if isinstance(each, Accused):
                            proofs.append(each.encoded)
                        else:
                            choice = each.resolution.signed, encode_fork(each.resolution.fork)
                            choices.append(g.Resolve(*choice))
                continue
            known = self.streams.get(stream)
            if known is None or not (self.speaks_of(stream) and self.may_read(peer, stream)):
                continue
            if known.resolution is not None and listener.tell_proof(known.resolution.encoded):
                proof = encode_fork(known.resolution.fork)
                choices.append(g.Resolve(known.resolution.signed, proof))
                listener.proofs_left -= 1
            new = [each for each in map(encode_fork, known.told) if listener.tell_proof(each)]
            proofs += new
            listener.proofs_left -= len(new)
        return [*choices, *map(g.Proofs, _packets(proofs))]


def _reads(peer: m.PeerId, genesis: Genesis) -> bool:
    return genesis.readers is None or peer in genesis.readers


def _packets(proofs: list[bytes]) -> list[tuple[bytes, ...]]:
    packets, size = list[tuple[bytes, ...]](), 0
    for proof in proofs:
        size += len(proof)
        if not packets or len(packets[-1]) == g.PROOFS_MAX or size > NEWS_BYTES_MAX:
            packets.append(())
            size = len(proof)
        packets[-1] += (proof,)
    return packets
