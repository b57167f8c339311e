"""Which code a result is of."""

import re
import subprocess
from pathlib import Path

import pytest

from netsim import commit
from qbix_node import __version__


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with both packages, everything committed."""
    for file in ("netsim/__init__.py", "qbix_node/a.py", "docs/page.md"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text("first\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    who = ("-c", "user.name=alice", "-c", "user.email=alice@example.org")
    git(tmp_path, *who, "commit", "--quiet", "--message", "all")
    monkeypatch.setattr(commit, "ROOT", tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def now() -> str:
    return commit.code_commit.__wrapped__()


def test_what_is_committed_is_named_by_its_commit(checkout: Path) -> None:
    assert re.fullmatch("[0-9a-f]{12}", now())


def test_every_change_of_the_code_has_a_name_of_its_own(checkout: Path) -> None:
    clean = now()
    (checkout / "qbix_node/a.py").write_text("second\n")
    second = now()
    (checkout / "netsim/b.py").write_text("new\n")
    third = now()
    for changed in (second, third):
        assert re.fullmatch(f"{clean}-dirty-[0-9a-f]{{8}}", changed)
    assert second != third


def test_other_files_do_not_count(checkout: Path) -> None:
    clean = now()
    (checkout / "docs/page.md").write_text("second\n")
    assert now() == clean


def test_an_installed_package_inside_of_another_repository_names_its_version(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "site-packages/netsim").mkdir(parents=True)
    (checkout / "site-packages/netsim/__init__.py").write_text("")
    monkeypatch.setattr(commit, "ROOT", checkout / "site-packages")
    assert now() == f"version {__version__}"


def test_without_a_repository_it_is_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "ROOT", tmp_path)
    assert now() == f"version {__version__}"
