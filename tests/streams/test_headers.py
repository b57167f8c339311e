"""Headers in a row are read as each alone would be (spec/streams.md 2)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.streams.headers import read_in_a_row
from qbix_node.streams.messages import Header, read_header
from qbix_node.streams.tree import LENGTH_MAX
from qbix_node.wire.fields import NUMBER_MAX
from qbix_node.wire.packing import Packable, pack
from tests.streams.logs import ALICE, CAROL

STREAM = bytes(range(32))
PLACES = [1, 126, 127, 254, 255, 2**16 - 2, 2**16 - 1, 2**24, LENGTH_MAX - 3, LENGTH_MAX - 2]
FIELDS: dict[int, list[Packable]] = {  # what a peer may put in a field; the first is good
    0: [1, 2, True],
    1: [STREAM, b"t" * 32, bytes(31)],
    2: [None, 7, True],
    3: [ALICE.public, CAROL.public],
    4: [None, 9, True],
    6: [None, bytes(32)],
    7: [1_700_000_000_000, 0, 2**32 - 1, 2**32, NUMBER_MAX, NUMBER_MAX + 1, 2**64 - 1, -1, None],
    8: ["post", "a", "p" * 64, "p" * 65, "", "Post", b"post"],
    9: [300, 0, 127, 128, 2**16, NUMBER_MAX, NUMBER_MAX + 1, -1, True, b"\x01"],
    10: [b"h" * 32, bytes(31), bytes(33), b"\xc4\x20" * 16, "h" * 32],
    11: [None, bytes(64), b""],
}
CHANGES = [(field, value) for field, values in FIELDS.items() for value in values]


def own(place: int) -> list[Packable]:
    """The only owner's header there."""
    row = [values[0] for values in FIELDS.values()]
    row.insert(5, place)
    row[2] = row[4] = place
    return row


def changed(place: int, field: int, value: Packable) -> bytes:
    row = own(place)
    row[field] = place if value is None and field in (2, 4) else value
    return pack(row)


def alone(leaves: list[bytes]) -> list[Header] | str:
    try:
        return [read_header(leaf) for leaf in leaves]
    except Malformed as error:
        return str(error)


def together(leaves: list[bytes]) -> list[Header] | str:
    try:
        return read_in_a_row(leaves)
    except Malformed as error:
        return str(error)


@pytest.mark.parametrize("place", PLACES)
def test_in_a_row_they_mean_the_same_as_alone(place: int) -> None:
    first, third = pack(own(place)), pack(own(place + 2))
    for field, value in CHANGES:
        second = changed(place + 1, field, value)
        assert together([first, second]) == alone([first, second]), (field, value)
        assert together([first, second, third]) == alone([first, second, third]), (field, value)
        # It is the one that the others are compared with.
        assert together([second, third]) == alone([second, third]), (field, value)


PAIR = [pack(own(place)) for place in (300, 301)]


@given(st.integers(0, len(PAIR[1]) - 1), st.integers(1, 255))
@example(2, 1)
def test_each_byte_counts(at: int, change: int) -> None:
    other = bytearray(PAIR[1])
    other[at] ^= change
    assert together([PAIR[0], bytes(other)]) == alone([PAIR[0], bytes(other)])


@pytest.mark.parametrize("cut", range(1, len(PAIR[1]) - 1))
def test_a_header_that_is_cut_short_is_malformed(cut: int) -> None:
    with pytest.raises(Malformed):
        read_in_a_row([PAIR[0], PAIR[1][:cut]])
    with pytest.raises(Malformed):
        read_in_a_row([PAIR[0], PAIR[1][:cut] + b"\xc0"])


@pytest.mark.parametrize(
    "longer",
    [
        (pack(1_700_000_000_000), b"\xcf" + (5).to_bytes(8, "big")),
        (pack(1_700_000_000_000), b"\xcf" + (2**32 - 1).to_bytes(8, "big")),
        (pack(301), b"\xce" + (301).to_bytes(4, "big")),
        (pack(300), b"\xd1" + (300).to_bytes(2, "big")),
        (pack("post"), b"\xd9\x04post"),
    ],
)
def test_what_is_not_in_its_shortest_form_is_malformed(longer: tuple[bytes, bytes]) -> None:
    assert longer[0] in PAIR[1]
    with pytest.raises(Malformed):
        read_in_a_row([PAIR[0], PAIR[1].replace(*longer)])
