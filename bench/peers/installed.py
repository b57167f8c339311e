"""Packages of npm that are measured beside ours, in a folder each, pinned by hash."""

import shutil
import subprocess
from pathlib import Path


def why_not(folder: Path) -> str | None:
    """Installs what is missing."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not (folder / ".installed").is_file():
        command = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        if subprocess.run(command, cwd=folder, check=False).returncode:  # noqa: S603  (our lock)
            return f"{folder.name} can't be installed in {folder}"
        (folder / ".installed").touch()
    return None
