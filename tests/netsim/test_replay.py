"""Replays: a trace comes out the same, or it is said where it does not."""

import dataclasses
import json
from hashlib import sha256
from pathlib import Path

import pytest

from netsim import tracefile
from netsim.cli.main import run
from netsim.job import make_job
from netsim.replay import Difference, compare
from netsim.trace import NOBODY, RECORD, Kind, Record
from netsim.tracefile import TraceFile
from tests.netsim.scenarios import WELL, written

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def kept(tmp_path: Path) -> TraceFile:
    job = make_job(str(written(tmp_path, WELL)))
    outcome = job.run(1, keep_trace=True)
    return tracefile.make_trace(outcome, job.driver, job.command(1), job.result(1, outcome))


def replayed(folder: Path, trace: TraceFile, *more: str) -> int:
    tracefile.write(folder / "kept.trace", trace)
    return run(["replay", str(folder / "kept.trace"), *more])


@pytest.mark.parametrize("driver", ["lean", "trio"])
def test_both_drivers_repeat_a_trace(driver: str, tmp_path: Path) -> None:
    job = make_job(str(written(tmp_path, WELL)), driver=driver)
    outcome = job.run(1, keep_trace=True)
    trace = tracefile.make_trace(outcome, job.driver, job.command(1), job.result(1, outcome))
    assert replayed(tmp_path, trace) == 0


def test_the_first_difference_is_told_in_words(
    kept: TraceFile, tmp_path: Path, capsys: Captured
) -> None:
    invented = RECORD.pack(0.5, Kind.PUBLISHED, 2, NOBODY, 2, 7)
    records = kept.records[: 3 * RECORD.size] + invented + kept.records[4 * RECORD.size :]
    assert replayed(tmp_path, dataclasses.replace(kept, records=records)) == 1
    first, then, now = capsys.readouterr().out.splitlines()[5:8]
    assert first == "another run: the first 3 records are the same, then"
    assert then.split(maxsplit=3)[3] == "0.500000 s  node 2    published message 7"
    assert now.strip().startswith("now ")


def test_a_difference_for_programs(kept: TraceFile, tmp_path: Path, capsys: Captured) -> None:
    shorter = dataclasses.replace(kept, records=kept.records[: -RECORD.size])
    assert replayed(tmp_path, shorter, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["same"] is False
    assert told["difference"]["then"] is None
    assert told["difference"]["now"]["kind"]


def test_another_commit_is_warned_of(kept: TraceFile, tmp_path: Path, capsys: Captured) -> None:
    older = dataclasses.replace(kept, header={**kept.header, "commit": "0123456789ab"})
    assert replayed(tmp_path, older) == 0
    assert capsys.readouterr().err.startswith("warning: the trace is of commit 0123456789ab")


def test_a_record_of_a_kind_that_is_not_known_is_no_bug(
    kept: TraceFile, tmp_path: Path, capsys: Captured
) -> None:
    strange = RECORD.pack(0.5, 0x0163, 2, NOBODY, 2, 7)
    assert replayed(tmp_path, dataclasses.replace(kept, records=kept.records + strange)) == 65
    assert "kept.trace has records of a kind that is not known here: 355" in capsys.readouterr().err


def test_another_python_or_trio_is_warned_of(
    kept: TraceFile, tmp_path: Path, capsys: Captured
) -> None:
    older = dataclasses.replace(kept, header={**kept.header, "python": "3.9.1", "trio": "0.1"})
    assert replayed(tmp_path, older) == 0
    told = capsys.readouterr().err
    assert "warning: the trace is of python 3.9.1, this is" in told
    assert "warning: the trace is of trio 0.1, this is" in told


def test_another_run_is_told_first_and_last_with_what_repeats_it(
    kept: TraceFile, tmp_path: Path, capsys: Captured
) -> None:
    first = RECORD.unpack(kept.records[: RECORD.size])
    changed = RECORD.pack(*first[:5], 7) + kept.records[RECORD.size :]
    trace = dataclasses.replace(kept, records=changed)
    assert replayed(tmp_path, trace) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == lines[-4:]
    assert lines[0] == "FAILED: another run (exit 1)"
    assert lines[1].startswith("  scenario well, seed 1, commit ")
    was, now = str(kept.result["trace_sha256"]), trace.records
    assert lines[2] == f"  trace then {sha256(now).hexdigest()}, now {was}"
    assert lines[3].startswith("  repeat it: python -m netsim run ")


def test_records_that_read_alike_are_told_apart_by_their_fields(
    kept: TraceFile, tmp_path: Path, capsys: Captured
) -> None:
    place = next(
        place
        for place in range(0, len(kept.records), RECORD.size)
        if RECORD.unpack_from(kept.records, place)[1] == Kind.HEALED
    )
    row = RECORD.unpack_from(kept.records, place)
    changed = RECORD.pack(*row[:5], row[5] + 9)
    records = kept.records[:place] + changed + kept.records[place + RECORD.size :]
    assert replayed(tmp_path, dataclasses.replace(kept, records=records)) == 1
    assert "they differ in value: 9 in the trace, 0 now" in capsys.readouterr().out


@pytest.mark.parametrize("place", [0, 1, 4095, 4096, 9999])
def test_a_difference_is_found_wherever_it_is(place: int) -> None:
    then = [RECORD.pack(n, Kind.HEALED, 0, 0, 0, 0) for n in range(10_000)]
    now = [*then]
    now[place] = RECORD.pack(place, Kind.FAILED, 0, 0, 0, 0)
    found = compare(b"".join(then), b"".join(now))
    assert found == Difference(
        place, Record(place, Kind.HEALED, 0, 0, 0, 0), Record(place, Kind.FAILED, 0, 0, 0, 0)
    )
    assert compare(b"".join(then), b"".join(then[:place])) == Difference(
        place, Record(place, Kind.HEALED, 0, 0, 0, 0), None
    )
