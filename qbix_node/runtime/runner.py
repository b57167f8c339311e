"""Run one machine on trio: feed it events, carry out its effects (spec/machines.md).

Answers come back in the order in which the work was done, and before anything else that waits.
Writes reach the store in the order of their effects; those that wait while one is under way go to
it as one.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, assert_never

import trio

from qbix_node import machines as m
from qbix_node.crypto.keys import verify
from qbix_node.ports import Store
from qbix_node.runtime.timers import Timers

INLINE_CHECKS_MAX = 8  # about half a millisecond of signatures: a thread costs more than it frees
EVENTS_MAX = 16  # handled in one turn of trio, which costs more than many an event
PERSISTS_MAX = 256  # writes of one machine that go to the store as one

T = TypeVar("T")


class Executor(Protocol):
    """Where work above a millisecond runs: threads in the daemon, inline in the simulator."""

    async def run(self, work: Callable[[], T]) -> T: ...


class ThreadExecutor:
    def __init__(self, threads: int = 2) -> None:
        self._limiter = trio.CapacityLimiter(threads)

    async def run(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._limiter)


class InlineExecutor:
    """No threads, so that a run under a virtual clock repeats."""

    async def run(self, work: Callable[[], T]) -> T:
        await trio.lowlevel.checkpoint()
        return work()


class World(Protocol):
    """What a machine's decisions reach."""

    def send(self, to: m.PeerId, message: object) -> None:
        """Never waits; what happens when the peer is slow is the world's stated policy."""
        ...

    def found(self, finding: object) -> None: ...


Verifier = Callable[[Sequence[m.SignatureCheck]], tuple[bool, ...]]


def verify_checks(checks: Sequence[m.SignatureCheck]) -> tuple[bool, ...]:
    return tuple([verify(check.key, check.body, check.signature) for check in checks])


@dataclass(slots=True)
class Runner:
    """One machine and its world. `post` takes events; it waits while the machine decides."""

    machine: m.Machine
    world: World
    store: Store
    rng: m.Rng
    executor: Executor
    verify: Verifier = verify_checks
    _post: trio.MemorySendChannel[m.Event | None] = field(init=False)
    _events: trio.MemoryReceiveChannel[m.Event | None] = field(init=False)
    # Neither has a bound here: a machine bounds what it has in flight, and with it what these hold.
    _answers: deque[m.Event] = field(default_factory=deque)
    _persists: deque[m.Persist] = field(default_factory=deque)
    _answered: trio.Event = field(default_factory=trio.Event)
    _persisting: trio.Event = field(default_factory=trio.Event)
    _held: dict[m.Token, list[m.Send]] = field(default_factory=dict)  # by the write awaited
    _timers: Timers = field(default_factory=Timers)
    _alarm: trio.CancelScope = field(default_factory=trio.CancelScope)  # ends when a timer is due

    def __post_init__(self) -> None:
        self._post, self._events = trio.open_memory_channel[m.Event | None](0)

    async def post(self, event: m.Event) -> None:
        await self._post.send(event)

    async def run(self) -> None:
        """Run until cancelled. What fails in the machine or in a write ends the process."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._announce_answers)
            nursery.start_soon(self._write_in_order)
            nursery.start_soon(self._fire_timers)
            async for event in self._events:
                waiting = [event]
                with suppress(trio.WouldBlock):
                    while len(waiting) < EVENTS_MAX:
                        waiting.append(self._events.receive_nowait())
                for each in waiting:
                    self._take(each, nursery)

    def _take(self, event: m.Event | None, nursery: trio.Nursery) -> None:
        for _ in range(len(self._answers)):  # not those that they lead to: others wait too
            self._handle(self._answers.popleft(), nursery)
        if event is not None:
            self._handle(event, nursery)

    def _handle(self, event: m.Event, nursery: trio.Nursery) -> None:
        for effect in self.machine.handle(event, trio.current_time(), self.rng):
            self._perform(effect, nursery)

    def _perform(self, effect: m.Effect, nursery: trio.Nursery) -> None:
        match effect:
            case m.Send(after=token) if token in self._held:
                self._held[token].append(effect)
            case m.Send():
                self.world.send(effect.to, effect.message)
            case m.Emit():
                self.world.found(effect.finding)
            case m.Persist():
                self._held[effect.token] = []
                self._persists.append(effect)
                self._persisting.set()
            case m.Verify() if len(effect.checks) <= INLINE_CHECKS_MAX:
                self._answer(m.Verified(effect.token, self.verify(effect.checks)))
            case m.Verify():
                nursery.start_soon(self._verify, effect)
            case m.Load():
                values = tuple([self.store.get(key) for key in effect.keys])
                self._answer(m.Loaded(effect.token, values))
            case m.Ask(token, question):
                self._answer(m.Answered(token, question.answer(self.store)))
            case m.SetTimer():
                self._timers.set(effect.name, effect.at)
                self._alarm.deadline = self._timers.next_at()
            case other:
                assert_never(other)

    def _answer(self, event: m.Event) -> None:
        self._answers.append(event)
        self._answered.set()

    async def _announce_answers(self) -> None:
        while True:
            await self._answered.wait()
            self._answered = trio.Event()
            await self._post.send(None)

    async def _write_in_order(self) -> None:
        while True:
            await self._persisting.wait()
            self._persisting = trio.Event()
            while self._persists:
                count = min(len(self._persists), PERSISTS_MAX)
                await self._write([self._persists.popleft() for _ in range(count)])

    async def _write(self, together: list[m.Persist]) -> None:
        writes = [write for each in together for write in each.writes]
        await self.store.write(writes, marked=any(each.marked for each in together))
        for each in together:
            for send in self._held.pop(each.token):
                self.world.send(send.to, send.message)
            self._answer(m.Persisted(each.token))

    async def _verify(self, effect: m.Verify) -> None:
        oks = await self.executor.run(lambda: self.verify(effect.checks))
        self._answer(m.Verified(effect.token, oks))

    async def _fire_timers(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._timers.next_at()) as self._alarm:
                await trio.sleep_forever()
            for name in self._timers.due(trio.current_time()):
                self._answer(m.TimerFired(name))
