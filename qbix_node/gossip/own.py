"""Decide when own streams are trusted to be here whole (spec/streams.md 10, rules 2 and 3).

Peers are asked to compare, as the Gossiper asks them; what makes a proof is left to that one. Only
what this node's key has signed keeps the node from appending: what peers merely claim does not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.streams.caution import (
    PATIENCE_S,
    Caution,
    Doubt,
    Doubted,
    ShownAhead,
    Trusted,
    end_doubt,
    put_doubt,
)
from qbix_node.streams.forks import ShownHead
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import Head
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import StreamId

AGAIN_S = 1.0  # how often questions that brought nothing are asked again
GIVEN_UP_S = 6.0  # an answer that has not come by then does not come
QUESTIONS_MAX = 4  # of a peer at a time; the Gossiper has questions, too
CHECKS_MAX = 64  # signatures under way for a peer; what else it shows is passed over

_PATIENCE = "own/patience"
_AGAIN = "own/again"
_FIRST_NUMBER = 1 << 52  # so that these questions are not taken for those of the Gossiper

Effects = list[m.Effect]


@dataclass(frozen=True, slots=True)
class _Question:
    state: LogState  # ours, as it was
    asked_at: float

    @property
    def stream(self) -> StreamId:
        return self.state.signed.head.stream

    def is_continued(self, head: Head, frontier: tuple[Hash, ...]) -> bool:
        prefix = self.state.prefix._replace(frontier=frontier)
        return prefix.leads_to(head.root, head.length)


@dataclass(frozen=True, slots=True)
class _Check:
    """Of a Head of ours; `answers`: it is the answer to a question."""

    peer: m.PeerId
    shown: ShownHead
    answers: bool


@dataclass(slots=True)
class _Peer:
    """`left`: what it is still to be asked about. `unknown`: it did not say anything of these."""

    left: dict[StreamId, None] = field(default_factory=dict)
    holds: dict[StreamId, None] = field(default_factory=dict)
    questions: dict[int, _Question] = field(default_factory=dict)
    answered: dict[StreamId, None] = field(default_factory=dict)
    unknown: dict[StreamId, None] = field(default_factory=dict)
    checks: int = 0
    lies: bool = False


class OwnStreams:
    """`geneses`, `logs`: kept by a StreamBook; `caution`: how it began with them. `chosen`: streams
    of which a branch was chosen after a fork.
    """

    def __init__(
        self,
        geneses: Mapping[StreamId, Genesis],
        logs: Mapping[StreamId, LogState],
        key: AuthorId,
        caution: Caution,
        chosen: Iterable[StreamId] = (),
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._geneses, self._logs, self._key = geneses, logs, key
        self._caution = caution
        self._doubts = dict(caution.doubts)
        self._ahead = dict(caution.ahead)
        self._chosen = dict.fromkeys(chosen)
        self._patience_s = patience_s  # after a clean stop nobody is waited for longer
        self._peers: dict[m.PeerId, _Peer] = {}
        self._tokens = m.Tokens()
        self._number = _FIRST_NUMBER
        self._checks: dict[m.Token, _Check] = {}
        self._ticking = False

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        effects: Effects = []
        match event:
            case m.Received(peer, message) if peer in self._peers:
                self._hear(peer, message, effects)
                self._ask(peer, now, effects)
            case m.Connected(peer):
                self._peers[peer] = _Peer()
            case m.Disconnected(peer):
                self._peers.pop(peer, None)
                self._count(self._doubted(lasts=False), effects)
            case m.Requested(request):
                self._requested(request, now, effects)
            case m.Verified(token, oks) if token in self._checks:
                self._verified(self._checks.pop(token), oks, effects)
            case m.TimerFired(name) if name == _PATIENCE:
                self._trust(self._doubted(lasts=False), effects)
            case m.TimerFired(name) if name == _AGAIN:
                self._ticking = False
                self._again(now, effects)
            case _:
                pass
        if (self._doubts or self._ahead) and self._peers and not self._ticking:
            self._ticking = True
            effects.append(m.SetTimer(_AGAIN, now + AGAIN_S))
        return tuple(effects)

    def _requested(self, request: object, now: float, effects: Effects) -> None:
        match request:
            case g.Started(alone):
                self._started(now, effects, alone=alone)
            case g.Came(stream) if self._may_lack(stream) and stream not in self._doubts:
                self._doubts[stream] = Doubt.CAME
                self._keep([stream], effects)
                effects.append(m.Emit(Doubted(stream, Doubt.CAME)))
                for peer, at in self._peers.items():
                    at.left[stream] = None
                    self._ask(peer, now, effects)
            case g.BranchChosen(stream):
                self._chosen[stream] = None
                if self._ahead.pop(stream, None) is not None:  # it may be of the other branch
                    self._forget([] if stream in self._doubts else [stream], effects)
                    self._keep([stream] if stream in self._doubts else [], effects)
            case g.DoubtEnded(stream):
                self._trust([stream] if stream in self._doubts else [], effects)
            case g.Announced(peer, streams, gone) if peer in self._peers:
                at = self._peers[peer]
                at.left |= {each: None for each in streams if self._has_to_ask(at, each)}
                at.holds.update(dict.fromkeys(streams))
                for stream in gone:
                    at.holds.pop(stream, None)
                self._ask(peer, now, effects)
            case _:
                pass

    def _started(self, now: float, effects: Effects, *, alone: bool) -> None:
        """SPEC streams 10: what lasts is durable, so that the next stop doesn't make it clean."""
        self._keep(self._doubted(lasts=True), effects)
        if alone:
            self._trust(self._doubted(lasts=False), effects)
        elif self._doubted(lasts=False):
            effects.append(m.SetTimer(_PATIENCE, now + self._patience_s))

    def _is_own(self, stream: StreamId) -> bool:
        state = self._logs.get(stream)
        return state is not None and state.owners.index(self._key) is not None

    def _is_compared(self, stream: StreamId) -> bool:
        return self._is_own(stream) and self._geneses[stream].uniqueness is Uniqueness.GOSSIP

    def _may_lack(self, stream: StreamId) -> bool:
        """A stream that others sent."""
        genesis = self._geneses.get(stream)
        if genesis is None or not self._is_compared(stream):
            return False
        return not self._caution.began_here(genesis, self._key)

    def _doubted(self, *, lasts: bool) -> list[StreamId]:
        return [stream for stream, doubt in self._doubts.items() if doubt.lasts == lasts]

    # ---- asking ----

    def _has_to_ask(self, at: _Peer, stream: StreamId) -> bool:
        asked = [each.stream for each in at.questions.values()]
        return stream in self._doubts and stream not in (*asked, *at.answered, *at.unknown)

    def _may_ask(self, peer: m.PeerId, stream: StreamId) -> bool:
        """SPEC gossip 2: others would know nothing of it."""
        at, readers = self._peers[peer], self._geneses[stream].readers
        allowed = stream in at.holds and (readers is None or peer in readers)
        return allowed and self._is_compared(stream) and not at.lies

    def _ask(self, peer: m.PeerId, now: float, effects: Effects) -> None:
        at = self._peers[peer]
        while at.left and len(at.questions) < QUESTIONS_MAX:
            stream = next(iter(at.left))
            del at.left[stream]
            if stream not in self._doubts or not self._may_ask(peer, stream):
                continue
            state = self._logs[stream]
            self._number += 1
            at.questions[self._number] = _Question(state, now)
            compare = g.Compare(self._number, ShownHead(state.signed), state.prefix)
            effects.append(m.Send(peer, compare))

    def _again(self, now: float, effects: Effects) -> None:
        self._forget_reached(effects)
        for peer, at in self._peers.items():
            old = now - GIVEN_UP_S
            given_up = {n: each for n, each in at.questions.items() if each.asked_at <= old}
            for number, question in given_up.items():
                del at.questions[number]
                at.left[question.stream] = None
            # Who holds a stream was too busy to look, or has not heard yet that we hold it, too.
            at.left |= at.unknown
            at.unknown.clear()
            self._ask(peer, now, effects)

    # ---- what is heard ----

    def _hear(self, peer: m.PeerId, message: object, effects: Effects) -> None:
        at = self._peers[peer]
        match message:
            case _ if at.lies:
                pass
            case g.Heads(heads):
                for shown in heads:
                    self._look(peer, shown, effects)
            case g.Compare(shown=shown):
                self._look(peer, shown, effects)
            case g.Continues(number, shown, frontier):
                self._hear_answer(peer, number, shown, frontier, effects)
            case g.Shorter(number, shown):
                self._hear_answer(peer, number, shown, None, effects)
            case g.Unknown(number) if number in at.questions:
                stream = at.questions.pop(number).stream
                at.unknown[stream] = None
            case _:
                pass  # of proofs the Gossiper makes the end of the stream

    def _hear_answer(
        self,
        peer: m.PeerId,
        number: int,
        shown: ShownHead,
        frontier: tuple[Hash, ...] | None,
        effects: Effects,
    ) -> None:
        head = shown.head
        question = self._peers[peer].questions.pop(number, None)
        if question is None or question.stream != head.stream or shown.chain:
            self._look(peer, shown, effects)
            return
        continued = frontier is not None and question.is_continued(head, frontier)
        if not self._look(peer, shown, effects, answers=True, continued=continued):
            self._answered(peer, head.stream, effects)

    def _look(
        self,
        peer: m.PeerId,
        shown: ShownHead,
        effects: Effects,
        *,
        answers: bool = False,
        continued: bool = False,
    ) -> bool:
        """Whether it may be a Head of ours that is news, and is checked therefore."""
        stream, head, at = shown.head.stream, shown.head, self._peers[peer]
        if stream in self._chosen and not continued:
            return False  # SPEC streams 6.1: it may be of the branch that was not chosen
        if not self._is_ahead(shown, answers=answers) or head.length <= self._ahead.get(stream, 0):
            return False
        if at.lies or (at.checks >= CHECKS_MAX and not answers):
            return False
        try:
            checks = shown.checks(self._geneses[stream])
        except Malformed:
            at.lies = True  # the Gossiper says so
            return True
        token = self._tokens.new()
        self._checks[token] = _Check(peer, shown, answers)
        at.checks += 1
        effects.append(m.Verify(token, checks))
        return True

    def _is_ahead(self, shown: ShownHead, *, answers: bool) -> bool:
        """Owners of gossip streams never change, so a Head needs no chain, and it is ours. (Of
        others, those before us may have signed anything.)
        """
        head = shown.head
        if not self._is_compared(head.stream) or shown.chain:
            return False
        state = self._logs[head.stream]
        if head.length <= state.length or head.identity == state.signed.head.identity:
            return False
        return state.owners.only is not None or self._is_news(shown, answers=answers)

    def _is_news(self, shown: ShownHead, *, answers: bool) -> bool:
        """Of several owners: not what this node knows to have signed, which comes by itself.
        SPEC streams 10: signatures that were not needed are missing in a Head, so while it asks,
        any that enough owners signed counts.
        """
        head, genesis = shown.head, self._geneses[shown.head.stream]
        if head.length <= self._caution.signed(head.stream):
            return False
        mine = genesis.owners.index(self._key)
        signed = mine in [owner for owner, _ in shown.signed.signatures]
        return signed or answers or genesis.sequencer == self._key

    def _verified(self, check: _Check, oks: tuple[bool, ...], effects: Effects) -> None:
        stream, length = check.shown.head.stream, check.shown.head.length
        at = self._peers.get(check.peer)
        if at is not None:
            at.checks -= 1
            at.lies = at.lies or not all(oks)
        if not all(oks):
            return
        ahead = self._is_ahead(check.shown, answers=check.answers)
        if ahead and length > self._ahead.get(stream, 0):
            self._ahead[stream] = length
            self._keep([stream], effects)
            effects.append(m.Emit(ShownAhead(stream, length)))
        if check.answers:
            self._answered(check.peer, stream, effects)

    # ---- what follows ----

    def _answered(self, peer: m.PeerId, stream: StreamId, effects: Effects) -> None:
        """The peer has said how its log stands to ours."""
        doubt = self._doubts.get(stream)
        if doubt is None:
            return
        if doubt.lasts:
            self._trust([stream], effects)
        elif peer in self._peers:
            self._peers[peer].answered[stream] = None
            self._count([stream], effects)

    def _count(self, streams: Iterable[StreamId], effects: Effects) -> None:
        """SPEC streams 10: the majority of those that can be asked have answered."""
        for stream in streams:
            doubt = self._doubts.get(stream)
            if doubt is None or doubt.lasts:
                continue
            asked = [at for peer, at in self._peers.items() if self._may_ask(peer, stream)]
            answered = sum([stream in at.answered for at in asked])
            if 2 * answered > len(asked):
                self._trust([stream], effects)

    def _trust(self, streams: Iterable[StreamId], effects: Effects) -> None:
        gone = list[StreamId]()
        for stream in streams:
            lasted = self._doubts.pop(stream).lasts
            if lasted and stream not in self._ahead:
                gone.append(stream)
            for at in self._peers.values():
                at.answered.pop(stream, None)
                at.unknown.pop(stream, None)
            effects.append(m.Emit(Trusted(stream)))
        self._forget(gone, effects)

    def _keep(self, streams: Iterable[StreamId], effects: Effects) -> None:
        writes = tuple([put_doubt(stream, self._ahead.get(stream, 0)) for stream in streams])
        if writes:
            effects.append(m.Persist(self._tokens.new(), writes))

    def _forget(self, streams: Iterable[StreamId], effects: Effects) -> None:
        writes = tuple([end_doubt(stream) for stream in streams])
        if writes:
            effects.append(m.Persist(self._tokens.new(), writes))

    def _forget_reached(self, effects: Effects) -> None:
        """Heads that the log here has come up to."""
        logs, ahead = self._logs, self._ahead
        reached = [
            stream for stream, length in ahead.items() if _length(logs.get(stream)) >= length
        ]
        for stream in reached:
            del ahead[stream]
        self._forget([each for each in reached if each not in self._doubts], effects)


def _length(state: LogState | None) -> int:
    return state.length if state else 0
