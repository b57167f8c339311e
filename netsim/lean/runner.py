"""One machine of a living node: its effects are carried out as `qbix_node.runtime.Runner` does it.

Answers come back before anything else that waits; writes become durable in their order, those that
wait while one is under way together; what is to be said after a write leaves after it.
"""

import math
from collections import deque
from typing import Protocol, assert_never

from netsim import facts
from netsim.lean.process import Process
from netsim.lean.writer import Writer
from netsim.signatures import verify_checks
from qbix_node import machines as m
from qbix_node.runtime.runner import INLINE_CHECKS_MAX, PERSISTS_MAX
from qbix_node.runtime.timers import Timers

CHECK_S = 60e-6  # of a worker thread, for one signature


class Surroundings(Protocol):
    """What a machine's decisions reach."""

    def send(self, to: m.PeerId, message: object) -> None: ...

    def found(self, finding: object) -> None: ...


class Runner:
    __slots__ = (
        "_alarm_at",
        "_answers",
        "_found",
        "_held",
        "_machine",
        "_persists",
        "_process",
        "_rng",
        "_send",
        "_timers",
        "_writer",
        "_writing",
    )

    def __init__(
        self,
        process: Process,
        writer: Writer,
        machine: m.Machine,
        surroundings: Surroundings,
        *,
        rng: m.Rng,
    ) -> None:
        self._process = process
        self._writer = writer
        self._machine = machine
        self._rng = rng
        self._send = surroundings.send
        self._found = surroundings.found
        self._answers: deque[m.Event] = deque()
        self._persists: deque[m.Persist] = deque()
        self._writing = False
        self._held: dict[m.Token, list[m.Send]] = {}  # by the write that they wait for
        self._timers = Timers()
        self._alarm_at = math.inf  # in the node's own time

    def take(self, event: m.Event) -> None:
        self._handle(event)
        while self._answers:
            self._handle(self._answers.popleft())

    def post(self, event: m.Event) -> None:
        self._process.post(self, event)

    def _handle(self, event: m.Event) -> None:
        for effect in self._machine.handle(event, self._process.now(), self._rng):
            if type(effect) is m.Send:
                if effect.after is not None and effect.after in self._held:
                    self._held[effect.after].append(effect)
                else:
                    self._send(effect.to, effect.message)
            elif type(effect) is m.Emit:
                self._found(effect.finding)
            else:
                self._perform(effect)

    def _perform(self, effect: m.Effect) -> None:
        match effect:
            case m.Persist(token):
                self._held[token] = []
                self._persists.append(effect)
                if not self._writing:
                    self._write()
            case m.Verify(token, checks):
                if self._process.journal.watched:
                    self._process.tell(facts.Checked(checks))
                verified = m.Verified(token, verify_checks(checks))
                if len(checks) <= INLINE_CHECKS_MAX:
                    self._answers.append(verified)
                else:
                    self._process.later(CHECK_S * len(checks), self.post, verified)
            case m.Load(token, keys):
                disk = self._process.site.disk
                self._answers.append(m.Loaded(token, tuple([disk.get(key) for key in keys])))
            case m.Ask(token, question):
                answer = question.answer(self._process.site.disk)
                self._answers.append(m.Answered(token, answer))
            case m.SetTimer(name, at):
                self._timers.set(name, at)
                self._set_alarm()
            case m.Send() | m.Emit():
                raise AssertionError("carried out already")
            case other:
                assert_never(other)

    # ---- writes ----

    def _write(self) -> None:
        self._writing = True
        count = min(len(self._persists), PERSISTS_MAX)
        together = [self._persists.popleft() for _ in range(count)]
        writes = [write for each in together for write in each.writes]
        marked = any(each.marked for each in together)
        self._writer.write(writes, lambda: self._written(together), marked=marked)

    def _written(self, together: list[m.Persist]) -> None:
        for each in together:
            for send in self._held.pop(each.token):
                self._send(send.to, send.message)
            self.post(m.Persisted(each.token))
        self._writing = False
        if self._persists:
            self._write()

    # ---- timers ----

    def _set_alarm(self) -> None:
        at = self._timers.next_at()
        if at < self._alarm_at:
            self._alarm_at = at
            self._process.later(self._process.site.clock.delay_s(at), self._ring, at)

    def _ring(self, at: float) -> None:
        if at != self._alarm_at:
            return  # one for an earlier moment was set since
        self._alarm_at = math.inf
        if self._timers.next_at() == at and self._process.site.clock.delay_s(at) < 1e-6:
            self._process.reach(at)
            for name in self._timers.due(at):
                self.post(m.TimerFired(name))
        self._set_alarm()
