"""[swarm]: each seed draws what can go wrong in it, and how often.

Some kinds of faults are off, the others come at wildly different rates: this finds more than always
a bit of everything (Groce, Zhang, Eide, Chen, Regehr: Swarm Testing, 2012).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from netsim.chance import Chance, Draws
from netsim.plan import Fault, PlannedFault, Range
from netsim.roles import SHARING, STREAM_OWNERS
from netsim.scenario.amounts import Portion, draw_evenly, draw_widely
from netsim.scenario.byzantine import Cast, Casting
from netsim.scenario.reading import Table
from netsim.scenario.topology import FOLLOW, KINDS, Topology
from netsim.scenario.working import Workload

# What `amount` is drawn from, log-uniformly; those of a clock run either way. Kinds that are not
# here have none.
AMOUNTS: Mapping[Fault, Range] = {
    Fault.LATENCY: Range(0.01, 3),
    Fault.JITTER: Range(0.01, 1),
    Fault.LOSS: Range(0.01, 0.5),
    Fault.DUPLICATE: Range(0.01, 0.5),
    Fault.REORDER: Range(0.01, 0.5),
    Fault.BANDWIDTH: Range(2_000, 200_000),
    Fault.SLOW_DISK: Range(0.01, 3),
    Fault.LYING_DISK: Range(0.1, 10),
    Fault.ROLL_BACK: Range(1, 30),
    Fault.RESTORE: Range(1, 30),
    Fault.SKEW: Range(1, 1e6),
    Fault.DRIFT: Range(0.001, 0.3),
}
_EITHER_WAY = (Fault.SKEW, Fault.DRIFT)
_QUALITIES = (
    Fault.LATENCY,
    Fault.JITTER,
    Fault.LOSS,
    Fault.DUPLICATE,
    Fault.REORDER,
    Fault.BANDWIDTH,
)
_ALWAYS = ("messages", "streams", "appends")
_TOGETHER = {"stream_conspirator": 2}  # so many of these come at once
_DIVIDED = 0.5  # chance that a partition divides them
_SPLITS = (Fault.PARTITION, Fault.ONE_WAY, Fault.HOLD)
_MOMENTARY = (Fault.CUT,)
_ALL = "all"
_EVERYWHERE = 0.3  # chance that a quality of links is bad between all nodes
_BACKUPS = (Fault.ROLL_BACK, Fault.RESTORE)
_PAUSED = 0.5  # chance that a node was stopped when its copy was made
_PAUSE_S = Range(0.5, 4)  # before that
_COPIED_S = 0.5  # and after it
_FAULTS_MAX = 40  # of one kind in one run, however wild


@dataclass(frozen=True, slots=True)
class Swarm:
    faults: tuple[Fault, ...]
    at_least: int  # kinds that are on in every seed
    chance: float  # of each further kind
    work: float  # chance of each kind of work, but messages
    a_minute: float  # faults of a kind that is on, before it is made wild
    wild: float  # each rate is multiplied by something between 1 / wild and wild
    for_s: Range
    roles: tuple[str, ...]
    roles_most: int  # byzantine nodes of them in one seed
    stream_roles: tuple[str, ...]  # the same of those that are about streams
    stream_roles_most: int
    sharing_roles: tuple[str, ...]  # one of those about streams of several owners, or none
    topologies: tuple[str, ...]
    follow: tuple[str, ...]
    lan: float  # chance of local discovery


def read_swarm(table: Table, roles: Collection[str]) -> Swarm:
    kinds = [kind.value for kind in Fault]
    there = "faults" in table
    chosen = [Fault(kind) for kind in _read_several(table, "faults", kinds)]
    return Swarm(
        faults=tuple(chosen),
        at_least=table.count("at_least", min(3, len(chosen)), high=len(chosen)),
        chance=table.number("chance", 0.5, low=0, high=1),
        work=table.number("work", 0.5, low=0, high=1),
        a_minute=table.number("a_minute", 2.0, low=0, high=1000),
        wild=table.number("wild", 8.0 if there else 1.0, low=1, high=1000),
        for_s=table.span("for_s", Range(0.5, 20), low=0.001),
        roles=_read_several(table, "roles", roles),
        roles_most=table.count("roles_most", 2, high=1000),
        stream_roles=_read_several(table, "stream_roles", STREAM_OWNERS),
        stream_roles_most=table.count("stream_roles_most", 1, high=1000),
        sharing_roles=_read_several(table, "sharing_roles", SHARING),
        topologies=table.texts("topologies", (), among=tuple(KINDS)),
        follow=table.texts("follow", (), among=FOLLOW),
        lan=table.number("lan", 0.0, low=0, high=1),
    )


def _read_several(table: Table, key: str, among: Collection[str]) -> tuple[str, ...]:
    if table.is_text(key, _ALL):
        return tuple(among)
    chosen = table.texts(key, (), among=[_ALL, *among])
    return tuple(among) if _ALL in chosen else chosen


# ---- what a seed makes of it ----


def vary_topology(swarm: Swarm, topology: Topology, chance: Chance) -> Topology:
    if swarm.topologies:
        kind = chance.draws("swarm/topology").pick(swarm.topologies)
        topology = replace(topology, kind=kind, connected=topology.connected or kind != "none")
    if swarm.follow:
        topology = replace(topology, follow=chance.draws("swarm/follow").pick(swarm.follow))
    return replace(topology, lan=topology.lan or chance.draws("swarm/lan").chance(swarm.lan))


def vary_workload(swarm: Swarm, workload: Workload, chance: Chance) -> Workload:
    """Each kind of work may be off, but for those of which there is always some."""
    rates = {
        kind: a_minute * _factor(swarm, chance.draws(f"swarm/{kind}"), always=kind in _ALWAYS)
        for kind, a_minute in workload.a_minute.items()
    }
    late = workload.late
    if swarm.faults and not chance.draws("swarm/late").chance(swarm.work):
        late = Portion()
    return replace(workload, a_minute=rates, late=late)


def _factor(swarm: Swarm, draws: Draws, *, always: bool) -> float:
    if swarm.wild == 1:
        return 1.0
    on = draws.chance(swarm.work)
    return _wildness(swarm, draws) if on or always else 0.0


def _wildness(swarm: Swarm, draws: Draws) -> float:
    return draw_widely(Range(1 / swarm.wild, swarm.wild), draws)


def draw_castings(swarm: Swarm, chance: Chance) -> list[Casting]:
    return [
        *_castings(swarm.roles, swarm.roles_most, chance.draws("swarm/roles")),
        *_castings(swarm.stream_roles, swarm.stream_roles_most, chance.draws("swarm/streams")),
        *_castings(swarm.sharing_roles, 1, chance.draws("swarm/sharing")),
    ]


def _castings(roles: Sequence[str], most: int, draws: Draws) -> list[Casting]:
    chosen = [draws.pick(roles) for _ in range(draws.below(most + 1))] if roles else []
    return [Casting(role, Portion(count=_TOGETHER.get(role, 1))) for role in chosen]


def draw_swarm_faults(
    swarm: Swarm, cast: Cast, duration_s: float, chance: Chance
) -> list[PlannedFault]:
    return [
        *[
            fault
            for kind in _kinds(swarm, chance.draws("swarm/kinds"))
            for fault in _draw_faults(swarm, kind, cast, duration_s, chance)
        ],
        *_draw_division(swarm, cast, duration_s, chance.draws("swarm/division")),
    ]


def _draw_division(
    swarm: Swarm, cast: Cast, duration_s: float, draws: Draws
) -> Iterator[PlannedFault]:
    """Those who act together do so, half of the time, on two sides of a partition."""
    plotting = [node for node in cast.byzantine if cast.roles[node][0] in _TOGETHER]
    if Fault.PARTITION not in swarm.faults or len(plotting) < 2 or not draws.chance(_DIVIDED):
        return
    others = [node for node in cast.nodes if node not in plotting]
    side = draws.sample(others, len(others) // 2)
    for_s = draw_evenly(Range(0.2 * duration_s, 0.4 * duration_s), draws)
    at_s = draw_evenly(Range(0, duration_s - for_s), draws)
    nodes = tuple(sorted([plotting[0], *side]))
    yield PlannedFault(at_s, for_s, Fault.PARTITION, nodes)


def _kinds(swarm: Swarm, draws: Draws) -> list[Fault]:
    shuffled = draws.sample(swarm.faults, len(swarm.faults))
    further = [kind for kind in shuffled[swarm.at_least :] if draws.chance(swarm.chance)]
    return shuffled[: swarm.at_least] + further


def _draw_faults(
    swarm: Swarm, kind: Fault, cast: Cast, duration_s: float, chance: Chance
) -> list[PlannedFault]:
    """One at least."""
    draws = chance.draws(f"swarm/fault/{kind}")
    mean = swarm.a_minute * duration_s / 60 * _wildness(swarm, draws)
    count = min(_FAULTS_MAX, max(1, round(mean)))
    faults = [_draw_fault(swarm, kind, cast, duration_s, draws) for _ in range(count)]
    if kind in _BACKUPS:
        faults += _draw_pauses(faults, chance.draws(f"swarm/pauses/{kind}"))
    return faults


def _draw_pauses(backups: Sequence[PlannedFault], draws: Draws) -> Iterator[PlannedFault]:
    """A copy of a folder is made while the node is stopped, as it should be; half of them are. What
    the node then finds was closed cleanly.
    """
    for each in backups:
        taken_s = each.at_s - each.amount
        if taken_s > 0 and draws.chance(_PAUSED):
            at_s = max(0.0, taken_s - draw_evenly(_PAUSE_S, draws))
            yield PlannedFault(at_s, taken_s - at_s + _COPIED_S, Fault.RESTART, each.nodes)


def _draw_fault(
    swarm: Swarm, kind: Fault, cast: Cast, duration_s: float, draws: Draws
) -> PlannedFault:
    at_s = draw_evenly(Range(0, duration_s), draws)
    for_s = min(draw_widely(swarm.for_s, draws), duration_s - at_s)
    nodes = _draw_nodes(kind, cast, draws)
    either, far = draws.random() < 0.5, draws.random()
    amount = draw_widely(AMOUNTS[kind], draws) if kind in AMOUNTS else 0.0
    if kind in _QUALITIES and far < _EVERYWHERE:
        nodes = ()
    return PlannedFault(
        at_s,
        0.0 if kind in _MOMENTARY else for_s,
        kind,
        nodes,
        -amount if kind in _EITHER_WAY and either else amount,
    )


def _draw_nodes(kind: Fault, cast: Cast, draws: Draws) -> tuple[int, ...]:
    """Splits: up to half of all. Others: few, and rarely up to half of the honest ones."""
    split = kind in _SPLITS
    among = cast.nodes if split else cast.honest
    half = max(1, len(among) // 2)
    count = 1 + draws.below(half) if split else int(draw_widely(Range(1, half + 0.99), draws))
    return tuple(sorted(draws.sample(among, count)))
