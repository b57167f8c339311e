"""The vectors of the specification hold for an implementation that shares no code with ours."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

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


def proof_of_a_fork() -> tuple[dict[str, Any], bytes]:
    vectors = json.loads((VECTORS / "streams-forks.json").read_text())
    return vectors, bytes.fromhex(vectors["valid"][0]["hex"])


def test_a_changed_proof_of_a_fork_is_a_failure(tmp_path: Path) -> None:
    vectors, proof = proof_of_a_fork()
    middle = len(proof) // 2
    changed = proof[:middle] + bytes([proof[middle] ^ 1]) + proof[middle + 1 :]
    vectors["valid"][0]["hex"] = changed.hex()
    (tmp_path / "streams-forks.json").write_text(json.dumps(vectors))
    assert len(verify(tmp_path)["streams-forks.json"]) == 1


def test_no_byte_of_a_proof_can_be_another(tmp_path: Path) -> None:
    _, proof = proof_of_a_fork()
    changes = [
        proof[:place] + bytes([proof[place] ^ 1 << place % 8]) + proof[place + 1 :]
        for place in range(len(proof))
    ]
    invalid = [{"rule": f"byte {place}", "hex": each.hex()} for place, each in enumerate(changes)]
    (tmp_path / "streams-forks.json").write_text(json.dumps({"valid": [], "invalid": invalid}))
    assert verify(tmp_path) == {}


def test_a_proof_that_is_valid_is_a_failure_where_it_should_not_be(tmp_path: Path) -> None:
    vectors, proof = proof_of_a_fork()
    vectors["invalid"].append({"rule": "none", "hex": proof.hex()})
    (tmp_path / "streams-forks.json").write_text(json.dumps(vectors))
    assert verify(tmp_path)["streams-forks.json"] == ["none: was not refused"]
