"""Headers in a row are read as each alone would be (spec/streams.md 2)."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.streams.headers import Headers, collect, read_in_a_row
from qbix_node.streams.messages import Header, read_header
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.tree import LENGTH_MAX, Hash
from qbix_node.wire.fields import NUMBER_MAX
from qbix_node.wire.packing import Packable, pack, unpack
from qbix_node.wire.references import StreamId
from tests.streams.logs import ALICE, CAROL

STREAM = StreamId(bytes(range(32)))
COUNT = 6  # enough to be read together
ENDS = [1, 2**7, 2**8, 2**16, 2**24, LENGTH_MAX]  # where numbers get longer, or end
PLACES = [
    1,
    *(
        end + more
        for end in ENDS
        for more in (-COUNT - 1, -COUNT, 1 - COUNT, -1)
        if end > COUNT + 1
    ),
]
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


def alone(leaves: Sequence[bytes], first: int) -> Headers | None:
    """None: something is wrong with one."""
    try:
        headers = [read_header(leaf) for leaf in leaves]
    except Malformed:
        return None
    right = [(header.stream, header.place) for header in headers] == [
        (STREAM, first + number) for number in range(len(headers))
    ]
    return collect(headers, first) if right else None


def together(leaves: Sequence[bytes], first: int) -> Headers | None:
    try:
        return read_in_a_row(leaves, STREAM, first)
    except Malformed:
        return None


def run(first: int, count: int = COUNT) -> list[bytes]:
    return [pack(own(place)) for place in range(first, first + count)]


@pytest.mark.parametrize("place", PLACES)
def test_in_a_row_they_mean_the_same_as_alone(place: int) -> None:
    leaves = run(place)
    for at in (0, 1, COUNT - 1):  # the first is the one that the others are compared with
        for field, value in CHANGES:
            other = [*leaves]
            other[at] = changed(place + at, field, value)
            assert together(other, place) == alone(other, place), (at, field, value)


def test_long_runs_are_read_as_alone_too() -> None:
    for first in (1, 200, 2**16 - 300):
        leaves = run(first, 700)
        assert together(leaves, first) == alone(leaves, first) != None  # noqa: E711
        leaves[400] = changed(first + 400, 1, bytes(32))
        assert together(leaves, first) is None


def test_entries_of_others_may_stand_among_them() -> None:
    intent = Header._make(unpack(pack(own(305)), "header"))._replace(
        author=AuthorId(CAROL.public), author_seq=7, base_length=3, base_root=Hash(bytes(32))
    )
    leaves = run(300, 12)
    leaves[5] = intent._replace(author_sig=bytes(64)).encoded
    found = together(leaves, 300)
    assert found is not None
    assert found == alone(leaves, 300)
    assert [header.place for header in found.intents] == [305]
    assert found.owners == {ALICE.public}


def test_they_differ_in_place_time_kind_and_content() -> None:
    leaves, rows = [], []
    for number in range(COUNT):
        row = own(300 + number)
        kind, size = "post" * (number + 1), 300**number
        row[7:11] = 1_700_000_000_000 - number, kind, size, bytes([number] * 32)
        rows.append(row[7:11])
        leaves.append(pack(row))
    found = read_in_a_row(leaves, STREAM, 300)
    said = zip(found.stamps_ms, found.kinds, found.sizes, found.hashes, strict=True)
    assert [[*each] for each in said] == rows
    assert found == alone(leaves, 300)
    headers = Headers(301)
    assert headers.add_alike(leaves[1:], read_header(leaves[0]))  # so it was not one by one


@pytest.mark.parametrize("first", [300, 2**16 + 300])
def test_each_byte_counts(first: int) -> None:
    leaves = run(first)
    for at in range(len(leaves[3])):
        for change in (*(1 << bit for bit in range(8)), 0xFF):
            other = bytearray(leaves[3])
            other[at] ^= change
            mutated = [*leaves[:3], bytes(other), *leaves[4:]]
            assert together(mutated, first) == alone(mutated, first), (at, change)


@given(st.data())
def test_whatever_is_done_to_their_bytes_they_are_read_as_alone(data: st.DataObject) -> None:
    leaves = run(300)
    for _ in range(data.draw(st.integers(1, 3))):
        number, at = data.draw(st.integers(0, COUNT - 1)), data.draw(st.integers(0, 160))
        with_ = data.draw(st.binary(max_size=3))
        cut = at + data.draw(st.integers(0, 3))
        leaves[number] = leaves[number][:at] + with_ + leaves[number][cut:]
    assert together(leaves, 300) == alone(leaves, 300)


@pytest.mark.parametrize("number", [1, COUNT - 1])
def test_a_header_that_is_cut_short_is_malformed(number: int) -> None:
    leaves = run(300)
    for cut in range(1, len(leaves[0]) - 1):
        for ending in (b"", b"\xc0"):
            other = [*leaves]
            other[number] = leaves[number][:cut] + ending
            with pytest.raises(Malformed):
                read_in_a_row(other, STREAM, 300)


def test_bytes_that_are_moved_to_the_next_header_are_malformed() -> None:
    first, second, *others = run(300)
    for count in (1, 33, 60):
        moved = [first, second[:-count], second[-count:] + others[0], *others[1:]]
        assert together(moved, 300) is None
        assert together([first[:-count], first[-count:] + second, *others], 300) is None


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
    leaves = run(300)
    assert longer[0] in leaves[1]
    leaves[1] = leaves[1].replace(*longer)
    assert together(leaves, 300) is None


@pytest.mark.parametrize(
    ("first", "code", "wide"), [(200, b"\xcd", 2), (300, b"\xce", 4), (2**16 - 3, b"\xce", 4)]
)
def test_numbers_that_are_all_longer_than_they_need_to_be_are_malformed(
    first: int, code: bytes, wide: int
) -> None:
    leaves = run(first)
    for at, leaf in enumerate(leaves[1:], 1):
        place = first + at
        leaves[at] = leaf.replace(pack(place), code + place.to_bytes(wide, "big"))
    assert together(leaves, first) is None
