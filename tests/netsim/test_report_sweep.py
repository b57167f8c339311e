"""What the report of a sweep says of its seeds."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from netsim.report.shares import quantile, share
from netsim.report.sweeps import read_sweep
from qbix_node.errors import BadInput


def result(seed: int, **other: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "scenario": "swarm",
        "seed": seed,
        "commit": "0123abcd",
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
        result(2, safety="violated", violations=[violation], command="python -m netsim again"),
        result(3, liveness="stalled", stalled=[{"what": "node 4 lacks a feed"}]),
        result(4, missing=["fork found"]),
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
    assert rows[0]["calm"] == 10.0


def test_the_rarest_listed_event_stands_first(tmp_path: Path) -> None:
    data = read_sweep([write(tmp_path / "s.jsonl", *map(result, range(10)))]).data
    events = data["events"]
    assert isinstance(events, list)
    assert [(each["name"], each["listed"], each["some"], each["of"]) for each in events] == [
        ("disk full", True, 0, 10),
        ("fork found", True, 5, 10),
        ("node crashed", False, 10, 10),
    ]


def test_lines_that_are_no_results_are_counted_and_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", result(1), more='{"seed": 2, "scen\n[1]\n{"a": 1}\n\n')
    data = read_sweep([path]).data
    assert data["foreign"] == 3
    assert len(data["rows"]) == 1  # type: ignore[arg-type]


def test_a_file_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="neither"):
        read_sweep([write(tmp_path / "s.jsonl", more="hello\n")])
    with pytest.raises(BadInput, match="No such file"):
        read_sweep([tmp_path / "absent.jsonl"])


def test_numbers_that_mean_nothing_are_unknown(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", result(1, cpu_s=math.nan, messages="many", virtual_s=None))
    rows = read_sweep([path]).data["rows"]
    assert isinstance(rows, list)
    assert (rows[0]["cpu"], rows[0]["messages"], rows[0]["calm"]) == (None, None, None)
