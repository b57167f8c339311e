"""The lean driver's runner carries out what the runner on trio does (spec/machines.md 4)."""

from dataclasses import dataclass, field

from netsim.chance import Chance
from netsim.lean import LeanDriver
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from netsim.lean.writer import Writer
from netsim.plan import NodePlan, Plan
from netsim.running import make_world
from qbix_node import machines as m
from qbix_node.ports import Rows

START = m.Requested("start")
ONE, TWO, THREE = m.Token(1), m.Token(2), m.Token(3)


@dataclass(frozen=True)
class Newest:
    """A question whose answer is under no key that is known before."""

    def answer(self, rows: Rows) -> object:
        return rows.scan(b"k", b"l", limit=1, reverse=True)


@dataclass
class Curious:
    """Asks while it writes, and once that is durable."""

    told: list[m.Event] = field(default_factory=list)

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        self.told.append(event)
        if event == START:
            return m.Persist(ONE, (m.Put(b"k", b"new"),)), m.Ask(TWO, Newest())
        return (m.Ask(THREE, Newest()),) if event == m.Persisted(ONE) else ()


class Nobody:
    def send(self, to: m.PeerId, message: object) -> None:
        raise AssertionError

    def found(self, finding: object) -> None:
        raise AssertionError


def fail(error: Exception) -> None:
    raise error


def test_a_question_is_answered_from_what_is_durable() -> None:
    plan = Plan("one node", 7, (NodePlan(0),), 1.0, 1.0)
    world = make_world(plan, LeanDriver())
    process, machine = Process(world, world.sites[0], fail), Curious()
    runner = Runner(process, Writer(process), machine, Nobody(), rng=Chance(7).draws("rng"))
    process.enter(runner.take, START)
    assert machine.told == [START, m.Answered(TWO, [])]
    while m.Persisted(ONE) not in machine.told:
        world.loop.step()
    assert machine.told[2:] == [m.Persisted(ONE), m.Answered(THREE, [(b"k", b"new")])]


class Author:
    """Writes as often as it is told to, and wants each second batch marked."""

    def __init__(self) -> None:
        self.written = 0

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        if event != START:
            self.written += 1
            return ()
        row = m.Put(b"row %d" % self.written, b"")
        return (m.Persist(m.Token(self.written), (row,), marked=self.written % 2 == 1),)


def test_a_marked_batch_takes_two_syncs() -> None:
    plan = Plan("one node", 7, (NodePlan(0),), 1.0, 1.0)
    world = make_world(plan, LeanDriver())
    process, machine = Process(world, world.sites[0], fail), Author()
    runner = Runner(process, Writer(process), machine, Nobody(), rng=Chance(7).draws("rng"))
    took: list[list[float]] = [[], []]
    for number in range(20):
        began = world.loop.now
        process.enter(runner.take, START)
        while machine.written == number:
            world.loop.step()
        took[number % 2].append(world.loop.now - began)
    assert world.sites[0].disk.marks == 10
    assert sum(took[1]) > 1.5 * sum(took[0])
