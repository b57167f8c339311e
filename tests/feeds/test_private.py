import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import BadInput
from qbix_node.feeds import box1, box2, private
from qbix_node.feeds.messages import ClassicMessage, PublishRefused, Readers
from qbix_node.wire.references import FeedId, encode_base64, format_feed
from qbix_node.wire.v8json import JsonValue
from tests.feeds.authors import Author
from tests.feeds.desk import Desk

SECRET: dict[str, JsonValue] = {"type": "post", "text": "psst"}
GROUP = bytes(range(32))
NO_KEY = FeedId(bytes(32))  # a point that no key agreement works with


@pytest.fixture
def carol() -> Author:
    return Author("carol")


def draw(size: int) -> bytes:
    return random.Random(7).randbytes(size)


def send(writer: Author, readers: Readers, content: JsonValue = None) -> ClassicMessage:
    sealed = private.seal(content or SECRET, readers, writer.keys, writer.head, draw)
    return writer.write(sealed)


@pytest.mark.parametrize("kind", ["box1", "box2"])
def test_readers_and_writer_open_it_and_nobody_else(
    alice: Author, bob: Author, carol: Author, kind: str
) -> None:
    for _ in range(2):  # as the first message of a feed, and later
        message = send(alice, Readers((bob.feed,), kind))  # type: ignore[arg-type]
        names = [format_feed(bob.feed), format_feed(alice.feed)]
        for reader in (alice, bob):
            assert private.unseal(message, reader.keys) == {**SECRET, "recps": names}
        assert private.unseal(message, carol.keys) is None


def test_group_is_opened_with_its_key(alice: Author, bob: Author, carol: Author) -> None:
    message = send(alice, Readers((carol.feed,), "box2", GROUP))
    assert private.unseal(message, bob.keys) is None
    assert private.unseal(message, bob.keys, [bytes(32), GROUP]) is not None
    assert private.unseal(message, carol.keys) is not None


def test_recps_that_are_given_stay(alice: Author, bob: Author) -> None:
    message = send(alice, Readers((bob.feed,)), {**SECRET, "recps": ["%group.cloaked"]})
    assert private.unseal(message, bob.keys) == {**SECRET, "recps": ["%group.cloaked"]}


def test_box2_opens_only_in_its_place(alice: Author, bob: Author) -> None:
    sealed = private.seal(SECRET, Readers((bob.feed,), "box2"), alice.keys, alice.head, draw)
    elsewhere = [Author("carol").write(sealed), (alice.write(), alice.write(sealed))[1]]
    for message in elsewhere:
        assert private.unseal(message, bob.keys) is None
        assert private.unseal(message, alice.keys) is None


def test_public_content_is_not_opened(alice: Author) -> None:
    for content in (SECRET, ".box", "aGk=.box", "aGk=.box2", "aGk=.box3"):
        message = replace(alice.write(), content=content)  # some of these we would not write
        assert private.unseal(message, alice.keys, [GROUP]) is None


def test_sealed_text_that_is_no_json_is_nothing(alice: Author) -> None:
    box = box1.seal(b"no json", [alice.feed], draw)
    message = alice.write(encode_base64(box) + ".box")
    assert private.unseal(message, alice.keys) is None


@pytest.mark.parametrize(
    ("readers", "content", "reason"),
    [
        (Readers((NO_KEY,)), SECRET, "no usable key"),
        (Readers((NO_KEY,), "box2"), SECRET, "no usable key"),
        (Readers(tuple(Author(f"{n}").feed for n in range(7))), SECRET, "8 readers: a box takes"),
        (Readers(tuple(Author(f"{n}").feed for n in range(17)), "box2"), SECRET, "slots: a box"),
        (Readers((), "box1", GROUP), SECRET, "use box2"),
        (Readers((), "box2", b"short"), SECRET, "a group key has 32 bytes, this has 5"),
        (Readers(()), "text", "a private content is a JSON object"),
        (Readers(()), {"text": "no type"}, "content has no type"),
    ],
)
def test_what_cannot_be_sealed_is_refused(
    alice: Author, readers: Readers, content: JsonValue, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        private.seal(content, readers, alice.keys, None, draw)


def test_as_many_readers_as_fit(alice: Author) -> None:
    others = [Author(f"reader {number}") for number in range(6)]
    message = send(alice, Readers(tuple(other.feed for other in others)))
    assert all(private.unseal(message, reader.keys) for reader in (*others, alice))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_box_or_not(data: bytes) -> None:
    alice = Author("alice")
    assert box1.unseal(data, alice.keys) is None
    context = box2.Context(alice.feed, None)
    assert box2.unseal(data, context, [box2.own_key(alice.keys), box2.group_key(GROUP)]) is None


@given(st.data())
def test_damaged_boxes_do_not_open(data: st.DataObject) -> None:
    alice, bob = Author("alice"), Author("bob")
    context = box2.Context(alice.feed, None)
    slots = box2.direct_keys(alice.keys, bob.feed)
    for box in (box1.seal(b"plain", [bob.feed], draw), box2.seal(b"plain", context, slots, draw)):
        place = data.draw(st.integers(0, len(box) - 1))
        flipped = box[place] ^ data.draw(st.integers(1, 255))
        damaged = box[:place] + bytes([flipped]) + box[place + 1 :]
        shorter = box[: data.draw(st.integers(0, len(box) - 1))]
        for broken in (damaged, shorter):
            assert box1.unseal(broken, bob.keys) is None
            # Key slots carry no code of their own: a damaged one may be another's.
            assert box2.unseal(broken, context, slots[:1]) in (None, b"plain")
        assert box2.unseal(shorter, context, slots) is None


def test_both_ends_find_the_same_direct_keys() -> None:
    people = [Author(f"person {number}") for number in range(40)]
    counts = set()
    for one, other in pairwise(people):
        keys = box2.direct_keys(one.keys, other.feed)
        assert set(keys) == set(box2.direct_keys(other.keys, one.feed))
        counts.add(len(keys))
    assert counts == {1, 2}  # for some pairs JavaScript orders the ends otherwise


def test_keys_are_not_shown(alice: Author) -> None:
    shown = repr([box2.own_key(alice.keys), Readers((), "box2", GROUP), box2.group_key(GROUP)])
    assert "key=" not in shown
    assert "group=" not in shown


# ---- publishing ----


@pytest.mark.parametrize("kind", ["box1", "box2"])
def test_private_messages_are_sealed_where_they_stand(bob: Author, kind: str) -> None:
    desk = Desk([])
    for _ in range(3):  # the second and third ahead of the disk
        desk.publish(SECRET, readers=Readers((bob.feed,), kind))  # type: ignore[arg-type]
    desk.settle()
    log = desk.log(desk.book.own)
    assert len(log) == 3
    assert all(private.unseal(message, bob.keys) for message in log)


def test_private_message_that_cannot_be_sealed_is_not_published() -> None:
    desk = Desk([])
    desk.publish(SECRET, readers=Readers((NO_KEY,)))
    assert [type(finding) for finding in desk.found] == [PublishRefused]
    assert desk.book.waiting == 0
