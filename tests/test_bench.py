import json

import pytest

import bench.__main__ as benches
from bench import Figure

FAST = Figure(value=3.0, unit="us", limit=2.0, limit_is="bare sync", goal=1.6)
SLOW = Figure(value=4.0, unit="us", limit=2.0, limit_is="bare sync", goal=1.6)
ABSOLUTE = Figure(value=81.0, unit="MiB", limit=None, limit_is="", goal=80.0)
FREE = Figure(value=5.0, unit="us", limit=None, limit_is="", goal=None)


def squeezed(line: str) -> str:
    return " ".join(line.split())


def test_a_figure_stands_beside_its_limit_and_goal() -> None:
    assert squeezed(benches.row("write", FAST)) == "write 3 us 1.50 of 1.6 2 bare sync"
    assert "MISSED" in benches.row("write", SLOW)
    assert "81.00 of 80" in benches.row("memory", ABSOLUTE)
    assert squeezed(benches.row("read", FREE)) == "read 5 us - -"


def test_what_missed_its_goal_is_said() -> None:
    assert benches.conclusion({"store": {"write": FAST}}) == "all goals met (1 figures)"
    said = benches.conclusion({"store": {"a": FAST, "b": SLOW}, "idle": {"memory": ABSOLUTE}})
    assert said == "2 of 3 figures missed their goal: store: b; idle: memory"


def test_a_missed_goal_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benches, "benches", lambda: {"store": lambda: {"write": SLOW}})
    assert benches.main([]) == 0
    assert "MISSED" in capsys.readouterr().out
    assert benches.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"store": {"write": SLOW}}


def test_an_unknown_bench_is_refused_with_those_that_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert benches.main(["nonsense"]) == 2
    assert "store" in capsys.readouterr().err


def test_every_bench_is_found() -> None:
    assert {"store", "ingest", "append"} <= benches.benches().keys()
