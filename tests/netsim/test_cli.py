"""The simulator's commands: what they print, and how they end."""

import dataclasses
import errno
import io
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from netsim import tracefile
from netsim.checks import Complaint, Violation
from netsim.cli import progress
from netsim.cli.files import replacing
from netsim.cli.main import commands, run
from netsim.cli.outcome import outcome_lines
from netsim.cli.size import warn_of_size
from netsim.job import make_job
from netsim.loop import Loop
from netsim.scenario import library
from netsim.trace import RECORD
from netsim.verdict import Verdict, verdict_of
from qbix_node.cli.output import Output
from qbix_node.cli.program import LazyGroup
from qbix_node.errors import Temporary
from tests.netsim.scenarios import EXPECTING, HOPING, STALLED, WELL, written

Captured = pytest.CaptureFixture[str]

BUSY = "[workload]\nmessages = 6\n"

# DESIGN fixes these names: programs read them.
FIELDS = {
    *("scenario", "seed", "commit", "nodes", "trace_sha256", "safety", "liveness"),
    *("violations", "sometimes", "forks", "finality_s", "messages", "bytes", "virtual_s", "cpu_s"),
}


@pytest.fixture
def well(tmp_path: Path) -> str:
    return str(written(tmp_path, WELL))


def test_help_names_every_command(capsys: Captured) -> None:
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    for name in ("list", "run", "sweep", "summary", "replay", "minimise", "report", "defects"):
        assert f"\n  {name} " in told


