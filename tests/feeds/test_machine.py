import pytest

from qbix_node import machines as m
from qbix_node.feeds.messages import (
    Appended,
    ForkFound,
    ForkSuspected,
    Head,
    Offered,
    Publish,
    PublishRefused,
    Refusal,
    Skipped,
)
from qbix_node.feeds.records import Evidence, read_evidence
from qbix_node.store.memory import MemoryStore
from qbix_node.wire.references import format_feed
from tests.feeds.authors import START_MS, Author, value_of
from tests.feeds.desk import PETE, QUIN, Desk


@pytest.fixture
def desk(alice: Author, bob: Author) -> Desk:
    return Desk([alice.feed, bob.feed])


# ---- appending ----


def test_messages_of_a_peer_are_appended_once_durable(desk: Desk, alice: Author) -> None:
    written = alice.write_many(3)
    desk.offer(*written)
    desk.verify()
    assert (desk.found, desk.book.heads) == ([], {})
    desk.sync()
    assert desk.found == [Appended(alice.feed, 1, 3, PETE)]
    assert desk.book.heads == {alice.feed: alice.head}
    assert desk.log(alice.feed) == written


def test_what_arrives_during_a_check_is_checked_together(desk: Desk, alice: Author) -> None:
    for message in alice.write_many(10):
        desk.offer(message)
    assert [len(check.checks) for check in desk.checks] == [1]
    desk.verify()
    assert [len(check.checks) for check in desk.checks] == [9]
    desk.settle()
    assert desk.checks_made == 10
    assert desk.batches == 2
    assert desk.book.heads[alice.feed] == alice.head


def test_writes_of_one_feed_follow_each_other(desk: Desk, alice: Author) -> None:
    for message in alice.write_many(3):
        desk.offer(message)
        desk.verify()
    assert [len(write.writes) for write in desk.writes] == [2]  # the message and the head
    desk.sync()
    assert [len(write.writes) for write in desk.writes] == [3]
    desk.settle()
    assert desk.found == [Appended(alice.feed, 1, 1, PETE), Appended(alice.feed, 2, 3, PETE)]


def test_feeds_do_not_wait_for_each_other(desk: Desk, alice: Author, bob: Author) -> None:
    desk.offer(alice.write(), bob.write())
    first, second = desk.checks
    desk.tell(m.Verified(second.token, (True,)))
    desk.sync()
    assert desk.found == [Appended(bob.feed, 1, 1, PETE)]
    desk.tell(m.Verified(first.token, (True,)))
    desk.settle()
    assert desk.book.heads == {alice.feed: alice.head, bob.feed: bob.head}


def test_runs_of_several_peers_are_told_apart(desk: Desk, alice: Author) -> None:
    one, two, three = alice.write_many(3)
    desk.offer(one)
    desk.offer(two, peer=QUIN)
    desk.offer(three)
    desk.verify()
    desk.verify()
    desk.settle()
    assert desk.findings(Appended) == [
        Appended(alice.feed, 1, 1, PETE),
        Appended(alice.feed, 2, 2, QUIN),
        Appended(alice.feed, 3, 3, PETE),
    ]


def test_out_of_order_messages_are_put_in_order(desk: Desk, alice: Author) -> None:
    written = alice.write_many(40)
    desk.offer(written[0], *reversed(written[1:]))
    desk.settle()
    assert desk.log(alice.feed) == written
    assert desk.checks_made == 40


def test_missing_message_is_waited_for(desk: Desk, alice: Author) -> None:
    one, two, three, four = alice.write_many(4)
    desk.offer(one, three, four)
    desk.settle()
    assert desk.log(alice.feed) == [one]
    assert desk.settled[PETE] == 3  # the peer may go on, else the missing one could never come
    desk.offer(two, peer=QUIN)
    desk.settle()
    assert desk.log(alice.feed) == [one, two, three, four]
    assert desk.checks_made == 4
    assert desk.settled == {PETE: 3, QUIN: 1}


def test_feed_that_nobody_wants_is_not_looked_at(desk: Desk) -> None:
    desk.offer(*Author("carol").write_many(2))
    assert (desk.checks, desk.loads, desk.found) == ([], [], [])
    assert desk.settled[PETE] == 2


