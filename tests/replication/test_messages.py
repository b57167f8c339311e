import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.replication.messages import (
    NOTE_MAX,
    REFUSED,
    SEQUENCE_MAX,
    HistoryRequest,
    asks,
    check_ebt_arguments,
    format_history_request,
    format_notes,
    make_note,
    parse_history_request,
    parse_notes,
    sequence_of,
)
from qbix_node.wire.references import FeedId, format_feed
from qbix_node.wire.v8json import JsonValue, parse

ALICE = FeedId(b"a" * 32)
BOB = FeedId(b"b" * 32)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("note", "sequence", "asking"),
    [(0, 0, True), (1, 0, False), (20, 10, True), (21, 10, False), (-1, REFUSED, False)],
)
def test_note_says_what_its_sender_has_and_whether_it_wants_more(
    note: int, sequence: int, asking: bool
) -> None:
    assert (sequence_of(note), asks(note)) == (sequence, asking)
    if note != REFUSED:
        assert make_note(sequence, receive=asking) == note


def test_sequence_beyond_what_notes_can_say_is_announced_as_the_highest() -> None:
    assert make_note(SEQUENCE_MAX + 5, receive=False) == NOTE_MAX
    assert NOTE_MAX == 2**31 - 1


@given(st.dictionaries(st.binary(min_size=32, max_size=32).map(FeedId), st.integers(-1, NOTE_MAX)))
def test_notes_survive_the_wire(notes: dict[FeedId, int]) -> None:
    value = parse(format_notes(notes), "notes")
    assert isinstance(value, dict)
    assert parse_notes(value) == notes


@pytest.mark.parametrize(
    "note", [-2, NOTE_MAX + 1, 2.5, 1e300, "4", None, True, [], {}, float("inf")]
)
def test_number_that_is_no_note_is_left_out(note: JsonValue) -> None:
    assert parse_notes({format_feed(ALICE): note, format_feed(BOB): 2}) == {BOB: 2}


@pytest.mark.parametrize(
    "name",
    ["", "@", "alice", "ssb:feed/bendybutt-v1/" + "A" * 43 + "=", "@" + "A" * 43 + "B.ed25519"],
)
def test_name_that_is_no_classic_feed_is_left_out(name: str) -> None:
    assert parse_notes({name: 2, format_feed(BOB): 2}) == {BOB: 2}


def test_clock_may_stand_inside_other_properties() -> None:
    assert parse_notes({"clock": {format_feed(BOB): 2}, "more": 1}) == {BOB: 2}


@given(st.dictionaries(st.text() | st.just(format_feed(ALICE)), JSON))
def test_any_object_gives_notes_within_bounds(value: dict[str, JsonValue]) -> None:
    assert all(-1 <= note <= NOTE_MAX for note in parse_notes(value).values())


@pytest.mark.parametrize(
    "arguments",
    [[{"version": 3}], [{"version": 3, "format": "classic"}], [{"version": 3, "x": 1}, 2]],
)
def test_version_3_of_classic_feeds_is_spoken(arguments: list[JsonValue]) -> None:
    check_ebt_arguments(arguments)


@pytest.mark.parametrize(
    "arguments", [[], [3], [{}], [{"version": 2}], [{"version": 3, "format": "bendybutt-v1"}]]
)
def test_other_versions_and_formats_are_refused(arguments: list[JsonValue]) -> None:
    with pytest.raises(Malformed, match=r"ebt\.replicate"):
        check_ebt_arguments(arguments)


@pytest.mark.parametrize(
    "request_",
    [
        HistoryRequest(ALICE),
        HistoryRequest(ALICE, 7, 3, live=True, old=False, keys=False, values=False),
    ],
)
def test_history_request_survives_the_wire(request_: HistoryRequest) -> None:
    assert parse_history_request(format_history_request(request_)) == request_


def test_history_request_has_the_defaults_of_javascript_peers() -> None:
    name = format_feed(ALICE)
    assert parse_history_request([{"id": name}]) == HistoryRequest(ALICE)
    assert parse_history_request([{"id": name, "sequence": 4, "seq": 2}]).sequence == 4
    assert parse_history_request([{"id": name, "seq": 0, "limit": -1}]) == HistoryRequest(ALICE)
    assert parse_history_request([{"id": name, "live": 1, "old": 0}]) == HistoryRequest(ALICE)


@pytest.mark.parametrize(
    "arguments",
    [[], ["x"], [{}], [{"id": 3}], [{"id": "@x"}], [{"id": format_feed(ALICE), "seq": "1"}]],
)
def test_history_request_that_asks_for_nothing_sensible_is_refused(
    arguments: list[JsonValue],
) -> None:
    with pytest.raises(Malformed):
        parse_history_request(arguments)


@given(st.lists(JSON | st.fixed_dictionaries({"id": st.just(format_feed(ALICE)), "seq": JSON})))
def test_any_arguments_are_read_or_refused(arguments: list[JsonValue]) -> None:
    for read in (parse_history_request, check_ebt_arguments):
        with contextlib.suppress(Malformed):
            read(arguments)
