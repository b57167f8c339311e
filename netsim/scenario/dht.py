"""[dht]: the nodes are those of the hash table, and nothing else."""

from collections.abc import Mapping
from dataclasses import asdict, fields

from netsim.dhtplan import DhtPlan, Goals
from netsim.plan import Range
from netsim.scenario.reading import Table

Value = float | int | Range


def read_dht(table: Table, nodes: int, duration_s: float) -> DhtPlan | None:
    """None: the file has no such table. Raises BadInput."""
    if table.empty:
        return None
    usual = DhtPlan()
    plan = DhtPlan(
        warm=table.flag("warm", default=usual.warm),
        churn=table.number("churn", usual.churn, low=0, high=1),
        churn_s=_span(table, "churn_s", duration_s),
        lookups=table.count("lookups", usual.lookups, high=1_000_000),
        gets=table.count("gets", usual.gets, high=1_000_000),
        asked_s=_span(table, "asked_s", duration_s),
        publishers=table.count("publishers", usual.publishers, high=nodes),
        subjects=table.count("subjects", usual.subjects),
        paths=table.count("paths", usual.paths, low=1, high=20),
        known_targets=table.count("known_targets", usual.known_targets, high=1000),
        attacked=table.number("attacked", usual.attacked, low=0, high=1),
        ground=table.count("ground", usual.ground, high=10**7),
        records_max=table.count("records_max", usual.records_max, low=1),
        records_per_key_max=table.count("records_per_key_max", usual.records_per_key_max, low=1),
        goals=_read_goals(table.table("goals")),
    )
    if plan.gets and not plan.publishers:
        raise table.wrong("gets", "without publishers, 0 is expected")
    return plan


def _read_goals(table: Table) -> Goals:
    highest = {"exact": 1.0, "found": 1.0}
    return Goals(
        **{
            each.name: table.number(each.name, low=0, high=highest.get(each.name, 1e9))
            for each in fields(Goals)
            if each.name in table
        }
    )


def _span(table: Table, key: str, duration_s: float) -> tuple[float, float]:
    span = table.span(key, Range(0, duration_s), low=0, high=duration_s)
    return span.low, span.high


def written_dht(plan: DhtPlan) -> tuple[Mapping[str, Value], Mapping[str, Value]]:
    """As a table that draws it again, and that of its goals."""
    values: dict[str, Value] = {}
    for name, value in asdict(plan).items():
        if name != "goals":
            values[name] = Range(*value) if isinstance(value, tuple) else value
    goals = {name: value for name, value in asdict(plan.goals).items() if value is not None}
    return values, goals
