"""One run: a plan under a driver, from its first moment to its verdict."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from netsim import facts
from netsim.asking import limits_of
from netsim.chance import Chance
from netsim.checks import Checks, Complaint, Violation
from netsim.checks.settling import Unsettled
from netsim.fabric import Fabric
from netsim.faults import Faults
from netsim.forks import Forks
from netsim.furnishing import furnish
from netsim.journal import Journal
from netsim.loop import Loop
from netsim.plan import Operation, Plan
from netsim.site import make_site
from netsim.state import final_state
from netsim.streams import Streams
from netsim.trace import Trace
from netsim.world import Driver, World
from qbix_node.wire.v8json import JsonValue

LOOK_S = 1.0  # how often it is looked whether all is well, once all faults are over


@dataclass(frozen=True, slots=True)
class Outcome:
    """`unsettled`: some of what was not as it should be when patience ended."""

    plan: Plan
    trace_sha256: str
    state_sha256: str
    violations: tuple[Violation, ...]
    unsettled: tuple[Complaint, ...]
    stalled_count: int  # with those that are not told
    events: dict[str, int]
    missing: tuple[str, ...]  # of plan.sometimes, what did not happen
    forks_made: int
    forks_proven: int  # to at least one honest node
    detection_s: tuple[float, ...]  # of each fork at each honest node that found it, ascending
    messages: int  # packets of streams and datagrams
    bytes_sent: int
    happened: int  # steps of the loop
    virtual_s: float
    cpu_s: float
    told: tuple[str, ...]  # the types of all facts and findings that the journal heard of
    records: bytes  # of the trace, if they were kept
    figures: Mapping[str, JsonValue]  # of the hash table, if it is about that

    @property
    def stalled(self) -> tuple[str, ...]:
        return tuple([each.what for each in self.unsettled])


def run(
    plan: Plan,
    driver: Driver,
    *,
    keep_trace: bool = False,
    watch: Callable[[World], None] | None = None,
) -> Outcome:
    """`watch` is shown the world before it begins, for whoever wants to look at it from outside."""
    began_s = time.process_time()
    world = make_world(plan, driver, keep_trace=keep_trace)
    if watch is not None:
        watch(world)
    checks, faults, forks = Checks(world), Faults(world), Forks(world.loop, plan)
    world.journal.watch(forks.handle)
    unsettled = Unsettled()

    def heal() -> None:
        faults.heal()
        for number in world.members:
            world.journal.tell(number, facts.Healed())
        world.loop.after(LOOK_S, look)

    def look() -> None:
        nonlocal unsettled
        stalled = checks.unsettled()
        if stalled and world.loop.now < plan.duration_s + plan.settle_s:
            world.loop.after(LOOK_S, look)
        else:
            unsettled = checks.unsettled_at_the_end() if stalled or plan.dht else Unsettled()
            checks.finish()
            world.over = True

    for operation in plan.operations:
        world.loop.at(operation.at_s, _ask, world, faults, operation)
    for fault in plan.faults:
        world.loop.at(fault.at_s, faults.begin, fault)
        world.loop.at(fault.at_s + fault.for_s, faults.end, fault)
    world.loop.at(plan.duration_s, heal)
    driver.run(world)
    return Outcome(
        plan=plan,
        trace_sha256=world.journal.trace.hexdigest(),
        state_sha256=final_state(world).sha256,
        violations=tuple(checks.violations),
        unsettled=unsettled.told,
        stalled_count=unsettled.count,
        events=dict(+checks.events),  # of what did happen
        missing=tuple([name for name in plan.sometimes if not checks.events[name]]),
        forks_made=forks.made,
        forks_proven=forks.proven,
        detection_s=forks.detection_s,
        messages=world.journal.messages,
        bytes_sent=world.journal.bytes,
        happened=world.loop.happened,
        virtual_s=world.loop.now,
        cpu_s=time.process_time() - began_s,
        told=tuple(sorted(world.journal.counts)),
        records=world.journal.trace.records(),
        figures=world.figures() if world.figures else {},
    )


def make_world(plan: Plan, driver: Driver, *, keep_trace: bool = False) -> World:
    loop, chance = Loop(), Chance(plan.seed)
    sites = {each.number: make_site(each, plan.conditions, chance, loop) for each in plan.nodes}
    for site in sites.values():
        furnish(site, sites)
    streams = Streams(plan)
    numbers: dict[bytes, int] = {site.keys.public: number for number, site in sites.items()}
    numbers |= {stream.id: stream.owner for stream in streams.by_id.values()}
    journal = Journal(loop, Trace(keep=keep_trace), plan, numbers)
    limits = limits_of(plan)[0]
    silence_s = None if driver.silence_s is None else limits.silence_max_s
    fabric = Fabric(loop, chance, plan.conditions, journal, silence_s=silence_s, limits=limits)
    return World(plan, loop, chance, journal, fabric, sites, streams)


def _ask(world: World, faults: Faults, operation: Operation) -> None:
    if not faults.forbids(operation):
        world.journal.tell(operation.node, facts.Asked(operation))
        world.members[operation.node].ask(operation)
