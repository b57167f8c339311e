import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.feeds.messages import ClassicMessage, Head, Refused
from qbix_node.feeds.validation import (
    UNITS_MAX,
    check_next,
    content_fault,
    message_id,
    read_message,
    validate,
)
from qbix_node.wire.references import MessageId, decode_base64, encode_base64
from qbix_node.wire.v8json import JsonValue, parse, stringify
from tests.feeds.authors import Author, value_of

MARKED: JsonValue = {"type": "post", "text": "marked"}


def resign(author: Author, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """As `author` would sign exactly this, rules or not."""
    unsigned = {key: item for key, item in value.items() if key != "signature"}
    signature = encode_base64(author.keys.sign(stringify(unsigned).encode())) + ".sig.ed25519"
    return {**unsigned, "signature": signature}


def verdict(value: JsonValue, head: Head | None = None) -> str:
    match validate(value, head):
        case Refused(reason):
            return reason
        case ClassicMessage():
            return "valid"


def test_written_messages_are_valid_in_their_order(alice: Author) -> None:
    head = None
    for message in alice.write_many(3):
        assert validate(value_of(message), head) == message
        head = message.head


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sequence": "1"}, "sequence is not"),
        ({"sequence": True}, "sequence is not"),
        ({"sequence": 0}, "sequence is not"),
        ({"sequence": 1.5}, "sequence is not"),
        ({"sequence": 2**53}, "sequence is not"),
        ({"timestamp": None}, "timestamp is not"),
        ({"timestamp": True}, "timestamp is not"),
        ({"timestamp": "1"}, "timestamp is not"),
        ({"timestamp": float("inf")}, "timestamp is beyond"),
        ({"hash": "sha512"}, "hash is not"),
        ({"author": None}, "author is not text"),
        ({"author": "@abc.ed25519"}, "is no feed id"),
        ({"author": "ssb:feed/ed25519/" + "A" * 43 + "="}, "author is a URI"),
        ({"previous": "%abc.sha256"}, "previous of a first message is not null"),
        ({"previous": {}}, "previous of a first message is not null"),
        ({"sequence": 2}, "previous is not text"),
        ({"sequence": 2, "previous": "%abc.sha256"}, "is no message id"),
        ({"sequence": 2, "previous": "ssb:message/sha256/" + "A" * 43 + "="}, "previous is a URI"),
        ({"content": None}, "content is neither"),
        ({"content": ["type"]}, "content is neither"),
        ({"content": 1}, "content is neither"),
        ({"content": {}}, "content has no type"),
        ({"content": {"type": 1}}, "content has no type"),
        ({"content": {"type": "ab"}}, "content has no type"),
        ({"content": {"type": "a" * 53}}, "content has no type"),
        ({"content": {"type": "😀" * 27}}, "content has no type"),
        ({"content": "hello"}, "content that is text"),
        ({"content": "aab.box"}, "content that is text"),
        ({"content": "aGk=.bo"}, "content that is text"),
        ({"content": "aGk=.box2\n"}, "content that is text"),
    ],
)
def test_field_that_breaks_a_rule_is_refused(
    alice: Author, change: dict[str, JsonValue], reason: str
) -> None:
    value = resign(alice, {**value_of(alice.write()), **change})
    assert reason in verdict(value)


@pytest.mark.parametrize(
    "content",
    [
        {"type": "abc"},
        {"type": "a" * 52},
        {"type": "😀" * 26},
        {"type": "post", "__proto__": {"a": 1}, "half": "\ud800", "7": 1, "1": 2},
        "aGk=.box",
        "aGk=.box2",
        "aGk=.box7!",
        ".box",
    ],
)
def test_content_within_the_rules_is_taken(alice: Author, content: JsonValue) -> None:
    assert verdict(resign(alice, {**value_of(alice.write()), "content": content})) == "valid"


@pytest.mark.parametrize("value", [None, True, 1, "x", [], {}, {"author": 1}])
def test_what_is_no_message_at_all_is_refused(value: JsonValue) -> None:
    assert isinstance(read_message(value), Refused)


def test_fields_stand_in_one_of_two_orders(alice: Author) -> None:
    value = value_of(alice.write())
    names = list(value)
    swapped = ["previous", "author", "sequence", *names[3:]]
    assert verdict(resign(alice, {name: value[name] for name in swapped})) == "valid"
    for wrong in (sorted(names), names[1:], [*names[:-2], "signature", "content"]):
        assert "fields" in verdict({name: value[name] for name in wrong})
    assert "fields" in verdict({**value, "extra": 1})


