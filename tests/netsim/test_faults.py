"""Faults of a plan: what nodes, disks and clocks suffer, how faults add up, and how they end."""

from dataclasses import dataclass, field

import pytest

from netsim import facts
from netsim.clocks import EPOCH_S
from netsim.faults import Faults
from netsim.plan import Do, Fault, NodePlan, Operation, Plan, PlannedFault
from netsim.running import make_world
from netsim.site import Site
from netsim.world import Load, World
from qbix_node.ports import Put
from qbix_node.store.writer import put_commit
from qbix_node.wire.references import BlobId

A, B, C = 0, 1, 2
END_S = 100.0


@dataclass
class Scribe:
    """A node that writes a row every second, and listens. To stop takes it a while."""

    world: World
    site: Site
    stops_in_s: float = 0.0
    first_after_s: float = 1.0  # from its start to what it writes
    lives: int = 0
    stopping: bool = False
    up: bool = False
    ends: list[str] = field(default_factory=list)

    def start(self) -> None:
        if self.up:
            return
        if (rolled_back := self.site.disk.open().rolled_back) is not None:
            self.tell(rolled_back)
        self.up, self.site.disk.was_clean = True, False
        self.lives += 1
        self.world.fabric.listen(self.site.number, lambda end: None)
        if self.first_after_s:
            self.world.loop.after(self.first_after_s, self.write, self.lives)
        else:
            self.write(self.lives)

    def stop(self) -> None:
        if self.up and not self.stopping:
            self.stopping = True
            self.world.loop.after(self.stops_in_s, self.stopped, self.lives)

    def stopped(self, life: int) -> None:
        if self.up and life == self.lives:
            self.site.disk.was_clean = True
            self.end("stop")

    def crash(self, *, power: bool) -> None:
        if self.up:
            self.tell(self.site.disk.crash(power=power))
            self.end("power cut" if power else "crash")

    def end(self, how: str) -> None:
        self.up = self.stopping = False
        self.ends.append(how)

    def write(self, life: int) -> None:
        if not self.up or life != self.lives:
            return
        disk = self.site.disk
        if not disk.full:
            disk.append([Put(b"newest", b"%d" % self.world.loop.now), put_commit(disk.commit + 1)])
            self.world.loop.after(disk.sync_delay_s(), self.synced, life)
        self.world.loop.after(1.0, self.write, life)

    def synced(self, life: int) -> None:
        if self.up and life == self.lives:
            self.site.disk.sync()

    def ask(self, operation: Operation) -> None:
        pass

    def load(self) -> Load:
        return Load()

    def tell(self, fact: object) -> None:
        self.world.journal.tell(self.site.number, fact)


class Scribes:
    silence_s: float | None = None

    def run(self, world: World) -> None:
        raise NotImplementedError


class Run:
    """A plan of three scribes that has only faults."""

    def __init__(self, *faults: PlannedFault, stops_in_s: float = 0.0, seed: int = 1) -> None:
        nodes = tuple([NodePlan(number) for number in (A, B, C)])
        plan = Plan("faults", seed, nodes, END_S, 0.0, faults=faults)
        self.world = make_world(plan, Scribes())
        self.scribes = {n: Scribe(self.world, s, stops_in_s) for n, s in self.world.sites.items()}
        self.world.members.update(self.scribes)
        self.told: list[tuple[float, int, object]] = []
        self.world.journal.watch(
            lambda node, fact: self.told.append((self.world.loop.now, node, fact))
        )
        self.faults = Faults(self.world)
        for scribe in self.scribes.values():
            scribe.start()
        for fault in faults:
            self.world.loop.at(fault.at_s, self.faults.begin, fault)
            self.world.loop.at(fault.at_s + fault.for_s, self.faults.end, fault)
        self.world.loop.at(END_S, self.faults.heal)

    def to(self, until: float) -> "Run":
        """Just before that moment."""
        while self.world.loop.next_at() < until:
            self.world.loop.step()
        self.world.loop.now = until
        return self

    @property
    def up(self) -> list[int]:
        return [number for number, scribe in self.scribes.items() if scribe.up]

    def newest(self, node: int) -> int:
        return int(self.world.sites[node].disk.get(b"newest") or b"0")

    def facts(self, node: int, kind: type) -> list[object]:
        return [fact for _, number, fact in self.told if number == node and isinstance(fact, kind)]


