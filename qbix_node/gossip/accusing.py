"""Decide which proofs of forks are believed, kept and told (spec/gossip.md 6).

An Accuser is a part of a Gossiper. A proof is durable before anybody hears of it; that a forked
stream stops is told to whoever runs it.
"""

from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.gossip.early import EarlyProofs
from qbix_node.gossip.knowledge import Knowledge
from qbix_node.gossip.work import Accused, Workbench
from qbix_node.streams.forks import StreamFork, encode_fork, read_fork
from qbix_node.streams.records import put_proof
from qbix_node.wire.references import StreamId

Effects = list[m.Effect]


@dataclass(slots=True)
class Accuser:
    known: Knowledge
    bench: Workbench
    early: EarlyProofs = field(default_factory=EarlyProofs)

    def tell(self, peer: m.PeerId, stream: StreamId, effects: Effects) -> None:
        """What the peer has not heard of it; what is too much for now, in later rounds."""
        if self.known.is_forked(stream):
            self.known.peers[peer].untold[stream] = None
            self.go_on(peer, effects)

    def go_on(self, peer: m.PeerId, effects: Effects) -> None:
        effects += [m.Send(peer, packet) for packet in self.known.proofs_for(peer)]

    # ---- from whom proofs come ----

    def hear(self, peer: m.PeerId, encoded: bytes, now: float, effects: Effects) -> None:
        try:
            fork = read_fork(encoded)
            checks = fork.checks()
        except Malformed as error:
            effects.append(self.known.disbelieve(peer, str(error)))
            return
        listener = self.known.peers[peer]
        listener.tell_proof(encoded)
        listener.forget_questions(stream=fork.stream)  # it may be the answer
        if not (self.known.wants_proof(fork) or self.known.awaits(fork.stream)):
            return
        checking = self.bench.verify(listener, Accused(peer, fork), checks, now)
        effects += [checking] if checking else []

    def submit(self, number: int, fork: StreamFork, effects: Effects) -> None:
        """By whoever has it at hand, say in a file; as little is believed as of a peer."""
        accused = Accused(None, fork, submitted=number)
        try:
            checks = fork.checks()
        except Malformed:
            self._settle(accused, effects)
            return
        if self.known.wants_proof(fork):
            effects.append(m.Verify(self.bench.begin(accused), checks))
        else:
            self._settle(accused, effects)

    def accuse(self, fork: StreamFork, effects: Effects) -> None:
        """Made here: its parts were checked, and it is checked as a whole, too."""
        if self.known.wants_proof(fork):
            effects.append(m.Verify(self.bench.begin(Accused(None, fork)), fork.checks()))

    # ---- what becomes of them ----

    def verified(self, accused: Accused, oks: tuple[bool, ...], effects: Effects) -> None:
        peer, fork = accused.peer, accused.fork
        if not all(oks):
            if peer in self.known.peers:
                effects.append(self.known.disbelieve(peer, "a signature does not match"))
            self._settle(accused, effects)
        elif self.known.awaits(fork.stream):
            self.early.keep(accused, len(encode_fork(fork)))
            self._settle(accused, effects)
        else:
            self._write(accused, effects)

    def remember(self, effects: Effects) -> None:
        """Of streams of which nothing was here when their proof came."""
        for accused in self.early.take(lambda stream: stream in self.known.logs):
            self._write(accused, effects)

    def _write(self, accused: Accused, effects: Effects) -> None:
        fork = accused.fork
        if not self.known.wants_proof(fork):
            self._settle(accused, effects)  # another was faster
            return
        encoded = encode_fork(fork)
        self.known.of(fork.stream).write(fork.forked_length, encoded)
        token = self.bench.begin(accused)
        write = put_proof(fork.stream, fork.forked_length, encoded)
        effects.append(m.Persist(token, (write,)))

    def persisted(self, accused: Accused, effects: Effects) -> None:
        stream = accused.fork.stream
        self.known.of(stream).keep_written(accused.fork.forked_length)
        effects.append(m.Emit(g.ForkProven(accused.fork, accused.peer)))
        self._settle(accused, effects)
        for peer, listener in self.known.peers.items():
            if stream in listener.holds:
                self.tell(peer, stream, effects)

    def _settle(self, accused: Accused, effects: Effects) -> None:
        if accused.submitted is not None:
            effects.append(m.Emit(g.Settled(accused.submitted)))
