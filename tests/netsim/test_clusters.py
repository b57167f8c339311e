"""Sweeps on a Dask cluster, which the test starts."""

import builtins
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from netsim.cli.main import run
from netsim.job import make_job
from tests.netsim.scenarios import WELL, written

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def address() -> Iterator[str]:
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield str(cluster.scheduler_address)


def test_a_cluster_runs_a_sweep(address: str, tmp_path: Path, capsys: Captured) -> None:
    scenario, out = written(tmp_path, WELL), tmp_path / "out.jsonl"
    given = ["sweep", str(scenario), "--seeds", "0:6", "--out", str(out), "--dask", address]
    assert run([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seeds"] == 6
    results = {each["seed"]: each for each in map(json.loads, out.read_text().splitlines())}
    assert results[5]["trace_sha256"] == make_job(str(scenario)).run(5).trace_sha256


def test_an_address_where_nobody_answers_is_a_clear_error(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netsim.clusters.CONNECT_S", 0.2)
    given = ["sweep", str(written(tmp_path, WELL)), "--seeds", "0:2", "--out", str(tmp_path / "o")]
    assert run([*given, "--dask", "tcp://127.0.0.1:1"]) == 75
    assert "no Dask scheduler answers" in capsys.readouterr().err


def test_without_the_package_the_next_step_is_named(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_dask(name: str, *rest: object) -> object:
        if name == "distributed":
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_dask)
    given = ["sweep", str(written(tmp_path, WELL)), "--seeds", "0:2", "--out", str(tmp_path / "o")]
    assert run([*given, "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "pip install distributed" in capsys.readouterr().err
