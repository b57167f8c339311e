"""Sweeps: what is run, what is kept, what they conclude, and what they survive."""

import json
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import pytest

from netsim import workers
from netsim.cli.main import run
from netsim.job import Job, make_job
from netsim.running import Outcome
from netsim.summary import Summary, Tally, summarise
from netsim.sweep import ResultFile, Shard, open_results
from netsim.verdict import Result, Verdict, percentile, worst
from qbix_node.errors import BadInput, Temporary
from qbix_node.wire.v8json import JsonValue
from tests.netsim.scenarios import EXPECTING, HOPING, STALLED, WELL, written

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(str(written(tmp_path, WELL)))


def swept(scenario: Path, out: Path, *more: str, seeds: str = "0:4") -> int:
    return run(["sweep", str(scenario), "--seeds", seeds, "--out", str(out), "--jobs", "1", *more])


def fill(out: Path, job: Job, seeds: Iterable[int]) -> None:
    """As a sweep would."""
    with closing(open_results(out, job.identity())) as results:
        for seed in seeds:
            results.add(job.attempt(seed))


def seeds_in(file: Path) -> list[int]:
    return [json.loads(line)["seed"] for line in file.read_text().splitlines()]


# ---- What it runs ----


def test_a_line_a_seed_and_the_same_traces_as_single_runs(
    tmp_path: Path, job: Job, capsys: Captured
) -> None:
    out = tmp_path / "out.jsonl"
    assert swept(Path(job.given), out, "--json") == 0
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert [each["seed"] for each in results] == [0, 1, 2, 3]
    assert results[2]["trace_sha256"] == job.run(2).trace_sha256
    summary = json.loads(capsys.readouterr().out)
    assert (summary["seeds"], summary["failed"], summary["exit"]) == (4, 0, 0)


def test_shards_share_all_seeds_and_overlap_nowhere() -> None:
    shards = [Shard(number, 3).of(range(100, 110)) for number in (1, 2, 3)]
    assert [list(each) for each in shards] == [
        [100, 103, 106, 109],
        [101, 104, 107],
        [102, 105, 108],
    ]


def test_shards_are_summed_up(tmp_path: Path, job: Job, capsys: Captured) -> None:
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    fill(first, job, [0, 2])
    assert swept(Path(job.given), second, "--shard", "2/2") == 0
    assert seeds_in(second) == [1, 3]
    capsys.readouterr()
    assert run(["summary", str(first), str(second), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seeds"] == 4


# ---- What it keeps ----


def test_an_interrupted_sweep_goes_on_after_its_last_whole_line(tmp_path: Path, job: Job) -> None:
    out = tmp_path / "out.jsonl"
    fill(out, job, range(3))
    lines = out.read_bytes().splitlines(keepends=True)
    out.write_bytes(lines[0] + lines[1] + lines[2][:40])
    assert swept(Path(job.given), out) == 0
    assert out.read_bytes().startswith(lines[0] + lines[1])
    assert seeds_in(out) == [0, 1, 2, 3]


def test_a_longer_sweep_runs_only_what_lacks(tmp_path: Path, job: Job, capsys: Captured) -> None:
    out = tmp_path / "out.jsonl"
    fill(out, job, range(4))
    assert swept(Path(job.given), out, seeds="2:6") == 0
    assert seeds_in(out) == [0, 1, 2, 3, 4, 5]
    assert "2 to run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (["--nodes", "5"], "--nodes or --set: none of them, not --nodes 5"),
        (["--set", "links.loss=0.1"], "--nodes or --set: none of them, not --set links.loss=0.1"),
        (["--driver", "trio"], "driver: lean, not trio"),
    ],
)
def test_results_of_another_kind_are_refused(
    change: list[str], differs: str, tmp_path: Path, job: Job, capsys: Captured
) -> None:
    out = tmp_path / "out.jsonl"
    fill(out, job, [0])
    before = out.read_bytes()
    assert swept(Path(job.given), out, *change) == 65
    assert f"results of another {differs}" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_results_of_a_changed_scenario_are_refused(
    tmp_path: Path, job: Job, capsys: Captured
) -> None:
    out = tmp_path / "out.jsonl"
    fill(out, job, [0])
    changed = written(tmp_path, WELL.replace("at_s = 1", "at_s = 1.5"))
    assert swept(changed, out) == 65
    assert "results of another scenario_sha256" in capsys.readouterr().err