def test_length_counts_utf16_units_of_the_whole(alice: Author) -> None:
    def long(text: str) -> dict[str, JsonValue]:
        content: JsonValue = {"type": "post", "text": text}
        return resign(alice, value_of(empty, content=content))

    empty = alice.write({"type": "post", "text": ""})
    room = UNITS_MAX - len(empty.encoded)
    for fits in ("a" * room, "語" * room, "😀" * (room // 2)):
        assert verdict(long(fits)) == "valid"
        assert "longer than 8192" in verdict(long(fits + "ab"))


def test_signature_must_be_the_only_form_of_64_bytes(alice: Author) -> None:
    value = value_of(alice.write())
    good = str(value["signature"])
    tail = good.index("=")
    malleable = good[: tail - 1] + chr(ord(good[tail - 1]) + 1) + good[tail:]
    for bad in (
        malleable,
        good.replace(".sig.ed25519", ".sig.ed25518"),
        good.replace(".sig.ed25519", ""),
        good + " ",
        "AAAA" + good,
        encode_base64(bytes(63)) + ".sig.ed25519",
    ):
        assert "signature is not canonical" in verdict({**value, "signature": bad})
    assert verdict({**value, "signature": 1}) == "signature is not text"
    other = encode_base64(bytes(64)) + ".sig.ed25519"
    assert verdict({**value, "signature": other}) == "signature does not match"


def test_a_malleable_signature_is_no_second_form_of_a_message(alice: Author) -> None:
    """S and S + L satisfy one equation; with another signature the message had another id, and
    would seem forked.
    """
    order = 2**252 + 27742317777372353535851937790883648493
    value = value_of(alice.write())
    signature = decode_base64(str(value["signature"]).removesuffix(".sig.ed25519"), 64)
    assert signature is not None
    other_s = int.from_bytes(signature[32:], "little") + order
    malleable = signature[:32] + other_s.to_bytes(32, "little")
    named = encode_base64(malleable) + ".sig.ed25519"
    assert verdict({**value, "signature": named}) == "signature does not match"


def test_message_of_another_author_or_network_does_not_match(alice: Author, bob: Author) -> None:
    message = alice.write()
    theirs = value_of(message, author=value_of(bob.write())["author"])
    assert verdict(theirs) == "signature does not match"
    assert validate(value_of(message), None, hmac_key=bytes(32)) == Refused(
        "signature does not match"
    )


def test_only_the_next_message_is_next(alice: Author) -> None:
    first, second, third = alice.write_many(3)
    assert check_next(None, first) is None
    assert check_next(first.head, second) is None
    for head, message in ((None, second), (first.head, first), (first.head, third)):
        assert check_next(head, message) is not None
    other = Head(1, MessageId(bytes(32)))
    assert check_next(other, second) == Refused("previous is not the id of the message before")


def test_one_id_stands_for_several_texts_so_the_signature_decides(alice: Author) -> None:
    honest = alice.write({"type": "post", "text": "AAA"})
    twisted = json.loads(honest.encoded.replace("AAA", "AA\u0141"))
    lookalike = read_message(twisted)
    assert isinstance(lookalike, ClassicMessage)
    assert lookalike.id == honest.id
    assert lookalike.encoded != honest.encoded
    assert verdict(twisted) == "signature does not match"


def test_id_is_the_hash_of_low_bytes() -> None:
    assert message_id("\u0141\u2041") == message_id("AA")


def test_number_spelled_otherwise_is_the_same_message(alice: Author) -> None:
    message = alice.write()
    text = message.encoded.replace('"sequence": 1,', '"sequence": 10e-1,')
    assert text != message.encoded
    assert validate(parse(text.encode(), "message"), None) == message


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda items: st.lists(items, max_size=2) | st.dictionaries(st.text(max_size=3), items),
    max_leaves=4,
)


@given(st.data())
def test_any_change_of_a_message_is_refused(data: st.DataObject) -> None:
    value = value_of(Author("alice").write(MARKED))
    name = data.draw(st.sampled_from(sorted(value)))
    changed = {**value, name: data.draw(ANYTHING.filter(lambda item: item != value[name]))}
    assert isinstance(validate(changed, None), Refused)


@given(ANYTHING)
def test_any_content_is_judged(content: JsonValue) -> None:
    assert isinstance(content_fault(content), str)
