"""Which code this is: a seed repeats a run only together with it."""

import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path

import netsim
from qbix_node import __version__

ROOT = Path(netsim.__file__).parents[1]
_PACKAGES = ("netsim", "qbix_node")
_DIGITS = 12


@cache
def code_commit() -> str:
    """What is checked out; `-dirty-` and what the files hold, where they differ from it. Of an
    installed package, which may lie inside of somebody else's repository, its version.
    """
    try:
        _git("ls-files", "--error-unmatch", "netsim/__init__.py")
        commit = _git("rev-parse", "HEAD").strip()[:_DIGITS]
        changed = _git("status", "--porcelain", "--", *_PACKAGES)
    except (OSError, subprocess.CalledProcessError):
        return f"version {__version__}"
    return f"{commit}-dirty-{_content()}" if changed else commit


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def _content() -> str:
    found = sha256()
    for package in _PACKAGES:
        for file in sorted((ROOT / package).rglob("*.*")):
            if file.suffix in (".py", ".toml"):
                found.update(b"%d " % file.stat().st_size + file.read_bytes())
    return found.hexdigest()[:8]