def test_results_of_another_commit_are_refused(tmp_path: Path, job: Job) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text(json.dumps({**job.attempt(0), "commit": "0123456789ab"}) + "\n")
    with pytest.raises(BadInput, match="another commit"):
        open_results(out, job.identity())


def test_results_are_told_not_kept(tmp_path: Path, job: Job) -> None:
    out, told = tmp_path / "out.jsonl", list[object]()
    fill(out, job, [0, 1])
    with closing(open_results(out, job.identity(), lambda each: told.append(each["seed"]))) as file:
        assert (file.lacking(range(3), 60.0), told) == ([2], [0, 1])
        file.add(job.attempt(2))
    assert told == [0, 1, 2]


@pytest.mark.parametrize("turn", [1, -1])
def test_of_a_seed_that_was_given_up_the_attempt_with_most_patience_counts(
    turn: int, job: Job
) -> None:
    short, longer, done = job.given_up(0, 5.0), job.given_up(0, 60.0), job.attempt(0)
    (failure,) = summarise([short, longer][::turn]).failures
    assert (failure.verdict, failure.what) == (Verdict.LIVENESS, "no end after 60 s of real time")
    assert summarise([longer, longer, short]).failures == (failure,)
    assert summarise([short, done, longer][::turn]) == summarise([done])


def test_a_tally_keeps_nothing_of_what_it_was_told(job: Job) -> None:
    tally, made = Tally(), [job.attempt(0) for _ in range(2)]
    watched = [_Watched(each) for each in made]
    gone = [weakref.ref(each) for each in watched]
    for each in watched:
        tally.add(each)
    del watched, each
    assert [ref() for ref in gone] == [None, None]
    assert tally.summary() == summarise(made)


class _Watched(dict[str, JsonValue]):
    """A result of which can be seen that it is kept."""


def test_another_file_is_not_overwritten(tmp_path: Path, job: Job) -> None:
    out = tmp_path / "diary.txt"
    out.write_text("Dear diary,\n")
    with pytest.raises(BadInput, match="line 1: this is no result"):
        open_results(out, job.identity())
    assert out.read_text() == "Dear diary,\n"


def test_two_sweeps_do_not_write_to_one_file(tmp_path: Path, job: Job) -> None:
    out = tmp_path / "out.jsonl"
    with (
        closing(open_results(out, job.identity())),
        pytest.raises(Temporary, match="another sweep"),
    ):
        open_results(out, job.identity())
    open_results(out, job.identity()).close()


def test_a_disk_that_is_full_is_no_bug(job: Job) -> None:
    told = list[Result]()
    full = ResultFile(FileIO("/dev/full", "r+"), told.append)
    with pytest.raises(Temporary, match="No space left"):
        full.add(job.attempt(0))
    full.close()
    assert told == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello", "line 1: this is no result"),
        (b"\x00\xff\x01", "line 1: this is no result"),
        (b'{"seed":3,"ex', "line 1: this is no result"),
        (b'{"seed":3,"exit":77}\n', "line 1: this is no result"),
    ],
)
def test_a_file_without_results_is_no_sweep(
    content: bytes, said: str, tmp_path: Path, job: Job, capsys: Captured
) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    fill(good, job, [0])
    bad.write_bytes(content)
    assert run(["summary", str(good), str(bad)]) == 65
    assert f"{bad}" in (told := capsys.readouterr().err)
    assert said in told


def test_seeds_that_lack_among_the_shards_are_warned_of(
    tmp_path: Path, job: Job, capsys: Captured
) -> None:
    out = tmp_path / "1.jsonl"
    fill(out, job, [0, 1, 3, 4])
    assert run(["summary", str(out)]) == 0
    assert "warning: 1 seed between the first and the last" in (told := capsys.readouterr().err)
    assert told.endswith(": 2\n")


