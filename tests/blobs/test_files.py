"""One behaviour suite over both implementations of BlobFiles, and what only a disk can do."""

import hashlib
import os
import resource
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qbix_node.blobs.files import BlobFiles, DiskFiles, NoSuchBlob
from qbix_node.blobs.memory import MemoryFiles
from qbix_node.errors import ExitCode, Temporary
from qbix_node.wire.references import BlobId


class RealDisk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: BlobFiles = DiskFiles(folder)

    def damage(self, blob: BlobId) -> None:
        path = self.folder / "sha256" / blob.hex()[:2] / blob.hex()[2:]
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])

    def leftovers(self) -> int:
        return len(list((self.folder / "drafts").iterdir()))

    @contextmanager
    def full(self) -> Iterator[None]:
        """No file may grow beyond 100,000 bytes: the system refuses in the middle of a write."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class MemoryDisk:
    def __init__(self) -> None:
        self.memory = MemoryFiles()
        self.files: BlobFiles = self.memory

    def damage(self, blob: BlobId) -> None:
        self.memory.damage(blob)

    def leftovers(self) -> int:
        return self.memory.used_bytes - sum(self.memory.sizes().values())

    @contextmanager
    def full(self) -> Iterator[None]:
        self.memory.bytes_max = self.memory.used_bytes + 100_000
        yield
        self.memory.bytes_max = None


Disk = RealDisk | MemoryDisk


@pytest.fixture(params=["disk", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    return RealDisk(tmp_path / "blobs") if request.param == "disk" else MemoryDisk()


def add(files: BlobFiles, *pieces: bytes) -> BlobId:
    with files.draft() as draft:
        draft.write(pieces)
        draft.place()
        return draft.blob


def test_a_blob_is_named_by_its_hash_and_read_in_parts(disk: Disk) -> None:
    blob = add(disk.files, b"hello ", b"world")
    assert blob == hashlib.sha256(b"hello world").digest()
    assert disk.files.read(blob, 0, 5) == b"hello"
    assert disk.files.read(blob, 6, 100) == b"world"
    assert disk.files.read(blob, 100, 5) == b""


def test_a_blob_may_be_empty(disk: Disk) -> None:
    blob = add(disk.files)
    assert disk.files.sizes() == {blob: 0}
    assert disk.files.read(blob, 0, 5) == b""
    assert disk.files.intact(blob)


def test_blobs_are_listed_in_ascending_order_with_their_sizes(disk: Disk) -> None:
    sizes = {add(disk.files, b"x" * size): size for size in range(20)}
    assert list(disk.files.sizes().items()) == sorted(sizes.items())


def test_a_draft_that_is_not_placed_leaves_nothing(disk: Disk) -> None:
    with disk.files.draft() as draft:
        draft.write([b"half"])
        assert disk.files.sizes() == {}
    assert disk.leftovers() == 0


def test_adding_a_blob_again_changes_nothing(disk: Disk) -> None:
    assert add(disk.files, b"twice") == add(disk.files, b"twice")
    assert list(disk.files.sizes().values()) == [5]
    assert disk.leftovers() == 0


def test_a_removed_blob_is_gone(disk: Disk) -> None:
    blob = add(disk.files, b"short life")
    assert disk.files.remove(blob)
    assert not disk.files.remove(blob)
    assert disk.files.sizes() == {}
    with pytest.raises(NoSuchBlob):
        disk.files.read(blob, 0, 1)
    with pytest.raises(NoSuchBlob):
        disk.files.intact(blob)


def test_damage_shows_and_adding_again_heals_it(disk: Disk) -> None:
    blob = add(disk.files, b"precious")
    assert disk.files.intact(blob)
    disk.damage(blob)
    assert not disk.files.intact(blob)
    add(disk.files, b"precious")
    assert disk.files.intact(blob)


def test_a_full_disk_is_temporary_and_leaves_nothing(disk: Disk) -> None:
    kept = add(disk.files, b"kept")
    with disk.full(), pytest.raises(Temporary) as refusal:
        add(disk.files, b"x" * 90_000, b"y" * 90_000)
    assert refusal.value.exit_code == ExitCode.TEMPORARY
    assert disk.leftovers() == 0
    assert disk.files.sizes() == {kept: 4}
    add(disk.files, b"x" * 90_000, b"y" * 90_000)  # room again


@given(st.lists(st.binary(max_size=200), max_size=5))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
def test_what_was_written_is_read(disk: Disk, pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    blob = add(disk.files, *pieces)
    assert blob == hashlib.sha256(whole).digest()
    assert disk.files.read(blob, 0, len(whole) + 1) == whole
    assert disk.files.read(blob, len(whole) // 2, len(whole)) == whole[len(whole) // 2 :]


def test_what_a_crash_left_is_swept_at_start(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "blobs")
    kept = add(disk.files, b"kept")
    draft = disk.files.draft()
    draft.write([b"the process dies here"])
    assert disk.leftovers() == 1
    again = RealDisk(tmp_path / "blobs")
    assert again.leftovers() == 0
    assert again.files.sizes() == {kept: 4}
    draft.__exit__(None, None, None)


def test_files_that_are_no_blobs_are_left_alone(tmp_path: Path) -> None:
    files = DiskFiles(tmp_path)
    for name in ("README", "zz/" + "0" * 62, "ab/cdef", "0/" + "1" * 63):
        path = tmp_path / "sha256" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("not a blob")
    assert files.sizes() == {}


def test_only_the_owner_may_read_the_folder(tmp_path: Path) -> None:
    files = DiskFiles(tmp_path / "blobs")
    add(files, b"private")
    for path in (tmp_path / "blobs").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0


def test_a_blob_is_on_disk_before_it_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DiskFiles(tmp_path)
    visible_at_sync = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        visible_at_sync.append((stat.S_ISDIR(os.fstat(handle).st_mode), files.sizes() != {}))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    add(files, b"hello")
    assert visible_at_sync == [(False, False), (True, False), (True, True)]


def test_a_blob_lies_where_multiblob_keeps_it(tmp_path: Path) -> None:
    blob = add(DiskFiles(tmp_path), b"hello")
    name = blob.hex()
    assert (tmp_path / "sha256" / name[:2] / name[2:]).read_bytes() == b"hello"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Temporary, match="Permission denied"):
        DiskFiles(tmp_path / "blobs")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_really_full_disk(tmp_path: Path) -> None:
    if os.system(f"mount -t tmpfs -o size=1m tmpfs {tmp_path} 2>/dev/null") != 0:
        pytest.skip("mounting is not allowed here")
    try:
        disk = RealDisk(tmp_path / "blobs")
        with pytest.raises(Temporary, match="No space left"):
            add(disk.files, b"x" * 700_000, b"y" * 700_000)
        assert disk.leftovers() == 0
        add(disk.files, b"x" * 700_000)
    finally:
        os.system(f"umount {tmp_path}")


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    files = DiskFiles(tmp_path / "blobs")
    lost = add(files, b"lost")
    shutil.rmtree(tmp_path / "blobs")
    kept = add(files, b"kept")
    assert files.sizes() == {kept: 4}
    assert files.read(kept, 0, 4) == b"kept"
    assert not files.remove(lost)
