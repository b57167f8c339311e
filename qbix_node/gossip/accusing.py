"""Decide which proofs of forks, and which Resolves, are believed, kept and told (spec/gossip.md 6).

An Accuser is a part of a Gossiper. What it keeps is durable before anybody hears of it; what
follows for the stream is told to whoever runs it.
"""

from dataclasses import dataclass

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.gossip.knowledge import Knowledge, Pending
from qbix_node.gossip.work import Accused, Decided, Workbench
from qbix_node.streams.forks import (
    HeadFork,
    StreamFork,
    encode_fork,
    read_fork,
    stream_of_fork,
    two_resolves,
)
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import SignedResolve
from qbix_node.streams.resolution import (
    CLOSED,
    Resolution,
    put_proof,
    put_resolution,
    resolution_of,
)
from qbix_node.wire.references import StreamId

Effects = list[m.Effect]


@dataclass(slots=True)
class Accuser:
    known: Knowledge
    bench: Workbench

    def tell(self, peer: m.PeerId, stream: StreamId, effects: Effects) -> None:
        """What the peer has not heard of it; what is too much for now, in later rounds."""
        if self.known.proofs(stream) or self.known.kept(stream):
            self.known.peers[peer].untold[stream] = None
            self.go_on(peer, effects)

    def go_on(self, peer: m.PeerId, effects: Effects) -> None:
        effects += [m.Send(peer, packet) for packet in self.known.proofs_for(peer)]

    # ---- from whom proofs come ----

    def hear(
        self, peer: m.PeerId, message: g.Proofs | g.Resolve, now: float, effects: Effects
    ) -> None:
        if isinstance(message, g.Resolve):
            self._hear_resolve(peer, message, now, effects)
            return
        for encoded in message.proofs:
            self._hear_proof(peer, encoded, now, effects)

    def _hear_proof(self, peer: m.PeerId, encoded: bytes, now: float, effects: Effects) -> None:
        try:
            if not self._is_of_use(stream_of_fork(encoded), Accused):
                return  # unread
            fork = read_fork(encoded)
            checks = fork.checks()
        except Malformed as error:
            effects.append(self.known.disbelieve(peer, str(error)))
            return
        listener = self.known.peers[peer]
        listener.tell_proof(encoded)
        listener.forget_questions(stream=fork.stream)  # it may be the answer
        self._check(Accused(peer, fork), checks, now, effects)

    def _hear_resolve(self, peer: m.PeerId, said: g.Resolve, now: float, effects: Effects) -> None:
        if not self._is_of_use(said.signed.resolve.stream, Decided):
            return
        try:
            resolution = resolution_of(said.signed, said.proof)
            checks = resolution.checks()
        except Malformed as error:
            effects.append(self.known.disbelieve(peer, str(error)))
            return
        self.known.peers[peer].tell_proof(resolution.encoded)
        self._check(Decided(peer, resolution), checks, now, effects)

    def _is_of_use(self, stream: StreamId, kind: type[Accused | Decided]) -> bool:
        """Whether another one of its kind can matter."""
        if stream not in self.known.geneses:
            return not any(kept.has(stream, kind) for kept in (self.known.early, self.known.others))
        return self.known.speaks_of(stream) and self.known.stopped(stream) != CLOSED

    def _check(
        self,
        work: Accused | Decided,
        checks: tuple[m.SignatureCheck, ...],
        now: float,
        effects: Effects,
    ) -> None:
        assert work.peer is not None
        listener = self.known.peers[work.peer]
        if self._matters(work) and (checking := self.bench.verify(listener, work, checks, now)):
            effects.append(checking)

    def _matters(self, work: Accused | Decided) -> bool:
        if work.stream not in self.known.geneses:
            new = self._is_of_use(work.stream, type(work))
            return new and work.peer is not None and work.genesis.uniqueness is Uniqueness.GOSSIP
        if isinstance(work, Decided):
            return self.known.wants_resolve(work.resolution.signed)
        return self.known.wants_proof(work.fork) or self._rival(work.fork) is not None

    def _rival(self, fork: StreamFork) -> SignedResolve | None:
        """SPEC streams 6.1: a Resolve other than the one in the proof, which closes the stream."""
        wanted = isinstance(fork, HeadFork) and self.known.stopped(fork.stream) != CLOSED
        if not (wanted and isinstance(fork, HeadFork) and fork.resolved):
            return None
        return self.known.rival_of(fork.resolved.signed)

    def submit(self, number: int, given: StreamFork | Resolution, effects: Effects) -> None:
        """By whoever has it at hand, say in a file; as little is believed as of a peer."""
        work: Accused | Decided = (
            Decided(None, given, number)
            if isinstance(given, Resolution)
            else Accused(None, given, number)
        )
        try:
            checks = given.checks()
        except Malformed:
            self._settle(work, effects)
            return
        if self._matters(work):
            effects.append(m.Verify(self.bench.begin(work), checks))
        else:
            self._settle(work, effects)

    def accuse(self, fork: StreamFork, effects: Effects) -> None:
        """Made here: its parts were checked, and it is checked as a whole, too."""
        if self.known.wants_proof(fork):
            effects.append(m.Verify(self.bench.begin(Accused(None, fork)), fork.checks()))

    def await_entries(self, pending: Pending, effects: Effects) -> None:
        """Of the Head, unless one that waits already contradicts it."""
        if fork := self.known.contradicted(pending):
            self.accuse(fork, effects)
        self.known.of(pending.shown.head.stream).await_entries(pending)

    # ---- what becomes of them ----

    def verified(self, work: Accused | Decided, oks: tuple[bool, ...], effects: Effects) -> None:
        if not all(oks):
            if work.peer in self.known.peers:
                effects.append(self.known.disbelieve(work.peer, "a signature does not match"))
            self._settle(work, effects)
        elif work.stream not in self.known.geneses:
            self._keep(work)
            self._settle(work, effects)
            for peer, listener in self.known.peers.items():
                if listener.hears(work.stream):
                    self.tell(peer, work.stream, effects)
        else:
            self._believe(work, effects)

    def _keep(self, work: Accused | Decided) -> None:
        """SPEC gossip 6: of a stream that is not here."""
        kept = self.known.early if self.known.awaits(work.stream) else self.known.others
        kept.keep(work, len(work.encoded))

    def remember(self, effects: Effects) -> None:
        """What came of streams of which nothing was here."""
        for kept in (self.known.early, self.known.others):
            for work in kept.take(lambda stream: stream in self.known.geneses):
                self._believe(work, effects)
        for work in self.known.others.take(self.known.awaits):
            self._keep(work)

    def _believe(self, work: Accused | Decided, effects: Effects) -> None:
        if isinstance(work, Decided):
            self._decided(work, effects)
        else:
            self._accused(work, effects)

    def _accused(self, accused: Accused, effects: Effects) -> None:
        fork = accused.fork
        if rival := self._rival(fork):
            assert isinstance(fork, HeadFork)
            assert fork.resolved is not None
            self.accuse(two_resolves(fork.genesis, fork.resolved.signed, rival), effects)
        if not self.known.wants_proof(fork):
            self._settle(accused, effects)  # another was faster
            return
        encoded = encode_fork(fork)
        self.known.of(fork.stream).write(fork, encoded)
        write = put_proof(fork.stream, encoded)
        effects.append(m.Persist(self.bench.begin(accused), (write,)))

    def _decided(self, decided: Decided, effects: Effects) -> None:
        """SPEC streams 6.1: the owners choose once."""
        resolution = decided.resolution
        genesis, signed = resolution.fork.genesis, resolution.signed
        if not self.known.wants_resolve(signed):
            self._settle(decided, effects)
            return
        if rival := self.known.rival_of(signed):
            self.accuse(two_resolves(genesis, signed, rival), effects)
        known = self.known.of(resolution.stream)
        if known.resolution or known.choosing:
            self._settle(decided, effects)
            return
        known.choosing = resolution
        proof = put_proof(resolution.stream, encode_fork(resolution.fork))
        writes = put_resolution(resolution), proof
        # SPEC streams 10: of an own one nothing leaves before a mark outside of the database.
        own = decided.submitted is not None
        effects.append(m.Persist(self.bench.begin(decided), writes, marked=own))

    def persisted(self, work: Accused | Decided, effects: Effects) -> None:
        if isinstance(work, Decided):
            stream = work.resolution.stream
            self.known.of(stream).choose(work.resolution)
            effects.append(m.Emit(g.ForkResolved(work.resolution, work.peer)))
        else:
            stream = work.fork.stream
            self.known.of(stream).keep_written(encode_fork(work.fork))
            effects.append(m.Emit(g.ForkProven(work.fork, work.peer)))
        self._settle(work, effects)
        # SPEC gossip 6: who does not hear of the stream may be asked for it by others later.
        for peer in self.known.peers:
            self.tell(peer, stream, effects)

    def _settle(self, work: Accused | Decided, effects: Effects) -> None:
        if work.submitted is not None:
            effects.append(m.Emit(g.Settled(work.submitted)))
