"""Decide which Heads are told, which are compared, and what is a fork (spec/gossip.md).

A Gossiper reads the logs that a StreamBook keeps and never changes them. What it proves is durable
before anybody hears of it; that a forked stream stops is told to whoever runs it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.gossip.comparing import Standing, StandingOf, Verdict, VerdictOn
from qbix_node.gossip.peers import QUESTIONS_MAX, Listener, Question
from qbix_node.streams.forks import (
    ShownHead,
    StreamFork,
    encode_fork,
    equal_fork,
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
PENDING_MAX = 4  # Heads of a stream that nobody has backed; the oldest makes room
PROOFS_MAX = 2  # of a stream
WORK_MAX = 1024  # pieces of slow work under way; what is more is passed over

_ROUND = "gossip/round"

Effects = list[m.Effect]
Identity = tuple[int, Hash]


@dataclass(frozen=True, slots=True)
class _Pending:
    shown: ShownHead
    peer: m.PeerId  # who told of it


@dataclass(frozen=True, slots=True)
class _Heard:
    """A Head whose signatures are being checked, or that is being looked up."""

    peer: m.PeerId
    shown: ShownHead


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question of a peer. `ours`: it was ours, and this is the answer `shorter`."""

    peer: m.PeerId
    number: int
    shown: ShownHead
    peaks: tuple[Hash, ...]
    ours: bool = False


@dataclass(frozen=True, slots=True)
class _Accused:
    peer: m.PeerId | None
    fork: StreamFork
    answers: tuple[m.PeerId, int] | None = None  # a question that this is the answer to


@dataclass(slots=True)
class _Stream:
    pending: dict[Identity, _Pending] = field(default_factory=dict)
    proofs: dict[int, bytes] = field(default_factory=dict)  # by forked length


