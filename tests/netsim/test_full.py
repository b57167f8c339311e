"""Whole nodes of the product in virtual time: how their processes live and end."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from netsim import facts
from netsim.full import FullDriver
from netsim.full.honest import config_of
from netsim.plan import Do, NodePlan, Operation, Plan
from netsim.running import make_world, run
from netsim.world import World
from qbix_node.feeds.messages import Appended, Published
from qbix_node.feeds.records import read_heads
from qbix_node.replication.machine import Replicator
from qbix_node.replication.remote import service as remote

ALICE, BOB, CAROL = 0, 1, 2
PUBLISH = Operation(2.0, ALICE, Do.PUBLISH, number=1, size=100)


def friends(*operations: Operation, lan: bool = False) -> Plan:
    """Everybody follows everybody; Bob and Carol know Alice's address."""
    people = (ALICE, BOB, CAROL)
    nodes = [
        NodePlan(
            each,
            knows=(ALICE,) if each != ALICE and not lan else (),
            follows=tuple([other for other in people if other != each]),
        )
        for each in people
    ]
    return Plan("friends", 7, tuple(nodes), 10.0, 60.0, operations=operations, lan=lan)


class Watched:
    """A world that lives until `until_s`, with what was told of its nodes."""

    def __init__(self, plan: Plan, until_s: float) -> None:
        driver = FullDriver()
        self.world = make_world(plan, driver)
        self.told: list[tuple[float, int, object]] = []
        self.world.journal.watch(
            lambda node, fact: self.told.append((self.world.loop.now, node, fact))
        )
        for operation in plan.operations:
            self.world.loop.at(operation.at_s, self._ask, operation)
        self.at(until_s, _end)
        self._driver = driver

    def at(self, when: float, action: Callable[[World], object]) -> None:
        self.world.loop.at(when, action, self.world)

    def _ask(self, operation: Operation) -> None:
        self.world.members[operation.node].ask(operation)

    def live(self) -> "Watched":
        self._driver.run(self.world)
        return self

    def of(self, kind: type[object], node: int) -> list[object]:
        return [fact for _, who, fact in self.told if who == node and isinstance(fact, kind)]

    def sequence(self, node: int, feed: int) -> int:
        """How much of the feed is on the node's disk."""
        head = read_heads(self.world.sites[node].disk).get(self.world.sites[feed].feed)
        return head.sequence if head else 0


def _end(world: World) -> None:
    world.over = True


def test_friends_get_messages_and_blobs() -> None:
    blob = Operation(3.0, ALICE, Do.ADD_BLOB, number=1, size=100_000)
    want = Operation(4.0, CAROL, Do.WANT_BLOB, target=ALICE, number=1, size=100_000)
    watched = Watched(friends(PUBLISH, blob, want), 30).live()
    assert [watched.sequence(node, ALICE) for node in (ALICE, BOB, CAROL)] == [1, 1, 1]
    sizes = [sum(watched.world.sites[node].files.sizes().values()) for node in (ALICE, BOB, CAROL)]
    assert sizes == [100_000, 0, 100_000]


def test_friends_on_one_local_network_find_each_other() -> None:
    watched = Watched(friends(PUBLISH, lan=True), 30).live()
    assert [watched.sequence(node, ALICE) for node in (ALICE, BOB, CAROL)] == [1, 1, 1]


def test_a_person_who_asks_for_the_impossible_breaks_nothing() -> None:
    block = Operation(2.0, BOB, Do.BLOCK, target=ALICE)
    follow = Operation(3.0, BOB, Do.FOLLOW, target=ALICE)
    outcome = run(friends(block, follow), FullDriver())
    assert outcome.violations == ()


def test_a_node_that_was_stopped_starts_clean_and_goes_on() -> None:
    watched = Watched(friends(PUBLISH, replace(PUBLISH, at_s=8.0)), 30)
    watched.at(5, lambda world: world.members[ALICE].stop())
    watched.at(7, lambda world: world.members[ALICE].start())
    watched.live()
    kinds = (facts.Started, facts.Stopped, facts.Crashed)
    assert [fact for _, who, fact in watched.told if who == ALICE and isinstance(fact, kinds)] == [
        facts.Started(clean=True),
        facts.Stopped(),
        facts.Started(clean=True),
    ]
    assert [watched.sequence(node, ALICE) for node in (ALICE, BOB, CAROL)] == [2, 2, 2]


