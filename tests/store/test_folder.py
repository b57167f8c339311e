"""One process at a time, and a store only where one was made."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qbix_node.errors import ConfigError, DamagedStore, ExitCode, LocalError, Temporary
from qbix_node.ports import Put
from qbix_node.store.check import check, repair
from qbix_node.store.folder import Folder
from qbix_node.store.leveldb import LevelDbStore

HOLDER = """
import sys, time, pathlib
from qbix_node.store.leveldb import LevelDbStore
store = LevelDbStore.open(pathlib.Path(sys.argv[1]))
print("open", flush=True)
time.sleep(600)
"""


@pytest.fixture
def path(ram_path: Path) -> Path:
    LevelDbStore.create(ram_path / "store")
    return ram_path / "store"


@contextmanager
def another_process(path: Path) -> Iterator[int]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"open\n"
            yield holder.pid
        finally:
            holder.send_signal(signal.SIGKILL)


def test_a_second_process_is_told_who_has_the_store(path: Path) -> None:
    with another_process(path) as holder:
        for use in (LevelDbStore.open, check, repair):
            with pytest.raises(Temporary, match=f"in use by process {holder}") as caught:
                use(path)
            assert str(path) in str(caught.value)
            assert "qbix-node status" in caught.value.hint
            assert caught.value.exit_code == ExitCode.TEMPORARY
    trio.run(LevelDbStore.open(path).aclose)


async def test_a_second_opening_in_the_same_process_is_refused_too(path: Path) -> None:
    async with LevelDbStore.open(path):
        with pytest.raises(Temporary, match=f"in use by process {os.getpid()}"):
            LevelDbStore.open(path)
    async with LevelDbStore.open(path) as store:
        assert store.was_clean


def test_what_refuses_to_open_lets_go_of_the_lock(path: Path) -> None:
    current = path / "db" / "CURRENT"
    current.rename(path / "elsewhere")
    for _ in range(2):
        with pytest.raises(LocalError, match="damaged"):
            LevelDbStore.open(path)
    (path / "elsewhere").rename(current)
    trio.run(LevelDbStore.open(path).aclose)


def test_nothing_is_made_by_opening(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no store") as caught:
        LevelDbStore.open(tmp_path / "store")
    assert "qbix-node init" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


async def test_a_store_is_never_made_over_another(path: Path) -> None:
    async with LevelDbStore.open(path) as store:
        await store.write([Put(b"k", b"v")])
    with pytest.raises(LocalError, match="exists already"):
        LevelDbStore.create(path)
    async with LevelDbStore.open(path) as store:
        assert store.get(b"k") == b"v"


def test_a_store_is_never_made_over_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    for name in ("file", "folder"):
        with pytest.raises(LocalError, match="exists already"):
            LevelDbStore.create(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_store_is_made_in_an_empty_folder_and_over_a_making_that_was_cut_off(
    tmp_path: Path,
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store.new" / "db").mkdir(parents=True)
    (tmp_path / "store.new" / "db" / "CURRENT").write_text("half")
    LevelDbStore.create(tmp_path / "store")
    trio.run(LevelDbStore.open(tmp_path / "store").aclose)
    assert [each.name for each in tmp_path.iterdir()] == ["store"]


def test_only_its_owner_can_read_a_store(path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0


def test_two_stores_have_different_ids(path: Path, tmp_path: Path) -> None:
    LevelDbStore.create(tmp_path / "other")
    assert (path / "store.json").read_text() != (tmp_path / "other" / "store.json").read_text()


def test_what_the_system_refuses_is_told_in_a_sentence(path: Path) -> None:
    (path / "lock").unlink(missing_ok=True)
    (path / "lock").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        LevelDbStore.open(path)
    (path.parent / "file").write_text("")
    with pytest.raises(ConfigError, match="Not a directory"):
        LevelDbStore.create(path.parent / "file" / "store")


PARTS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
MARKERS = PARTS | st.lists(PARTS) | st.fixed_dictionaries({"format": PARTS, "id": PARTS})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(marker=b'{"format": Infinity, "id": ""}')
@given(marker=st.binary() | MARKERS.map(json.dumps).map(str.encode))
def test_any_marker_is_read_or_refused(ram_path: Path, marker: bytes) -> None:
    folder = Folder(ram_path)
    folder.marker.write_bytes(marker)
    with suppress(DamagedStore, ConfigError):
        assert isinstance(folder.read_marker(), str)
