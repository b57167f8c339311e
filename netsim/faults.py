"""Carries out the faults of a plan, and ends them.

Several may be on at once, of one kind and at one node: what a node, disk or clock suffers follows
from all that are on, so that ending one leaves the others. Faults of a node that is down already
keep it down.
"""

from collections.abc import Callable, Mapping

from netsim import facts
from netsim.disks import Backup
from netsim.plan import Do, Fault, Operation, PlannedFault
from netsim.world import World
from qbix_node.wire.references import BlobId

_LINKS = {
    *(Fault.LATENCY, Fault.JITTER, Fault.LOSS, Fault.DUPLICATE, Fault.REORDER, Fault.BANDWIDTH),
    *(Fault.PARTITION, Fault.ONE_WAY, Fault.HOLD),
}
_BACKUPS = {Fault.ROLL_BACK, Fault.RESTORE}
_LEAST_RATE = 0.01  # of a clock that drifts

_Act = Callable[[PlannedFault, int], None]


class Faults:
    def __init__(self, world: World) -> None:
        self._world = world
        self._active: list[tuple[PlannedFault, frozenset[int]]] = []  # with the nodes concerned
        self._keeping_down: dict[int, list[PlannedFault]] = {}
        self._backups: dict[tuple[int, PlannedFault], Backup] = {}
        self._copies: dict[tuple[int, PlannedFault], dict[BlobId, bytes]] = {}  # of blobs
        self._careful: dict[int, None] = {}  # nodes whose stores lost something acknowledged
        for fault in world.plan.faults:
            if fault.fault in _BACKUPS:
                world.loop.at(max(0.0, fault.at_s - fault.amount), self._back_up, fault)
        world.journal.watch(self._notice)
        self._beginnings = self._at_the_beginning()
        self._endings = self._at_the_end()

    def _at_the_beginning(self) -> Mapping[Fault, _Act]:
        return {
            Fault.CUT: self._cut,
            Fault.CRASH: self._crash,
            Fault.POWER_CUT: self._cut_power,
            Fault.RESTART: self._stop,
            Fault.SLOW_DISK: self._slow_disk,
            Fault.FULL_DISK: self._fill_disk,
            Fault.TORN_BATCH: self._tear_next,
            Fault.LYING_DISK: self._lie,
            Fault.ROLL_BACK: self._stop,
            Fault.RESTORE: self._stop,
            Fault.SKEW: self._skew,
            Fault.DRIFT: self._drift,
        }

    def _at_the_end(self) -> Mapping[Fault, _Act]:
        return {
            Fault.CRASH: self._start,
            Fault.POWER_CUT: self._start,
            Fault.RESTART: self._start,
            Fault.SLOW_DISK: self._slow_disk,
            Fault.FULL_DISK: self._fill_disk,
            Fault.TORN_BATCH: self._tear_no_more,
            Fault.LYING_DISK: self._uncover,
            Fault.ROLL_BACK: self._put_back,
            Fault.RESTORE: self._put_back,
            Fault.SKEW: self._skew,
            Fault.DRIFT: self._drift,
        }

    # ---- the course of a fault ----

    def begin(self, fault: PlannedFault) -> None:
        self._active.append((fault, frozenset(self._nodes(fault))))
        self._tell(fault, facts.FaultBegan(fault))
        if fault.fault in _LINKS:
            self._world.fabric.begin(fault)
        else:
            self._at_each(fault, self._beginnings[fault.fault])

    def end(self, fault: PlannedFault) -> None:
        """Nothing, if it has ended already."""
        place = next((i for i, (each, _) in enumerate(self._active) if each == fault), None)
        if place is None:
            return
        del self._active[place]
        self._tell(fault, facts.FaultEnded(fault))
        if fault.fault in _LINKS:
            self._world.fabric.end(fault)
        elif fault.fault in self._endings:
            self._at_each(fault, self._endings[fault.fault])

    def heal(self) -> None:
        """End all faults, and start whatever is down, of whatever it died."""
        for fault, _ in list(self._active):
            self.end(fault)
        for member in self._world.members.values():
            member.start()

    def forbids(self, operation: Operation) -> bool:
        """SPEC storage 4: what can't be known is whether an own message is missing. A person whose
        store lost something publishes no more, for that would fork the feed.
        """
        return operation.do is Do.PUBLISH and operation.node in self._careful

    def _nodes(self, fault: PlannedFault) -> list[int]:
        """Those that are there: a plan may have lost some since it was drawn."""
        return [node for node in fault.nodes or self._world.sites if node in self._world.sites]

    def _at_each(self, fault: PlannedFault, act: _Act) -> None:
        for node in self._nodes(fault):
            act(fault, node)

    def _tell(self, fault: PlannedFault, fact: object) -> None:
        for node in self._nodes(fault):
            self._world.journal.tell(node, fact)

    def _amounts(self, kind: Fault, node: int) -> list[float]:
        """Of the faults of that kind which the node suffers."""
        return [each.amount for each, nodes in self._active if each.fault is kind and node in nodes]

    # ---- links ----

    def _cut(self, fault: PlannedFault, node: int) -> None:
        self._world.fabric.cut(node)

    # ---- nodes ----

    def _crash(self, fault: PlannedFault, node: int) -> None:
        self._keep_down(fault, node)
        self._world.members[node].crash(power=False)

    def _cut_power(self, fault: PlannedFault, node: int) -> None:
        self._keep_down(fault, node)
        self._world.members[node].crash(power=True)

    def _stop(self, fault: PlannedFault, node: int) -> None:
        self._keep_down(fault, node)
        self._world.members[node].stop()

    def _keep_down(self, fault: PlannedFault, node: int) -> None:
        self._keeping_down.setdefault(node, []).append(fault)

    def _start(self, fault: PlannedFault, node: int) -> None:
        """Once nothing else keeps it down."""
        reasons = self._keeping_down.get(node, [])
        if fault in reasons:
            reasons.remove(fault)
            if not reasons:
                self._world.members[node].start()

    # ---- disks ----

    def _slow_disk(self, fault: PlannedFault, node: int) -> None:
        self._world.sites[node].disk.slower_s = sum(self._amounts(fault.fault, node))

    def _fill_disk(self, fault: PlannedFault, node: int) -> None:
        site, full = self._world.sites[node], bool(self._amounts(fault.fault, node))
        site.disk.full = full
        site.files.bytes_max = 0 if full else None

    def _tear_next(self, fault: PlannedFault, node: int) -> None:
        """Power is cut once a batch is on its way to the disk."""
        disk = self._world.sites[node].disk
        disk.tears = True
        disk.appended = lambda: self._world.loop.after(0.0, self._tear, node)

    def _tear(self, node: int) -> None:
        disk, member = self._world.sites[node].disk, self._world.members[node]
        if not disk.tears or not disk.unsynced or not member.up:
            return  # the fault ended, or the batch is gone, at this very moment
        for fault, nodes in self._active:
            if fault.fault is Fault.TORN_BATCH and node in nodes:
                self._keep_down(fault, node)
        member.crash(power=True)

    def _tear_no_more(self, fault: PlannedFault, node: int) -> None:
        if not self._amounts(fault.fault, node):
            disk = self._world.sites[node].disk
            disk.tears, disk.appended = False, None
        self._start(fault, node)

    def _lie(self, fault: PlannedFault, node: int) -> None:
        self._world.sites[node].disk.lie(fault.amount or fault.for_s)

    def _uncover(self, fault: PlannedFault, node: int) -> None:
        """Power is cut, and comes back at once."""
        disk, member = self._world.sites[node].disk, self._world.members[node]
        was_up = member.up
        member.crash(power=True)
        if not self._amounts(fault.fault, node):
            disk.be_honest()
        if was_up and not self._keeping_down.get(node):
            member.start()

    def _back_up(self, fault: PlannedFault) -> None:
        for node in self._nodes(fault):
            site = self._world.sites[node]
            self._backups[node, fault] = site.disk.back_up()
            if fault.fault is Fault.RESTORE:
                self._copies[node, fault] = site.files.snapshot()

    def _put_back(self, fault: PlannedFault, node: int) -> None:
        """Who is still about to stop is killed: nobody waits for it."""
        self._world.members[node].crash(power=False)
        backup, copies = (
            self._backups.pop((node, fault), None),
            self._copies.pop((node, fault), None),
        )
        if backup is not None:
            site, whole, lost_beside = self._world.sites[node], copies is not None, False
            if copies is not None:
                lost_beside = not site.files.sizes().keys() <= copies.keys()
                site.files.put_back(copies)
            site.disk.put_back(backup, whole=whole, lost_beside=lost_beside)
        self._start(fault, node)

    def _notice(self, node: int, fact: object) -> None:
        if isinstance(fact, facts.RolledBack):
            self._careful[node] = None

    # ---- clocks ----

    def _skew(self, fault: PlannedFault, node: int) -> None:
        self._world.sites[node].clock.skew_s = sum(self._amounts(fault.fault, node))

    def _drift(self, fault: PlannedFault, node: int) -> None:
        rate = 1.0 + sum(self._amounts(fault.fault, node))
        self._world.sites[node].clock.rate = max(_LEAST_RATE, rate)
