import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import BadInput
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.validation import UNITS_MAX, validate
from qbix_node.wire.v8json import JsonValue
from tests.feeds.authors import START_MS, Author, value_of


def test_message_is_what_its_reader_makes_of_it(alice: Author) -> None:
    contents: list[JsonValue] = [
        {"type": "post", "text": "plain"},
        {"type": "post", "text": "é 語 😀 \u2028 \x7f \x00"},
        {"10": 1, "type": "post", "9": [1.5, -0.0, 1e21, {}, []]},
        "aGkh" * 19 + ".box",
    ]
    head = None
    for content in contents:
        message = alice.write(content)
        assert validate(value_of(message), head) == message
        head = message.head


def test_longest_message_is_written_and_a_longer_one_is_not(alice: Author) -> None:
    empty = make_message(alice.keys, None, {"type": "post", "text": ""}, START_MS)
    room = "語" * (UNITS_MAX - len(empty.encoded))
    make_message(alice.keys, None, {"type": "post", "text": room}, START_MS)
    with pytest.raises(BadInput, match="8193 UTF-16 units long, 8192 are allowed"):
        make_message(alice.keys, None, {"type": "post", "text": room + "a"}, START_MS)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"text": "no type"}, "content has no type"),
        ("no box", "content that is text"),
        (None, "content is neither"),
        ({"type": "post", "text": "\ud800"}, "half of a UTF-16 pair"),
        ({"type": "post", "\udfff": 1}, "half of a UTF-16 pair"),
        ({"type": "post", "a": [{"b": ["\ud800"]}]}, "half of a UTF-16 pair"),
        ({"type": "post", "a": {"__proto__": 1}}, "named __proto__"),
        ("aGk=.box", "too short for a box"),
        ({"type": "post", "a": [float("inf")]}, "beyond all numbers"),
        ({"type": "post", "a": float("nan")}, "beyond all numbers"),
    ],
)
def test_what_peers_would_refuse_or_corrupt_is_not_written(
    alice: Author, content: JsonValue, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        make_message(alice.keys, None, content, START_MS)


VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(max_size=3), items),
    max_leaves=8,
)


@given(VALUES)
def test_whatever_is_written_is_valid(item: JsonValue) -> None:
    message = Author("alice").write({"type": "post", "item": item})
    assert validate(value_of(message), None) == message
