"""Decide which Heads are told, which are compared, and what is a fork (spec/gossip.md).

A Gossiper reads the logs that a StreamBook keeps and never changes them. What it proves is durable
before anybody hears of it; that a forked stream stops is told to whoever runs it.
"""

from collections.abc import Mapping, Sequence

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.gossip.comparing import Standing, StandingOf, Verdict, VerdictOn
from qbix_node.gossip.knowledge import Knowledge, Known, Pending
from qbix_node.gossip.peers import QUESTION_ROUNDS, QUESTIONS_MAX, Listener, Question
from qbix_node.gossip.work import Accused, Asked, Heard, Work
from qbix_node.streams.forks import (
    ShownHead,
    StreamFork,
    encode_fork,
    read_fork,
)
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.messages import SignedHead
from qbix_node.streams.records import LogState, put_proof
from qbix_node.streams.tree import Hash, bag, lead
from qbix_node.wire.references import StreamId

ROUND_S = 2.0
ROUND_SPREAD = 0.25  # of that, more or less
PEERS_A_ROUND = 3
WORK_MAX = 1024  # pieces of slow work under way; what is more is passed over

_ROUND = "gossip/round"

Effects = list[m.Effect]


class Gossiper:
    """`geneses`, `logs`: of the streams that are replicated here, kept by a StreamBook. `proofs`:
    what the store holds, by stream and forked length.
    """

    def __init__(
        self,
        geneses: Mapping[StreamId, Genesis],
        logs: Mapping[StreamId, LogState],
        proofs: Mapping[StreamId, Mapping[int, bytes]],
    ) -> None:
        streams = {stream: Known(proofs=dict(held)) for stream, held in proofs.items()}
        self._known = known = Knowledge(geneses, logs, streams)
        self._geneses, self._logs = known.geneses, known.logs
        self._streams, self._peers = known.streams, known.peers
        self._tokens = m.Tokens()
        self._numbers = self._rounds = 0
        self._work: dict[m.Token, Work] = {}
        self._ticking = False

    def proofs(self, stream: StreamId) -> list[bytes]:
        return self._known.proofs(stream)

    def pending(self, stream: StreamId) -> list[SignedHead]:
        return [each.shown.signed for each in self._known.pending(stream)]

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        effects: Effects = []
        match event:
            case m.Received(peer, message) if peer in self._peers:
                self._hear(peer, message, now, effects)
            case m.Connected(peer):
                self._peers[peer] = Listener(since=now)
            case m.Disconnected(peer):
                self._peers.pop(peer, None)
            case m.Requested(request):
                self._requested(request, effects)
            case m.Verified(token) | m.Answered(token) | m.Persisted(token):
                if work := self._work.pop(token, None):
                    self._go_on(work, event, effects)
            case m.TimerFired(name) if name == _ROUND:
                self._ticking = False
                self._round(rng, effects)
            case _:
                pass
        if self._peers and not self._ticking:
            self._ticking = True
            spread = 1 + ROUND_SPREAD * (2 * rng.random() - 1)
            effects.append(m.SetTimer(_ROUND, now + ROUND_S * spread))
        return tuple(effects)

    def _requested(self, request: object, effects: Effects) -> None:
        match request:
            case g.Announced(peer) if peer in self._peers:
                self._announced(request, effects)
            case g.Contradiction(peer, signed) if peer in self._peers:
                self._compare(peer, signed.head.stream, effects)
            case g.Submitted(number, fork):
                self._submitted(number, fork, effects)
            case _:
                pass

    def _go_on(
        self, work: Work, event: m.Verified | m.Answered | m.Persisted, effects: Effects
    ) -> None:
        match event:
            case m.Verified(oks=oks):
                self._verified(work, oks, effects)
            case m.Answered(answer=answer):
                self._answered(work, answer, effects)
            case m.Persisted():
                self._proven(work, effects)

    # ---- what is told ----

    def _announced(self, said: g.Announced, effects: Effects) -> None:
        """SPEC gossip 2: who holds a stream hears of it, first of all that it is forked."""
        holds = self._peers[said.peer].holds
        for stream in said.gone:
            holds.pop(stream, None)
        for stream in said.streams:
            if stream not in holds:
                holds[stream] = None
                self._tell_proofs(said.peer, stream, effects)

    def _round(self, rng: m.Rng, effects: Effects) -> None:
        """SPEC gossip 3."""
        self._rounds += 1
        for listener in self._peers.values():
            listener.forget_questions(before_round=self._rounds - QUESTION_ROUNDS)
        for stream, known in list(self._streams.items()):
            if not self._known.spoken_of(stream):
                known.pending.clear()
            for pending in list(known.pending.values()):
                self._reconsider(stream, known, pending, effects)
        listeners = list(self._peers)
        for _ in range(min(PEERS_A_ROUND, len(listeners))):
            peer = listeners.pop(int(rng.random() * len(listeners)))
            if news := self._known.news_for(peer):
                effects.append(m.Send(peer, g.Heads(news)))

    def _tell_proofs(self, peer: m.PeerId, stream: StreamId, effects: Effects) -> None:
        for proof in self._known.proofs_for(peer, stream):
            effects.append(m.Send(peer, g.Proofs((proof,))))  # two might not fit into a packet

    # ---- what is heard ----

    def _hear(self, peer: m.PeerId, message: object, now: float, effects: Effects) -> None:
        match message:
            case g.Compare(number) if self._peers[peer].lies:
                effects.append(m.Send(peer, g.Unknown(number)))
            case _ if self._peers[peer].lies:
                pass
            case g.Heads(heads):
                for shown in heads:
                    self._hear_head(peer, shown, now, effects)
            case g.Compare(number, shown, peaks):
                self._asked(Asked(peer, number, shown, peaks), now, effects)
            case g.Continues() | g.Shorter() | g.Unknown():
                self._hear_answer(peer, message, now, effects)
            case g.Proofs(proofs):
                for encoded in proofs:
                    self._hear_proof(peer, encoded, now, effects)
            case _:
                pass

    def _hear_answer(
        self,
        peer: m.PeerId,
        message: g.Continues | g.Shorter | g.Unknown,
        now: float,
        effects: Effects,
    ) -> None:
        question = self._peers[peer].questions.pop(message.number, None)
        if question is None:
            return
        match message:
            case g.Continues(_, shown, frontier):
                self._continued(peer, question, shown, frontier, effects)
            case g.Shorter(number, shown, peaks) if shown.head.stream == question.stream:
                self._asked(Asked(peer, number, shown, peaks, ours=True), now, effects)
            case _:
                pass

    def _hear_head(self, peer: m.PeerId, shown: ShownHead, now: float, effects: Effects) -> None:
        stream, head = shown.head.stream, shown.head
        if stream not in self._logs or not self._known.shares(peer, stream):
            return
        known = self._known.has_head(stream, head.length, head.root)
        try:
            checks = () if known else shown.checks(self._geneses[stream])
        except Malformed as error:
            self._disbelieve(peer, str(error), effects)
            return
        if known or self._verify(peer, Heard(peer, shown), checks, now, effects):
            self._peers[peer].tell(stream, head)

    def _hear_proof(self, peer: m.PeerId, encoded: bytes, now: float, effects: Effects) -> None:
        try:
            fork = read_fork(encoded)
            checks = fork.checks()
        except Malformed as error:
            self._disbelieve(peer, str(error), effects)
            return
        self._peers[peer].tell_proof(encoded)
        self._peers[peer].forget_questions(stream=fork.stream)  # it may be the answer
        if self._known.wants_proof(fork):
            self._verify(peer, Accused(peer, fork), checks, now, effects)

    def _asked(self, asked: Asked, now: float, effects: Effects) -> None:
        """A Head with its peaks, which is shown to us."""
        peer, stream, head = asked.peer, asked.shown.head.stream, asked.shown.head
        refused = m.Send(peer, g.Unknown(asked.number))
        busy = [each for each in self._work.values() if type(each) is Asked and each.peer == peer]
        allowed = stream in self._logs and self._known.shares(peer, stream)
        if not allowed or len(busy) >= QUESTIONS_MAX:
            effects += [] if asked.ours else [refused]
            return
        if bag(asked.peaks) != head.root or len(asked.peaks) != head.length.bit_count():
            self._disbelieve(peer, "these are not the peaks of that Head", effects)
            return
        try:
            checks = asked.shown.checks(self._geneses[stream])
        except Malformed as error:
            self._disbelieve(peer, str(error), effects)
            return
        if not self._verify(peer, asked, checks, now, effects) and not asked.ours:
            effects.append(refused)

    def _verify(
        self,
        peer: m.PeerId,
        work: Work,
        checks: tuple[m.SignatureCheck, ...],
        now: float,
        effects: Effects,
    ) -> bool:
        """False: the peer has cost enough, or there is too much under way."""
        if len(self._work) >= WORK_MAX or not self._peers[peer].may_cost(len(checks), now):
            return False
        token = self._later(work)
        effects.append(m.Verify(token, checks))
        return True

    def _later(self, work: Work) -> m.Token:
        token = self._tokens.new()
        self._work[token] = work
        return token

    def _disbelieve(self, peer: m.PeerId, reason: str, effects: Effects) -> None:
        self._peers[peer].lies = True
        effects.append(m.Emit(g.LiarFound(peer, reason)))

    # ---- what is known of it then ----

    def _verified(self, work: Work, oks: tuple[bool, ...], effects: Effects) -> None:
        peer = work.peer
        if not all(oks):
            if peer in self._peers:
                self._disbelieve(peer, "a signature does not match", effects)
            self._settle(work, effects)
            return
        match work:
            case Accused():
                self._persist(work, effects)
            case _ if not self._known.spoken_of(work.shown.head.stream):
                pass  # its owners have changed meanwhile
            case Heard():
                self._consider(work, effects)
            case Asked():
                self._judge(work, effects)

    def _consider(self, heard: Heard, effects: Effects) -> None:
        head = heard.shown.head
        stream, state = head.stream, self._logs[head.stream]
        if self._known.has_head(stream, head.length, head.root):
            return
        if head.length <= state.length:
            token = self._later(heard)
            effects.append(m.Ask(token, StandingOf(stream, head.length, head.root)))
        elif head.length == state.signed.head.length:
            self._accuse(None, self._known.equal_fork(stream, heard.shown, state.signed), effects)
        else:
            self._known.of(stream).await_entries(Pending(heard.shown, heard.peer))

    def _judge(self, asked: Asked, effects: Effects) -> None:
        stream, head = asked.shown.head.stream, asked.shown.head
        state, reach = self._logs[stream], self._logs[stream].signed.head.length
        if head.length <= state.length or head.length == reach:
            token = self._later(asked)
            question = VerdictOn(self._geneses[stream], state, asked.shown, asked.peaks)
            effects.append(m.Ask(token, question))
        elif asked.ours or state.frontier:  # we have not all that our own Head covers
            effects += [] if asked.ours else [m.Send(asked.peer, g.Unknown(asked.number))]
        else:
            shown = ShownHead(state.signed)
            effects.append(m.Send(asked.peer, g.Shorter(asked.number, shown, state.peaks)))

    def _answered(self, work: Work, answer: object, effects: Effects) -> None:
        match work, answer:
            case Heard(peer, shown), Standing(agrees=False, ours=None):
                if peer in self._peers:
                    self._compare(peer, shown.head.stream, effects)
            case Heard(_, shown), Standing(agrees=False, ours=SignedHead() as ours):
                self._accuse(None, self._known.equal_fork(shown.head.stream, shown, ours), effects)
            case Asked(ours=False), Verdict(ours, None, frontier):
                answered = g.Continues(work.number, ShownHead(ours), frontier)
                effects.append(m.Send(work.peer, answered))
            case Asked(), Verdict(fork=fork) if fork is not None:
                self._accuse(None if work.ours else (work.peer, work.number), fork, effects)
            case _:
                pass

    # ---- comparing ----

    def _reconsider(
        self, stream: StreamId, known: Known, pending: Pending, effects: Effects
    ) -> None:
        """Of a Head that was pending since before this round."""
        state, head = self._logs[stream], pending.shown.head
        if head.length <= state.signed.head.length:
            del known.pending[head.length, head.root]
            self._consider(Heard(pending.peer, pending.shown), effects)
        elif pending.peer in self._peers:
            self._compare(pending.peer, stream, effects)

    def _compare(self, peer: m.PeerId, stream: StreamId, effects: Effects) -> None:
        """Ask whether the peer's log continues ours, or is continued by it."""
        listener, state = self._peers[peer], self._logs.get(stream)
        if state is None or state.frontier or not self._known.shares(peer, stream):
            return
        if listener.lies or any(each.stream == stream for each in listener.questions.values()):
            return
        if len(listener.questions) >= QUESTIONS_MAX:
            del listener.questions[next(iter(listener.questions))]  # it was never answered
        self._numbers = number = self._numbers + 1
        listener.questions[number] = Question(stream, state.length, state.peaks, self._rounds)
        effects.append(m.Send(peer, g.Compare(number, ShownHead(state.signed), state.peaks)))

    def _continued(
        self,
        peer: m.PeerId,
        question: Question,
        shown: ShownHead,
        frontier: Sequence[Hash],
        effects: Effects,
    ) -> None:
        """What the peer has continues ours: its entries may come, and its Head waits no longer."""
        head, length = shown.head, question.length
        if lead(question.peaks, length, frontier, head.length) != head.root:
            self._disbelieve(peer, "its Head doesn't continue ours as it says", effects)
        elif known := self._streams.get(question.stream):
            known.pending.pop((head.length, head.root), None)

    # ---- proofs ----

    def _submitted(self, number: int, fork: StreamFork, effects: Effects) -> None:
        """By whoever has it at hand, say in a file; as little is believed as of a peer."""
        accused = Accused(None, fork, submitted=number)
        try:
            checks = fork.checks()
        except Malformed:
            self._settle(accused, effects)
            return
        if self._known.wants_proof(fork):
            effects.append(m.Verify(self._later(accused), checks))
        else:
            self._settle(accused, effects)

    def _settle(self, work: Work, effects: Effects) -> None:
        if isinstance(work, Accused) and work.submitted is not None:
            effects.append(m.Emit(g.Settled(work.submitted)))

    def _accuse(
        self, answers: tuple[m.PeerId, int] | None, fork: StreamFork, effects: Effects
    ) -> None:
        """Made here: its parts were checked, and it is checked as a whole, too."""
        if not self._known.wants_proof(fork):
            if answers is not None and answers[0] in self._peers:
                self._tell_proofs(answers[0], fork.stream, effects)
            return
        token = self._later(Accused(None, fork, answers))
        effects.append(m.Verify(token, fork.checks()))

    def _persist(self, accused: Accused, effects: Effects) -> None:
        fork = accused.fork
        if not self._known.wants_proof(fork):
            self._settle(accused, effects)  # another was faster
            return
        encoded = encode_fork(fork)
        self._known.of(fork.stream).writing[fork.forked_length] = encoded
        token = self._later(accused)
        effects.append(m.Persist(token, (put_proof(fork.stream, fork.forked_length, encoded),)))

    def _proven(self, work: Work, effects: Effects) -> None:
        assert isinstance(work, Accused)
        stream, length = work.fork.stream, work.fork.forked_length
        self._streams[stream].keep_written(length)
        effects.append(m.Emit(g.ForkProven(work.fork, work.peer)))
        self._settle(work, effects)
        for peer, listener in self._peers.items():
            if stream in listener.holds or (work.answers and work.answers[0] == peer):
                self._tell_proofs(peer, stream, effects)