def test_of_a_dropped_feed_only_what_is_being_written_is_appended(
    desk: Desk, alice: Author
) -> None:
    first, second, third = alice.write_many(3)
    desk.offer(first)
    desk.verify()
    desk.offer(second)
    desk.verify()  # it is chained, and waits for the first one to be written
    desk.take(desk.book.drop(alice.feed))
    desk.settle()
    assert desk.log(alice.feed) == [first]
    desk.book.accept(alice.feed)
    desk.offer(second, third)
    desk.settle()
    assert desk.log(alice.feed) == [first, second, third]
    assert desk.book.waiting == 0


def test_dropped_feed_is_not_appended_to(desk: Desk, alice: Author) -> None:
    one, two, three, four = alice.write_many(4)
    desk.offer(one, four)
    desk.settle()
    desk.offer(two)
    desk.offer(three)
    desk.take(desk.book.drop(alice.feed))
    desk.settle()
    desk.offer(two)
    desk.settle()
    assert desk.log(alice.feed) == [one]
    assert desk.settled[PETE] == 5
    assert desk.book.waiting == 0
    desk.book.accept(alice.feed)
    desk.offer(two, three, four)
    desk.settle()
    assert desk.log(alice.feed) == [one, two, three, four]


# ---- repeats ----


def test_duplicates_cost_no_check_and_no_write(desk: Desk, alice: Author) -> None:
    written = alice.write_many(5)
    for _ in range(3):  # while they wait, are checked, are written
        desk.offer(*written)
        desk.offer(*written, peer=QUIN)
        desk.verify()
    desk.settle()
    desk.offer(*written)  # and once they are stored
    desk.settle()
    assert desk.checks_made == 5
    assert desk.batches == 1
    assert desk.settled == {PETE: 20, QUIN: 15}
    assert desk.findings(Appended) == [Appended(alice.feed, 1, 5, PETE)]


def test_newest_message_again_costs_not_even_a_look(desk: Desk, alice: Author) -> None:
    message = alice.write()
    desk.offer(message)
    desk.settle()
    desk.offer(message, peer=QUIN)
    assert (desk.loads, desk.checks) == ([], [])
    assert desk.settled[QUIN] == 1


def test_completion_that_comes_twice_changes_nothing(desk: Desk, alice: Author) -> None:
    desk.offer(alice.write())
    (check,) = desk.checks
    desk.verify()
    (write,) = desk.writes
    desk.sync()
    for event in (
        m.Verified(check.token, (True,)),
        m.Persisted(write.token),
        m.Loaded(check.token, ()),
        m.TimerFired("any"),
        m.Disconnected(PETE),
        m.Received(PETE, "something else"),
        m.Requested("something else"),
    ):
        assert desk.tell(event) == ()


def test_lookalike_with_the_same_id_does_not_keep_the_real_one_out(
    desk: Desk, alice: Author
) -> None:
    real = alice.write({"type": "post", "text": "AAA"})
    twisted = value_of(real, content={"type": "post", "text": "AA\u0141"})
    desk.offer(twisted)
    desk.offer(real, peer=QUIN)
    desk.settle()
    assert desk.log(alice.feed) == [real]
    assert desk.findings(Refusal) == [
        Refusal(PETE, alice.feed, 1, "signature does not match"),
    ]
    desk.offer(twisted, peer=QUIN)
    desk.settle()
    assert desk.log(alice.feed) == [real]
    assert not desk.findings(ForkFound)


# ---- refusals ----


def test_bad_signature_in_a_batch_keeps_what_comes_before(desk: Desk, alice: Author) -> None:
    one, two, three, four, five = alice.write_many(5)
    forged = value_of(three, timestamp=1)
    desk.offer(one)
    desk.offer(two, forged, four, five)
    desk.settle()
    assert desk.log(alice.feed) == [one, two]
    assert desk.findings(Refusal) == [Refusal(PETE, alice.feed, 3, "signature does not match")]
    assert desk.book.waiting == 0
    desk.offer(five, four, three, peer=QUIN)
    desk.settle()
    assert desk.log(alice.feed) == [one, two, three, four, five]
    assert desk.settled == {PETE: 5, QUIN: 3}