def fault(kind: Fault, at_s: float, for_s: float, *nodes: int, amount: float = 0.0) -> PlannedFault:
    return PlannedFault(at_s, for_s, kind, nodes, amount)


# ---- what is told ----


def test_the_nodes_concerned_are_told_of_begin_and_end() -> None:
    latency, everywhere = fault(Fault.LATENCY, 1, 2, A, amount=1), fault(Fault.LOSS, 2, 2)
    run = Run(latency, everywhere).to(10)
    assert [each for each in run.told if not isinstance(each[2], facts.Crashed)] == [
        (1.0, A, facts.FaultBegan(latency)),
        *[(2.0, node, facts.FaultBegan(everywhere)) for node in (A, B, C)],
        (3.0, A, facts.FaultEnded(latency)),
        *[(4.0, node, facts.FaultEnded(everywhere)) for node in (A, B, C)],
    ]


def test_every_fault_ends_when_all_is_healed_and_only_once() -> None:
    everything = [fault(kind, 90, 50, B, amount=0.5) for kind in Fault]
    run = Run(*everything).to(END_S + 60)
    assert len(run.facts(B, facts.FaultEnded)) == len(everything)
    assert max(at_s for at_s, _, fact in run.told if isinstance(fact, facts.FaultEnded)) == END_S
    assert run.up == [A, B, C]


def test_a_node_that_was_taken_out_of_the_plan_has_no_faults() -> None:
    assert Run(fault(Fault.CRASH, 1, 2, 7, B)).to(2).up == [A, C]


# ---- nodes ----


@pytest.mark.parametrize(
    ("kind", "how"),
    [(Fault.CRASH, "crash"), (Fault.POWER_CUT, "power cut"), (Fault.RESTART, "stop")],
)
def test_a_node_is_down_until_the_end_of_its_fault(kind: Fault, how: str) -> None:
    run = Run(fault(kind, 5, 10, B)).to(6)
    assert run.up == [A, C]
    assert run.scribes[B].ends == [how]
    assert run.to(16).up == [A, B, C]


def test_a_node_starts_when_nothing_keeps_it_down_any_more() -> None:
    run = Run(fault(Fault.CRASH, 5, 10, B), fault(Fault.RESTART, 8, 20, B)).to(16)
    assert run.up == [A, C]
    assert run.to(29).up == [A, B, C]
    assert run.scribes[B].ends == ["crash"]


def test_two_equal_faults_keep_a_node_down_until_both_are_over() -> None:
    run = Run(fault(Fault.CRASH, 5, 10, B), fault(Fault.CRASH, 5, 10, B)).to(16)
    assert run.up == [A, B, C]


def test_who_died_of_something_else_starts_when_all_is_healed() -> None:
    run = Run().to(5)
    run.scribes[C].crash(power=False)
    assert run.to(99).up == [A, B]
    assert run.to(101).up == [A, B, C]


# ---- disks ----


def test_a_slow_disk_is_as_slow_as_all_its_faults_together() -> None:
    run = Run(fault(Fault.SLOW_DISK, 1, 10, B, amount=1), fault(Fault.SLOW_DISK, 2, 3, B, amount=2))
    slower = {at_s: run.to(at_s).world.sites[B].disk.slower_s for at_s in (1.5, 2.5, 5.5, 11.5)}
    assert slower == {1.5: 1.0, 2.5: 3.0, 5.5: 1.0, 11.5: 0.0}
    assert run.world.sites[A].disk.slower_s == 0


