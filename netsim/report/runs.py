"""Reads a trace file into what the page of one run shows.

A trace file is a zip with header.json (the plan and where it comes from), records.bin
(netsim.trace) and result.json (the verdict).
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from netsim.plan import Do
from netsim.report.fields import Fields, parse
from netsim.report.thinning import thin
from netsim.trace import NOBODY, RECORD, Kind
from qbix_node.errors import BadInput

_JSON_BYTES_MAX = 256 << 20
_RECORDS_BYTES_MAX = 4 << 30


@dataclass(frozen=True, slots=True)
class RunShown:
    name: str
    data: dict[str, object]
    records: bytes


def read_run(path: Path) -> RunShown:
    try:
        with zipfile.ZipFile(path) as file:
            header = parse(_read(file, "header.json", _JSON_BYTES_MAX), "header.json")
            result = parse(_read(file, "result.json", _JSON_BYTES_MAX), "result.json")
            records = _read(file, "records.bin", _RECORDS_BYTES_MAX)
    except (KeyError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{path} is no trace of a run: {error}") from error
    if len(records) % RECORD.size:
        raise BadInput(f"{path} is no trace of a run: its last record is cut off")
    return _show(header, result, records)


def _read(file: zipfile.ZipFile, name: str, bytes_max: int) -> bytes:
    if file.getinfo(name).file_size > bytes_max:
        raise BadInput(f"{name} is larger than {bytes_max} bytes")
    return file.read(name)


def _show(header: Fields, result: Fields, records: bytes) -> RunShown:
    plan = header.inner("plan")
    scenario = plan.text("scenario") or result.text("scenario") or "a run"
    seed = plan.text("seed") or result.text("seed")
    thinned = thin(records)
    data: dict[str, object] = {
        "scenario": scenario,
        "seed": seed,
        "commit": header.text("commit") or result.text("commit"),
        "driver": header.text("driver") or result.text("driver"),
        "command": _command(header, result, scenario, seed),
        "plan": _plan(plan),
        "result": _result(result),
        "messageNames": header.texts("message_names"),
        "foundNames": dict(header.inner("found_names").named()),
        "records": len(records) // RECORD.size,
        "thinned": {"packets": thinned.packets, "appends": thinned.appends},
        "kinds": {kind.name: kind.value for kind in Kind},
        "dos": [do.value for do in Do],
        "nobody": NOBODY,
    }
    return RunShown(f"{scenario}, seed {seed}", data, thinned.records)


def _command(header: Fields, result: Fields, scenario: str, seed: str) -> str:
    told = result.text("command") or header.text("command")
    return told or f"python -m netsim run {scenario} --seed {seed}"


def _plan(plan: Fields) -> dict[str, object]:
    return {
        "duration": plan.number("duration_s") or 0.0,
        "nodes": [
            {
                "number": each.whole("number") or 0,
                "role": each.text("role") or "honest",
                "follows": each.wholes("follows"),
            }
            for each in plan.rows("nodes")
        ],
        "operations": [
            {
                "at": each.number("at_s") or 0.0,
                "node": each.whole("node"),
                "do": each.text("do"),
                "target": each.whole("target"),
                "number": each.whole("number") or 0,
                "size": each.whole("size") or 0,
            }
            for each in plan.rows("operations")
        ],
        "faults": [
            {
                "at": each.number("at_s") or 0.0,
                "for": each.number("for_s") or 0.0,
                "fault": each.text("fault"),
                "nodes": each.wholes("nodes"),
                "amount": each.number("amount") or 0.0,
            }
            for each in plan.rows("faults")
        ],
    }


def _result(result: Fields) -> dict[str, object]:
    forks = result.inner("forks")
    return {
        "safety": result.text("safety"),
        "liveness": result.text("liveness"),
        "traceSha256": result.text("trace_sha256"),
        "violations": [
            {
                "check": each.text("check"),
                "spec": each.text("spec"),
                "at": each.number("at_s") or 0.0,
                "node": each.whole("node"),
                "what": each.text("what"),
            }
            for each in result.rows("violations")
        ],
        "stalled": [
            " — ".join(filter(None, (each.text("what"), each.text("spec"))))
            for each in result.rows("stalled")
        ],
        "missing": result.texts("missing"),
        "events": dict((result.inner("sometimes")).counts())
        | dict(result.inner("events").counts()),
        "forksMade": forks.whole("made"),
        "forksProven": forks.whole("proven"),
        "messages": result.whole("messages"),
        "bytes": result.whole("bytes"),
        "virtual": result.number("virtual_s"),
        "cpu": result.number("cpu_s"),
    }
