"""The demo, as somebody runs it: it ends with 0 only if all held, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.interop.jspeer import PEERS, needs_js_peers

COMMAND = [sys.executable, "-m", "qbix_node", "demo"]
PATIENCE_S = 120


@pytest.fixture
def below() -> Iterator[Path]:
    """Where the demo makes its homes: nearer to the root than `tmp_path`, as a unix socket has to
    fit into 107 bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def environment(below: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(below)}


def run_demo(
    environment: dict[str, str], *options: str
) -> tuple[subprocess.CompletedProcess[str], Any]:
    run = subprocess.run(
        [*COMMAND, "--json", *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment,
    )
    return run, json.loads(run.stdout)


def processes_below(folder: Path) -> list[int]:
    """Those with this folder in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_it_tells_its_story_and_leaves_nothing(environment: dict[str, str], below: Path) -> None:
    run, told = run_demo(environment, "--nodes", "3")
    assert run.returncode == 0, told
    assert (told["ok"], told["failure"], len(told["nodes"])) == (True, None, 3)
    assert [step["step"] for step in told["steps"]] == [
        *("start", "connect", "publish", "answer", "blob", "private", "stream"),
        *("fork", "fork again", "kill", "compare", "stop"),
    ]
    figures = {step["step"]: step["figures"] for step in told["steps"]}
    assert len(figures["compare"]["fingerprints"]) == 3
    assert figures["stream"]["lines"] == 200
    assert figures["fork"]["stream"] != figures["fork again"]["stream"]
    assert figures["kill"]["missed"] == figures["publish"]["messages"] == 100
    assert processes_below(below) == []
    assert list(below.iterdir()) == []


@needs_js_peers
def test_a_javascript_peer_takes_part(environment: dict[str, str], below: Path) -> None:
    run, told = run_demo(environment, "--nodes", "2", "--js-peer", str(PEERS))
    assert run.returncode == 0, told
    (step,) = [step for step in told["steps"] if step["step"] == "javascript"]
    assert (told["javascript_peer"], step["figures"]["received"]) == (True, 60)
    assert processes_below(below) == []


def test_a_step_that_fails_is_named_and_its_logs_are_kept(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """A JavaScript peer that says nothing but that it ends."""
    peers = tmp_path / "peers"
    (peers / "node_modules").mkdir(parents=True)
    (peers / "db2-peer.cjs").write_text("process.exit(1)")
    (peers / "node").write_text("#!/bin/sh\nexit 1\n")
    (peers / "node").chmod(0o755)
    environment["PATH"] = f"{peers}:{environment['PATH']}"
    run, told = run_demo(environment, "--nodes", "2", "--js-peer", str(peers))
    assert run.returncode == 1
    assert told["failure"] == "javascript: the JavaScript peer ended"
    assert (Path(told["folder"]) / "alice.log").read_text() != ""
    assert processes_below(Path(told["folder"])) == []


def test_why_a_node_does_not_start_is_told(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 20)
    deep.mkdir()
    run, told = run_demo({**os.environ, "TMPDIR": str(deep)}, "--nodes", "2")
    assert run.returncode == 1
    assert "longer than the 107 bytes that a unix socket may have" in told["failure"]


def test_kept_nodes_go_on_and_can_be_looked_at(environment: dict[str, str], below: Path) -> None:
    run, told = run_demo(environment, "--nodes", "2", "--keep")
    assert run.returncode == 0, told
    try:
        for node in told["nodes"]:
            assert httpx.get(node["status_page"] + "health").json()["healthy"]
    finally:
        for node in told["nodes"]:
            os.kill(node["pid"], signal.SIGTERM)
    wait_until_gone(Path(told["folder"]))


def test_ctrl_c_ends_all_that_was_started(environment: dict[str, str], below: Path) -> None:
    demo = subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("connect"):
            break
    demo.send_signal(signal.SIGINT)
    rest = demo.stdout.read()
    assert demo.wait(PATIENCE_S) == 130
    demo.stdout.close()
    assert "FAILED interrupted" in rest
    assert processes_below(below) == []


def wait_until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while processes_below(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
