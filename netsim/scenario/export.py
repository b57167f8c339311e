"""Writes a plan out in full, as a scenario file that draws exactly this plan.

So a seed at which something failed becomes a scenario of its own, which lasts when the drawing of
others changes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from netsim.plan import Conditions, NodePlan, Operation, Plan, PlannedFault, Range
from netsim.scenario.byzantine import HONEST
from netsim.scenario.dht import written_dht

_Value = str | float | Sequence[int] | Sequence[str] | Range


def to_toml(plan: Plan, *, about: str = "") -> str:
    said = about or f"Written out from {plan.scenario}, seed {plan.seed}."
    return "\n".join([*_head(plan, said), *_tables(plan)]) + "\n"


def _head(plan: Plan, about: str) -> Iterator[str]:
    yield f"name = {_text(plan.scenario)}"
    yield f"about = {_text(about)}"
    for name, rows in (
        ("node", [_node(each) for each in plan.nodes]),
        ("fault", [_fault(each) for each in plan.faults]),
        ("operation", [_operation(each) for each in plan.operations]),
    ):
        if rows:
            yield f"\n{name} = ["
            yield from [f"  {{ {_joined(row)} }}," for row in rows]
            yield "]"


def _tables(plan: Plan) -> Iterator[str]:
    yield from _table(
        "run", {"seed": plan.seed, "duration_s": plan.duration_s, "settle_s": plan.settle_s}
    )
    yield from _table("topology", {"kind": "listed", "lan": plan.lan})
    yield from _table("links", _links(plan.conditions))
    yield from _table("disks", {"sync_s": plan.conditions.sync_s})
    yield from _table("settings", plan.settings)
    if plan.dht is not None:
        values, goals = written_dht(plan.dht)
        yield from _table("dht", values)
        yield from _table("dht.goals", goals)
    yield from _table("expect", {"sometimes": plan.sometimes} if plan.sometimes else {})


def _links(conditions: Conditions) -> dict[str, _Value]:
    return {
        "latency_s": conditions.latency_s,
        "jitter_s": conditions.jitter_s,
        "loss": conditions.loss,
        "duplicate": conditions.duplicate,
        "reorder": conditions.reorder,
        "bandwidth_bytes_s": conditions.bandwidth_bytes_s,
    }


def _node(node: NodePlan) -> dict[str, _Value]:
    row: dict[str, _Value] = {"number": node.number}
    if node.role != HONEST or node.amount:
        row |= {"role": node.role, "amount": node.amount}
    return row | {"knows": node.knows, "follows": node.follows}


def _fault(fault: PlannedFault) -> dict[str, _Value]:
    row: dict[str, _Value] = {"at_s": fault.at_s, "for_s": fault.for_s, "kind": fault.fault.value}
    if fault.nodes:
        row["nodes"] = fault.nodes
    return row | ({"amount": fault.amount} if fault.amount else {})


def _operation(operation: Operation) -> dict[str, _Value]:
    row: dict[str, _Value] = {
        "at_s": operation.at_s,
        "node": operation.node,
        "do": operation.do.value,
    }
    if operation.target is not None:
        row["target"] = operation.target
    if operation.number:
        row["number"] = operation.number
    if operation.entries != 1:
        row["entries"] = operation.entries
    if operation.owners:
        row["owners"] = operation.owners
    if operation.threshold:
        row["threshold"] = operation.threshold
    if operation.writers:
        row["writers"] = operation.writers
    return row | ({"size": operation.size} if operation.size else {})


def _table(name: str, values: Mapping[str, _Value]) -> Iterator[str]:
    if values:
        yield f"\n[{name}]"
        yield from [f"{key} = {_written(value)}" for key, value in values.items()]


def _joined(values: Mapping[str, _Value]) -> str:
    return ", ".join(f"{key} = {_written(value)}" for key, value in values.items())


def _written(value: _Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    items: Sequence[_Value] = (value.low, value.high) if isinstance(value, Range) else value
    return "[" + ", ".join(_written(each) for each in items) + "]"


def _text(text: str) -> str:
    """A TOML string. JSON writes those of Unicode outside of the first plane as surrogate pairs,
    which TOML has no way to say: they stand for themselves.
    """
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
