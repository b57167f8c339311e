"""Fields are what they say: type, size and range, with nothing taken for something else."""

import pytest

from qbix_node.errors import Malformed
from qbix_node.wire import fields
from qbix_node.wire.fields import NUMBER_MAX

STRANGE: list[object] = [None, True, 1, b"bytes", "text", (1,), 1.0, [1]]


def test_a_number_is_whole_and_in_its_range() -> None:
    for good in (0, 1, NUMBER_MAX):
        assert fields.number(good, "n") == good
    for bad in (-1, NUMBER_MAX + 1, 2**63, 2**64, True, False, 1.0, "1", b"1", None):
        with pytest.raises(Malformed, match="n: expected a whole number"):
            fields.number(bad, "n")
    assert [fields.number(n, "n", 3, 4) for n in (3, 4)] == [3, 4]
    for bad in (2, 5):
        with pytest.raises(Malformed, match="from 3 to 4"):
            fields.number(bad, "n", 3, 4)


def test_bytes_are_no_text_and_have_their_size() -> None:
    assert fields.data(b"", "d") == b""
    assert fields.data(b"12", "d", size=2) == fields.data(b"12", "d", most=2) == b"12"
    for value in STRANGE:
        if value != b"bytes":
            with pytest.raises(Malformed, match="d: expected bytes"):
                fields.data(value, "d")
    for bad in (b"1", b"123"):
        with pytest.raises(Malformed, match="expected 2 bytes"):
            fields.data(bad, "d", size=2)
    with pytest.raises(Malformed, match="2 are allowed"):
        fields.data(b"123", "d", most=2)


def test_an_array_is_a_tuple_of_its_size() -> None:
    assert fields.array((1, 2), "a", size=2) == fields.array((1, 2), "a", most=2) == (1, 2)
    for value in STRANGE:
        if value != (1,):
            with pytest.raises(Malformed, match="a: expected an array"):
                fields.array(value, "a")
    for bad in ((1,), (1, 2, 3), ()):
        with pytest.raises(Malformed, match="expected 2 fields"):
            fields.array(bad, "a", size=2)
    with pytest.raises(Malformed, match="3 items, 2 are allowed"):
        fields.array((1, 2, 3), "a", most=2)


def test_the_first_field_is_the_version() -> None:
    assert fields.versioned((1, "x"), "v", size=2) == (1, "x")
    for bad in (0, 2, True, None, b"\x01", 1.0):
        with pytest.raises(Malformed, match="is not known here"):
            fields.versioned((bad, "x"), "v", size=2)


@pytest.mark.parametrize("name", ["a", "note", "owners.set", "a-b_c.9", "a" * 64])
def test_a_name_is_short_and_plain(name: str) -> None:
    assert fields.name(name, "name") == name


@pytest.mark.parametrize(
    "name", ["", "A", "1a", ".a", "-a", "a" * 65, "a b", "a\n", "é", "aé", "a/b", b"a", None, 1]
)
def test_what_is_no_name_is_malformed(name: object) -> None:
    with pytest.raises(Malformed, match="name: expected 1 to 64 characters"):
        fields.name(name, "name")


def test_hashes_have_32_bytes_each() -> None:
    assert fields.hashes((bytes(32),) * 2, "h", most=2) == (bytes(32),) * 2
    for bad in ((bytes(31),), (bytes(33),), ("h" * 32,), (None,), bytes(32), (bytes(32),) * 3):
        with pytest.raises(Malformed):
            fields.hashes(bad, "h", most=2)
