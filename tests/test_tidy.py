"""Limits that reviewers would have to watch over otherwise."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES_MAX = 400  # of a module; tests, which are read one by one, may be twice as long
FUNCTION_LINES_MAX = 70
FUNCTION_LINES = 35  # nine of ten are not longer
FILE_BYTES_MAX = 512 * 1024
AS_PUBLISHED = ["tests/vectors/go-ssb-legacy/testdata.zip"]  # test data of others, kept whole

UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
PLACES_OF_ONE_MACHINE = re.compile(r"(?<![\w.~-])/(?:home|root|work|Users)/(?!alice|bob)\w")
ADDRESS = re.compile(r"https?://")


def tracked() -> list[Path]:
    """What is in the repository; without git, all that is not made by tools."""
    try:
        command = ["git", "-C", str(ROOT), "ls-files", "-z"]
        listed = subprocess.run(command, check=True, capture_output=True).stdout
        files = [ROOT / name for name in listed.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        made = {".venv", ".git", "node_modules", "__pycache__", "build", "dist"}
        files = [each for each in ROOT.rglob("*") if not made & {*each.relative_to(ROOT).parts}]
    return sorted(each for each in files if each.is_file())


FILES = tracked()
MODULES = [each for each in FILES if each.suffix == ".py"]


def texts() -> Iterator[tuple[str, str]]:
    for file in FILES:
        try:
            yield str(file.relative_to(ROOT)), file.read_text()
        except UnicodeDecodeError:
            continue


def functions() -> Iterator[tuple[str, int]]:
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                where = f"{module.relative_to(ROOT)}:{node.lineno} {node.name}"
                yield where, (node.end_lineno or 0) - node.lineno + 1


def places(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}: {found.group()}" for name, text in texts() for found in pattern.finditer(text)
    ]


def test_there_is_something_to_look_at() -> None:
    assert ROOT / "qbix_node" / "errors.py" in MODULES


def test_no_module_is_too_long() -> None:
    lines = {str(each.relative_to(ROOT)): each.read_text().count("\n") for each in MODULES}
    limits = {name: LINES_MAX * (2 if name.startswith("tests/") else 1) for name in lines}
    assert [(name, count) for name, count in lines.items() if count > limits[name]] == []


def test_no_function_is_too_long_and_most_are_short() -> None:
    found = list(functions())
    assert [each for each in found if each[1] > FUNCTION_LINES_MAX] == []
    longer = [each for each in found if each[1] > FUNCTION_LINES]
    assert len(longer) <= len(found) / 10, longer


def test_nothing_is_left_to_be_done_later() -> None:
    here = Path(__file__).name
    assert [each for each in places(UNFINISHED) if here not in each] == []


def test_no_file_names_a_place_on_one_machine() -> None:
    assert places(PLACES_OF_ONE_MACHINE) == []


def test_no_file_is_large() -> None:
    sizes = {str(each.relative_to(ROOT)): each.stat().st_size for each in FILES}
    assert [name for name, size in sizes.items() if size > FILE_BYTES_MAX] == AS_PUBLISHED


LOCKS = [each for each in FILES if each.name == "package-lock.json" or each.suffix == ".lock"]


@pytest.mark.parametrize("lock", LOCKS, ids=[str(each.relative_to(ROOT)) for each in LOCKS])
def test_lock_files_hold_hashes_and_no_addresses_of_downloads(lock: Path) -> None:
    text = lock.read_text()
    assert "sha256:" in text or "sha512-" in text
    assert '"resolved"' not in text
    assert not ADDRESS.search(
        "".join(re.sub(r'"url": ".*"', "", line) for line in text.split("\n"))
    )