_Work = _Heard | _Asked | _Accused


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
        self._streams = {stream: _Stream(proofs=dict(known)) for stream, known in proofs.items()}
        self._peers: dict[m.PeerId, Listener] = {}
        self._tokens = m.Tokens()
        self._numbers = 0
        self._work: dict[m.Token, _Work] = {}
        self._ticking = False

    def proofs(self, stream: StreamId) -> list[bytes]:
        known = self._streams.get(stream)
        return list(known.proofs.values()) if known else []

    def pending(self, stream: StreamId) -> list[SignedHead]:
        known = self._streams.get(stream)
        return [each.shown.signed for each in known.pending.values()] if known else []

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
        self, work: _Work, event: m.Verified | m.Answered | m.Persisted, effects: Effects
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
        for stream, known in list(self._streams.items()):
            for pending in list(known.pending.values()):
                self._reconsider(stream, known, pending, effects)
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
        state, known = self._logs.get(stream), self._streams.get(stream)
        own = [ShownHead(state.signed)] if state else []
        return own + ([each.shown for each in known.pending.values()] if known else [])

    def _tell_proofs(self, peer: m.PeerId, stream: StreamId, effects: Effects) -> None:
        listener, known = self._peers[peer], self._streams.get(stream)
        if known is None or not self._may_read(peer, stream):
            return
        proofs = [proof for proof in known.proofs.values() if listener.tell_proof(proof)]
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
                self._asked(_Asked(peer, number, shown, peaks), now, effects)
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
                asked = _Asked(peer, number, shown, peaks, ours=True)
                self._asked(asked, now, effects)
            case _:
                pass

    def _hear_head(self, peer: m.PeerId, shown: ShownHead, now: float, effects: Effects) -> None:
        stream, head = shown.head.stream, shown.head
        if stream not in self._logs or not self._may_read(peer, stream):
            return
        self._peers[peer].tell(stream, head)
        if self._is_known(stream, head.length, head.root):
            return
        try:
            checks = shown.checks(self._geneses[stream])
        except Malformed as error:
            self._disbelieve(peer, str(error), effects)
            return
        self._verify(peer, _Heard(peer, shown), checks, now, effects)

    def _is_known(self, stream: StreamId, length: int, root: Hash) -> bool:
        head, known = self._logs[stream].signed.head, self._streams.get(stream)
        if (head.length, head.root) == (length, root):
            return True
        return known is not None and (length, root) in known.pending

    def _hear_proof(self, peer: m.PeerId, encoded: bytes, now: float, effects: Effects) -> None:
        self._peers[peer].tell_proof(encoded)
        try:
            fork = read_fork(encoded)
            checks = fork.checks()
        except Malformed as error:
            self._disbelieve(peer, str(error), effects)
            return
        if self._wants_proof(fork):
            self._verify(peer, _Accused(peer, fork), checks, now, effects)

    def _wants_proof(self, fork: StreamFork) -> bool:
        known = self._streams.get(fork.stream)
        if fork.stream not in self._geneses:
            return False
        return known is None or (
            len(known.proofs) < PROOFS_MAX and fork.forked_length not in known.proofs
        )

    def _asked(self, asked: _Asked, now: float, effects: Effects) -> None:
        """A Head with its peaks, which is shown to us."""
        peer, stream, head = asked.peer, asked.shown.head.stream, asked.shown.head
        refused = m.Send(peer, g.Unknown(asked.number))
        busy = [work for work in self._work.values() if isinstance(work, _Asked)]
        mine = len([work for work in busy if work.peer == peer])
        if stream not in self._logs or not self._may_read(peer, stream):
            effects += [] if asked.ours else [refused]
            return
        if mine >= QUESTIONS_MAX:
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
        work: _Work,
        checks: tuple[m.SignatureCheck, ...],
        now: float,
        effects: Effects,
    ) -> None:
        if len(self._work) >= WORK_MAX or not self._peers[peer].may_cost(len(checks), now):
            return
        token = self._later(work)
        effects.append(m.Verify(token, checks))

    def _later(self, work: _Work) -> m.Token:
        token = self._tokens.new()
        self._work[token] = work
        return token

    def _disbelieve(self, peer: m.PeerId, reason: str, effects: Effects) -> None:
        self._peers[peer].lies = True
        effects.append(m.Emit(g.LiarFound(peer, reason)))

    # ---- what is known of it then ----

    def _verified(self, work: _Work, oks: tuple[bool, ...], effects: Effects) -> None:
        peer = work.peer
        if not all(oks):
            if peer in self._peers:
                self._disbelieve(peer, "a signature does not match", effects)
            return
        match work:
            case _Heard():
                self._consider(work, effects)
            case _Asked():
                self._judge(work, effects)
            case _Accused(fork=fork) if self._wants_proof(fork):
                self._persist(work, effects)
            case _Accused():
                pass  # another was faster

    def _consider(self, heard: _Heard, effects: Effects) -> None:
        head = heard.shown.head
        stream, state = head.stream, self._logs[head.stream]
        if self._is_known(stream, head.length, head.root):
            return
        if head.length <= state.length:
            token = self._later(heard)
            effects.append(m.Ask(token, StandingOf(stream, head.length, head.root)))
        elif head.length == state.signed.head.length:
            self._accuse(None, self._equal(stream, heard.shown, state.signed), effects)
        else:
            known = self._streams.setdefault(stream, _Stream())
            while len(known.pending) >= PENDING_MAX:
                del known.pending[next(iter(known.pending))]
            known.pending[head.length, head.root] = _Pending(heard.shown, heard.peer)

    def _equal(self, stream: StreamId, shown: ShownHead, ours: SignedHead) -> StreamFork:
        return equal_fork(self._geneses[stream], shown, ShownHead(ours))

    def _judge(self, asked: _Asked, effects: Effects) -> None:
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

    def _answered(self, work: _Work, answer: object, effects: Effects) -> None:
        match work, answer:
            case _Heard(peer, shown), Standing(agrees=False, ours=None):
                if peer in self._peers:
                    self._compare(peer, shown.head.stream, effects)
            case _Heard(_, shown), Standing(agrees=False, ours=SignedHead() as ours):
                self._accuse(None, self._equal(shown.head.stream, shown, ours), effects)
            case _Asked(), Verdict(fork=None, frontier=frontier):
                if not work.ours:
                    shown = ShownHead(self._logs[work.shown.head.stream].signed)
                    answered = g.Continues(work.number, shown, frontier)
                    effects.append(m.Send(work.peer, answered))
            case _Asked(), Verdict(fork=fork) if fork is not None:
                self._accuse(None if work.ours else (work.peer, work.number), fork, effects)
            case _:
                pass

    # ---- comparing ----

    def _reconsider(
        self, stream: StreamId, known: _Stream, pending: _Pending, effects: Effects
    ) -> None:
        """Of a Head that was pending since before this round."""
        state, head = self._logs[stream], pending.shown.head
        if head.length <= state.signed.head.length:
            del known.pending[head.length, head.root]
            self._consider(_Heard(pending.peer, pending.shown), effects)
        elif pending.peer in self._peers:
            self._compare(pending.peer, stream, effects)

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
        elif known := self._streams.get(question.stream):
            known.pending.pop((head.length, head.root), None)

    # ---- proofs ----

    def _accuse(
        self, answers: tuple[m.PeerId, int] | None, fork: StreamFork, effects: Effects
    ) -> None:
        """Made here: its parts were checked, and it is checked as a whole, too."""
        if not self._wants_proof(fork):
            if answers is not None:
                self._tell_proofs_again(*answers, fork, effects)
            return
        token = self._later(_Accused(None, fork, answers))
        effects.append(m.Verify(token, fork.checks()))

    def _tell_proofs_again(
        self, peer: m.PeerId, number: int, fork: StreamFork, effects: Effects
    ) -> None:
        known = self.proofs(fork.stream)
        if peer in self._peers and known:
            effects.append(m.Send(peer, g.Proofs(tuple(known))))

    def _persist(self, accused: _Accused, effects: Effects) -> None:
        fork = accused.fork
        known = self._streams.setdefault(fork.stream, _Stream())
        encoded = encode_fork(fork)
        known.proofs[fork.forked_length] = encoded
        token = self._later(accused)
        effects.append(m.Persist(token, (put_proof(fork.stream, fork.forked_length, encoded),)))

    def _proven(self, work: _Work, effects: Effects) -> None:
        assert isinstance(work, _Accused)
        stream = work.fork.stream
        effects.append(m.Emit(g.ForkProven(work.fork, work.peer)))
        self._streams[stream].pending.clear()
        for peer, listener in self._peers.items():
            if stream in listener.holds or (work.answers and work.answers[0] == peer):
                self._tell_proofs(peer, stream, effects)