def test_a_node_that_is_to_start_while_it_stops_starts_afterwards() -> None:
    watched = Watched(friends(PUBLISH), 30)
    watched.at(5, lambda world: world.members[ALICE].stop())
    watched.at(5, lambda world: world.members[ALICE].start())
    watched.live()
    assert len(watched.of(facts.Started, ALICE)) == 2
    assert watched.world.members[ALICE].up is False


@pytest.mark.parametrize("power", [False, True])
def test_a_killed_node_starts_unclean_with_all_that_it_acknowledged(*, power: bool) -> None:
    many = [replace(PUBLISH, at_s=5.0 + 0.001 * number, number=number) for number in range(200)]
    watched = Watched(friends(*many), 40)
    watched.at(5.1, lambda world: world.members[ALICE].crash(power=power))
    watched.at(8, lambda world: world.members[ALICE].start())
    watched.live()
    acknowledged = [fact for fact in watched.of(Published, ALICE) if isinstance(fact, Published)]
    assert 0 < len(acknowledged) < 200
    assert watched.of(facts.Started, ALICE) == [facts.Started(True), facts.Started(False)]
    assert watched.sequence(ALICE, ALICE) >= acknowledged[-1].message.sequence
    assert watched.sequence(BOB, ALICE) == watched.sequence(ALICE, ALICE)


@pytest.mark.parametrize("at_s", [5.0005, 5.01, 5.011, 5.05])
def test_nothing_reaches_the_disk_after_a_crash(at_s: float) -> None:
    blob = Operation(5.0, ALICE, Do.ADD_BLOB, number=1, size=10)
    many = [replace(PUBLISH, at_s=5.0 + 0.001 * number, number=number) for number in range(100)]
    watched = Watched(friends(blob, *many), 30)
    site = watched.world.sites[ALICE]
    left: list[object] = []

    def look() -> object:
        return site.disk.snapshot(), site.files.sizes()

    watched.at(at_s, lambda world: world.members[ALICE].crash(power=True))
    watched.at(at_s, lambda _: left.append(look()))
    watched.live()
    assert left == [look()]
    assert not [who for at, who, _ in watched.told if who == ALICE and at > at_s]


def test_a_node_that_is_killed_twice_at_once_dies_once() -> None:
    watched = Watched(friends(), 10)
    for _ in range(2):
        watched.at(5, lambda world: world.members[ALICE].crash(power=False))
    watched.live()
    assert len(watched.of(facts.Crashed, ALICE)) == 1


def test_a_bug_ends_its_node_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = Replicator.handle

    def fail(self: Replicator, event: object, *others: object) -> object:
        if "Publish" in repr(event):
            raise ZeroDivisionError("planted")
        return decide(self, event, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Replicator, "handle", fail)
    bobs = replace(PUBLISH, node=BOB, at_s=15.0)
    watched = Watched(friends(PUBLISH, bobs), 12).live()
    (failed,) = watched.of(facts.Failed, ALICE)
    assert isinstance(failed, facts.Failed)
    assert failed.what.startswith("ZeroDivisionError: planted (tests/netsim/test_full.py:")
    assert watched.of(facts.Crashed, ALICE)
    assert not watched.world.members[ALICE].up
    assert not watched.of(facts.Failed, BOB)


def test_an_error_in_the_log_is_a_failure_of_its_node(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(value: object) -> object:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(remote, "parse_notes", fail)
    outcome = run(friends(PUBLISH), FullDriver())
    what = {violation.what.split(" (")[0] for violation in outcome.violations}
    assert "link.failed: ZeroDivisionError: planted" in what


def test_a_full_disk_is_told() -> None:
    watched = Watched(friends(PUBLISH), 10)
    disk = watched.world.sites[ALICE].disk
    watched.at(1, lambda _: setattr(disk, "full", True))
    watched.at(5, lambda _: setattr(disk, "full", False))
    watched.live()
    assert watched.of(facts.DiskFull, ALICE) == [facts.DiskFull()]
    assert watched.sequence(BOB, ALICE) == 1


def test_a_plan_sets_limits() -> None:
    plan = replace(friends(), settings={"connections_max": 40.0, "hops_max": 1.0})
    config = config_of(plan, make_world(plan, FullDriver()).sites[ALICE])
    assert (config.limits.connections_max, config.blobs.hops_max) == (40, 1)


def test_two_hundred_messages_are_appended_once_each() -> None:
    many = [replace(PUBLISH, at_s=2.0 + 0.01 * number, number=number) for number in range(200)]
    watched = Watched(friends(*many), 40).live()
    appended = [fact for fact in watched.of(Appended, BOB) if isinstance(fact, Appended)]
    places = [place for each in appended for place in range(each.first, each.last + 1)]
    assert places == list(range(1, 201))
