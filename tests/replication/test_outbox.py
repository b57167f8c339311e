from hypothesis import given
from hypothesis import strategies as st

from qbix_node.replication.messages import REFUSED, EbtNotes, Range, Stop
from qbix_node.replication.outbox import MESSAGES_MAX, NOTES_MAX, Outbox
from qbix_node.wire.references import FeedId

ALICE = FeedId(b"a" * 32)
BOB = FeedId(b"b" * 32)


def take_all(outbox: Outbox[FeedId]) -> list[EbtNotes[FeedId] | Range[FeedId]]:
    taken = []
    while (message := outbox.take()) is not None:
        taken.append(message)
    return taken


def test_notes_go_first_and_newer_ones_replace_older_ones() -> None:
    outbox = Outbox[FeedId]()
    outbox.put(Range(ALICE, 1, 2))
    outbox.put(EbtNotes({ALICE: 2, BOB: 4}))
    outbox.put(EbtNotes({ALICE: 6}))
    assert take_all(outbox) == [EbtNotes({ALICE: 6, BOB: 4}), Range(ALICE, 1, 2)]


def test_empty_clock_is_sent() -> None:
    outbox = Outbox[FeedId]()
    outbox.put(EbtNotes({}))
    assert take_all(outbox) == [EbtNotes({})]


def test_long_clock_leaves_in_parts() -> None:
    outbox = Outbox[FeedId]()
    notes = {FeedId(n.to_bytes(32, "big")): n for n in range(2 * NOTES_MAX + 1)}
    outbox.put(EbtNotes(notes))
    parts = take_all(outbox)
    assert [len(part.notes) for part in parts if isinstance(part, EbtNotes)] == [
        NOTES_MAX,
        NOTES_MAX,
        1,
    ]


def test_feeds_take_turns() -> None:
    outbox = Outbox[FeedId]()
    outbox.put(Range(ALICE, 1, MESSAGES_MAX + 1))
    outbox.put(Range(BOB, 5, 6))
    assert take_all(outbox) == [
        Range(ALICE, 1, MESSAGES_MAX),
        Range(BOB, 5, 6),
        Range(ALICE, MESSAGES_MAX + 1, MESSAGES_MAX + 1),
    ]


def test_what_follows_is_joined_and_what_starts_anew_replaces() -> None:
    outbox = Outbox[FeedId]()
    outbox.put(Range(ALICE, 1, 2))
    outbox.put(Range(ALICE, 3, 3))
    outbox.put(Range(BOB, 5, 9))
    outbox.put(Range(BOB, 2, 9))
    assert take_all(outbox) == [Range(ALICE, 1, 3), Range(BOB, 2, 9)]


def test_nothing_is_sent_twice_unless_it_is_to_be_sent_again() -> None:
    outbox = Outbox[FeedId]()
    outbox.put(Range(ALICE, 1, MESSAGES_MAX + 5))
    assert outbox.take() == Range(ALICE, 1, MESSAGES_MAX)
    outbox.put(Range(ALICE, 3, MESSAGES_MAX + 9))
    outbox.put(Range(ALICE, 1, 2, again=True))  # it is being served
    assert take_all(outbox) == [Range(ALICE, MESSAGES_MAX + 1, MESSAGES_MAX + 9)]
    outbox.put(Stop(ALICE))
    outbox.put(Range(ALICE, 3, MESSAGES_MAX + 9))
    assert take_all(outbox) == []
    outbox.put(Range(ALICE, 3, 4, again=True))
    assert take_all(outbox) == [Range(ALICE, 3, 4)]


def test_stop_takes_back_what_still_waits() -> None:
    outbox = Outbox[FeedId]()
    outbox.put(Range(ALICE, 1, 2))
    outbox.put(Stop(ALICE))
    outbox.put(Stop(BOB))
    assert take_all(outbox) == []


def test_what_was_sent_of_a_feed_that_began_anew_is_sent_again() -> None:
    outbox = Outbox[FeedId]()
    outbox.put(Range(ALICE, 1, 9))
    assert take_all(outbox) == [Range(ALICE, 1, 9)]
    outbox.put(Stop(ALICE, forget=True))
    outbox.put(Range(ALICE, 3, 7))
    assert take_all(outbox) == [Range(ALICE, 3, 7)]


def test_that_a_feed_is_not_replicated_is_said_before_what_follows_it() -> None:
    outbox = Outbox[FeedId]()
    outbox.put(EbtNotes({ALICE: 4, BOB: 2}))
    outbox.put(EbtNotes({ALICE: REFUSED}))
    outbox.put(EbtNotes({BOB: 6}))
    outbox.put(EbtNotes({ALICE: 0}))
    outbox.put(EbtNotes({ALICE: 2}))
    said = [EbtNotes({ALICE: REFUSED, BOB: 6}), EbtNotes({ALICE: 2})]
    assert take_all(outbox) == said
    assert outbox.empty


@given(st.lists(st.integers(1, 200), max_size=20))
def test_growing_feed_leaves_once_and_in_order(steps: list[int]) -> None:
    outbox, head, left = Outbox[FeedId](), 0, []
    for step in steps:
        outbox.put(Range(ALICE, head + 1, head + step))
        head += step
        left.append(outbox.take())
    left += take_all(outbox)
    ranges = [part for part in left if isinstance(part, Range)]
    assert [n for part in ranges for n in range(part.first, part.last + 1)] == [*range(1, head + 1)]
    assert all(part.last - part.first < MESSAGES_MAX for part in ranges)
