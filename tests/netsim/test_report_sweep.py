"""What the report of a sweep says of its seeds."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from netsim.report.shares import quantile, share
from netsim.report.sweeps import read_sweep
from netsim.summary import summarise
from netsim.sweep import read_results
from qbix_node.errors import BadInput


def result(seed: int, **other: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "scenario": "swarm",
        "seed": seed,
        "scenario_sha256": "cd" * 32,
        "commit": "0123abcd",
        "overrides": {"set": {}},
        "trace_sha256": f"{seed:064x}",
        "exit": 0,
        "driver": "lean",
        "safety": "ok",
        "liveness": "ok",
        "nodes": 10,
        "sometimes": {"fork found": seed % 2, "disk full": 0},
        "events": {"fork found": 1, "node crashed": 3},
        "forks": {"made": 1, "proven": 1, "detection_s": {"p50": 1.5, "p99": 4.0}},
        "messages": 1000 + seed,
        "virtual_s": 70.0,
        "duration_s": 60.0,
        "cpu_s": 0.5,
    }
    return usual | other


def write(path: Path, *results: Mapping[str, object], more: str = "") -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in results) + more)
    return path


def test_shares_come_with_wilsons_interval() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, and 0 of 20.
    some = share(81, 263)
    assert (round(some.low, 4), round(some.high, 4)) == (0.2553, 0.3662)
    none = share(0, 20)
    assert (none.low, round(none.high, 4)) == (0.0, 0.1611)
    assert share(20, 20).high == 1.0
    assert share(0, 0).high == 1.0


def test_a_quantile_is_a_value_that_occurred() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert quantile([], 0.5) is None


def test_each_seed_counts_once_even_if_shards_overlap(tmp_path: Path) -> None:
    first = write(tmp_path / "1.jsonl", result(1), result(3))
    second = write(tmp_path / "2.jsonl", result(2), result(3))
    data = read_sweep([first, second]).data
    rows = data["rows"]
    assert isinstance(rows, list)
    assert [row["seed"] for row in rows] == ["1", "2", "3"]


def test_a_sweep_tells_what_failed_and_how_to_repeat_it(tmp_path: Path) -> None:
    violation = {"check": "nothing is lost", "what": "message 3 is gone"}
    path = write(
        tmp_path / "s.jsonl",
        result(1),
        result(2, exit=10, violations=[violation], command="python -m netsim again"),
        result(3, exit=11, liveness="stalled", stalled=[{"what": "node 4 lacks a feed"}]),
        result(4, exit=12, missing=["fork found"]),
    )
    data = read_sweep([path]).data
    rows, failed = data["rows"], data["failed"]
    assert isinstance(rows, list)
    assert isinstance(failed, dict)
    assert (failed["some"], failed["of"]) == (3, 4)
    assert [row["verdict"] for row in rows] == ["green", "safety", "liveness", "missing"]
    assert rows[1]["what"] == "nothing is lost: message 3 is gone"
    assert rows[1]["command"] == "python -m netsim again"
    assert rows[2]["command"] == "python -m netsim run swarm --seed 3"
    assert rows[3]["what"] == "expected events happen: fork found: never happened"
    assert [(row["calm"], row["never"]) for row in rows[1:3]] == [(10.0, False), (None, True)]


def test_a_seed_with_two_traces_has_failed_as_in_the_summary(tmp_path: Path) -> None:
    other = result(1, trace_sha256="ab" * 32)
    data = read_sweep([write(tmp_path / "s.jsonl", result(0), result(1), other)]).data
    assert data["verdict"] == "safety"
    failures, rows = data["failures"], data["rows"]
    assert isinstance(failures, list)
    assert isinstance(rows, list)
    assert [each["what"] for each in failures] == ["runs are repeatable: it has two traces"]
    assert [row["verdict"] for row in rows] == ["green", "safety"]


def test_a_seed_that_was_given_up_and_run_again_is_shown_as_it_ended(tmp_path: Path) -> None:
    given_up = result(1, exit=11, liveness="stalled", patience_s=5, trace_sha256=None)
    data = read_sweep([write(tmp_path / "s.jsonl", result(0), given_up, result(1))]).data
    rows = data["rows"]
    assert isinstance(rows, list)
    assert (data["verdict"], [row["verdict"] for row in rows]) == ("green", ["green", "green"])


def test_few_seeds_do_not_judge_what_is_too_rare(tmp_path: Path) -> None:
    few = read_sweep([write(tmp_path / "s.jsonl", *map(result, range(49)))]).data
    assert (few["verdict"], few["seedsMin"]) == ("green", 50)
    enough = read_sweep([write(tmp_path / "s.jsonl", *map(result, range(50)))]).data
    assert (enough["verdict"], enough["seedsMin"]) == ("missing", 0)


def test_what_is_too_rare_is_judged_once_no_seed_is_missing(tmp_path: Path) -> None:
    shards = [
        write(tmp_path / f"{part}.jsonl", *[result(seed) for seed in range(part, 100, 2)])
        for part in (0, 1)
    ]
    one, both = read_sweep(shards[:1]).data, read_sweep(shards).data
    assert (one["verdict"], one["gaps"]) == ("green", 49)
    assert (both["verdict"], both["gaps"]) == ("missing", 0)
    assert [summarise(read_results(files)).verdict() for files in (shards[:1], shards)] == [0, 12]


def test_how_long_it_took_to_calm_counts_who_never_did(tmp_path: Path) -> None:
    stalled = result(2, exit=11, liveness="stalled", stalled=["node 4 lacks a feed"])
    data = read_sweep([write(tmp_path / "s.jsonl", result(0), result(1), stalled)]).data
    measures = data["measures"]
    assert isinstance(measures, list)
    assert measures[0] == {
        "key": "calm",
        "title": "from the end of faults to calm",
        "never": 1,
        "quantiles": {"p50": 10.0, "p90": None, "p99": None},
    }


def test_the_rarest_listed_event_stands_first(tmp_path: Path) -> None:
    data = read_sweep([write(tmp_path / "s.jsonl", *map(result, range(10)))]).data
    events = data["events"]
    assert isinstance(events, list)
    assert [(each["name"], each["listed"], each["some"], each["of"]) for each in events] == [
        ("disk full", True, 0, 10),
        ("fork found", True, 5, 10),
        ("node crashed", False, 10, 10),
    ]


@pytest.mark.parametrize("line", ['{"seed": 2, "scen', "[1]", '{"a": 1}'])
def test_a_line_that_is_no_result_is_refused(line: str, tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", result(1), more=f"{line}\n")
    with pytest.raises(BadInput, match=r"s.jsonl, line 2: this is no result"):
        read_sweep([path])


def test_results_of_two_sweeps_are_not_mixed(tmp_path: Path) -> None:
    first = write(tmp_path / "1.jsonl", result(1))
    with pytest.raises(BadInput, match="another scenario: quick, not swarm"):
        read_sweep([first, write(tmp_path / "2.jsonl", result(2, scenario="quick"))])


def test_a_verdict_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="line 1: this is no result"):
        read_sweep([write(tmp_path / "s.jsonl", result(1, exit=99))])


def test_a_file_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is empty"):
        read_sweep([write(tmp_path / "s.jsonl")])
    with pytest.raises(BadInput, match="No such file"):
        read_sweep([tmp_path / "absent.jsonl"])


def test_numbers_that_mean_nothing_are_unknown(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", result(1, cpu_s=1e300, messages="many", virtual_s=None))
    rows = read_sweep([path]).data["rows"]
    assert isinstance(rows, list)
    assert (rows[0]["cpu"], rows[0]["messages"], rows[0]["calm"]) == (None, None, None)
