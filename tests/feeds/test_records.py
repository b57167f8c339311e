from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import DamagedStore
from qbix_node.feeds.records import (
    Evidence,
    message_key,
    put_evidence,
    put_head,
    put_message,
    read_evidence,
    read_forked,
    read_heads,
    read_log,
    unpack_message,
)
from qbix_node.ports import Put
from qbix_node.store.memory import MemoryStore
from qbix_node.wire.packing import Packable, pack
from qbix_node.wire.references import FeedId
from tests.feeds.authors import START_MS, Author


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def test_log_is_read_in_order_and_in_parts(
    store: MemoryStore, alice: Author, bob: Author
) -> None:
    written = alice.write_many(300)
    await store.write([put_message(message, START_MS) for message in (*written, bob.write())])
    log = read_log(store, alice.feed, 1, 1000)
    assert [stored.message() for stored in log] == written
    assert {stored.received_ms for stored in log} == {START_MS}
    part = read_log(store, alice.feed, 256, 3)
    assert [(stored.feed, stored.sequence) for stored in part] == [
        (alice.feed, sequence) for sequence in (256, 257, 258)
    ]
    assert read_log(store, alice.feed, 301, 10) == []


async def test_heads_of_all_feeds_are_found(store: MemoryStore) -> None:
    authors = [Author(f"author {number}") for number in range(1500)]
    heads = {author.feed: author.write().head for author in authors}
    await store.write([put_head(feed, head) for feed, head in heads.items()])
    assert read_heads(store) == heads


async def test_evidence_is_kept_whole(store: MemoryStore, alice: Author, bob: Author) -> None:
    twin = alice.twin()
    ours, theirs = alice.write(), twin.write({"type": "post", "text": "another"})
    evidence = Evidence(START_MS, ours, theirs)
    await store.write([put_evidence(evidence)])
    assert read_evidence(store, alice.feed) == evidence
    assert read_forked(store) == {alice.feed}
    assert read_evidence(store, bob.feed) is None


async def test_damage_is_named(store: MemoryStore, alice: Author) -> None:
    message = alice.write()
    key = message_key(alice.feed, 1)
    await store.write([Put(key, b"short")])
    with pytest.raises(DamagedStore, match=r"the record of message 1 of @.* is too short"):
        read_log(store, alice.feed, 1, 1)
    record = put_message(message, START_MS).value
    for broken in (record[:-1], record[:40] + b"{}", record.replace(b"sha256", b"sha512", 1)):
        await store.write([Put(key, broken)])
        with pytest.raises(DamagedStore, match="a message of @"):
            read_log(store, alice.feed, 1, 1)[0].message()
    await store.write([Put(b"f/x" + alice.feed, b"\xc1")])
    with pytest.raises(DamagedStore, match="the evidence about @"):
        read_evidence(store, alice.feed)
    await store.write([Put(b"f/h" + alice.feed, b"")])
    with pytest.raises(DamagedStore, match="the head record"):
        read_heads(store)


FEED = FeedId(bytes(32))
TEXTS = st.sampled_from([b"{}", b"[]", b'{"author": 1}', b'{"sequence": 1, "content": {}}'])


@given(st.binary(max_size=60) | TEXTS.map(lambda text: bytes(40) + text))
def test_any_record_is_a_message_or_damaged(record: bytes) -> None:
    with suppress(DamagedStore):
        unpack_message(FEED, 1, record).message()


PARTS: st.SearchStrategy[Packable] = st.one_of(
    st.integers(0, 2**64 - 1), st.none(), st.text(max_size=4), TEXTS, st.binary(max_size=8)
)


@given(st.binary() | (PARTS | st.lists(PARTS, max_size=4).map(tuple)).map(pack))
async def test_any_record_is_evidence_or_damaged(record: bytes) -> None:
    store = MemoryStore()
    await store.write([Put(b"f/x" + FEED, record)])
    with suppress(DamagedStore):
        read_evidence(store, FEED)
