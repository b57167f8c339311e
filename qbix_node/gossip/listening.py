"""Decide what is said about streams of which only Heads are kept (spec/gossip.md 9).

Listeners is a part of a Gossiper, on both sides: of a node that keeps Heads only, and of those
that tell it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.gossip.accusing import Accuser, Effects
from qbix_node.gossip.headsonly import Finding, HeadsOnly
from qbix_node.gossip.knowledge import Knowledge, Pending
from qbix_node.gossip.shown import as_state, of_state
from qbix_node.gossip.work import Claim, Listening, Workbench
from qbix_node.ports import Write
from qbix_node.streams.forks import ShownHead
from qbix_node.streams.genesis import Genesis, read_genesis
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import Prefix
from qbix_node.wire.references import StreamId


@dataclass(slots=True)
class Listeners:
    known: Knowledge
    bench: Workbench
    accuser: Accuser

    @property
    def kept(self) -> HeadsOnly:
        return self.known.heads_only

    # ---- which streams ----

    def change(
        self, wish: g.HearOf, genesis: Genesis | None, state: LogState | None, effects: Effects
    ) -> None:
        """`genesis`, `state`: what is here of the stream with entries."""
        stream, number = wish.stream, wish.number
        begin, end = self.kept.begin, self.kept.end
        writes = begin(stream, genesis, state) if wish.wanted else end(stream)
        if isinstance(writes, str):
            effects.append(m.Emit(g.Settled(number, writes)))
            return
        if not writes:
            effects.append(m.Emit(g.Settled(number)))
            return
        effects.append(m.Persist(self.bench.begin(Listening(number)), tuple(writes)))
        said = g.Listen((stream,), ()) if wish.wanted else g.Listen((), (stream,))
        effects += [m.Send(peer, said) for peer in self.known.peers]

    def leave_to_entries(
        self, stored: Mapping[StreamId, Genesis], effects: Effects
    ) -> Iterator[LogState]:
        """Streams that are followed now, and come: their Heads are judged by their entries."""
        for stream in [each for each in self.kept.streams if each in self.known.followed]:
            if stream not in stored:
                continue
            state = self.kept.logs.get(stream)
            effects.append(self._persist(self.kept.end(stream)))
            effects += [m.Send(peer, g.Listen((), (stream,))) for peer in self.known.peers]
            if state is not None:
                yield state

    def greet(self, peer: m.PeerId, effects: Effects) -> None:
        if self.kept.streams:
            effects.append(m.Send(peer, g.Listen(tuple(self.kept.streams), ())))

    # ---- who listens ----

    def hear(self, peer: m.PeerId, message: g.Listen | g.Geneses, effects: Effects) -> None:
        if isinstance(message, g.Geneses):
            self._hear_geneses(peer, message, effects)
            return
        listener = self.known.peers[peer]
        for stream in message.ended:
            listener.listens.pop(stream, None)
            listener.unmet.pop(stream, None)
        for stream in message.begun:
            if listener.listen(stream):
                listener.unmet[stream] = None
                self.accuser.tell(peer, stream, effects)

    def introduce(self, peer: m.PeerId, effects: Effects) -> None:
        """Once a round, so that who asks often gets no more."""
        if geneses := self.known.geneses_for(peer):
            effects.append(m.Send(peer, geneses))

    def _hear_geneses(self, peer: m.PeerId, message: g.Geneses, effects: Effects) -> None:
        for encoded in message.geneses:
            try:
                genesis = read_genesis(encoded)
            except Malformed as error:
                effects.append(self.known.disbelieve(peer, str(error)))
                return
            if genesis.stream not in self.kept:
                continue
            if writes := self.kept.meet(genesis):
                effects.append(self._persist(writes))
            if self.known.peers[peer].listen(genesis.stream):
                self.accuser.tell(peer, genesis.stream, effects)

    # ---- Heads ----

    def judge(self, claim: Claim, effects: Effects) -> None:
        """Of a stream of which only Heads are kept."""
        stream = claim.shown.head.stream
        if writes := self.kept.meet(self.known.geneses[stream]):  # it came with first entries
            effects.append(self._persist(writes))
        finding = self.kept.judge(claim)
        if finding.fork is not None:
            self.accuser.accuse(finding.fork, effects)
        else:
            self._settle(claim, finding, effects)
        if finding.taken:
            effects.append(self._persist(self.kept.write(stream)))
        if claim.peer in self.known.peers and claim.question is not None:
            answer = g.Unknown(claim.question)
            effects.append(m.Send(claim.peer, answer if finding.fork else self._answer(claim)))

    def _settle(self, claim: Claim, finding: Finding, effects: Effects) -> None:
        head = claim.shown.head
        known, state = self.known.of(head.stream), self.kept.logs.get(head.stream)
        if finding.replaced is not None:
            shown = of_state(finding.replaced)
            self.accuser.await_entries(Pending(shown.shown, shown.prefix, (), state), effects)
        tellers = () if claim.peer is None else (claim.peer,)
        pending = Pending(claim.shown, claim.prefix, tellers, state)
        # Whatever contradicts one that is continued contradicts the one that continues it.
        for other in list(known.pending.values()):
            if other.name != pending.name and pending.seen.continues(other.seen):
                known.settle(other.shown.head)
        if finding.continued or finding.taken:
            known.settle(head)
            if fork := self.known.contradicted(pending):
                self.accuser.accuse(fork, effects)
        else:
            self.accuser.await_entries(pending, effects)

    def _answer(self, claim: Claim) -> g.Message:
        number, stream = claim.question, claim.shown.head.stream
        assert number is not None
        state = self.kept.logs.get(stream)
        if state is None:
            return g.Unknown(number)
        ours = ShownHead(state.signed)
        if found := self.kept.answer(stream, claim.prefix):
            peaks, frontier = found
            end = () if state.frontier else state.peaks
            return g.Continues(number, ours, frontier, peaks, end)
        if claim.prefix.length > state.length:
            return g.Shorter(number, ours, state.prefix)
        return g.Unknown(number)

    # ---- what to ask ----

    def questions(self, pending: Pending) -> Iterator[tuple[m.PeerId, LogState]]:
        """Whom to ask about which Head, so that this one is seen to continue the one that is
        kept, or to be continued; who comes first is asked, if that may be.
        """
        head = pending.shown.head
        state = self.kept.logs.get(head.stream)
        prefix = pending.prefix
        if prefix.length < head.length:  # whoever has more than it shows what is up to there
            prefix = Prefix(head.length, (), ())
        itself = as_state(self.known.geneses[head.stream], pending.shown.signed, prefix)
        peers = [each for each in pending.tellers if each in self.known.peers]
        about = itself if state is None else state
        if state is not None and head.length < state.signed.head.length:
            others = [each for each in self.known.peers if each not in peers]
            peers = [*others, *peers]  # those have it, and may have no more
            about = itself
        yield from [(each, about) for each in peers if each not in pending.answered]

    def _persist(self, writes: list[Write]) -> m.Persist:
        return m.Persist(self.bench.begin(Listening()), tuple(writes))
