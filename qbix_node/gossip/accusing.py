"""Decide which proofs of forks are believed, kept and told (spec/gossip.md 6).

An Accuser is a part of a Gossiper. A proof is durable before anybody hears of it; that a forked
stream stops is told to whoever runs it.
"""

from dataclasses import dataclass

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
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

    def tell(self, peer: m.PeerId, stream: StreamId, effects: Effects) -> None:
        """What the peer has not heard of it."""
        for proof in self.known.proofs_for(peer, stream):
            effects.append(m.Send(peer, g.Proofs((proof,))))  # two might not fit into a packet

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
        if self.known.wants_proof(fork) and (
            checking := self.bench.verify(listener, Accused(peer, fork), checks, now)
        ):
            effects.append(checking)

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

    def accuse(self, fork: StreamFork, asked_by: m.PeerId | None, effects: Effects) -> None:
        """Made here: its parts were checked, and it is checked as a whole, too."""
        if self.known.wants_proof(fork):
            token = self.bench.begin(Accused(None, fork, asked_by))
            effects.append(m.Verify(token, fork.checks()))
        elif asked_by in self.known.peers:
            self.tell(asked_by, fork.stream, effects)

    # ---- what becomes of them ----

    def verified(self, accused: Accused, oks: tuple[bool, ...], effects: Effects) -> None:
        peer, fork = accused.peer, accused.fork
        if not all(oks):
            if peer in self.known.peers:
                effects.append(self.known.disbelieve(peer, "a signature does not match"))
            self._settle(accused, effects)
        elif not self.known.wants_proof(fork):
            self._settle(accused, effects)  # another was faster
        else:
            encoded = encode_fork(fork)
            self.known.of(fork.stream).writing[fork.forked_length] = encoded
            token = self.bench.begin(accused)
            write = put_proof(fork.stream, fork.forked_length, encoded)
            effects.append(m.Persist(token, (write,)))

    def persisted(self, accused: Accused, effects: Effects) -> None:
        stream = accused.fork.stream
        self.known.of(stream).keep_written(accused.fork.forked_length)
        effects.append(m.Emit(g.ForkProven(accused.fork, accused.peer)))
        self._settle(accused, effects)
        for peer, listener in self.known.peers.items():
            if stream in listener.holds or accused.answers == peer:
                self.tell(peer, stream, effects)

    def _settle(self, accused: Accused, effects: Effects) -> None:
        if accused.submitted is not None:
            effects.append(m.Emit(g.Settled(accused.submitted)))
