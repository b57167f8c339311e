"""Decide which Heads are told, which are compared, and what is a fork (spec/gossip.md).

A Gossiper reads the logs that a StreamBook keeps and never changes them. What it proves is durable
before anybody hears of it; that a forked stream stops is told to whoever runs it.
"""

from collections.abc import Mapping, Sequence

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.gossip.comparing import Standing, StandingOf, Verdict, VerdictOn
from qbix_node.gossip.known import Known, Pending
from qbix_node.gossip.peers import QUESTIONS_MAX, Listener, Question
from qbix_node.gossip.work import Accused, Asked, Heard, Work
from qbix_node.streams.forks import (
    ShownHead,
    StreamFork,
    equal_fork,
    read_fork,
)
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.messages import Head, SignedHead
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
        self._geneses = geneses
        self._logs = logs
        self._known = Known(proofs)
        self._peers: dict[m.PeerId, Listener] = {}
        self._tokens = m.Tokens()
        self._numbers = 0
        self._work: dict[m.Token, Work] = {}
        self._ticking = False

    def proofs(self, stream: StreamId) -> list[bytes]:
        return self._known.proofs(stream)

    def pending(self, stream: StreamId) -> list[SignedHead]:
        return self._known.pending(stream)

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        effects: Effects = []
        match event:
            case m.Received(peer, message) if peer in self._peers:
                self._hear(peer, message, now, effects)
            case m.Connected(peer):
                self._peers[peer] = Listener(since=now)
            case m.Disconnected(peer):
                self._peers.pop(peer, None)
            case m.Requested(g.Announced(peer, streams, gone)) if peer in self._peers:
                self._announced(peer, streams, gone, effects)
            case m.Requested(g.Contradiction(peer, signed)) if peer in self._peers:
                self._compare(peer, signed.head.stream, effects)
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

    def _announced(
        self,
        peer: m.PeerId,
        streams: Sequence[StreamId],
        gone: Sequence[StreamId],
        effects: Effects,
    ) -> None:
        """SPEC gossip 2: who holds a stream hears of it, first of all that it is forked."""
        listener = self._peers[peer]
        for stream in gone:
            listener.holds.pop(stream, None)
        for stream in streams:
            if stream not in listener.holds:
                listener.holds[stream] = None
                self._tell_proofs(peer, stream, effects)

    def _may_read(self, peer: m.PeerId, stream: StreamId) -> bool:
        genesis = self._geneses.get(stream)
        return genesis is not None and (genesis.readers is None or peer in genesis.readers)

    def _round(self, rng: m.Rng, effects: Effects) -> None:
        """SPEC gossip 3."""
        for pending in self._known.waiting():
            self._reconsider(pending, effects)
        listeners = list(self._peers)
        for _ in range(min(PEERS_A_ROUND, len(listeners))):
            peer = listeners.pop(int(rng.random() * len(listeners)))
            news = self._news_for(peer)
            if news:
                effects.append(m.Send(peer, g.Heads(tuple(news))))

    def _news_for(self, peer: m.PeerId) -> list[ShownHead]:
        listener, news = self._peers[peer], list[ShownHead]()
        for stream in listener.holds:
            if not self._may_read(peer, stream):
                continue
            for shown in self._known_heads(stream):
                if len(news) < g.HEADS_MAX and listener.tell(stream, shown.head):
                    news.append(shown)
        return news

    def _known_heads(self, stream: StreamId) -> list[ShownHead]:
        state = self._logs.get(stream)
        own = [state.signed] if state else []
        # Heads of streams whose owners change have a chain; those that are gossiped have none.
        return [ShownHead(signed) for signed in (*own, *self._known.pending(stream))]

    def _tell_proofs(self, peer: m.PeerId, stream: StreamId, effects: Effects) -> None:
        listener = self._peers[peer]
        if not self._may_read(peer, stream):
            return
        proofs = [proof for proof in self._known.proofs(stream) if listener.tell_proof(proof)]
        if proofs:
            effects.append(m.Send(peer, g.Proofs(tuple(proofs))))

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
                asked = Asked(peer, number, shown, peaks, ours=True)
                self._asked(asked, now, effects)
            case _:
                pass

    def _hear_head(self, peer: m.PeerId, shown: ShownHead, now: float, effects: Effects) -> None:
        stream, head = shown.head.stream, shown.head
        if stream not in self._logs or not self._may_read(peer, stream):
            return
        self._peers[peer].tell(stream, head)
        if self._is_known(head):
            return
        try:
            checks = shown.checks(self._geneses[stream])
        except Malformed as error:
            self._disbelieve(peer, str(error), effects)
            return
        self._verify(peer, Heard(peer, shown), checks, now, effects)

    def _is_known(self, head: Head) -> bool:
        return self._logs[head.stream].signed.head.identity == head.identity or (
            self._known.is_pending(head)
        )

    def _hear_proof(self, peer: m.PeerId, encoded: bytes, now: float, effects: Effects) -> None:
        self._peers[peer].tell_proof(encoded)
        try:
            fork = read_fork(encoded)
            checks = fork.checks()
        except Malformed as error:
            self._disbelieve(peer, str(error), effects)
            return
        if self._wants_proof(fork):
            self._verify(peer, Accused(peer, fork), checks, now, effects)

    def _wants_proof(self, fork: StreamFork) -> bool:
        return fork.stream in self._geneses and self._known.wants(fork)

    def _asked(self, asked: Asked, now: float, effects: Effects) -> None:
        """A Head with its peaks, which is shown to us."""
        peer, stream, head = asked.peer, asked.shown.head.stream, asked.shown.head
        refused = m.Send(peer, g.Unknown(asked.number))
        busy = [each for each in self._work.values() if type(each) is Asked and each.peer == peer]
        here = stream in self._logs and self._may_read(peer, stream)
        if not here or len(busy) >= QUESTIONS_MAX:
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
        self._verify(peer, asked, checks, now, effects)

    def _verify(
        self,
        peer: m.PeerId,
        work: Work,
        checks: tuple[m.SignatureCheck, ...],
        now: float,
        effects: Effects,
    ) -> None:
        if len(self._work) >= WORK_MAX or not self._peers[peer].may_cost(len(checks), now):
            return
        token = self._later(work)
        effects.append(m.Verify(token, checks))

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
            return
        match work:
            case Heard():
                self._consider(work, effects)
            case Asked():
                self._judge(work, effects)
            case Accused(fork=fork) if self._wants_proof(fork):
                self._persist(work, effects)
            case Accused():
                pass  # another was faster

    def _consider(self, heard: Heard, effects: Effects) -> None:
        head = heard.shown.head
        stream, state = head.stream, self._logs[head.stream]
        if self._is_known(head):
            return
        if head.length <= state.length:
            token = self._later(heard)
            effects.append(m.Ask(token, StandingOf(stream, head.length, head.root)))
        elif head.length == state.signed.head.length:
            self._accuse(None, self._equal(heard.shown, state.signed), effects)
        else:
            self._known.put_pending(heard.shown, heard.peer)

    def _equal(self, shown: ShownHead, ours: SignedHead) -> StreamFork:
        return equal_fork(self._geneses[shown.head.stream], shown, ShownHead(ours))

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
                self._accuse(None, self._equal(shown, ours), effects)
            case Asked(), Verdict(fork=None, frontier=frontier):
                if not work.ours:
                    shown = ShownHead(self._logs[work.shown.head.stream].signed)
                    answered = g.Continues(work.number, shown, frontier)
                    effects.append(m.Send(work.peer, answered))
            case Asked(), Verdict(fork=fork) if fork is not None:
                self._accuse(None if work.ours else work.peer, fork, effects)
            case _:
                pass

    # ---- comparing ----

    def _reconsider(self, pending: Pending, effects: Effects) -> None:
        """Of a Head that was pending since before this round."""
        head = pending.shown.head
        if head.length <= self._logs[head.stream].signed.head.length:
            self._known.settle(head)
            self._consider(Heard(pending.peer, pending.shown), effects)
        elif pending.peer in self._peers:
            self._compare(pending.peer, head.stream, effects)

    def _compare(self, peer: m.PeerId, stream: StreamId, effects: Effects) -> None:
        """Ask whether the peer's log continues ours, or is continued by it."""
        listener, state = self._peers[peer], self._logs.get(stream)
        if state is None or state.frontier or not self._may_read(peer, stream):
            return
        if listener.lies or any(each.stream == stream for each in listener.questions.values()):
            return
        if len(listener.questions) >= QUESTIONS_MAX:
            del listener.questions[next(iter(listener.questions))]  # it was never answered
        self._numbers += 1
        listener.questions[self._numbers] = Question(stream, state.length, state.peaks)
        shown = ShownHead(state.signed)
        effects.append(m.Send(peer, g.Compare(self._numbers, shown, state.peaks)))

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
        else:
            self._known.settle(head)

    # ---- proofs ----

    def _accuse(self, asker: m.PeerId | None, fork: StreamFork, effects: Effects) -> None:
        """Made here: its parts were checked, and it is checked as a whole, too."""
        if self._wants_proof(fork):
            token = self._later(Accused(None, fork, asker))
            effects.append(m.Verify(token, fork.checks()))
        elif asker in self._peers:
            self._tell_proofs(asker, fork.stream, effects)

    def _persist(self, accused: Accused, effects: Effects) -> None:
        fork = accused.fork
        token, encoded = self._later(accused), self._known.put_proof(fork)
        effects.append(m.Persist(token, (put_proof(fork.stream, fork.forked_length, encoded),)))

    def _proven(self, work: Work, effects: Effects) -> None:
        assert isinstance(work, Accused)
        stream = work.fork.stream
        effects.append(m.Emit(g.ForkProven(work.fork, work.peer)))
        for peer, listener in self._peers.items():
            if stream in listener.holds or peer == work.asker:
                self._tell_proofs(peer, stream, effects)
