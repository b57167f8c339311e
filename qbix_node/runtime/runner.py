"""Run one machine on trio: feed it events, carry out its effects (spec/machines.md)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, assert_never

import trio

from qbix_node import machines as m
from qbix_node.crypto.keys import verify
from qbix_node.ports import Store

INLINE_CHECKS_MAX = 8  # about half a millisecond of signatures: a thread costs more than it frees

T = TypeVar("T")


class Executor(Protocol):
    """Where work above a millisecond runs: threads in the daemon, inline in the simulator."""

    async def run(self, work: Callable[[], T]) -> T: ...


class ThreadExecutor:
    def __init__(self, threads: int = 2) -> None:
        self._limiter = trio.CapacityLimiter(threads)

    async def run(self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=self._limiter)


class World(Protocol):
    """What a machine's decisions reach."""

    def send(self, to: m.PeerId, message: object) -> None:
        """Never waits; what happens when the peer is slow is the world's stated policy."""
        ...

    def found(self, finding: object) -> None: ...


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
    _post: trio.MemorySendChannel[m.Event] = field(init=False)
    _events: trio.MemoryReceiveChannel[m.Event] = field(init=False)
    _held: dict[m.Token, list[m.Send]] = field(default_factory=dict)  # by the write awaited
    _timers: dict[str, trio.CancelScope] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._post, self._events = trio.open_memory_channel[m.Event](0)

    async def post(self, event: m.Event) -> None:
        await self._post.send(event)

    async def run(self) -> None:
        """Run until cancelled. What fails in the machine or in a write ends the process."""
        async with trio.open_nursery() as nursery:
            async for event in self._events:
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
                nursery.start_soon(self._persist, effect)
            case m.Verify():
                nursery.start_soon(self._verify, effect)
            case m.Load():
                values = tuple([self.store.get(key) for key in effect.keys])
                nursery.start_soon(self.post, m.Loaded(effect.token, values))
            case m.SetTimer():
                if replaced := self._timers.get(effect.name):
                    replaced.cancel()
                scope = self._timers[effect.name] = trio.CancelScope()
                nursery.start_soon(self._sleep, effect, scope)
            case other:
                assert_never(other)

    async def _persist(self, effect: m.Persist) -> None:
        await self.store.write(effect.writes)  # a failure goes up: nothing leaves
        for send in self._held.pop(effect.token):
            self.world.send(send.to, send.message)
        await self.post(m.Persisted(effect.token))

    async def _verify(self, effect: m.Verify) -> None:
        if len(effect.checks) <= INLINE_CHECKS_MAX:
            oks = verify_checks(effect.checks)
        else:
            oks = await self.executor.run(lambda: verify_checks(effect.checks))
        await self.post(m.Verified(effect.token, oks))

    async def _sleep(self, effect: m.SetTimer, scope: trio.CancelScope) -> None:
        with scope:
            if effect.at < math.inf:
                await trio.sleep_until(effect.at)
                await self.post(m.TimerFired(effect.name))
            if self._timers.get(effect.name) is scope:
                del self._timers[effect.name]
