"""Both halves of the public test suite of the secret handshake: npm's shs1-test."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.jspeer import PEERS, needs_js_peers

pytestmark = [pytest.mark.interop, needs_js_peers]

ROOT = Path(__file__).parents[2]
SUITE = PEERS / "node_modules" / "shs1-test"
ADAPTER = "tests.interop.shs_adapter"
SEEDS = ["1", "2"]  # each draws other keys and other faults


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """The suite starts a program by its path alone."""
    program = tmp_path / "adapter"
    program.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m {ADAPTER} "$@"\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("half", ["client", "server"])
def test_our_half_of_the_handshake_passes_the_suite(half: str, seed: str, adapter: Path) -> None:
    run = subprocess.run(
        ["node", SUITE / f"test-{half}.js", adapter, seed],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_suite_can_fail(tmp_path: Path) -> None:
    """Its exit code is the number of failures, so a program that does nothing fails many."""
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexit 0\n")
    silent.chmod(0o755)
    run = subprocess.run(
        ["node", SUITE / "test-client.js", silent, "1"],
        check=False,
        capture_output=True,
        timeout=120,
    )
    assert run.returncode > 0
