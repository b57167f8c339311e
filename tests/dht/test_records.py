"""What is kept for others (spec/dht.md 8, 9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.crypto.keys import verify
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.records import (
    LIFETIME_S_MAX,
    Content,
    DomainContent,
    NodeContent,
    ProviderContent,
    Record,
    make_record,
    read_record,
)
from qbix_node.dht.shelf import Shelf
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.wire.packing import pack, unpack
from tests.dht.network import keys_of

NOW_S = 1_800_000_000
ADDRESS = Endpoint(bytes((8, 8, 8, 8)), 8008)
CONTENTS: list[Content] = [
    NodeContent((ADDRESS, Endpoint(bytes(15) + b"\1", 1)), ("dht", "streams")),
    ProviderContent("stream", bytes(range(32)), (ADDRESS,)),
    DomainContent("example.org", (PeerId(bytes(32)), PeerId(b"\1" * 32))),
]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda each: each.kind)
def test_a_record_is_read_as_it_was_made_and_no_byte_of_it_can_be_another(content: Content) -> None:
    record = make_record(keys_of(1), content, 7, NOW_S)
    encoded = record.encoded
    again = read_record(encoded)
    assert (again.content, again.sequence, again.key) == (content, 7, record.key)
    assert verify(again.signer, again.signed, again.signature)
    for place in range(len(encoded)):
        flipped = encoded[:place] + bytes([encoded[place] ^ 1]) + encoded[place + 1 :]
        try:
            other = read_record(flipped)
        except Malformed:
            continue
        assert not verify(other.signer, other.signed, other.signature)


@pytest.mark.parametrize(
    "content",
    [
        DomainContent("Example.org", ()),
        DomainContent("example.org.", ()),
        DomainContent("a" * 64, ()),
        DomainContent("example.org", (PeerId(b"\1" * 32), PeerId(bytes(32)))),
        NodeContent((), ("streams", "dht")),
        NodeContent((Endpoint(bytes(4), 1),), ()),
        NodeContent((ADDRESS,) * 9, ()),
        ProviderContent("Stream", bytes(32), ()),
    ],
)
def test_what_nobody_would_take_is_not_made(content: Content) -> None:
    with pytest.raises(Malformed):
        make_record(keys_of(1), content, 1, NOW_S)


def test_other_versions_and_kinds_are_malformed() -> None:
    record = make_record(keys_of(1), CONTENTS[1], 1, NOW_S)
    row = unpack(record.body, "body")
    assert isinstance(row, tuple)
    for changed in (
        (2, *row[1:]),
        (1, "nodes", *row[2:]),
        row[:-1],
        (*row, None),
        (True, *row[1:]),
    ):
        with pytest.raises(Malformed):
            read_record(pack((pack(changed), record.signature)))


def test_a_record_counts_until_it_is_over_and_not_for_longer_than_anybody_may_ask() -> None:
    record = make_record(keys_of(1), CONTENTS[0], 1, NOW_S)
    assert record.timely(NOW_S - 1)
    assert not record.timely(NOW_S)
    assert not record.timely(NOW_S - LIFETIME_S_MAX - 301)


def test_the_newest_of_a_signer_is_kept_and_an_older_one_is_not() -> None:
    shelf = Shelf(100, 10)
    older, newer = [make_record(keys_of(1), CONTENTS[1], n, NOW_S) for n in (1, 2)]
    assert shelf.put(older, ADDRESS.ip)
    assert shelf.put(newer, ADDRESS.ip)
    assert not shelf.put(older, ADDRESS.ip)
    assert shelf.get(newer.key) == [newer]
    assert shelf.sweep(NOW_S) == 1
    assert len(shelf) == 0


EXPIRES_S = NOW_S + 3600


def provided(signer: int, stream: int = 0, sequence: int = 1) -> Record:
    content = ProviderContent("stream", stream.to_bytes(32), ())
    return make_record(keys_of(signer), content, sequence, EXPIRES_S)


def ip(number: int) -> bytes:
    """Each in a /24 of its own."""
    return bytes((20, number >> 8, number & 255, 1))


def test_who_came_first_stays_among_many_providers_of_one_stream() -> None:
    shelf = Shelf(1000, 32)
    first = provided(1)
    assert shelf.put(first, ip(1))
    kept = [shelf.put(provided(10 + number), ip(10 + number)) for number in range(100)]
    assert sum(kept) == 31
    assert first in shelf.get(first.key)
    assert shelf.put(provided(1, sequence=2), ip(1)), "and is renewed"


def test_one_network_does_not_fill_a_key() -> None:
    shelf = Shelf(1000, 32)
    for number in range(100):
        shelf.put(provided(10 + number), bytes((8, 8, 8, number)))
    honest = [provided(1 + number) for number in range(8)]
    assert all(shelf.put(each, ip(number)) for number, each in enumerate(honest))
    assert len(shelf.get(honest[0].key)) == 32


def test_where_no_subnets_are_counted_a_host_is_one() -> None:
    shelf = Shelf(20, 32)
    honest = [provided(1, stream) for stream in range(3)]
    for each in honest:
        shelf.put(each, bytes((192, 168, 0, 1)))
    for number in range(100):
        shelf.put(provided(10 + number, number), bytes((192, 168, 0, 2)))
    assert all(each in shelf.get(each.key) for each in honest)


def test_who_brings_the_record_of_another_does_not_take_it_along() -> None:
    shelf, liar = Shelf(20, 32), bytes((8, 8, 8, 8))
    honest = provided(1)
    for number in range(10, 15):
        shelf.put(provided(number, number), liar)
    shelf.put(honest, liar)
    shelf.put(honest, ip(1))
    shelf.put(honest, liar)
    for number in range(15, 100):
        shelf.put(provided(number, number), liar)
    for number in range(200, 218):
        shelf.put(provided(number, number), ip(number))
    assert shelf.get(honest.key) == [honest]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(0, 5)), max_size=60))
def test_the_shelf_keeps_within_its_bounds_and_loses_count_of_nothing(
    puts: list[tuple[int, int, int]],
) -> None:
    shelf = Shelf(12, 3)
    for signer, stream, network in puts:
        record = PROVIDED[signer, stream]
        assert shelf.put(record, ip(network)) is (record in shelf.get(record.key))
        assert len(shelf) == len([*shelf]) <= 12
        assert len(shelf.get(record.key)) <= 3
    shelf.sweep(EXPIRES_S)
    assert len(shelf) == 0
    assert not shelf._groups._members
    assert not shelf._groups._by_size


PROVIDED = {
    (signer, stream): provided(signer, stream) for signer in range(1, 10) for stream in range(10)
}


def test_who_fills_the_shelf_loses_its_own_records() -> None:
    shelf = Shelf(20, 32)
    honest = make_record(keys_of(1), CONTENTS[1], 1, NOW_S)
    shelf.put(honest, bytes((9, 9, 9, 9)))
    for number in range(200):
        content = ProviderContent("stream", number.to_bytes(32), ())
        shelf.put(make_record(keys_of(2 + number), content, 1, NOW_S), bytes((8, 8, 8, number)))
    assert len(shelf) == 20
    assert shelf.get(honest.key) == [honest]
