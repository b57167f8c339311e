"""What is kept for others (spec/dht.md 8, 9)."""

import pytest

from qbix_node.crypto.keys import verify
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.records import (
    LIFETIME_S_MAX,
    Content,
    DomainContent,
    NodeContent,
    ProviderContent,
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


def test_who_fills_the_shelf_loses_its_own_records() -> None:
    shelf = Shelf(20, 32)
    honest = make_record(keys_of(1), CONTENTS[1], 1, NOW_S)
    shelf.put(honest, bytes((9, 9, 9, 9)))
    for number in range(200):
        content = ProviderContent("stream", number.to_bytes(32), ())
        shelf.put(make_record(keys_of(2 + number), content, 1, NOW_S), bytes((8, 8, 8, number)))
    assert len(shelf) == 20
    assert shelf.get(honest.key) == [honest]