def test_unreadable_message_in_a_batch_keeps_what_comes_before(
    desk: Desk, alice: Author, bob: Author
) -> None:
    one, two, three = alice.write_many(3)
    unreadable = value_of(two, hash="md5")
    other = bob.write()
    desk.offer(one, unreadable, three, other, {"author": 7}, {})
    desk.settle()
    assert desk.log(alice.feed) == [one]
    assert desk.log(bob.feed) == [other]
    assert desk.book.waiting == 0
    fields = "the fields of a message are not those of the format, in their order"
    assert desk.findings(Refusal) == [
        Refusal(PETE, alice.feed, 2, "hash is not sha256"),
        Refusal(PETE, None, None, fields),
        Refusal(PETE, None, None, fields),
    ]
    assert desk.settled[PETE] == 6
    assert desk.tell(m.Received(PETE, Offered((None, 7, ["x"]), START_MS)))[-1] is not None
    assert desk.settled[PETE] == 9


def test_forger_does_not_keep_honest_peers_out(desk: Desk, alice: Author) -> None:
    one, two, three = alice.write_many(3)
    desk.offer(value_of(one, timestamp=1), value_of(two, timestamp=2))
    desk.offer(one, two, three, peer=QUIN)
    desk.settle()
    assert desk.log(alice.feed) == [one, two, three]
    assert {refusal.peer for refusal in desk.findings(Refusal)} == {PETE}


def test_honest_peer_is_asked_again_for_what_a_forger_sent_too(desk: Desk, alice: Author) -> None:
    one, two, three = alice.write_many(3)
    desk.offer(value_of(one, timestamp=1), two)
    desk.offer(two, three, peer=QUIN)  # the second is a repeat, as yet
    desk.settle()
    assert desk.findings(Skipped) == [Skipped(QUIN, alice.feed, 1)]
    desk.offer(one, two, peer=QUIN)
    desk.settle()
    assert desk.log(alice.feed) == [one, two, three]


@pytest.mark.parametrize("wrong", ["signature", "branch"])
def test_what_was_held_before_is_asked_for_again(desk: Desk, alice: Author, wrong: str) -> None:
    one, two, three, four = alice.write_many(4)
    desk.offer(one, four)
    desk.offer(four, peer=QUIN)
    desk.settle()
    stray = Author("alice", Head(1, three.id)).write()
    desk.offer(value_of(two, timestamp=1) if wrong == "signature" else stray)
    desk.settle()
    assert desk.findings(Skipped) == [Skipped(QUIN, alice.feed, 1)]
    assert desk.book.waiting == 0


# ---- forks ----


def test_second_message_of_a_sequence_is_kept_as_evidence(desk: Desk, alice: Author) -> None:
    common = alice.write_many(2)
    twin = alice.twin()
    ours = alice.write()
    theirs = twin.write({"type": "post", "text": "another"})
    desk.offer(*common, ours)
    desk.settle()
    desk.offer(theirs, peer=QUIN)
    desk.look()
    desk.verify()
    assert desk.findings(ForkFound) == []
    desk.sync()
    assert desk.findings(ForkFound) == [ForkFound(alice.feed, 3, ours, theirs)]
    assert read_evidence(MemoryStore(desk.disk), alice.feed) == Evidence(START_MS, ours, theirs)
    assert desk.log(alice.feed) == [*common, ours]


def test_nothing_is_appended_past_a_fork(desk: Desk, alice: Author) -> None:
    common = alice.write_many(2)
    twin = alice.twin()
    ours, later = alice.write_many(2)
    theirs = twin.write({"type": "post", "text": "another"})
    desk.offer(*common, ours)
    desk.settle()
    desk.offer(theirs)
    desk.look()
    desk.offer(later, peer=QUIN)
    desk.settle()
    for _ in range(2):
        desk.offer(later, twin.write(), peer=QUIN)
        desk.settle()
        desk.restart()
    assert desk.log(alice.feed) == [*common, ours]
    assert desk.book.forked == {alice.feed}
    assert len(desk.findings(ForkFound)) == 1
    assert desk.book.waiting == 0