@pytest.mark.parametrize("name", [*commands.list_commands(click.Context(commands)), "trace dump"])
def test_every_command_explains_itself_and_is_documented(name: str, capsys: Captured) -> None:
    assert run([*name.split(), "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: python -m netsim {name} ")
    page = Path(__file__).parents[2] / "docs/netsim.md"
    assert f"python -m netsim {name}" in page.read_text()


def test_help_imports_no_driver() -> None:
    script = (
        "import sys\n"
        "from netsim.cli.main import run\n"
        "run(['--help'])\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert {"trio", "nacl", "netsim.lean", "distributed"} & set(ended.stderr.split()) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["run"],
        ["run", "x", "--driver", "nosuch"],
        ["run", "x", "--nodes", "0"],
        ["sweep", "x", "--out", "f"],
        ["sweep", "x", "--out", "f", "--seeds", "5"],
        ["sweep", "x", "--out", "f", "--seeds", "5:5"],
        ["sweep", "x", "--out", "f", "--seeds", "0:9", "--shard", "0/3"],
        ["sweep", "x", "--out", "f", "--seeds", "0:9", "--shard", "4/3"],
        ["sweep", "x", "--out", "f", "--seeds", "0:99999999999999999999"],
        ["sweep", "x", "--out", "f", "--seeds", "99999999999999999999:99999999999999999999999"],
        ["sweep", "x", "--out", "f", "--seeds", "0:9", "--patience", "inf"],
        ["sweep", "x", "--out", "f", "--seeds", "0:9", "--patience", "nan"],
        ["sweep", "x", "--out", "f", "--seeds", "0:9", "--patience", "0"],
        ["sweep", "x", "--out", "f", "--seeds", "0:9", "--patience", "-1"],
        ["sweep", "x", "--out", "/dev/full", "--seeds", "0:9"],
        ["run", "x", "--trace", "/dev/full"],
        ["run", "x", "--trace", "/nosuch/folder"],
        ["run", "x", "--seed", "99999999999999999999"],
        ["minimise", "x", "--seed", "1", "--out", "/nosuch/folder.toml"],
        ["report", "x", "--html", "/dev/full"],
        ["summary"],
        ["replay"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: Captured) -> None:
    assert run(arguments) == 2
    assert "Usage: python -m netsim" in capsys.readouterr().err


def test_a_setting_without_a_value_is_wrong_usage(well: str, capsys: Captured) -> None:
    assert run(["run", well, "--set", "nosuch"]) == 2
    assert "e.g. --set links.loss=0.1" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["name =", "name = 'x'\n[run]\nnodes = 4\nduration_s = -1\n"])
def test_a_bad_scenario_ends_with_65_and_says_where(
    text: str, tmp_path: Path, capsys: Captured
) -> None:
    assert run(["run", str(written(tmp_path, text))]) == 65
    assert "scenario.toml: " in capsys.readouterr().err


def test_a_setting_that_the_driver_ignores_ends_with_65(tmp_path: Path, capsys: Captured) -> None:
    scenario = str(written(tmp_path, WELL + "[settings]\nwrite_patience_s = 3\n"))
    assert run(["run", scenario]) == 65
    assert "settings.write_patience_s is ignored by the lean driver" in capsys.readouterr().err
    assert run(["run", scenario, "--driver", "trio"]) == 0


def test_a_scenario_that_is_not_there_ends_with_65(capsys: Captured) -> None:
    assert run(["run", "nosuch"]) == 65
    assert "`list`" in capsys.readouterr().err


def test_the_library_is_listed(capsys: Captured) -> None:
    assert run(["list", "--json"]) == 0
    for each in json.loads(capsys.readouterr().out):
        assert each["name"]
        assert each["nodes"]["min"] <= each["nodes"]["max"]
        assert each["drivers"]
    assert run(["list"]) == 0


def test_a_broken_scenario_does_not_hide_the_others(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "_LIBRARY", tmp_path)
    (tmp_path / "well.toml").write_text(WELL)
    (tmp_path / "moved.toml").write_text(WELL)
    (tmp_path / "broken.toml").write_text("name =")
    assert run(["list"]) == 65
    told = capsys.readouterr()
    assert [line.split()[0] for line in told.out.splitlines()] == ["well"]
    assert "error: broken: is no TOML" in told.err
    assert "error: moved: name: 'moved', as its file, is expected, not 'well'" in told.err
    assert run(["run", "moved"]) == 65
    assert run(["run", "well"]) == 0
    assert run(["run", "wel"]) == 65
    assert "there is no scenario 'wel'; is well meant?" in capsys.readouterr().err


def test_a_python_that_lacks_packages_is_no_bug(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(commands, LazyGroup)
    monkeypatch.setattr(type(commands), "table", {"run": ("nosuchpackage:run", "")})
    assert run(["run", "x"]) == 2
    told = capsys.readouterr().err
    assert "has no package nosuchpackage" in told
    assert ".venv" in told


def test_a_run_that_ends_well(well: str, capsys: Captured) -> None:
    assert run(["run", well, "--seed", "7"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("ok\n")
    assert "faults    1: cut" in told.out
    assert f"python -m netsim run {well} --seed 7" in told.err


def test_a_result_has_all_that_programs_read(well: str, capsys: Captured) -> None:
    assert run(["run", well, "--seed", "7", "--nodes", "5", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) >= FIELDS
    assert (result["scenario"], result["seed"], result["nodes"]) == ("well", 7, 5)
    assert (result["safety"], result["liveness"]) == ("ok", "ok")
    assert result["forks"] == {"made": 0, "proven": 0, "detection_s": {"p50": None, "p99": None}}
    assert result["finality_s"] == {"p50": None, "p99": None}
    assert result["overrides"] == {"nodes": 5, "set": {}}
    assert result["command"] == f"python -m netsim run {well} --seed 7 --nodes 5"


@pytest.mark.parametrize("driver", ["lean", "trio"])
def test_it_is_measured_how_long_a_fork_stays_undiscovered(driver: str, capsys: Captured) -> None:
    assert run(["run", "fork_unequal_length", "--seed", "1", "--driver", driver, "--json"]) == 0
    forks = json.loads(capsys.readouterr().out)["forks"]
    assert 1 <= forks["proven"] <= forks["made"]
    assert 0 < forks["detection_s"]["p50"] <= forks["detection_s"]["p99"]


def test_the_printed_command_repeats_the_run(well: str, capsys: Captured) -> None:
    given = [
        "run",
        well,
        "--seed",
        "3",
        "--driver",
        "lean",
        "--set",
        "links.jitter_s=0.1",
        "--json",
    ]
    assert run(given) == 0
    first = json.loads(capsys.readouterr().out)
    command = first["command"].removeprefix("python -m netsim ").split()
    assert command == given[:-1]
    assert run([*command, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {**again, "cpu_s": 0} == {**first, "cpu_s": 0}


def test_what_does_not_come_right_ends_with_11(tmp_path: Path, capsys: Captured) -> None:
    file = written(tmp_path, STALLED)
    assert run(["run", str(file), "--seed", "5"]) == 11
    told = capsys.readouterr().out
    assert "not settled: " in told
    assert_said_first_and_last(told, f"repeat it: python -m netsim run {file} --seed 5")


def test_it_is_said_how_much_more_did_not_come_right(tmp_path: Path, capsys: Captured) -> None:
    file = written(tmp_path, STALLED)
    assert run(["run", str(file), "--nodes", "20"]) == 11
    assert re.search(r"not settled: \d+ more things like these\n", capsys.readouterr().out)
    assert run(["run", str(file), "--nodes", "20", "--json"]) == 11
    result = json.loads(capsys.readouterr().out)
    assert len(result["stalled"]) == 20 < result["stalled_count"]


def test_only_what_happened_is_among_the_events(tmp_path: Path, capsys: Captured) -> None:
    file = written(tmp_path, WELL.replace('"cut"', '"crash"'))
    assert run(["run", str(file), "--json"]) == 0
    events = json.loads(capsys.readouterr().out)["events"]
    assert events["node crashed"] == 1
    assert 0 not in events.values()


def test_an_expected_event_that_never_happened_ends_with_12(
    tmp_path: Path, capsys: Captured
) -> None:
    assert run(["run", str(written(tmp_path, EXPECTING))]) == 12
    told = capsys.readouterr().out
    assert "never happened: fork found" in told
    assert_said_first_and_last(told, "--seed 0")


def test_what_only_a_sweep_expects_need_not_be_in_a_run(tmp_path: Path) -> None:
    assert run(["run", str(written(tmp_path, HOPING))]) == 0


def test_what_never_may_happen_comes_first_and_ends_with_10(well: str) -> None:
    job = make_job(well, settings=["links.loss=0.1"])
    outcome = dataclasses.replace(
        job.run(4),
        violations=(Violation("append-only", "spec/storage.md 1", 3.5, 2, "a message went"),),
        unsettled=(Complaint("spec/page.md 1: All have it.", "node 1 lacks a feed"),),
    )
    assert verdict_of(outcome) is Verdict.SAFETY
    result = job.result(4, outcome)
    assert (result["exit"], result["safety"], result["liveness"]) == (10, "violated", "stalled")
    told = "\n".join(outcome_lines(result, Output()))
    assert "3.500 s, node 2: append-only\n  a message went\n  spec/storage.md 1" in told
    assert_said_first_and_last(told, f"run {well} --seed 4 --set links.loss=0.1")


def test_a_failure_with_json_is_told_to_a_person_too(tmp_path: Path, capsys: Captured) -> None:
    assert run(["run", str(written(tmp_path, EXPECTING)), "--json"]) == 12
    told = capsys.readouterr()
    assert json.loads(told.out)["missing"] == ["fork found"]
    assert "repeat it: python -m netsim run" in told.err


def test_a_trace_is_kept_repeated_and_dumped(well: str, tmp_path: Path, capsys: Captured) -> None:
    kept = tmp_path / "kept.trace"
    assert run(["run", well, "--seed", "2", "--trace", str(kept)]) == 0
    assert run(["replay", str(kept)]) == 0
    assert "the same: trace " in capsys.readouterr().out
    assert run(["trace", "dump", str(kept), "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(records) * RECORD.size == len(tracefile.read(kept).records)
    assert {
        key: value
        for record in records
        if record["kind"] == "asked"
        for key, value in record.items()
        if key in ("at_s", "kind", "node")
    } == {"at_s": 1, "kind": "asked", "node": 0}


def test_a_dump_can_be_of_one_node_and_kind(well: str, tmp_path: Path, capsys: Captured) -> None:
    kept = tmp_path / "kept.trace"
    assert run(["run", well, "--trace", str(kept)]) == 0
    capsys.readouterr()
    assert run(["trace", "dump", str(kept), "--node", "0", "--kind", "published"]) == 0
    assert capsys.readouterr().out.split("s  ")[1:] == ["node 0    published message 1\n"]
    assert run(["trace", "dump", str(kept), "--node", "99"]) == 2
    assert "there is no node 99\n  nodes: 0 to 3" in capsys.readouterr().err


def test_a_failing_seed_is_made_smaller(tmp_path: Path, capsys: Captured) -> None:
    smaller = tmp_path / "smaller.toml"
    given = ["minimise", str(written(tmp_path, STALLED)), "--seed", "0"]
    assert run([*given, "--out", str(smaller)]) == 0
    assert f"run it: python -m netsim run {smaller} --driver lean" in capsys.readouterr().err
    assert run(["run", str(smaller), "--json"]) == 11
    result = json.loads(capsys.readouterr().out)
    assert (result["nodes"], result["scenario"]) == (2, "smaller")
    assert run(given) == 0
    printed = capsys.readouterr().out
    assert 'about = "Written out from well, seed 0."' in printed
    assert printed.replace('name = "well"', 'name = "smaller"') == smaller.read_text()


def test_what_does_not_fail_is_not_made_smaller(well: str, capsys: Captured) -> None:
    assert run(["minimise", well, "--seed", "0"]) == 1
    told = capsys.readouterr()
    assert "seed 0 does not fail" in told.err
    assert told.out == ""


def test_a_seed_that_only_lacks_an_event_is_not_made_smaller(
    tmp_path: Path, capsys: Captured
) -> None:
    assert run(["minimise", str(written(tmp_path, EXPECTING)), "--seed", "0"]) == 1
    assert "an empty plan lacks it as well" in capsys.readouterr().err


def test_a_report_is_one_page(well: str, tmp_path: Path, capsys: Captured) -> None:
    kept, page = tmp_path / "kept.trace", tmp_path / "page.html"
    assert run(["run", well, "--trace", str(kept)]) == 0
    assert run(["report", str(kept), "--html", str(page)]) == 0
    assert page.read_text().startswith("<!doctype html>")
    assert run(["report", well, "--html", str(page)]) == 65


@pytest.mark.usefixtures("ctrl_c_counts")
@pytest.mark.parametrize("driver", ["lean", "trio"])
def test_ctrl_c_ends_a_run_with_130_and_no_traceback(driver: str, tmp_path: Path) -> None:
    file = written(tmp_path, WELL.replace("duration_s = 12", "duration_s = 50_000") + BUSY)
    command = [sys.executable, "-m", "netsim", "run", str(file), "--driver", driver]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        running.stderr.readline()
        time.sleep(1.5)  # it is in the middle, after trio and all else were imported
        running.send_signal(signal.SIGINT)
        told = running.communicate(timeout=30)[1]
    assert running.returncode == 130
    assert "Traceback" not in told


def test_a_bug_of_the_simulator_is_told_first_and_last_with_what_repeats_it(
    well: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Loop, "step", lambda _: 1 // 0)
    assert run(["run", well, "--seed", "3"]) == 70
    lines = capsys.readouterr().err.splitlines()[2:]
    assert lines[:3] == lines[-3:]
    assert lines[0] == "FAILED: a bug of the simulator (exit 70)"
    assert lines[1].startswith("  scenario well, seed 3, commit ")
    assert lines[2] == f"  repeat it: python -m netsim run {well} --seed 3"
    assert "a bug in netsim (ZeroDivisionError" in lines[3]


def test_progress_of_a_run_is_for_terminals(well: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "PERIOD_S", 0.001)
    with progress.shown(Output(), "running") as watch:
        make_job(well).run(1, watch=watch)
    assert "\r\x1b[Krunning: " in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert watch.said().endswith("until it settles, at most 120 s")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_more_nodes_than_trio_is_made_for_are_warned_of(well: str, capsys: Captured) -> None:
    for driver, nodes, warned in (("trio", 201, 1), ("trio", 200, 0), ("lean", 201, 0)):
        warn_of_size(make_job(well, driver=driver, nodes=nodes), 1)
        assert capsys.readouterr().err.count(f"warning: {nodes} nodes") == warned


def test_what_is_read_is_not_overwritten(well: str, tmp_path: Path, capsys: Captured) -> None:
    before, kept = Path(well).read_bytes(), tmp_path / "kept.trace"
    assert run(["run", well, "--trace", str(kept)]) == 0
    trace = kept.read_bytes()
    assert run(["run", well, "--trace", well]) == 2
    assert run(["minimise", well, "--seed", "1", "--out", well]) == 2
    assert run(["sweep", well, "--seeds", "0:2", "--out", well]) == 2
    assert run(["report", str(kept), "--html", str(kept)]) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert (Path(well).read_bytes(), kept.read_bytes()) == (before, trace)


def test_what_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "old.html"
    file.write_text("old")

    def write_half() -> None:
        with replacing(file) as part:
            part.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Temporary, match="No space left"):
        write_half()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_planted_defect_is_caught(capsys: Captured) -> None:
    assert run(["defects", "fork comparison skipped"]) == 0
    assert capsys.readouterr().out.startswith("caught  fork comparison skipped by ")
    assert run(["defects", "fork comparison skipped", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["caught"] is True


def test_a_planted_defect_is_looked_for_in_the_seeds_of_a_scenario(
    well: str, capsys: Captured
) -> None:
    name = "private content left open"
    search = ["defects", name, "--jobs", "1", "--in"]
    assert run([*search, "quick", "--seeds", "0:60", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["caught"], found["where"]) == (True, "quick")
    assert run([*search, well, "--seeds", "3:5"]) == 1
    told = capsys.readouterr().out
    assert told.startswith(f"MISSED  {name}: ")
    assert "2 seeds, 3 to 4; commit " in told
    assert f"defects '{name}' --in {well} --seeds 3:5" in told


def test_a_defect_that_no_scenario_reaches_says_why(well: str, capsys: Captured) -> None:
    name = "nobody asked after a source left"
    assert run(["defects", name, "--jobs", "1", "--in", well]) == 0
    assert capsys.readouterr().out.startswith(f"tailored only  {name}: it takes a block, ")


def test_an_unknown_defect_is_answered_with_what_may_be_meant(capsys: Captured) -> None:
    assert run(["defects", "fork-comparison"]) == 2
    assert "'fork comparison skipped'" in capsys.readouterr().err
    assert run(["defects", "nonexist"]) == 2
    assert "netsim defects --list names them" in capsys.readouterr().err
    assert run(["defects", "--list"]) == 0
    assert "fork comparison skipped" in capsys.readouterr().out.splitlines()


def test_a_file_that_is_no_trace_ends_with_65(well: str, capsys: Captured) -> None:
    assert run(["replay", well]) == 65
    assert "is no trace" in capsys.readouterr().err


def assert_said_first_and_last(told: str, command: str) -> None:
    lines = [line for line in told.splitlines() if line]
    assert lines[:3] == lines[-3:]
    assert lines[0].startswith("FAILED")
    for word in ("scenario ", "seed ", "commit ", "trace "):
        assert word in lines[1]
    assert command in lines[2]