def test_a_disk_is_full_until_the_last_of_its_faults_ends() -> None:
    run = Run(fault(Fault.FULL_DISK, 5.5, 10, B), fault(Fault.FULL_DISK, 7, 2, B)).to(15)
    assert run.newest(B) == 5
    assert run.world.sites[B].files.bytes_max == 0
    assert run.newest(A) == 14
    assert run.to(20).newest(B) == 19
    assert run.world.sites[B].files.bytes_max is None


def test_power_is_cut_in_the_middle_of_the_next_batch() -> None:
    run = Run(fault(Fault.TORN_BATCH, 5.5, 10, B)).to(15)
    assert run.facts(B, facts.Crashed) == [facts.Crashed(power=True, lost=1, torn=True)]
    assert run.newest(B) == 5
    assert run.up == [A, C]
    assert run.to(20).newest(B) > 15
    assert len(run.facts(B, facts.Crashed)) == 1


def test_who_starts_when_one_of_two_such_faults_ends_is_torn_by_the_other_or_not_at_all() -> None:
    run = Run(fault(Fault.TORN_BATCH, 5.5, 24.5, B), fault(Fault.TORN_BATCH, 15, 15, B)).to(29)
    assert run.up == [A, C]
    run.scribes[B].first_after_s = 0.0
    assert run.to(40).up == [A, B, C]


def test_a_disk_tears_nothing_if_nothing_is_written_meanwhile() -> None:
    run = Run(fault(Fault.TORN_BATCH, 5.1, 0.5, B)).to(15)
    assert run.up == [A, B, C]
    assert run.facts(B, facts.Crashed) == []


def test_a_lying_disk_loses_something_when_power_is_cut_at_the_end() -> None:
    run = Run(fault(Fault.LYING_DISK, 5.5, 5, B)).to(10.6)
    (rolled_back,) = run.facts(B, facts.RolledBack)
    assert isinstance(rolled_back, facts.RolledBack)
    assert 1 <= rolled_back.batches <= 5
    assert run.newest(B) == 10 - rolled_back.batches
    assert run.up == [A, B, C]


def test_who_was_down_before_the_power_came_back_stays_down() -> None:
    run = Run(fault(Fault.LYING_DISK, 5, 5, B)).to(7)
    run.scribes[B].crash(power=False)
    assert run.to(20).up == [A, C]


def test_power_that_comes_back_starts_nobody_who_was_told_to_stop() -> None:
    run = Run(fault(Fault.RESTART, 5, 25, B), fault(Fault.LYING_DISK, 6, 4, B), stops_in_s=50)
    assert run.to(11).up == [A, C]
    assert run.to(31).up == [A, B, C]


def test_two_liars_are_one_until_the_first_power_cut() -> None:
    run = Run(fault(Fault.LYING_DISK, 5.5, 20, B), fault(Fault.LYING_DISK, 6.5, 4, B)).to(30)
    assert run.scribes[B].ends == ["power cut", "power cut"]
    assert len(run.facts(B, facts.RolledBack)) == 2


@pytest.mark.parametrize(("kind", "kept"), [(Fault.ROLL_BACK, 2), (Fault.RESTORE, 1)])
def test_a_folder_is_put_back_with_its_blobs(kind: Fault, kept: int) -> None:
    run = Run(fault(kind, 20.5, 10, B, amount=5)).to(10)
    files = run.world.sites[B].files
    for blob, at_s in ((BlobId(bytes(32)), 18), (BlobId(bytes([1] * 32)), 40)):
        files.put(blob, b"some bytes")
        run.to(at_s)
    assert list(files.sizes()) == [BlobId(bytes(32)), BlobId(bytes([1] * 32))][:kept]


def test_who_lost_nothing_but_a_blob_has_lost_something() -> None:
    run = Run(fault(Fault.RESTORE, 1.0, 5, B, amount=0.5)).to(0.9)
    run.world.sites[B].files.put(BlobId(bytes(32)), b"some bytes")
    run.to(10)
    assert run.facts(B, facts.RolledBack) == [facts.RolledBack(1, noticed=False)]