@pytest.mark.parametrize(
    "moment", ["together", "while checked", "checked late", "while written", "looked up"]
)
def test_fork_is_noticed_whenever_the_second_comes(desk: Desk, alice: Author, moment: str) -> None:
    twin = alice.twin()
    ours, theirs = alice.write(), twin.write({"type": "post", "text": "another"})
    desk.offer(*([ours, theirs] if moment == "together" else [ours]))
    if moment in ("while checked", "checked late"):
        desk.offer(theirs, peer=QUIN)
    desk.verify()
    if moment == "checked late":
        desk.sync()
    if moment == "while written":
        desk.offer(theirs, peer=QUIN)
        desk.verify()
    desk.settle()
    if moment == "looked up":
        desk.offer(alice.write(), theirs, peer=QUIN)
        desk.settle()
    (fork,) = desk.findings(ForkFound)
    assert (fork.ours, fork.theirs) == (ours, theirs)
    assert desk.log(alice.feed)[0] == ours
    assert desk.book.waiting == 0
    assert desk.checks_made == (3 if moment == "looked up" else 2)


@pytest.mark.parametrize("saving", [False, True])
def test_evidence_comes_after_what_was_chained_before_it(
    desk: Desk, alice: Author, *, saving: bool
) -> None:
    one = alice.write()
    twin = alice.twin()
    ours, theirs = alice.write(), twin.write({"type": "post", "text": "another"})
    if saving:
        desk.offer(one)
        desk.verify()  # its write is under way from here on
        desk.offer(ours, theirs)
    else:
        desk.offer(one, ours, theirs)
    desk.settle()
    found = [each for each in desk.found if isinstance(each, Appended | ForkFound)]
    assert found[-1] == ForkFound(alice.feed, 2, ours, theirs)
    assert [type(each) for each in found].count(ForkFound) == 1
    assert desk.log(alice.feed) == [one, ours]
    assert desk.book.waiting == 0


def test_one_pair_is_looked_for_and_no_more(desk: Desk, alice: Author) -> None:
    twins = [alice.twin() for _ in range(3)]
    others = [twin.write({"type": "post", "text": f"{place}"}) for place, twin in enumerate(twins)]
    desk.offer(*alice.write_many(2))
    desk.settle()
    desk.offer(others[0])
    desk.look()
    desk.offer(*others[1:])
    desk.verify()
    assert desk.book.forked == {alice.feed}
    desk.settle()
    assert desk.checks_made == 3
    assert len(desk.findings(ForkFound)) == 1


def test_fork_above_a_gap_is_noticed(desk: Desk, alice: Author) -> None:
    one, two = alice.write_many(2)
    twin = alice.twin()
    ours, theirs = alice.write(), twin.write({"type": "post", "text": "another"})
    desk.offer(one, ours)
    desk.offer(theirs, peer=QUIN)
    desk.settle()
    assert desk.findings(ForkFound) == [ForkFound(alice.feed, 3, ours, theirs)]
    desk.offer(two)
    desk.settle()
    assert desk.log(alice.feed) == [one]


def test_forged_second_message_is_no_evidence(desk: Desk, alice: Author) -> None:
    one, two = alice.write_many(2)
    desk.offer(one, two)
    desk.settle()
    desk.offer(value_of(one, timestamp=1), peer=QUIN)
    desk.settle()
    assert desk.findings(Refusal) == [Refusal(QUIN, alice.feed, 1, "signature does not match")]
    assert desk.book.forked == set()


def test_next_message_of_another_branch_raises_a_suspicion(desk: Desk, alice: Author) -> None:
    one = alice.write()
    twin = alice.twin()
    ours, theirs = alice.write(), twin.write({"type": "post", "text": "another"})
    later = twin.write_many(2)
    desk.offer(one, ours)
    desk.settle()
    desk.offer(*later, peer=QUIN)
    desk.settle()
    assert desk.findings(ForkSuspected) == [ForkSuspected(QUIN, alice.feed, 2)]
    assert desk.book.forked == set()
    assert desk.book.waiting == 0
    mine = alice.write()
    desk.offer(mine)
    desk.settle()
    assert desk.log(alice.feed) == [one, ours, mine]  # a suspicion stops nothing
    desk.offer(theirs, peer=QUIN)  # what the peer is asked for thereupon
    desk.settle()
    assert desk.findings(ForkFound) == [ForkFound(alice.feed, 2, ours, theirs)]


