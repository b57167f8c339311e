"""Whatever a peer can make grow has an end, and what happens there is stated."""

import pytest

from qbix_node import machines as m
from qbix_node.feeds.line import CHECKS_MAX
from qbix_node.feeds.machine import (
    HELD_MAX,
    HELD_PER_FEED_MAX,
    WAITING_MAX,
    WAITING_PER_FEED_MAX,
)
from qbix_node.feeds.messages import ForkFound, Skipped
from tests.feeds.authors import Author
from tests.feeds.desk import PETE, QUIN, Desk


@pytest.fixture
def desk(alice: Author) -> Desk:
    return Desk([alice.feed])


def test_waiting_messages_of_one_feed(desk: Desk, alice: Author) -> None:
    written = alice.write_many(WAITING_PER_FEED_MAX + 10)
    desk.offer(*written)
    assert desk.book.waiting == WAITING_PER_FEED_MAX
    assert desk.found == [Skipped(PETE, alice.feed, 10)]
    assert desk.settled[PETE] == 10
    desk.settle()
    desk.offer(*written[-10:])
    desk.settle()
    assert desk.log(alice.feed) == written
    assert desk.settled[PETE] == len(written) + 10


def test_messages_far_ahead_are_not_even_checked(desk: Desk, alice: Author) -> None:
    *_, last, beyond = alice.write_many(WAITING_PER_FEED_MAX + 1)
    desk.offer(last, beyond)
    assert [len(check.checks) for check in desk.checks] == [1]
    assert desk.found == [Skipped(PETE, alice.feed, 1)]


def test_signatures_in_one_check(desk: Desk, alice: Author) -> None:
    desk.offer(*alice.write_many(CHECKS_MAX + 1))
    assert [len(check.checks) for check in desk.checks] == [CHECKS_MAX]


def test_waiting_messages_of_all_feeds() -> None:
    authors = [Author(f"author {number}") for number in range(WAITING_MAX // 512 + 1)]
    desk = Desk([author.feed for author in authors])
    for author in authors:
        desk.offer(*author.write_many(512))
    assert desk.book.waiting == WAITING_MAX
    assert desk.found == [Skipped(PETE, authors[-1].feed, 512)]
    desk.publish()
    assert desk.refusals == ["too many messages wait for the disk"]


def test_old_messages_that_are_looked_up(desk: Desk, alice: Author) -> None:
    written = alice.write_many(WAITING_PER_FEED_MAX + 2)
    desk.offer(*written[:-2])
    desk.settle()
    desk.offer(*written[-2:])
    desk.settle()
    desk.offer(*written[:-1], peer=QUIN)
    assert desk.book.waiting == WAITING_PER_FEED_MAX
    assert desk.findings(Skipped) == [Skipped(QUIN, alice.feed, 1)]
    desk.settle()
    assert desk.book.waiting == 0


def test_own_messages_that_wait_for_the_disk(desk: Desk) -> None:
    for _ in range(WAITING_PER_FEED_MAX + 1):
        desk.publish()
    assert desk.refusals == ["too many messages wait for the disk"]
    desk.settle()
    assert len(desk.published) == WAITING_PER_FEED_MAX


def test_held_messages_of_one_feed(desk: Desk, alice: Author) -> None:
    first, *later = alice.write_many(HELD_PER_FEED_MAX + 11)
    desk.offer(*later)
    desk.settle()
    assert desk.book.waiting == HELD_PER_FEED_MAX
    assert sum(skipped.count for skipped in desk.findings(Skipped)) == 10
    assert desk.settled[PETE] == len(later)
    desk.offer(first)
    desk.settle()
    assert desk.log(alice.feed) == [first, *later[:-10]]


def test_held_messages_of_all_feeds() -> None:
    authors = [Author(f"author {number}") for number in range(HELD_MAX // HELD_PER_FEED_MAX + 1)]
    desk = Desk([author.feed for author in authors])
    firsts = []
    for author in authors:
        first, *later = author.write_many(HELD_PER_FEED_MAX + 1)
        firsts.append(first)
        desk.offer(*later)
        desk.settle()
    assert desk.book.waiting == HELD_MAX
    assert desk.findings(Skipped) == [Skipped(PETE, authors[0].feed, HELD_PER_FEED_MAX)]
    desk.offer(*firsts)
    desk.settle()
    lengths = [len(desk.log(author.feed)) for author in authors]
    assert lengths == [1] + [HELD_PER_FEED_MAX + 1] * (len(authors) - 1)
    assert desk.book.waiting == 0


def test_evidence_of_one_feed(desk: Desk, alice: Author) -> None:
    branches = [alice.twin() for _ in range(5)]
    for branch in branches:
        desk.offer(branch.write({"type": "post", "text": f"{id(branch)}"}))
        desk.settle()
    assert len(desk.findings(ForkFound)) == 1
    assert len(desk.disk.scan(b"f/x", b"f/y", limit=10)) == 1
    assert desk.checks_made == 2


def test_effects_of_a_long_offer_are_few(desk: Desk, alice: Author) -> None:
    effects = desk.offer(*alice.write_many(CHECKS_MAX))
    assert [type(effect) for effect in effects] == [m.Verify]
    desk.settle()
    assert len(desk.found) == 1
    assert desk.checks_made == CHECKS_MAX
    assert desk.batches == 1
