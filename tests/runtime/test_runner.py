"""The runner carries out the contract of spec/machines.md."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
import trio
import trio.testing
from trio.testing import MockClock, wait_all_tasks_blocked

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import Temporary
from qbix_node.ports import Rows
from qbix_node.runtime import Executor, InlineExecutor, Runner, ThreadExecutor
from qbix_node.runtime.runner import EVENTS_MAX, INLINE_CHECKS_MAX, PERSISTS_MAX
from qbix_node.store.memory import MemoryStore

ALICE = KeyPair.from_seed(bytes(32))
BOB = m.PeerId(b"bob")
START = m.Requested("start")
ONE, TWO = m.Token(1), m.Token(2)

T = TypeVar("T")
Effects = tuple[m.Effect, ...]


@dataclass
class Scripted:
    """A machine that answers each event as its script says, and remembers what it was told."""

    script: Callable[[m.Event], Effects]
    told: list[tuple[float, m.Event]] = field(default_factory=list)

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> Effects:
        self.told.append((now, event))
        return self.script(event)

    @property
    def events(self) -> list[m.Event]:
        return [event for _, event in self.told]


@dataclass
class MemoryWorld:
    said: list[object] = field(default_factory=list)  # messages and findings, as they came

    def send(self, to: m.PeerId, message: object) -> None:
        assert to == BOB
        self.said.append(message)

    def found(self, finding: object) -> None:
        self.said.append(finding)


@dataclass
class CountingThreads:
    """Real threads, with a count of the work that was given to them."""

    works: int = 0
    threads: ThreadExecutor = field(default_factory=ThreadExecutor)

    async def run(self, work: Callable[[], T]) -> T:
        self.works += 1
        return await self.threads.run(work)


def runner(
    script: Callable[[m.Event], Effects],
    *,
    store: MemoryStore | None = None,
    executor: Executor | None = None,
) -> tuple[Runner, Scripted, MemoryWorld]:
    machine, world = Scripted(script), MemoryWorld()
    chance = random.Random(1)
    made = Runner(machine, world, store or MemoryStore(), chance, executor or InlineExecutor())
    return made, machine, world


def on_start(*effects: m.Effect) -> Callable[[m.Event], Effects]:
    return lambda event: effects if event == START else ()


def checks(count: int, *, forged: int | None = None) -> tuple[m.SignatureCheck, ...]:
    bodies = [f"entry {i}".encode() for i in range(count)]
    signed = [ALICE.sign(b"other" if i == forged else each) for i, each in enumerate(bodies)]
    return tuple(
        m.SignatureCheck(ALICE.public, each, signature)
        for each, signature in zip(bodies, signed, strict=True)
    )


async def test_effects_are_carried_out_in_their_order(nursery: trio.Nursery) -> None:
    run, _, world = runner(on_start(m.Emit(1), m.Send(BOB, 2), m.Emit(3), m.Send(BOB, 4)))
    nursery.start_soon(run.run)
    await run.post(START)
    await wait_all_tasks_blocked()
    assert world.said == [1, 2, 3, 4]


async def test_a_timer_is_replaced_by_one_of_its_name(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    run, machine, _ = runner(on_start(m.SetTimer("t", 1.0), m.SetTimer("t", 5.0)))
    nursery.start_soon(run.run)
    await run.post(START)
    await trio.sleep(60)
    assert machine.told == [(0.0, START), (5.0, m.TimerFired("t"))]


async def test_a_timer_can_be_brought_forward_and_taken_back(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    def script(event: m.Event) -> Effects:
        match event:
            case m.Requested("start"):
                return m.SetTimer("late", 50.0), m.SetTimer("never", 40.0)
            case m.Requested("hurry"):
                return m.SetTimer("late", 20.0), m.SetTimer("never", float("inf"))
            case _:
                return ()

    run, machine, _ = runner(script)
    nursery.start_soon(run.run)
    await run.post(START)
    await trio.sleep(10)
    await run.post(m.Requested("hurry"))
    await trio.sleep(100)
    assert machine.told[2:] == [(20.0, m.TimerFired("late"))]


async def test_a_timer_in_the_past_fires_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    run, machine, _ = runner(on_start(m.SetTimer("t", -7.0)))
    nursery.start_soon(run.run)
    await run.post(START)
    await trio.sleep(1)
    assert machine.told == [(0.0, START), (0.0, m.TimerFired("t"))]


async def test_timers_of_one_moment_fire_in_the_order_in_which_they_were_set(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    names = [f"t{i}" for i in range(20)]
    run, machine, _ = runner(on_start(*[m.SetTimer(name, 3.0) for name in names]))
    nursery.start_soon(run.run)
    await run.post(START)
    await trio.sleep(10)
    assert machine.events[1:] == [m.TimerFired(name) for name in names]


async def test_a_message_leaves_only_once_the_write_it_rests_on_is_durable(
    nursery: trio.Nursery,
) -> None:
    store = MemoryStore(hold_syncs=True)
    run, machine, world = runner(
        on_start(
            m.Persist(ONE, (m.Put(b"k", b"v"),)), m.Send(BOB, "held", ONE), m.Send(BOB, "free")
        ),
        store=store,
    )
    nursery.start_soon(run.run)
    await run.post(START)
    await wait_all_tasks_blocked()
    assert world.said == ["free"]
    store.sync()
    await wait_all_tasks_blocked()
    assert world.said == ["free", "held"]
    assert machine.events == [START, m.Persisted(ONE)]
    assert store.get(b"k") == b"v"


async def test_a_later_decision_can_wait_for_an_earlier_write(nursery: trio.Nursery) -> None:
    def script(event: m.Event) -> Effects:
        if event == START:
            return (m.Persist(ONE, (m.Put(b"k", b"v"),)),)
        return (m.Send(BOB, event, ONE),)

    store = MemoryStore(hold_syncs=True)
    run, _, world = runner(script, store=store)
    nursery.start_soon(run.run)
    await run.post(START)
    await run.post(m.Requested("more"))
    await wait_all_tasks_blocked()
    assert world.said == []
    store.sync()
    await wait_all_tasks_blocked()
    await run.post(m.Requested("after"))  # the write is long done: nothing to wait for
    await wait_all_tasks_blocked()
    assert world.said == [m.Requested("more"), m.Persisted(ONE), m.Requested("after")]


async def test_nothing_leaves_when_the_write_fails(nursery: trio.Nursery) -> None:
    store = MemoryStore(hold_syncs=True)
    run, machine, world = runner(
        on_start(m.Persist(ONE, (m.Put(b"k", b"v"),)), m.Send(BOB, "held", ONE)), store=store
    )
    with pytest.RaisesGroup(Temporary, flatten_subgroups=True):
        async with trio.open_nursery() as inner:
            inner.start_soon(run.run)
            await run.post(START)
            await wait_all_tasks_blocked()
            store.crash(random.Random(1))
    assert world.said == []
    assert machine.events == [START]


async def test_writes_reach_the_store_in_the_order_of_their_effects(
    nursery: trio.Nursery,
) -> None:
    writes = [m.Persist(m.Token(i), (m.Put(b"head", b"%d" % i),)) for i in range(100)]
    store = MemoryStore()
    run, machine, _ = runner(on_start(*writes), store=store)
    nursery.start_soon(run.run)
    await run.post(START)
    await wait_all_tasks_blocked()
    assert store.get(b"head") == b"99"
    assert machine.events[1:] == [m.Persisted(each.token) for each in writes]


async def test_writes_that_wait_go_to_the_store_together(nursery: trio.Nursery) -> None:
    count = 2 * PERSISTS_MAX + 10
    writes = [m.Persist(m.Token(i), (m.Put(b"%d" % i, b"v"),)) for i in range(count)]
    store = MemoryStore()
    run, machine, _ = runner(on_start(*writes), store=store)
    nursery.start_soon(run.run)
    await run.post(START)
    await wait_all_tasks_blocked()
    assert len(machine.events) == 1 + count
    assert store.counters.writes == 3  # never more than PERSISTS_MAX in one
    assert store.counters.entries == count


async def test_few_signatures_are_checked_at_once_and_many_in_a_thread(
    nursery: trio.Nursery,
) -> None:
    few, many = checks(INLINE_CHECKS_MAX, forged=3), checks(INLINE_CHECKS_MAX + 1, forged=0)
    threads = CountingThreads()
    run, machine, _ = runner(
        lambda event: (m.Verify(ONE, few),) if event == START else (), executor=threads
    )
    nursery.start_soon(run.run)
    await run.post(START)
    await wait_all_tasks_blocked()
    assert machine.events[1:] == [m.Verified(ONE, (True, True, True, False) + (True,) * 4)]
    assert threads.works == 0
    machine.script = lambda event: (m.Verify(TWO, many),) if event == START else ()
    await run.post(START)
    while len(machine.events) < 4:
        await trio.lowlevel.checkpoint()
    assert machine.events[-1] == m.Verified(TWO, (False,) + (True,) * INLINE_CHECKS_MAX)
    assert threads.works == 1


async def test_a_load_is_answered_in_the_order_of_its_keys(nursery: trio.Nursery) -> None:
    store = MemoryStore()
    await store.write([m.Put(b"a", b"1"), m.Put(b"c", b"3")])
    run, machine, _ = runner(on_start(m.Load(ONE, (b"c", b"b", b"a"))), store=store)
    nursery.start_soon(run.run)
    await run.post(START)
    await wait_all_tasks_blocked()
    assert machine.events[1:] == [m.Loaded(ONE, (b"3", None, b"1"))]


@dataclass(frozen=True)
class Newest:
    """A question whose answer is under no key that is known before."""

    def answer(self, rows: Rows) -> object:
        return rows.scan(b"k", b"l", limit=1, reverse=True)[0]


async def test_a_question_is_answered_from_what_is_durable(nursery: trio.Nursery) -> None:
    store = MemoryStore(hold_syncs=True)
    store.disk.append([m.Put(b"k1", b"old")])
    store.disk.sync()

    def script(event: m.Event) -> Effects:
        match event:
            case m.Requested("start"):
                return m.Persist(ONE, (m.Put(b"k2", b"new"),)), m.Ask(TWO, Newest())
            case m.Persisted():
                return (m.Ask(m.Token(3), Newest()),)
            case _:
                return ()

    run, machine, _ = runner(script, store=store)
    nursery.start_soon(run.run)
    await run.post(START)
    await wait_all_tasks_blocked()
    assert machine.events[1:] == [m.Answered(TWO, (b"k1", b"old"))]
    store.sync()
    await wait_all_tasks_blocked()
    assert machine.events[2:] == [m.Persisted(ONE), m.Answered(m.Token(3), (b"k2", b"new"))]


async def test_an_answer_does_not_wait_behind_what_peers_send(nursery: trio.Nursery) -> None:
    """Else a machine would get few answers while many peers talk, and stand still at its limits."""
    run, machine, _ = runner(
        lambda event: (m.Load(ONE, (b"k",)),) if event == m.Requested(0) else (),
    )
    for i in range(100):
        nursery.start_soon(run.post, m.Requested(i))
    await wait_all_tasks_blocked()
    nursery.start_soon(run.run)
    await wait_all_tasks_blocked()
    assert len(machine.events) == 101
    asked = machine.events.index(m.Requested(0))
    assert m.Loaded(ONE, (None,)) in machine.events[asked + 1 : asked + 3]


async def test_what_peers_send_does_not_wait_behind_answers_without_end(
    nursery: trio.Nursery,
) -> None:
    run, machine, _ = runner(
        lambda event: () if event == m.Requested("stop") else (m.Load(ONE, (b"k",)),)
    )
    nursery.start_soon(run.run)
    await run.post(START)
    with trio.fail_after(5):
        await run.post(m.Requested("stop"))
    machine.script = lambda _event: ()
    await wait_all_tasks_blocked()
    assert len(machine.events) < 50


async def test_what_waits_is_handled_in_one_turn_up_to_a_limit(nursery: trio.Nursery) -> None:
    run, machine, _ = runner(on_start())
    handled: set[int] = set()  # whenever others had their turn

    async def post() -> None:
        await run.post(START)
        handled.add(len(machine.events))

    for _ in range(2 * EVENTS_MAX):
        nursery.start_soon(post)
    await wait_all_tasks_blocked()
    nursery.start_soon(run.run)
    await wait_all_tasks_blocked()
    assert handled - {0} == {EVENTS_MAX, 2 * EVENTS_MAX}


async def test_who_posts_waits_while_the_machine_is_not_run(autojump_clock: MockClock) -> None:
    run, machine, _ = runner(on_start())
    with trio.move_on_after(5) as waited:
        await run.post(START)
    assert waited.cancelled_caught
    assert machine.events == []


async def test_an_error_in_a_machine_goes_up() -> None:
    def broken(_event: m.Event) -> Effects:
        raise ZeroDivisionError

    run, _, _ = runner(broken)
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with trio.open_nursery() as inner:
            inner.start_soon(run.run)
            await run.post(START)


async def test_cancelled_it_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    store = MemoryStore(hold_syncs=True)
    run, machine, world = runner(
        on_start(
            m.Persist(ONE, (m.Put(b"k", b"v"),)),
            m.Send(BOB, "held", ONE),
            m.Verify(TWO, checks(INLINE_CHECKS_MAX + 1)),
            m.SetTimer("t", 5.0),
        ),
        store=store,
        executor=ThreadExecutor(),
    )
    tasks_before = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as inner:
        inner.start_soon(run.run)
        await run.post(START)
        await wait_all_tasks_blocked()
        inner.cancel_scope.cancel()
    await trio.sleep(60)
    assert trio.lowlevel.current_statistics().tasks_living == tasks_before
    assert world.said == []
    assert m.TimerFired("t") not in machine.events
    store.sync()
    assert store.get(b"k") is None  # it left the queue of the store too


@dataclass
class Busy:
    """Does a little of everything, drawn from the rng it is given."""

    steps: int = 300
    tokens: m.Tokens = field(default_factory=m.Tokens)
    verifying: bool = False
    trace: list[object] = field(default_factory=list)

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> Effects:
        self.trace.append((now, event))
        self.verifying = self.verifying and not isinstance(event, m.Verified)
        self.steps -= 1
        if self.steps < 0:
            return ()
        token = self.tokens.new()
        key = rng.randbytes(1)
        effects: list[m.Effect] = [m.SetTimer(key.hex()[0], now + int(rng.random() * 4))]
        if rng.random() < 0.5:
            effects += [m.Persist(token, (m.Put(key, rng.randbytes(4)),)), m.Send(BOB, now, token)]
        if rng.random() < 0.5:
            effects.append(m.Load(self.tokens.new(), (rng.randbytes(1),)))
        if not self.verifying:
            self.verifying = True
            effects.append(m.Verify(self.tokens.new(), checks(INLINE_CHECKS_MAX + 1, forged=2)))
        return tuple(effects)


def test_the_same_chance_gives_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trio picks among tasks that are ready by chance of its own; seeded, a run repeats."""

    async def trace() -> list[object]:
        machine, world = Busy(), MemoryWorld()
        run = Runner(machine, world, MemoryStore(), random.Random(3), InlineExecutor())
        async with trio.open_nursery() as inner:
            inner.start_soon(run.run)
            await run.post(START)
            await trio.sleep(1000)
            inner.cancel_scope.cancel()
        return [*machine.trace, *world.said]

    def repeat(seed: int) -> list[object]:
        monkeypatch.setattr("trio._core._run._r", random.Random(seed))
        return trio.run(trace, clock=MockClock(autojump_threshold=0))

    monkeypatch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
    first = repeat(5)
    assert len(first) > 300
    assert repeat(5) == first
