"""A trace made by hand, in which everything occurs that a report can show."""

import json
import random
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from netsim.plan import Do, Fault, NodePlan, Operation, Plan, PlannedFault
from netsim.trace import MESSAGE_NAMES, NOBODY, Kind, Record, Trace

NODES = 10
EQUIVOCATOR = 9
END_S = 60.0
HEALED_S = 45.0

PLAN = Plan(
    scenario="all_at_once",
    seed=2**63 + 7,  # more than a number in JavaScript holds
    nodes=tuple(
        NodePlan(
            number,
            role="equivocator" if number == EQUIVOCATOR else "honest",
            follows=tuple(each for each in range(NODES) if each != number),
        )
        for number in range(NODES)
    ),
    duration_s=HEALED_S,
    settle_s=60.0,
    operations=(Operation(5.0, 1, Do.UNFOLLOW, target=2),),
    faults=(
        PlannedFault(8.0, 10.0, Fault.PARTITION, (0, 1, 2)),
        PlannedFault(12.0, 6.0, Fault.FULL_DISK, (4,)),
        PlannedFault(15.0, 10.0, Fault.LOSS, tuple(range(NODES)), 0.2),
        PlannedFault(20.0, 5.0, Fault.CRASH, (6,)),
        PlannedFault(30.0, 8.0, Fault.SKEW, (3, 7), 40.0),
    ),
)

VIOLATION = {
    "check": "no acknowledged message is lost",
    "spec": "spec/storage.md 2: What was acknowledged survives.",
    "at_s": 33.0,
    "node": 5,
    "what": "message 3 of node 5 is gone",
}


def everything(seed: int = 1) -> list[Record]:
    """Nodes that publish and pass on, under the faults of PLAN."""
    chance = random.Random(seed)
    rows = [*_lives(), *_faults(), *_deeds()]
    for author in range(NODES):
        for sequence in range(1, 9):
            at_s = sequence * 5.0 + chance.random() * 2.5
            rows.append(Record(at_s, Kind.PUBLISHED, author, NOBODY, author, sequence))
            rows += _spread(chance, at_s, author, sequence)
    return sorted(rows, key=lambda row: row.at_s)


def _lives() -> list[Record]:
    rows = []
    for node in range(NODES):
        rows.append(Record(0.0, Kind.STARTED, node, NOBODY, NOBODY, 1))
        for peer in {(node + step) % NODES for step in (1, 2, 5)} - {node}:
            rows.append(Record(0.5 + node / 100, Kind.LINK_UP, node, peer, 1, 0))
            rows.append(Record(0.6 + node / 100, Kind.LINK_UP, peer, node, 0, 0))
    rows.append(Record(20.0, Kind.CRASHED, 6, NOBODY, NOBODY, 2))
    rows.append(Record(20.1, Kind.LINK_DOWN, 7, 6, 0, 0))
    rows.append(Record(25.0, Kind.STARTED, 6, NOBODY, NOBODY, 0))
    rows.append(Record(25.5, Kind.LINK_UP, 6, 7, 1, 0))
    rows.append(Record(END_S, Kind.STOPPED, 8, NOBODY, NOBODY, 0))
    return rows


def _faults() -> list[Record]:
    rows = []
    for place, fault in enumerate(PLAN.faults):
        for node in fault.nodes:
            ended_s = fault.at_s + fault.for_s
            rows.append(Record(fault.at_s, Kind.FAULT_BEGAN, node, NOBODY, place, 0))
            rows.append(Record(ended_s, Kind.FAULT_ENDED, node, NOBODY, place, 0))
    rows += [Record(HEALED_S, Kind.HEALED, node, NOBODY, NOBODY, 0) for node in range(NODES)]
    return rows


