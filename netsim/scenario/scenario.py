"""A scenario: who is there, what they do, what goes wrong; much of it left to the seed.

The keys of the file are described in docs/netsim.md, "Writing a scenario".
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netsim.checks.sometimes import NAMES as EVENTS
from netsim.dhtplan import ROLES as DHT_ROLES
from netsim.dhtplan import DhtPlan
from netsim.plan import Conditions, Range
from netsim.roles import ROLES
from netsim.scenario.byzantine import Casting, read_castings
from netsim.scenario.dht import read_dht
from netsim.scenario.fitting import refuse_misfits
from netsim.scenario.limits import read_settings
from netsim.scenario.listed import (
    FaultRule,
    NodeRule,
    OperationRule,
    read_fault,
    read_node,
    read_operation,
)
from netsim.scenario.reading import Table
from netsim.scenario.swarm import Swarm, read_swarm
from netsim.scenario.topology import LISTED, Topology, read_kind, read_topology
from netsim.scenario.working import Workload
from netsim.scenario.workload import read_workload
from qbix_node.errors import BadInput

DRIVERS = ("lean", "trio")
NODES_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number, or one between two that each seed draws."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    about: str
    claims: tuple[str, ...]  # sentences of the spec that it puts to the test
    drivers: tuple[str, ...]  # the first is used where none is named
    seed: int | None  # used where none is named: of a plan that was written out
    nodes: Count
    numbers: Sequence[int]  # of the nodes that are there in any case
    duration_s: float
    settle_s: float
    conditions: Conditions
    topology: Topology
    workload: Workload
    castings: tuple[Casting, ...]
    swarm: Swarm
    node_rules: tuple[NodeRule, ...]
    fault_rules: tuple[FaultRule, ...]
    operation_rules: tuple[OperationRule, ...]
    sometimes: tuple[str, ...]  # happens in every run
    in_sweep: tuple[str, ...]  # happens in some seeds of a sweep
    settings: Mapping[str, Range]
    dht: DhtPlan | None
    document: Mapping[str, object]  # as it was read
    source: str  # from where


def load(text: str, name: str) -> Scenario:
    """`name` is that of the file, for errors. Raises BadInput."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{name}: is no TOML: {error}") from None
    return read_document(document, name)


def read_document(document: Mapping[str, object], source: str) -> Scenario:
    top = Table(source, "", document)
    run, topology = top.table("run"), top.table("topology")
    listed = top.tables("node")
    nodes, numbers = _read_nodes(run, listed, read_kind(topology))
    duration_s = run.number("duration_s", low=0.001, high=1e7)
    expect = top.table("expect")
    dht = read_dht(top.table("dht"), nodes.low, duration_s)
    roles = ROLES if dht is None else DHT_ROLES
    scenario = Scenario(
        top.text("name"),
        top.text("about", ""),
        top.texts("claims"),
        run.texts("drivers", DRIVERS[:1], among=DRIVERS) or DRIVERS[:1],
        run.count("seed", high=2**63 - 1) if "seed" in run else None,
        nodes,
        numbers,
        duration_s,
        run.number("settle_s", 120.0, low=0, high=1e7),
        _read_conditions(top.table("links"), top.table("disks")),
        read_topology(topology, numbers),
        read_workload(top.table("workload"), numbers, duration_s),
        read_castings(top.table("byzantine"), roles),
        read_swarm(top.table("swarm"), ROLES),
        tuple([read_node(table, roles, numbers) for table in listed]),
        tuple([read_fault(table, numbers, duration_s) for table in top.tables("fault")]),
        tuple([read_operation(table, numbers, duration_s) for table in top.tables("operation")]),
        expect.texts("sometimes", among=EVENTS),
        expect.texts("in_sweep", among=EVENTS),
        read_settings(top.table("settings")),
        dht,
        document,
        source,
    )
    top.done()
    refuse_misfits(scenario)
    return scenario


def _read_nodes(run: Table, listed: Sequence[Table], kind: str) -> tuple[Count, Sequence[int]]:
    """How many, and the numbers that surely are there."""
    numbers = [table.count("number") for table in listed]
    for table, number in zip(listed, numbers, strict=True):
        if numbers.count(number) > 1:
            raise table.wrong("number", "each node is expected once")
    if kind == LISTED:
        if "nodes" in run:
            raise run.wrong("nodes", f"nothing is expected where topology.kind is {LISTED!r}")
        if not numbers:
            raise run.wrong("nodes", f"topology.kind is {LISTED!r}: [[node]] tables are expected")
        return Count(len(numbers), len(numbers)), numbers
    span = run.span("nodes", low=1, high=NODES_MAX)
    if not (span.low.is_integer() and span.high.is_integer()):
        raise run.wrong("nodes", "a whole number, or two, are expected")
    nodes = Count(int(span.low), int(span.high))
    return nodes, range(nodes.low)


def _read_conditions(links: Table, disks: Table) -> Conditions:
    usual = Conditions()
    return Conditions(
        links.span("latency_s", usual.latency_s, low=0, high=3600),
        links.number("jitter_s", usual.jitter_s, low=0, high=3600),
        links.number("loss", usual.loss, low=0, high=0.95),
        links.number("duplicate", usual.duplicate, low=0, high=1),
        links.number("reorder", usual.reorder, low=0, high=1),
        links.number("bandwidth_bytes_s", usual.bandwidth_bytes_s, low=1),
        disks.span("sync_s", usual.sync_s, low=0, high=3600),
    )
