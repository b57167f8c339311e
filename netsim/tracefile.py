"""A run in a file that repeats it: a zip with header.json, records.bin and result.json.

docs/netsim.md describes the format for those who read it with other programs.
"""

import dataclasses
import json
import platform
import zipfile
from dataclasses import dataclass
from pathlib import Path

import trio

from netsim.commit import code_commit
from netsim.plan import Plan
from netsim.running import Outcome
from netsim.scenario import draw, load, to_toml
from netsim.trace import FIELDS, MESSAGE_NAMES, RECORD, Kind, name_hash
from netsim.verdict import Result
from netsim.words import Words
from qbix_node.errors import BadInput, Malformed
from qbix_node.wire import v8json
from qbix_node.wire.v8json import JsonValue

_KIND_AT = 8  # bytes from the beginning of a record
FORMAT = "netsim trace 1"


@dataclass(frozen=True, slots=True)
class TraceFile:
    header: Result
    records: bytes
    result: Result

    @property
    def driver(self) -> str:
        return str(self.header["driver"])

    @property
    def commit(self) -> str:
        return str(self.header["commit"])

    def words(self) -> Words:
        """For its records."""
        carried, found = self.header.get("message_names"), self.header.get("found_names")
        return Words(
            self.plan(),
            carried if isinstance(carried, list) else (),
            found if isinstance(found, dict) else {},
        )

    def plan(self) -> Plan:
        """Raises BadInput."""
        seed = self.header["seed"]
        assert isinstance(seed, int)
        text = str(self.header["plan_toml"])
        return draw(load(text, str(self.header["scenario"])), seed)


def make_trace(outcome: Outcome, driver: str, command: str, result: Result) -> TraceFile:
    """`outcome`: with its records."""
    plan = outcome.plan
    header: Result = {
        "format": FORMAT,
        "scenario": plan.scenario,
        "seed": plan.seed,
        "commit": code_commit(),
        "driver": driver,
        "command": command,
        **versions(),
        "record": RECORD.format,
        "fields": list(FIELDS),
        "kinds": {kind.name: int(kind) for kind in Kind},
        "message_names": list(MESSAGE_NAMES),
        "found_names": {str(name_hash(name)): name for name in outcome.told},
        "plan": _plain(plan),
        "plan_toml": to_toml(plan),
    }
    return TraceFile(header, outcome.records, result)


def versions() -> dict[str, str]:
    """Of what a run may depend on, besides the commit."""
    return {"python": platform.python_version(), "trio": trio.__version__}


def _plain(plan: Plan) -> JsonValue:
    """What is in the plan, for programs that do not read scenarios."""
    fields = dataclasses.asdict(dataclasses.replace(plan, settings=dict(plan.settings)))
    return v8json.parse(json.dumps(fields).encode(), "a plan")


def write(path: Path, trace: TraceFile) -> None:
    """Raises OSError."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", v8json.stringify(trace.header))
        archive.writestr("records.bin", trace.records)
        archive.writestr("result.json", v8json.stringify(trace.result))


def read(path: Path) -> TraceFile:
    """Raises BadInput."""
    try:
        with zipfile.ZipFile(path) as archive:
            header = _object(archive.read("header.json"))
            records = archive.read("records.bin")
            result = _object(archive.read("result.json"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    except (zipfile.BadZipFile, KeyError, Malformed) as error:
        hint = "netsim run SCENARIO --trace FILE writes one"
        raise BadInput(f"{path} is no trace: {error}", hint=hint) from error
    needed = ("scenario", "seed", "commit", "driver", "plan_toml")
    if header.get("format") != FORMAT or any(key not in header for key in needed):
        raise BadInput(f"{path}: its format is {header.get('format')!r}, not {FORMAT!r}")
    if not isinstance(header["seed"], int) or len(records) % RECORD.size:
        raise BadInput(f"{path} is damaged: its records are cut off, or its seed is no number")
    _refuse_unknown_kinds(path, records)
    return TraceFile(header, records, result)


def _refuse_unknown_kinds(path: Path, records: bytes) -> None:
    low, high = records[_KIND_AT :: RECORD.size], records[_KIND_AT + 1 :: RECORD.size]
    unknown = {kind + 256 * more for kind, more in set(zip(low, high, strict=True))} - {*Kind}
    if unknown:
        raise BadInput(f"{path} has records of a kind that is not known here: {min(unknown)}")


def _object(text: bytes) -> Result:
    value = v8json.parse(text, "a part of a trace")
    if not isinstance(value, dict):
        raise Malformed("a part of a trace is no object")
    return value
