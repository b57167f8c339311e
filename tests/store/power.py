"""A disk whose power can be cut: an ext4 file system in a file (root and loop devices needed).

    with power.disk(folder) as disk:
        process = subprocess.Popen([..., str(disk.path / "home")])
        ... until something was acknowledged ...
        with power.paused(process.pid), disk.cut() as left:
            ... look at left / "home": it holds what had reached the disk, and nothing else ...

`cut` copies the file behind the file system. What a program wrote but did not sync is still in the
memory of the system then, and so is not in the copy: killing a process does not test that, because
the system writes its memory out in its own time. The program stands still during the copy, so power
fails between its system calls, not within them. The disk never writes by itself here, which is the
worst case for what was not synced.
"""

import functools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NEVER_S = 3000  # commit interval of the journal: ext4 writes nothing out by itself before that
MKFS = ("mkfs.ext4", "-q", "-F", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0")


@functools.cache
def unavailable() -> str | None:
    """Why this can't be done here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    try:
        with tempfile.TemporaryDirectory() as folder, disk(Path(folder)):
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"needs ext4 on a loop device: {error}"


def needed() -> list[pytest.MarkDecorator]:
    """Marks of a test module that cuts power: `pytestmark = power.needed()`."""
    reason = unavailable()
    return [pytest.mark.root, pytest.mark.skipif(reason is not None, reason=reason or "")]


@dataclass(frozen=True, slots=True)
class Disk:
    path: Path  # where it is mounted
    _image: Path

    @contextmanager
    def cut(self) -> Iterator[Path]:
        """Mount what had reached the disk. Who writes must stand still: `paused`, or killed."""
        with tempfile.TemporaryDirectory(dir=self._image.parent) as folder:
            image = Path(folder) / "image"
            shutil.copyfile(self._image, image)
            with _mounted(image, Path(folder) / "left") as left:
                yield left

    def copy_image(self, to: Path) -> Path:
        """The same, to go on from with `disk(folder, image=...)`."""
        return Path(shutil.copyfile(self._image, to))


@contextmanager
def disk(folder: Path, *, size_mib: int = 32, image: Path | None = None) -> Iterator[Disk]:
    """A disk in `folder`: new and empty, or with the contents of an image."""
    used = image or folder / "image"
    if image is None:
        with used.open("wb") as file:
            file.truncate(size_mib << 20)
        _run(*MKFS, str(used))
    with _mounted(used, folder / "disk") as path:
        yield Disk(path, used)


@contextmanager
def tmpfs(path: Path, options: str) -> Iterator[Path]:
    """A small file system in memory, to be filled."""
    path.mkdir()
    _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path))
    with ExitStack() as undo:
        undo.callback(_unmount, path)
        yield path


@contextmanager
def paused(*processes: int) -> Iterator[None]:
    """They stand still, all their threads between two system calls."""
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    try:
        while not all(map(_stands_still, processes)):
            os.sched_yield()
        yield
    finally:
        for each in processes:
            os.kill(each, signal.SIGCONT)


def _stands_still(process: int) -> bool:
    threads = [each / "stat" for each in Path(f"/proc/{process}/task").iterdir()]
    return all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in threads)


@contextmanager
def _mounted(image: Path, at: Path) -> Iterator[Path]:
    at.mkdir()
    _run("mount", "-o", f"loop,commit={NEVER_S},noinit_itable", str(image), str(at))
    with ExitStack() as undo:
        undo.callback(_unmount, at)
        yield at


def _unmount(path: Path) -> None:
    """The loop device goes with it. Detached at least, if somebody still has a file open there."""
    if subprocess.run(["umount", str(path)], check=False, capture_output=True).returncode != 0:
        _run("umount", "--lazy", str(path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