def test_a_seed_that_was_given_up_is_run_again_with_more_patience(
    tmp_path: Path, job: Job, capsys: Captured
) -> None:
    out = tmp_path / "out.jsonl"
    with closing(open_results(out, job.identity())) as results:
        results.add(job.attempt(0))
        results.add(job.given_up(1, 5.0))
    assert swept(Path(job.given), out, "--patience", "5", seeds="0:2") == 11
    assert "0 to run" in capsys.readouterr().err
    assert swept(Path(job.given), out, "--patience", "60", seeds="0:2") == 0
    assert "1 to run" in capsys.readouterr().err
    assert seeds_in(out) == [0, 1, 1]
    assert run(["summary", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["failed"] == 0


@pytest.mark.usefixtures("ctrl_c_counts")
def test_ctrl_c_leaves_a_file_that_is_continued(tmp_path: Path, job: Job) -> None:
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "netsim", "sweep", job.given, "--jobs", "1", "--out", str(out)]
    sweep = subprocess.Popen(
        [*command, "--seeds", "0:100000"], stderr=subprocess.PIPE, start_new_session=True
    )
    with sweep:
        while not out.exists() or out.stat().st_size == 0:
            assert sweep.poll() is None
        os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does: to all processes
        _, told = sweep.communicate(timeout=30)
    assert sweep.returncode == 130
    assert b"Traceback" not in told
    assert b" of 100000 done; the same command goes on" in told
    with closing(open_results(out, job.identity())) as results:
        assert 0 not in results.lacking(range(1), 60.0)


# ---- What it survives ----


@dataclass(frozen=True, slots=True)
class _Deadly(Job):
    def attempt(self, seed: int) -> Result:
        if seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if seed == 2:  # Ctrl-C reaches all processes of a terminal; it is for the parent to decide
            os.kill(os.getpid(), signal.SIGINT)
        return self.failure(seed, Verdict.LIVENESS, "ran")


@dataclass(frozen=True, slots=True)
class _Endless(Job):
    def attempt(self, seed: int) -> Result:
        while True:
            pass


@dataclass(frozen=True, slots=True)
class _Telling(Job):
    def attempt(self, seed: int) -> Result:
        return self.failure(seed, Verdict.LIVENESS, str(os.getpid()))


@dataclass(frozen=True, slots=True)
class _Raising(Job):
    def run(self, seed: int, **_: object) -> Outcome:
        raise ZeroDivisionError("of nothing")


def all_of(job: Job, seeds: range, *, patience_s: float = 60.0, jobs: int = 1) -> list[Result]:
    return list(workers.results(job, seeds, jobs=jobs, patience_s=patience_s))


def test_a_worker_that_dies_costs_its_seed_only(job: Job) -> None:
    results = all_of(as_a(_Deadly, job), range(4))
    assert [each["seed"] for each in results] == [0, 1, 2, 3]
    assert [each["exit"] for each in results] == [11, 10, 11, 11]
    assert "SIGKILL" in str(results[1]["violations"])


def test_a_seed_without_an_end_is_given_up(job: Job) -> None:
    (result,) = all_of(as_a(_Endless, job), range(1), patience_s=0.3)
    assert (result["exit"], result["liveness"]) == (11, "stalled")
    assert result["stalled"] == [{"spec": "", "what": "no end after 0.3 s of real time"}]
    assert result["command"] == job.command(0)
    assert result["patience_s"] == 0.3


def test_a_process_is_replaced_after_so_many_seeds(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SEEDS_EACH", 2)
    first, again, second, *_ = [
        str(each["stalled"]) for each in all_of(as_a(_Telling, job), range(4))
    ]
    assert first == again
    assert second != first


def test_an_exception_is_a_failure_of_its_seed(job: Job) -> None:
    result = as_a(_Raising, job).attempt(6)
    assert (result["seed"], result["exit"]) == (6, 10)
    assert "ZeroDivisionError: of nothing" in str(result["violations"])


def test_processes_change_the_order_but_no_result(job: Job) -> None:
    one, two = all_of(job, range(6)), all_of(job, range(6), jobs=2)
    assert {each["seed"]: each["trace_sha256"] for each in one} == {
        each["seed"]: each["trace_sha256"] for each in two
    }


# ---- What it concludes ----


def test_a_seed_that_failed_is_named_with_the_command_that_repeats_it(
    tmp_path: Path, capsys: Captured
) -> None:
    scenario = written(tmp_path, STALLED)
    assert swept(scenario, tmp_path / "out.jsonl", "--nodes", "5", seeds="3:5") == 11
    told = capsys.readouterr().out
    assert told.count("FAILED: 2 of 2 seeds\n      2 x settles\n  seed 3: liveness, settles: ") == 2
    assert f"repeat it: python -m netsim run {scenario} --seed 3 --nodes 5" in told


def test_a_seed_that_lacks_what_every_run_shows_has_failed(
    tmp_path: Path, capsys: Captured
) -> None:
    scenario = written(tmp_path, EXPECTING)
    assert swept(scenario, tmp_path / "out.jsonl", "--shard", "1/2", seeds="0:2") == 12
    told = capsys.readouterr().out
    assert "FAILED: 1 of 1 seed\n      1 x expected events happen\n" in told
    assert "seed 0: too little, expected events happen: fork found: never happened\n" in told
    assert f"repeat it: python -m netsim run {scenario} --seed 0" in told


def test_a_listed_event_that_never_happens_fails_the_sweep(
    tmp_path: Path, capsys: Captured
) -> None:
    scenario, out = written(tmp_path, HOPING), tmp_path / "out.jsonl"
    assert swept(scenario, out, seeds="0:50") == 12
    lines = capsys.readouterr().out.splitlines()
    assert "      0.0 %  fork found" in lines
    assert lines[1:5] == lines[-4:]
    assert lines[1] == "FAILED: less than 2% of the seeds have:"
    assert lines[3].startswith("    scenario well, 50 seeds, commit ")
    assert lines[4] == (
        f"    repeat it: python -m netsim sweep {scenario} --seeds 0:50 --out again.jsonl"
    )
    assert "all seeds are well" not in lines
    assert run(["summary", str(out)]) == 12


def test_a_shard_or_a_few_seeds_do_not_judge_shares(tmp_path: Path, capsys: Captured) -> None:
    scenario = written(tmp_path, HOPING)
    assert swept(scenario, tmp_path / "shard.jsonl", "--shard", "1/2", seeds="0:2") == 0
    assert "judged over all shards" in capsys.readouterr().out
    assert swept(scenario, tmp_path / "few.jsonl", seeds="0:2") == 0
    told = capsys.readouterr().out
    assert "all seeds are well\n" in told
    assert "(so few seeds cannot judge 2%: that takes 50)" in told


def result(seed: int, **more: object) -> Callable[[Job], Result]:
    return lambda job: {**job.failure(seed, Verdict.OK, ""), **plain(more)}


def summed(job: Job, *made: Callable[[Job], Result]) -> Summary:
    return summarise([each(job) for each in made])


@pytest.mark.parametrize(("happened", "verdict"), [(1, Verdict.MISSING), (2, Verdict.OK)])
def test_an_event_is_rare_below_two_percent(happened: int, verdict: Verdict, job: Job) -> None:
    made = [result(n, sometimes={"fork found": int(n < happened)}) for n in range(100)]
    assert summed(job, *made).verdict() == verdict


@pytest.mark.parametrize(
    ("seeds", "judged"), [(range(50), True), (range(49), False), ([*range(49), 50], False)]
)
def test_rarity_is_judged_of_enough_seeds_without_gaps(
    seeds: Iterable[int], judged: bool, job: Job
) -> None:
    summary = summed(job, *[result(n, sometimes={"fork found": 0}) for n in seeds])
    assert summary.judges_rarity is judged
    assert summary.verdict() is (Verdict.MISSING if judged else Verdict.OK)
    assert summary.verdict(whole=False) is Verdict.OK


def test_the_first_seeds_that_lack_are_named(job: Job) -> None:
    summary = summed(job, result(20), result(3), result(5), result(2**62))
    assert (summary.gaps, summary.lacking[:3]) == (2**62 - 6, (4, 6, 7))
    assert len(summary.lacking) == 10


def test_the_worst_failure_decides(job: Job) -> None:
    summary = summed(job, result(1, exit=11), result(2, exit=10), result(3, exit=12))
    assert summary.verdict() is Verdict.SAFETY
    assert [each.seed for each in summary.failures] == [2, 1, 3]
    assert worst([]) is Verdict.OK


def test_a_seed_of_two_shards_counts_once(job: Job) -> None:
    assert summed(job, result(1), result(1)).seeds == 1


def test_a_seed_with_two_traces_is_a_failure(job: Job) -> None:
    summary = summed(job, result(1, trace_sha256="aa"), result(1, trace_sha256="bb"))
    assert summary.verdict() is Verdict.SAFETY
    assert summary.failures[0].check == "runs are repeatable"


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 2.0), (0.99, 4.0), (0.25, 1.0), (0.26, 2.0), (1.0, 4.0)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(
    share: float, value: float
) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value
    assert percentile([], share) is None


def as_a(kind: type[Job], job: Job) -> Job:
    return kind(job.given, job.name, job.text, job.driver)


def plain(result: object) -> Result:
    made: Result = json.loads(json.dumps(result))
    return made
