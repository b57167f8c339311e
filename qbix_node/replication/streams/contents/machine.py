"""Decide whom to ask for which missing contents, and change what is stored of contents one thing
after the other (spec/replication.md 10.1).

A ContentKeeper is a part of a StreamReplicator, which tells it what peers hold. Contents of streams
that are followed whole are fetched by themselves, others when somebody asks for them by name.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from qbix_node import machines as m
from qbix_node.replication.streams.contents.messages import (
    Change,
    Changed,
    ChangeRefused,
    Contents,
    ContentsRefused,
    Filled,
    NoContents,
    WantContents,
)
from qbix_node.replication.streams.contents.search import REST_S, Pass, Search
from qbix_node.streams.records import LogState
from qbix_node.streams.shelf import AskFor, Edit, Edited, Fill, Found, LackingIn, Missing
from qbix_node.wire.references import StreamId

QUESTIONS_MAX = 8  # to peers at a time, one to each: 8 MiB of answers
CHANGES_MAX = 16  # of a stream that wait; further ones are refused
TURNS_MAX = 32  # streams that are tried when a peer is free again
TIMER = "streams/contents"

Effects = list[m.Effect]


@dataclass(frozen=True, slots=True)
class _Look:
    """Into the store, for what to ask a peer for."""

    peer: m.PeerId
    question: LackingIn


@dataclass(frozen=True, slots=True)
class _Question:
    stream: StreamId
    missing: tuple[Missing, ...]


@dataclass(slots=True)
class _Work:
    """A change; `source`: the peer whose answer it keeps."""

    edit: Edit
    number: int | None = None
    source: m.PeerId | None = None
    contents: int = 0
    bytes: int = 0
    wrote: bool = False


@dataclass(slots=True)
class ContentKeeper:
    """`holders`: of a stream, connected peers that keep its contents and may read it, with the
    lengths that they claim. `whole`: whether its missing contents are fetched by themselves.
    """

    tokens: m.Tokens
    logs: Mapping[StreamId, LogState]
    holders: Callable[[StreamId], Mapping[m.PeerId, int]]
    replicates: Callable[[StreamId], bool]
    whole: Callable[[StreamId], bool]
    _searches: dict[StreamId, Search] = field(default_factory=dict)
    _complete: dict[StreamId, None] = field(default_factory=dict)  # nothing is to be fetched
    _turns: dict[StreamId, None] = field(default_factory=dict)  # wait for a peer that is busy
    _asking: dict[m.PeerId, _Question] = field(default_factory=dict)
    _barred: dict[m.PeerId, None] = field(default_factory=dict)  # while connected
    _looks: dict[m.Token, _Look] = field(default_factory=dict)
    _works: dict[StreamId, deque[_Work]] = field(default_factory=dict)  # the first is being done
    _edits: dict[m.Token, StreamId] = field(default_factory=dict)
    _writes: dict[m.Token, tuple[StreamId, Edited]] = field(default_factory=dict)
    _asleep: dict[StreamId, float] = field(default_factory=dict)  # until a peer has rested
    _alarm: float = math.inf

    def handle(self, event: m.Event, now: float) -> Effects:
        effects: Effects = []
        match event:
            case m.Received(peer, Contents() as answer):
                self._hear(peer, answer, now, effects)
            case m.Received(peer, NoContents(never)):
                self._miss(peer, now, effects, never=never)
            case m.Connected(peer) | m.Disconnected(peer):
                self._leave(peer, now, effects)
            case m.Requested(Change(number, edit)):
                self._change(_Work(edit, number), effects)
            case m.Answered(token, Found() as found) if token in self._looks:
                self._looked(self._looks.pop(token), found, now, effects)
            case m.Answered(token, Edited() as edited) if token in self._edits:
                self._edited(self._edits.pop(token), edited, now, effects)
            case m.Persisted(token) if token in self._writes:
                self._written(*self._writes.pop(token), now, effects)
            case m.TimerFired(name) if name == TIMER:
                self._wake_up(now, effects)
            case _:
                pass  # meant for another part
        return effects

    # ---- what the replicator tells ----

    def wake(self, stream: StreamId, now: float) -> Effects:
        """A peer may have contents of it."""
        effects: Effects = []
        if stream not in self._complete and self.replicates(stream):
            self._searches.setdefault(stream, Search())
            self._step(stream, now, effects)
        return effects

    def lacks(self, stream: StreamId, now: float) -> Effects:
        """Entries came without contents."""
        self._complete.pop(stream, None)
        return self.wake(stream, now)

    def begin(self, stream: StreamId, now: float) -> Effects:
        """There is more to fetch than before: every peer is asked anew."""
        search = self._searches.setdefault(stream, Search())
        search.passes.clear()
        search.begun_at = now
        return self.lacks(stream, now)

    def _ask_again(self, stream: StreamId, now: float, *, more: bool) -> Effects:
        """Somebody wants contents now; the same ones again and again are one wish."""
        search = self._searches.get(stream)
        early = search is not None and now < search.begun_at + REST_S
        return self.wake(stream, now) if early and not more else self.begin(stream, now)

    def end(self, stream: StreamId) -> None:
        """It is replicated no longer."""
        for each in (self._searches, self._complete, self._turns, self._asleep):
            each.pop(stream, None)

    def forget(self, stream: StreamId) -> None:
        """Its log was dropped: what was asked for is of another branch."""
        self.end(stream)
        for peer, question in self._asking.items():
            if question.stream == stream:
                self._asking[peer] = _Question(stream, ())

    # ---- whom to ask ----

    def _step(self, stream: StreamId, now: float, effects: Effects) -> None:
        search = self._searches.get(stream)
        if search is None or search.busy:
            return
        length = self._length(stream)
        having = {
            peer: min(claimed, length)
            for peer, claimed in self.holders(stream).items()
            if peer not in self._barred
        }
        free = {peer: each for peer, each in having.items() if peer not in self._asking}
        peer = search.choose(free, now) if len(self._asking) < QUESTIONS_MAX else None
        if peer is None:
            self._wait(stream, search, having, now, effects)
            return
        state = search.passes.setdefault(peer, Pass(having[peer], having[peer]))
        if state.done and state.high >= having[peer]:
            state.restart(having[peer], now)
            self._step(stream, now, effects)
            return
        look = LackingIn(stream, *state.next(having[peer]), self.whole(stream))
        token = self.tokens.new()
        self._looks[token] = _Look(peer, look)
        search.busy = True
        effects.append(m.Ask(token, look))

    def _wait(
        self,
        stream: StreamId,
        search: Search,
        having: dict[m.PeerId, int],
        now: float,
        effects: Effects,
    ) -> None:
        if search.choose(having, now) is not None:
            self._turns[stream] = None
            return
        if (until := search.rests_until(having)) < math.inf:
            self._asleep[stream] = until
            self._set_alarm(effects)

    def _set_alarm(self, effects: Effects) -> None:
        earliest = min(self._asleep.values(), default=math.inf)
        if earliest < self._alarm:
            self._alarm = earliest
            effects.append(m.SetTimer(TIMER, earliest))

    def _wake_up(self, now: float, effects: Effects) -> None:
        self._alarm = math.inf
        for stream in [stream for stream, until in self._asleep.items() if until <= now]:
            del self._asleep[stream]
            self._step(stream, now, effects)
        self._take_turns(now, effects)
        self._set_alarm(effects)

    def _looked(self, look: _Look, found: Found, now: float, effects: Effects) -> None:
        question, peer = look.question, look.peer
        stream = question.stream
        search = self._searches.get(stream)
        if search is None:
            self._take_turns(now, effects)
            return
        search.busy = False
        state = search.passes.get(peer)
        if state is None or (found.missing and not self._may_ask(peer, stream)):
            self._step(stream, now, effects)
            return
        state.looked(question.first, question.stop, found.below, found=bool(found.missing))
        if found.missing:
            search.busy = True
            self._asking[peer] = _Question(stream, found.missing)
            places = tuple([each.place for each in found.missing])
            effects.append(m.Send(peer, WantContents(stream, places)))
            return
        if state.done and not state.found and state.high >= self._length(stream):
            del self._searches[stream]
            self._complete[stream] = None
        else:
            self._step(stream, now, effects)
        self._take_turns(now, effects)

    def _may_ask(self, peer: m.PeerId, stream: StreamId) -> bool:
        """Others may have been quicker, or it has left meanwhile."""
        free = peer not in self._asking and len(self._asking) < QUESTIONS_MAX
        return free and peer not in self._barred and peer in self.holders(stream)

    def _length(self, stream: StreamId) -> int:
        state = self.logs.get(stream)
        return state.length if state else 0

    # ---- what comes of it ----

    def _hear(self, peer: m.PeerId, answer: Contents, now: float, effects: Effects) -> None:
        question = self._asking.pop(peer, None)
        if question is None:
            return  # of an earlier connection
        stream, missing = question.stream, question.missing
        if not missing:  # any more
            self._free(stream, now, effects)
            return
        if len(answer.contents) != len(missing):
            self._bar(peer, stream, "its answer has another number of contents", effects)
            self._free(stream, now, effects)
            return
        brought = {
            each.place: content
            for each, content in zip(missing, answer.contents, strict=True)
            if content is not None
        }
        search = self._searches.get(stream)
        state = search.passes.get(peer) if search else None
        if state:
            state.gave = bool(brought)
        if brought and self.replicates(stream):
            self._change(_Work(Fill(stream, brought), source=peer), effects)
            self._take_turns(now, effects)
        else:
            self._free(stream, now, effects)

    def _miss(self, peer: m.PeerId, now: float, effects: Effects, *, never: bool) -> None:
        question = self._asking.pop(peer, None)
        if never:
            self._barred[peer] = None
        if question is None:
            return
        search = self._searches.get(question.stream)
        if search and (state := search.passes.get(peer)):
            state.fail(self._length(question.stream), now)
        self._free(question.stream, now, effects)

    def _leave(self, peer: m.PeerId, now: float, effects: Effects) -> None:
        self._barred.pop(peer, None)
        for search in self._searches.values():
            search.passes.pop(peer, None)
        if question := self._asking.pop(peer, None):
            self._free(question.stream, now, effects)

    def _bar(self, peer: m.PeerId, stream: StreamId, reason: str, effects: Effects) -> None:
        self._barred[peer] = None
        effects.append(m.Emit(ContentsRefused(peer, stream, reason)))

    def _free(self, stream: StreamId, now: float, effects: Effects) -> None:
        """The peer that was asked about it is free again, and so is the stream."""
        if search := self._searches.get(stream):
            search.busy = False
            self._step(stream, now, effects)
        self._take_turns(now, effects)

    def _take_turns(self, now: float, effects: Effects) -> None:
        for stream in [*islice(self._turns, TURNS_MAX)]:
            if len(self._asking) >= QUESTIONS_MAX:
                return
            del self._turns[stream]
            self._step(stream, now, effects)  # which puts it at the end, if it has to wait on
        if self._turns and not self._looks and not self._asking:
            # None of those had any use for the peers that are free: the next ones.
            self._asleep[next(iter(self._turns))] = now
            self._set_alarm(effects)

    # ---- changes, one after the other ----

    def _change(self, work: _Work, effects: Effects) -> None:
        stream = work.edit.stream
        works = self._works.setdefault(stream, deque())
        if work.number is not None and len(works) >= CHANGES_MAX:
            reason = "too much is being done about its contents already"
            effects.append(m.Emit(ChangeRefused(work.number, reason)))
            return
        works.append(work)
        if len(works) == 1:
            self._ask(work, effects)

    def _ask(self, work: _Work, effects: Effects) -> None:
        token = self.tokens.new()
        self._edits[token] = work.edit.stream
        effects.append(m.Ask(token, work.edit))

    def _edited(self, stream: StreamId, edited: Edited, now: float, effects: Effects) -> None:
        work = self._works[stream][0]
        if stream not in self.logs:  # SPEC streams 6.1: what is dropped takes nothing meanwhile
            edited = replace(edited, writes=(), contents=0, bytes=0, wrong=None, rest=None)
        if edited.wrong is not None and work.source is not None:
            reason = f"entry {edited.wrong}: this is not its content"
            self._bar(work.source, stream, reason, effects)
        if not edited.writes:
            self._written(stream, edited, now, effects)
            return
        token = self.tokens.new()
        self._writes[token] = stream, edited
        effects.append(m.Persist(token, edited.writes))

    def _written(self, stream: StreamId, edited: Edited, now: float, effects: Effects) -> None:
        works = self._works[stream]
        work = works[0]
        work.contents, work.bytes = work.contents + edited.contents, work.bytes + edited.bytes
        work.wrote = work.wrote or bool(edited.writes)
        if edited.rest is not None:
            work.edit = edited.rest
            self._ask(work, effects)
            return
        works.popleft()
        if works:
            self._ask(works[0], effects)
        else:
            del self._works[stream]
        if work.number is not None:
            effects.append(m.Emit(Changed(work.number, work.contents, work.bytes, edited.wrong)))
            if isinstance(work.edit, AskFor):
                effects += self._ask_again(stream, now, more=work.wrote)
            elif isinstance(work.edit, Fill) and work.contents:
                effects.append(m.Emit(Filled(stream, None, work.contents)))
        elif work.source is not None:
            self._filled(stream, work.source, work.contents, now, effects)

    def _filled(
        self, stream: StreamId, peer: m.PeerId, contents: int, now: float, effects: Effects
    ) -> None:
        search = self._searches.get(stream)
        if search and (state := search.passes.get(peer)):
            state.gained = state.gained or contents > 0
        if contents:
            effects.append(m.Emit(Filled(stream, peer, contents)))
        self._free(stream, now, effects)
