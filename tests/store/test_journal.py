import hashlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.store.journal import (
    BLOCK_BYTES,
    find_gap,
    read_batches,
    read_edits,
    read_records,
    sound_bytes,
)

if sys.version_info >= (3, 13):
    import plyvel_next as plyvel
else:
    import plyvel

VALUES = [hashlib.shake_128(b"%d" % i).digest(i * 97 % 5000) for i in range(60)]


@pytest.fixture
def log(ram_path: Path) -> bytes:
    """What LevelDB itself writes: records of many sizes, over several blocks."""
    database = plyvel.DB(str(ram_path / "db"), create_if_missing=True)
    for i, value in enumerate(VALUES):
        database.put(b"k%d" % i, value)
    database.close()
    return next((ram_path / "db").glob("*.log")).read_bytes()


def test_records_of_leveldb_are_read(log: bytes) -> None:
    assert len(log) > 4 * BLOCK_BYTES
    assert list(read_batches(log)) == [(i + 1, 1) for i in range(len(VALUES))]
    for record, value in zip(read_records(log), VALUES, strict=True):
        assert record.endswith(value)
    assert sound_bytes(log) == len(log)


def test_a_log_is_sound_up_to_the_record_before_the_damage(log: bytes) -> None:
    whole = [sum(len(each) for each in read_records(log[:at])) for at in (40_000,)]
    damaged = bytearray(log)
    damaged[40_000] ^= 1
    sound = sound_bytes(bytes(damaged))
    assert sound <= 40_000
    assert sum(len(each) for each in read_records(log[:sound])) == whole[0]
    assert list(read_batches(log[:sound])) == list(read_batches(log[:40_000]))


def test_any_cut_leaves_whole_records(log: bytes) -> None:
    records = list(read_records(log))
    for kept in range(0, len(log), 1009):
        found = list(read_records(log[:kept]))
        assert found == records[: len(found)]


@given(st.binary(max_size=200) | st.binary(min_size=12, max_size=12).map(lambda b: b * 4000))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    list(read_records(data))
    list(read_batches(data))
    read_edits(data)
    assert 0 <= sound_bytes(data[:1000]) <= len(data)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_edit_is_read_without_an_error(edits: list[bytes]) -> None:
    read_edits(b"".join(bytes(4) + bytes([len(e), 0, 1]) + e for e in edits))


def test_what_is_no_database_is_left_to_leveldb(tmp_path: Path) -> None:
    assert find_gap(tmp_path) is None
    (tmp_path / "CURRENT").write_bytes(b"MANIFEST\x00\n")
    assert find_gap(tmp_path) is None
    (tmp_path / "CURRENT").write_bytes(b"MANIFEST-000001\n")
    (tmp_path / "MANIFEST-000001").write_bytes(b"")
    (tmp_path / "x.log").write_bytes(b"")
    assert find_gap(tmp_path) is None