def test_one_message_signed_twice_is_two_messages(desk: Desk, alice: Author) -> None:
    """Ed25519 as libsodium signs is deterministic: who signs another text for one place forks."""
    message = alice.write()
    desk.offer(message)
    desk.settle()
    value = value_of(message)
    malleable = str(value["signature"])
    place = malleable.index("=") - 1
    value["signature"] = malleable[:place] + chr(ord(malleable[place]) + 1) + malleable[place + 1 :]
    desk.offer(value, peer=QUIN)
    desk.settle()
    assert desk.findings(ForkFound) == []
    assert len(desk.findings(Refusal)) == 1


# ---- publishing ----


def test_published_message_is_acknowledged_once_durable(desk: Desk) -> None:
    request = desk.publish()
    assert desk.published == []
    desk.sync()
    assert desk.published == [request]
    assert desk.findings(Appended) == [Appended(desk.book.own, 1, 1, None)]
    assert desk.checks_made == 0


def test_messages_are_written_ahead_of_the_disk(desk: Desk) -> None:
    requests = [desk.publish() for _ in range(10)]
    assert desk.batches == 1
    desk.settle()
    assert desk.batches == 2
    assert desk.published == requests
    log = desk.log(desk.book.own)
    assert [message.sequence for message in log] == list(range(1, 11))
    assert [after.previous for after in log[1:]] == [before.id for before in log[:-1]]


def test_timestamps_ascend_within_a_millisecond(desk: Desk) -> None:
    for _ in range(3):
        desk.publish()
    desk.settle()
    stamps = [message.timestamp for message in desk.log(desk.book.own)]
    assert stamps == [START_MS, START_MS + 0.001, START_MS + 0.002]


def test_publishing_goes_on_after_a_restart(desk: Desk) -> None:
    desk.publish()
    desk.settle()
    desk.publish()  # not synced: nobody was told, so it may be lost
    desk.restart()
    desk.publish()
    desk.settle()
    first, second = desk.log(desk.book.own)
    assert second.previous == first.id


def test_content_that_is_no_content_is_refused(desk: Desk) -> None:
    request = desk.publish({"text": "no type"})
    assert desk.findings(PublishRefused) == [
        PublishRefused(request, "content has no type of 3 to 52 characters", bad_content=True)
    ]
    assert (desk.writes, desk.book.waiting) == ([], 0)


def test_nothing_is_published_while_peers_bring_back_what_was_lost(desk: Desk) -> None:
    me = Author("node")
    one, two, three = me.write_many(3)
    desk.book.accept(me.feed)
    desk.offer(one, three)
    desk.publish()
    desk.settle()
    desk.publish()
    assert len(desk.refusals) == 2
    assert "the store lacks" in desk.refusals[0]
    desk.offer(two)
    desk.settle()
    desk.publish()
    desk.settle()
    assert desk.log(me.feed)[-1].sequence == 4


def test_forked_feed_of_our_own_gets_no_more_messages(desk: Desk) -> None:
    me = Author("node")
    desk.book.accept(me.feed)
    desk.publish()
    desk.settle()
    desk.offer(me.write({"type": "post", "text": "by another machine with this key"}))
    desk.settle()
    assert [fork.feed for fork in desk.findings(ForkFound)] == [me.feed]
    desk.publish()
    assert desk.refusals == ["this feed is forked: nothing can be appended to it"]


def test_own_messages_that_come_back_are_duplicates(desk: Desk) -> None:
    desk.book.accept(desk.book.own)
    desk.publish()
    (write,) = desk.writes
    desk.publish()
    desk.settle()
    desk.offer(*desk.log(desk.book.own))
    desk.settle()
    assert desk.checks_made == 0
    assert not desk.book.forked
    assert write.writes[0].key.startswith(b"f/m" + desk.book.own)


def test_wish_names_no_feed_but_ours(desk: Desk) -> None:
    desk.tell(m.Requested(Publish(7, {"type": "post", "author": "@x"}, START_MS)))
    desk.settle()
    (message,) = desk.log(desk.book.own)
    assert format_feed(message.author) in message.encoded
    assert not desk.findings(Skipped)
