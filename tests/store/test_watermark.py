from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.store.watermark import LINE_BYTES, Mark, Watermark

MARKS = st.builds(Mark, st.integers(0, 2**64 - 1), clean=st.booleans())


@pytest.fixture
def watermark(tmp_path: Path) -> Iterator[Watermark]:
    opened = Watermark(tmp_path / "watermark")
    yield opened
    opened.close()


def test_a_new_one_knows_nothing(watermark: Watermark) -> None:
    assert watermark.read() is None


def test_it_is_found_as_it_was_left(watermark: Watermark, tmp_path: Path) -> None:
    watermark.settle(Mark(7, clean=True))
    assert watermark.read() == Mark(7, clean=True)
    watermark.note(8)
    assert watermark.read() == Mark(8, clean=False)
    assert (tmp_path / "watermark").read_text().startswith("00000000000000000008 opened ")


@given(MARKS)
def test_a_mark_reads_as_it_was_written(mark: Mark) -> None:
    line = mark.encode()
    assert len(line) == LINE_BYTES
    assert Mark.decode(line) == mark


@given(MARKS, st.integers(0, LINE_BYTES - 1), st.integers(1, 255))
def test_a_mark_with_any_byte_changed_is_none(mark: Mark, at: int, change: int) -> None:
    line = bytearray(mark.encode())
    line[at] ^= change
    assert Mark.decode(bytes(line)) is None


@given(st.binary(max_size=2 * LINE_BYTES))
def test_any_bytes_are_read_without_an_error(line: bytes) -> None:
    mark = Mark.decode(line)
    assert mark is None or mark.encode() == line