@pytest.mark.parametrize(("kind", "noticed"), [(Fault.ROLL_BACK, True), (Fault.RESTORE, False)])
@pytest.mark.parametrize("stops_in_s", [0.0, 50.0])
def test_a_node_starts_on_an_earlier_state(kind: Fault, noticed: bool, stops_in_s: float) -> None:
    run = Run(fault(kind, 20.5, 10, B, amount=5), stops_in_s=stops_in_s).to(30.4)
    last = run.newest(B)
    run.to(30.6)
    assert run.newest(B) == 15  # as it was 5 s before the fault began
    assert run.facts(B, facts.RolledBack) == [facts.RolledBack(last - 15, noticed=noticed)]
    assert run.up == [A, B, C]


def test_a_roll_back_to_before_the_beginning_is_one_to_the_beginning() -> None:
    run = Run(fault(Fault.ROLL_BACK, 3.5, 1, B, amount=50)).to(4.6)
    assert run.newest(B) == 0


def test_who_lost_something_acknowledged_is_asked_to_publish_no_more() -> None:
    run = Run(fault(Fault.RESTORE, 20.5, 10, B, amount=5)).to(20)
    publish, follow = (Operation(1.0, B, do) for do in (Do.PUBLISH, Do.FOLLOW))
    assert not run.faults.forbids(publish)
    run.to(40)
    assert run.faults.forbids(publish)
    assert not run.faults.forbids(follow)
    assert not run.faults.forbids(Operation(1.0, A, Do.PUBLISH))


# ---- clocks ----


def test_skews_and_drifts_add_up_until_they_end() -> None:
    run = Run(
        fault(Fault.SKEW, 1, 10, B, amount=3600),
        fault(Fault.SKEW, 2, 3, B, amount=-60),
        fault(Fault.DRIFT, 20, 10, B, amount=0.5),
        fault(Fault.DRIFT, 20, 10, B, amount=-0.25),
    )
    clock = run.world.sites[B].clock
    skews = []
    for at_s in (1.5, 2.5, 5.5, 19):
        run.to(at_s)
        skews.append(clock.wall() - EPOCH_S - at_s)
    assert skews == [3600, 3540, 3600, 0]
    assert run.to(40).world.sites[B].clock.local() == pytest.approx(42.5)
    assert clock.rate == 1


def test_no_clock_stands_still() -> None:
    run = Run(fault(Fault.DRIFT, 1, 10, B, amount=-3.0)).to(5)
    assert run.world.sites[B].clock.rate > 0


# ---- whatever is planned ----


@pytest.mark.parametrize("kind", list(Fault))
def test_three_overlapping_faults_of_a_kind_leave_no_trace(kind: Fault) -> None:
    """But for the clock that drifted, and for what was lost."""
    run = Run(
        fault(kind, 5, 20, B, amount=0.5),
        fault(kind, 10, 40, B, C, amount=0.25),
        fault(kind, 15, 5, amount=0.25),
    ).to(END_S + 20)
    assert run.up == [A, B, C]
    for site in run.world.sites.values():
        assert (site.disk.slower_s, site.disk.full, site.disk.tears) == (0, False, False)
        assert (site.clock.skew_s, site.clock.rate, site.files.bytes_max) == (0, 1, None)
        assert run.newest(site.number) > END_S + 15


def test_the_same_plan_goes_wrong_in_the_same_way() -> None:
    def trace(seed: int) -> str:
        planned = [fault(kind, 3.3 * n, 9, B, amount=5) for n, kind in enumerate(Fault)]
        planned.append(fault(Fault.LYING_DISK, 5.5, 20, C))
        return Run(*planned, seed=seed).to(END_S + 5).world.journal.trace.hexdigest()

    assert trace(1) == trace(1)
    assert len({trace(seed) for seed in range(5)}) > 1
