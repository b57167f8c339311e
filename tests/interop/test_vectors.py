"""The vectors of the specification hold for an implementation that shares no code with ours."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

VERIFIER = Path(__file__).parent / "vectors" / "verify.mjs"
VECTORS = Path(__file__).parents[2] / "spec" / "vectors"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")


def verify(folder: Path) -> dict[str, list[str]]:
    """What does not hold, by file."""
    run = subprocess.run(
        ["node", VERIFIER, folder], check=False, capture_output=True, text=True, timeout=60
    )
    verdicts = [json.loads(line) for line in run.stdout.splitlines()]
    failures = {each["file"]: each["failures"] for each in verdicts if each["failures"]}
    assert run.returncode == (1 if failures or not verdicts else 0), run.stderr
    return failures


def test_every_vector_holds_in_javascript() -> None:
    assert verify(VECTORS) == {}


def test_a_vector_file_that_nobody_verifies_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "unheard-of.json").write_text("{}")
    assert "no verifier" in verify(tmp_path)["unheard-of.json"][0]


def test_a_wrong_vector_is_a_failure(tmp_path: Path) -> None:
    vectors = json.loads((VECTORS / "encoding.json").read_text())
    vectors["valid"][0]["hex"], vectors["invalid"][0]["hex"] = "c2", "c0"
    (tmp_path / "encoding.json").write_text(json.dumps(vectors))
    wrong_value, not_refused = verify(tmp_path)["encoding.json"]
    assert wrong_value == "c2: false is not nil"
    assert "was not refused" in not_refused
