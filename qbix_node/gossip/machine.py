"""Decide which Heads are told, which are compared, and what is a fork (spec/gossip.md).

A Gossiper reads the logs that a StreamBook keeps and never changes them. What becomes of proofs is
decided by its Accuser.
"""

from collections.abc import Container, Iterable, Mapping

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.gossip.accusing import Accuser, Effects
from qbix_node.gossip.comparing import Verdict, VerdictOn
from qbix_node.gossip.headsonly import HeadsOnly, Layered
from qbix_node.gossip.knowledge import Knowledge, Known, Pending
from qbix_node.gossip.listening import Listeners
from qbix_node.gossip.peers import (
    PROOFS_A_ROUND,
    QUESTION_ROUNDS,
    QUESTIONS_MAX,
    Listener,
    Question,
)
from qbix_node.gossip.work import Accused, Claim, Decided, Listening, Work, Workbench
from qbix_node.streams.forks import ShownHead, StreamFork, encode_fork, fork_id
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.messages import SignedHead
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.tree import Hash, Prefix
from qbix_node.wire.references import StreamId

ROUND_S = 2.0
ROUND_SPREAD = 0.25  # of that, more or less
PEERS_A_ROUND = 3

_ROUND = "gossip/round"


class Gossiper:
    """`geneses`, `logs`: of the streams that are here, kept by a StreamBook. `forks` and
    `resolutions`, `heads_only`: what the store holds. `followed`: the streams that are replicated
    here without being this node's own.
    """

    def __init__(
        self,
        geneses: Mapping[StreamId, Genesis],
        logs: Mapping[StreamId, LogState],
        forks: Mapping[StreamId, Iterable[StreamFork]],
        resolutions: Mapping[StreamId, Resolution],
        followed: Container[StreamId] = (),
        *,
        heads_only: HeadsOnly | None = None,
    ) -> None:
        streams = {stream: Known() for stream in (*forks, *resolutions)}
        for stream, held in forks.items():
            streams[stream].proofs = {fork_id(encode_fork(fork)): fork for fork in held}
        for stream, resolution in resolutions.items():
            streams[stream].choose(resolution)
        kept = HeadsOnly() if heads_only is None else heads_only
        every = Layered(kept.geneses, geneses), Layered(kept.logs, logs)
        self._known = known = Knowledge(*every, followed, streams, kept)
        self._stored = geneses, logs  # with entries
        self._geneses, self._logs, self._peers = known.geneses, known.logs, known.peers
        self._bench = Workbench()
        self._accuser = Accuser(known, self._bench)
        self._listening = Listeners(known, self._bench, self._accuser)
        self._numbers = self._rounds = 0
        self._ticking = False

    def proofs(self, stream: StreamId) -> list[bytes]:
        return self._known.proofs(stream)

    @property
    def proofs_elsewhere(self) -> int:
        return self._known.early.count + self._known.others.count

    def accused(self) -> list[StreamId]:
        """The streams of which proofs are kept."""
        known = self._known.streams
        return sorted([stream for stream in known if known[stream].proofs])

    def resolution(self, stream: StreamId) -> Resolution | None:
        return self._known.resolution(stream)

    def stopped(self, stream: StreamId) -> str | None:
        """Why it takes nothing further, by what is durable or on its way."""
        return self._known.stopped(stream)

    def pending(self, stream: StreamId) -> list[SignedHead]:
        """Heads that nobody has backed."""
        waiting = self._known.pending(stream)
        return [each.shown.signed for each in waiting if not each.backed]

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        effects: Effects = []
        match event:
            case m.Received(peer, message) if peer in self._peers:
                self._hear(peer, message, now, effects)
            case m.Connected(peer):
                self._peers[peer] = Listener(since=now)
                self._listening.greet(peer, effects)
            case m.Disconnected(peer):
                self._peers.pop(peer, None)
            case m.Requested(request):
                self._requested(request, effects)
            case m.Verified(token) | m.Answered(token) | m.Persisted(token):
                if work := self._bench.end(token):
                    self._go_on(work, event, effects)
            case m.TimerFired(name) if name == _ROUND:
                self._ticking = False
                self._round(now, rng, effects)
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
            case g.Contradiction(peer, signed) if self._known.compares(signed.head.stream):
                bare = Prefix(signed.head.length, (), ())
                self._judge(Claim(peer, ShownHead(signed), bare), effects)
                if peer in self._peers:
                    self._compare(peer, signed.head.stream, effects)
            case g.Replaced(before) if self._known.compares(before.signed.head.stream):
                self._judge(Claim(None, ShownHead(before.signed), before.prefix), effects)
            case g.Submitted(number, given):
                self._accuser.submit(number, given, effects)
            case g.HearOf(stream=stream):
                geneses, logs = self._stored
                self._listening.change(request, geneses.get(stream), logs.get(stream), effects)
            case _:
                pass

    def _go_on(
        self, work: Work, event: m.Verified | m.Answered | m.Persisted, effects: Effects
    ) -> None:
        match work, event:
            case Accused() | Decided(), m.Verified(oks=oks):
                self._accuser.verified(work, oks, effects)
            case Accused() | Decided(), m.Persisted():
                self._accuser.persisted(work, effects)
            case Listening(number), m.Persisted() if number is not None:
                effects.append(m.Emit(g.Settled(number)))
            case Claim(), m.Verified(oks=oks):
                self._verified(work, oks, effects)
            case Claim(), m.Answered(answer=Verdict() as verdict):
                self._judged(work, verdict, effects)
            case _:
                pass

    # ---- what is told ----

    def _announced(self, said: g.Announced, effects: Effects) -> None:
        """SPEC gossip 2: who holds a stream hears of it, first of all that it is forked."""
        listener = self._peers[said.peer]
        holds = listener.holds
        for stream in said.gone:
            holds.pop(stream, None)
            listener.untold.pop(stream, None)
        for stream in said.streams:
            if stream not in holds:
                holds[stream] = None
                self._accuser.tell(said.peer, stream, effects)

    def _round(self, now: float, rng: m.Rng, effects: Effects) -> None:
        """SPEC gossip 3."""
        self._rounds += 1
        for peer, listener in self._peers.items():
            listener.forget_questions(before_round=self._rounds - QUESTION_ROUNDS)
            listener.proofs_left = PROOFS_A_ROUND
            self._accuser.go_on(peer, effects)
            self._listening.introduce(peer, effects)
            self._look_at_unseen(peer, listener, now, effects)
        self._accuser.remember(effects)
        for state in self._listening.leave_to_entries(self._stored[0], effects):
            if self._known.compares(state.signed.head.stream):
                self._judge(Claim(None, ShownHead(state.signed), state.prefix), effects)
        for stream, known in self._in_turn():
            for pending in list(known.pending.values()) if self._known.compares(stream) else []:
                self._reconsider(pending, effects)
        listeners = list(self._peers)
        for _ in range(min(PEERS_A_ROUND, len(listeners))):
            peer = listeners.pop(int(rng.random() * len(listeners)))
            if news := self._known.news_for(peer):
                effects.append(m.Send(peer, g.Heads(news)))

    def _in_turn(self) -> list[tuple[StreamId, Known]]:
        """Each round begins with other streams, as there are more of them than questions."""
        streams = list(self._known.streams.items())
        start = self._rounds * QUESTIONS_MAX % max(1, len(streams))
        return streams[start:] + streams[:start]

    def _look_at_unseen(
        self, peer: m.PeerId, listener: Listener, now: float, effects: Effects
    ) -> None:
        """SPEC gossip 4: what came when the peer had cost enough is looked at later."""
        waiting, listener.unseen = listener.unseen, {}
        for shown in waiting.values():
            if listener.unseen or listener.lies:
                listener.look_later(shown)
            else:
                self._hear_head(peer, shown, now, effects)

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
            case g.Compare(number, shown, prefix):
                shares = self._known.shares(peer, shown.head.stream)
                claim = Claim(peer, shown, prefix, number)
                if not (shares and self._hear_claim(claim, now, effects)):
                    effects.append(m.Send(peer, g.Unknown(number)))
            case g.Continues() | g.Shorter() | g.Unknown():
                self._hear_answer(peer, message, now, effects)
            case g.Proofs() | g.Resolve():
                self._accuser.hear(peer, message, now, effects)
            case g.Listen() | g.Geneses():
                self._listening.hear(peer, message, effects)
            case _:
                pass

    def _hear_head(self, peer: m.PeerId, shown: ShownHead, now: float, effects: Effects) -> None:
        head = shown.head
        if not (self._known.compares(head.stream) and self._known.counts(head)):
            return
        claim = Claim(peer, shown, Prefix(head.length, (), ()))
        known = self._known.has_head(head.stream, head.length, head.root)
        if known or self._hear_claim(claim, now, effects):
            self._peers[peer].tell(head.stream, head)
            if known:
                self._known.of(head.stream).tell(head, peer)
        else:
            self._peers[peer].look_later(shown)

    def _hear_answer(
        self,
        peer: m.PeerId,
        message: g.Continues | g.Shorter | g.Unknown,
        now: float,
        effects: Effects,
    ) -> None:
        question = self._peers[peer].questions.pop(message.number, None)
        if question is None or isinstance(message, g.Unknown):
            return
        if message.shown.head.stream != question.stream:
            return
        end: tuple[Hash, ...] = ()
        if isinstance(message, g.Shorter):
            prefix = message.prefix
            if prefix.length >= question.state.length or not self._known.counts(message.shown.head):
                return
        else:
            length, peaks, _ = question.state.prefix
            prefix, end = Prefix(length, peaks or message.peaks, message.frontier), message.end
        if self._hear_claim(Claim(peer, message.shown, prefix, end=end), now, effects):
            self._known.of(question.stream).answered(peer, question.ours)

    def _hear_claim(self, claim: Claim, now: float, effects: Effects) -> bool:
        """False: it is not looked at."""
        peer, head = claim.peer, claim.shown.head
        assert peer is not None
        if not self._known.compares(head.stream):
            return False
        if claim.question is not None and self._bench.questions_of(peer) >= QUESTIONS_MAX:
            return False
        try:
            checks = claim.checks(self._geneses[head.stream])
        except Malformed as error:
            effects.append(self._known.disbelieve(peer, str(error)))
            return True
        checking = self._bench.verify(self._peers[peer], claim, checks, now)
        effects += [checking] if checking else []
        return checking is not None

    # ---- what is known of it then ----

    def _verified(self, claim: Claim, oks: tuple[bool, ...], effects: Effects) -> None:
        if not all(oks):
            if claim.peer in self._peers:
                effects.append(self._known.disbelieve(claim.peer, "a signature does not match"))
        elif self._known.compares(claim.shown.head.stream):  # still
            self._judge(claim, effects)

    def _judge(self, claim: Claim, effects: Effects) -> None:
        stream, shown, prefix = claim.shown.head.stream, claim.shown, claim.prefix
        if stream in self._known.heads_only:
            self._listening.judge(claim, effects)
            return
        state = self._logs[stream]
        if prefix.length > state.signed.head.length:  # so there is nothing that both know
            self._judged(claim, Verdict(state), effects)
            return
        chosen = self._known.resolution(stream)
        question = VerdictOn(self._geneses[stream], state, shown, prefix, chosen)
        effects.append(m.Ask(self._bench.begin(claim), question))

    def _judged(self, claim: Claim, verdict: Verdict, effects: Effects) -> None:
        peer, number, head = claim.peer, claim.question, claim.shown.head
        if verdict.fork is not None:
            self._accuser.accuse(verdict.fork, effects)
            if peer in self._peers and number is not None and self._known.compares(head.stream):
                effects.append(m.Send(peer, g.Unknown(number)))
            if peer in self._peers and verdict.asks is not None:
                self._ask(peer, verdict.asks, effects)
            return
        known, state = self._known.of(head.stream), verdict.state
        if verdict.continued:
            known.settle(head)
        else:
            tellers, backed = () if peer is None else (peer,), verdict.backed
            pending = Pending(claim.shown, claim.prefix, tellers, state, backed=backed)
            self._accuser.await_entries(pending, effects)
        if peer is None or number is None:
            return
        ours = ShownHead(state.signed)
        if verdict.frontier is None:
            effects.append(m.Send(peer, g.Shorter(number, ours, state.prefix)))
        else:
            end = () if state.frontier else state.peaks
            said = g.Continues(number, ours, verdict.frontier, verdict.peaks, end)
            effects.append(m.Send(peer, said))

    # ---- comparing ----

    def _reconsider(self, pending: Pending, effects: Effects) -> None:
        """Of a Head that was pending since before this round."""
        shown, state = pending.shown, self._logs.get(pending.shown.head.stream)
        stream = shown.head.stream
        if pending.judged is not state:
            peer = next(iter(pending.tellers), None)
            self._judge(Claim(peer, shown, pending.prefix), effects)
            return
        if stream in self._known.heads_only:
            questions = self._listening.questions(pending)
        elif state is None or pending.backed:
            return
        else:
            unanswered = [each for each in pending.tellers if each not in pending.answered]
            questions = ((each, state) for each in unanswered if each in self._peers)
        for peer, about in questions:
            if self._ask(peer, about, effects):
                self._known.of(stream).asked(pending, peer)
                return  # others in later rounds, if this one does not settle it

    def _compare(self, peer: m.PeerId, stream: StreamId, effects: Effects) -> None:
        """Ask whether the peer's log continues ours, or is continued by it."""
        if stream in self._logs:
            self._ask(peer, self._logs[stream], effects)

    def _ask(self, peer: m.PeerId, state: LogState, effects: Effects) -> bool:
        """Whether the peer's log continues this one; False: it can't be asked now."""
        listener, stream = self._peers[peer], state.signed.head.stream
        if not (self._known.compares(stream) and self._known.shares(peer, stream)):
            return False
        if listener.lies or any(each.stream == stream for each in listener.questions.values()):
            return False
        if len(listener.questions) >= QUESTIONS_MAX:
            return False  # in a later round
        self._numbers = number = self._numbers + 1
        listener.questions[number] = Question(state, self._rounds, self._logs.get(stream))
        effects.append(m.Send(peer, g.Compare(number, ShownHead(state.signed), state.prefix)))
        return True
