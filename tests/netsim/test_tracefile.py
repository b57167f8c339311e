"""Trace files: what they hold, and what is refused."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from netsim import tracefile
from netsim.job import make_job
from netsim.plan import Fault, Plan, PlannedFault
from netsim.trace import NOBODY, RECORD, Kind, Record, name_hash
from netsim.tracefile import TraceFile
from netsim.words import Words
from qbix_node.errors import BadInput
from tests.netsim.scenarios import WELL, written


@pytest.fixture
def kept(tmp_path: Path) -> TraceFile:
    job = make_job(str(written(tmp_path, WELL)), settings=["links.jitter_s=0.02"])
    outcome = job.run(9, keep_trace=True)
    return tracefile.make_trace(outcome, job.driver, job.command(9), job.result(9, outcome))


def test_what_is_written_is_read(kept: TraceFile, tmp_path: Path) -> None:
    tracefile.write(tmp_path / "kept.trace", kept)
    read = tracefile.read(tmp_path / "kept.trace")
    assert read.records == kept.records
    assert read.plan() == kept.plan()
    assert read.result["trace_sha256"] == kept.result["trace_sha256"]


def test_the_plan_is_there_for_programs_that_read_no_scenarios(
    kept: TraceFile, tmp_path: Path
) -> None:
    tracefile.write(tmp_path / "kept.trace", kept)
    with zipfile.ZipFile(tmp_path / "kept.trace") as archive:
        header = json.loads(archive.read("header.json"))
    assert header["plan"]["nodes"][1]["number"] == 1
    assert header["plan"]["faults"][0]["fault"] == "cut"
    assert header["plan"]["operations"][0]["do"] == "publish"
    assert header["command"].endswith("--seed 9 --set links.jitter_s=0.02")
    assert header["fields"] == ["at_s", "kind", "node", "peer", "subject", "value"]
    assert header["kinds"]["SENT"] == 1


def spoil(text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(text)


def without(name: str) -> Callable[[Path], object]:
    def remake(file: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            parts = {each: archive.read(each) for each in archive.namelist() if each != name}
        with zipfile.ZipFile(file, "w") as archive:
            for each, content in parts.items():
                archive.writestr(each, content)

    return remake


def with_part(name: str, content: bytes) -> Callable[[Path], object]:
    def remake(file: Path) -> None:
        without(name)(file)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(name, content)

    return remake


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (spoil("no zip"), "is no trace"),
        (without("records.bin"), "is no trace"),
        (without("header.json"), "is no trace"),
        (with_part("header.json", b"[]"), "is no trace"),
        (with_part("header.json", b'{"format":"netsim trace 99"}'), "netsim trace 99"),
        (with_part("records.bin", bytes(RECORD.size + 1)), "cut off"),
        (Path.unlink, "No such file"),
    ],
)
def test_what_is_no_trace_is_refused(
    damage: Callable[[Path], object], said: str, kept: TraceFile, tmp_path: Path
) -> None:
    file = tmp_path / "kept.trace"
    tracefile.write(file, kept)
    damage(file)
    with pytest.raises(BadInput, match=said):
        tracefile.read(file)


PLAN = Plan("x", 0, (), 1.0, 1.0, faults=(PlannedFault(1, 2, Fault.ONE_WAY),))
WORDS = Words(PLAN, ("bytes", "Want"), {str(name_hash("Gone")): "Gone"})


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (Record(1, Kind.SENT, 3, 4, 1, 99), "sent Want to node 4, 99 bytes"),
        (Record(1, Kind.SENT, 3, NOBODY, 77, 99), "sent number 77 to nobody, 99 bytes"),
        (Record(1, Kind.LINK_UP, 3, 4, 1, 0), "reached node 4"),
        (Record(1, Kind.LINK_UP, 3, 4, 0, 0), "was reached by node 4"),
        (Record(1, Kind.STARTED, 3, NOBODY, NOBODY, 0), "started after a crash"),
        (Record(1, Kind.ASKED, 3, NOBODY, 0, 2), "was asked to publish (2)"),
        (Record(1, Kind.FAULT_BEGAN, 3, NOBODY, 0, 0), "one_way began"),
        (Record(1, Kind.FOUND, 3, NOBODY, name_hash("Gone"), 0), "told of Gone"),
    ],
)
def test_a_record_in_words(record: Record, said: str) -> None:
    assert WORDS.of(record) == said
    assert WORDS.line(record) == f"    1.000000 s  node 3    {said}"


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_record_has_words(kind: Kind) -> None:
    assert WORDS.of(Record(1, kind, 3, NOBODY, NOBODY, 0))