def _deeds() -> list[Record]:
    rows = [
        Record(5.0, Kind.ASKED, 1, NOBODY, list(Do).index(Do.UNFOLLOW), 0),
        Record(13.0, Kind.DISK_FULL, 4, NOBODY, NOBODY, 0),
        Record(14.0, Kind.REFUSED, 2, EQUIVOCATOR, EQUIVOCATOR, 3),
        Record(16.0, Kind.BLOB_ARRIVED, 3, NOBODY, 0xDEADBEEF, 40_000),
        Record(17.0, Kind.BLOB_FAILED, 3, 4, 0xCAFEBABE, 2),
        Record(18.0, Kind.FOUND, 3, NOBODY, 0x12345678, 0),
        Record(22.0, Kind.MISDEED, EQUIVOCATOR, NOBODY, EQUIVOCATOR, 4),
        Record(28.0, Kind.ROLLED_BACK, 3, NOBODY, NOBODY, 4),
        Record(33.0, Kind.VIOLATED, 5, NOBODY, NOBODY, 0),
        Record(34.0, Kind.FAILED, 5, NOBODY, NOBODY, 0),
    ]
    knows = [Record(22.4 + n * n / 9, Kind.FORK_FOUND, n, NOBODY, EQUIVOCATOR, 4) for n in range(9)]
    return rows + knows


def _spread(chance: random.Random, at_s: float, author: int, sequence: int) -> list[Record]:
    rows = []
    offered = MESSAGE_NAMES.index("Offered")
    for node in range(NODES):
        if node == author:
            continue
        sent_s = at_s + chance.random() * 0.3
        apart = (node in (0, 1, 2)) != (author in (0, 1, 2)) and 8.0 <= sent_s < 18.0
        rows.append(Record(sent_s, Kind.SENT, author, node, offered, 300 + sequence))
        if apart:
            rows.append(Record(sent_s + 0.2, Kind.DROPPED, author, node, offered, 300 + sequence))
            sent_s = 18.0 + sequence * 0.3 + chance.random() * 0.1
            rows.append(Record(sent_s, Kind.SENT, author, node, offered, 310 + sequence))
        size = (310 if apart else 300) + sequence
        arrived_s = sent_s + 0.02 + chance.random() * 0.1
        rows.append(Record(arrived_s, Kind.DELIVERED, node, author, offered, size))
        rows.append(Record(arrived_s + 0.01, Kind.APPENDED, node, author, author, sequence))
        notes = MESSAGE_NAMES.index("EbtNotes")
        rows.append(Record(arrived_s + 0.02, Kind.SENT, node, author, notes, 40))
        rows.append(Record(arrived_s + 0.06, Kind.DELIVERED, author, node, notes, 40))
    return rows


def packed(rows: list[Record]) -> bytes:
    trace = Trace(keep=True)
    for row in rows:
        trace.add(row)
    trace.hexdigest()
    return trace.records()


RESULT: Mapping[str, object] = {
    "scenario": PLAN.scenario,
    "seed": PLAN.seed,
    "safety": "violated",
    "liveness": "ok",
    "violations": [VIOLATION],
    "trace_sha256": "ab" * 32,
    "messages": 1234,
    "bytes": 567890,
    "forks": {"made": 1, "proven": 1},
    "virtual_s": END_S,
    "cpu_s": 0.25,
}


def write_trace(
    path: Path,
    *,
    rows: list[Record] | None = None,
    header: Mapping[str, object] | None = None,
    result: Mapping[str, object] | None = None,
) -> Path:
    """`header`, `result`: what is to be other than usual."""
    usual = {
        "plan": asdict(PLAN),
        "commit": "0123abcd",
        "driver": "lean",
        "message_names": MESSAGE_NAMES,
        "found_names": {str(0x12345678): "Curiosity"},
    }
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("header.json", json.dumps(usual | dict(header or {})))
        file.writestr("records.bin", packed(everything() if rows is None else rows))
        file.writestr("result.json", json.dumps(dict(RESULT) | dict(result or {})))
    return path
