"""The unit files, as far as they can be judged without booting a system."""

import shutil
import subprocess
from pathlib import Path

import pytest

from qbix_node.errors import ExitCode

UNITS = Path(__file__).parents[2] / "systemd"
EXPOSURE_MAX = 1.5  # of 10, as systemd-analyze counts; units of like programs score from 1.8 to 9.6

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is here, since verify looks for it."""
    text = (UNITS / "qbix-node.service").read_text()
    unit = tmp_path / "qbix-node.service"
    unit.write_text(text.replace("/opt/qbix-node/bin/qbix-node", "/bin/true"))
    return unit


def settings() -> list[str]:
    lines = (UNITS / "qbix-node.service").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@needs_systemd
def test_the_unit_is_understood(unit: Path) -> None:
    run = subprocess.run(
        ["systemd-analyze", "verify", unit], check=False, capture_output=True, text=True
    )
    # Unknown values are only warned of, so the exit code alone says too little.
    assert (run.returncode, run.stderr) == (0, "")


@needs_systemd
def test_the_unit_leaves_the_daemon_little_to_break(unit: Path) -> None:
    run = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        check=False,
        capture_output=True,
        text=True,
    )
    if "--offline" in run.stderr:
        pytest.skip("this systemd-analyze can't judge unit files offline")
    verdict = next(line for line in run.stdout.splitlines() if "Overall exposure level" in line)
    assert float(verdict.split(": ")[1].split()[0]) <= EXPOSURE_MAX


def test_what_starting_again_can_not_mend_is_not_started_again() -> None:
    assert f"RestartPreventExitStatus={int(ExitCode.CONFIG)}" in settings()


def test_a_reload_sends_the_signal_that_the_daemon_listens_to() -> None:
    assert "ExecReload=kill -HUP $MAINPID" in settings()
    assert "Type=notify" in settings()


def test_the_user_and_its_home_are_the_same_everywhere() -> None:
    assert "User=qbix-node" in settings()
    assert "StateDirectory=qbix-node" in settings()
    users = (UNITS / "qbix-node.sysusers.conf").read_text().splitlines()
    folders = (UNITS / "qbix-node.tmpfiles.conf").read_text().splitlines()
    assert 'u qbix-node - "qbix-node daemon" /var/lib/qbix-node' in users
    assert "d /var/lib/qbix-node 0700 qbix-node qbix-node -" in folders
