"""Every event that a scenario may ask for is counted when it happens; facts are told by hand."""

import pytest

from netsim import facts
from netsim.asking import blob_of
from netsim.checks.sometimes import NAMES
from netsim.plan import Do, Fault, Operation, PlannedFault
from qbix_node.blobs import messages as b
from qbix_node.feeds.messages import (
    Appended,
    ForkFound,
    ForkSuspected,
    Refusal,
    Skipped,
)
from qbix_node.machines import Delete
from qbix_node.net.messages import Hangup, LinkId
from qbix_node.replication.messages import (
    EbtNotes,
    Granted,
    HistoryRequest,
    Range,
    Unfollow,
    make_note,
)
from tests.netsim.stage import ALL, Stage

HOLD = PlannedFault(1.0, 5.0, Fault.HOLD, (1,))
PARTITION = PlannedFault(1.0, 5.0, Fault.PARTITION, (0,))
WANT = Operation(2.0, 2, Do.WANT_BLOB, target=0, number=1, size=1000)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def seen(stage: Stage) -> set[str]:
    return {name for name, count in stage.checks.events.items() if count}


def meet(stage: Stage, node: int, other: int) -> None:
    stage.tell(node, facts.LinkUp(stage.peer(other), outgoing=True))
    stage.tell(other, facts.LinkUp(stage.peer(node), outgoing=False))


def say(stage: Stage, node: int, to: int, feed_of: int, sequence: int, *, ask: bool) -> None:
    notes = {stage.site(feed_of).feed: make_note(sequence, receive=ask)}
    stage.tell(node, facts.Said(stage.peer(to), EbtNotes(notes)))


def test_nothing_is_counted_that_has_no_name(stage: Stage) -> None:
    stage.publish(0)
    meet(stage, 0, 1)
    stage.tell(0, facts.Crashed(power=True, lost=1, torn=True), facts.Started(clean=False))
    assert seen(stage) <= set(NAMES)


def test_links_that_come_back_are_counted(stage: Stage) -> None:
    meet(stage, 0, 1)
    assert seen(stage) == set()
    stage.tell(0, facts.LinkDown(stage.peer(1), "silent for 30 s"))
    assert seen(stage) == {"half-open link given up"}
    meet(stage, 0, 1)
    assert "link lost and back" in seen(stage)


def test_a_collision_of_dials_is_counted(stage: Stage) -> None:
    link = LinkId(outgoing=True, number=1)
    stage.tell(0, Hangup(link, "too slow"))
    assert seen(stage) == set()
    stage.tell(0, Hangup(link, "already connected"))
    assert seen(stage) == {"dials collided"}


def test_a_peer_that_was_heard_is_counted() -> None:
    stage = Stage(lan=True)
    meet(stage, 0, 1)
    assert seen(stage) == set()
    for node in ALL:
        for other in ALL:
            stage.write(node, Delete(b"p/a" + stage.peer(other)))
    stage.tell(1, facts.LinkUp(stage.peer(2), outgoing=True))
    assert seen(stage) == {"node heard on the local network"}


def test_writers_on_both_sides_of_a_partition_are_counted() -> None:
    stage = Stage(PARTITION)
    stage.publish(0)
    stage.tell(0, facts.FaultBegan(PARTITION))
    stage.publish(0)
    assert seen(stage) == set()
    stage.publish(1)
    assert seen(stage) == {"partition with writers on both sides"}


def test_crashes_and_what_they_take_are_counted(stage: Stage) -> None:
    stage.tell(0, facts.Crashed(power=True, lost=2, torn=True))
    assert seen(stage) == {"node crashed", "unsynced batch lost"}
    stage.tell(0, facts.Started(clean=False))
    assert "torn batch refused" in seen(stage)


def test_a_disk_that_was_full_is_counted_once_it_is_written_to_again(stage: Stage) -> None:
    stage.tell(0, facts.DiskFull())
    assert seen(stage) == set()
    stage.publish(0)
    assert seen(stage) == {"disk full and recovered"}


@pytest.mark.parametrize(
    ("noticed", "name"), [(True, "roll-back noticed"), (False, "restore unnoticed")]
)
def test_what_is_put_back_is_counted(stage: Stage, noticed: bool, name: str) -> None:
    stage.tell(0, facts.RolledBack(1, noticed=noticed))
    assert seen(stage) == {name}


def test_an_own_message_that_comes_from_a_peer_is_counted(stage: Stage) -> None:
    stage.store(0, stage.compose(0), source=1)
    assert "own feed back from peers" in seen(stage)


def test_a_clock_far_off_is_counted() -> None:
    little = PlannedFault(1.0, 1.0, Fault.SKEW, (0,), 3000.0)
    much = PlannedFault(1.0, 1.0, Fault.SKEW, (0,), -4000.0)
    stage = Stage(little, much)
    stage.tell(0, facts.FaultBegan(little))
    assert seen(stage) == set()
    stage.tell(0, facts.FaultBegan(much))
    assert seen(stage) == {"skew beyond an hour"}


def fork(stage: Stage, node: int) -> ForkFound:
    ours, theirs = stage.compose(3, "here"), stage.compose(3, "there")
    found = ForkFound(ours.author, 1, ours, theirs)
    stage.tell(node, found)
    return found


def test_forks_are_counted_by_how_they_were_found(stage: Stage) -> None:
    fork(stage, 0)
    assert seen(stage) == {"fork found", "fork found at equal length"}
    stage.tell(1, ForkSuspected(stage.peer(0), stage.site(3).feed, 1))
    fork(stage, 1)
    assert "fork found at unequal length" in seen(stage)


def test_a_fork_whose_branches_grew_apart_is_counted() -> None:
    stage = Stage(PARTITION)
    stage.tell(0, facts.FaultBegan(PARTITION))
    stage.store(0, stage.compose(3, "here"))
    stage.store(1, stage.compose(3, "there"))
    fork(stage, 0)
    assert "fork found across a partition" in seen(stage)


def test_a_fork_that_nobody_can_see_is_counted_at_the_end(stage: Stage) -> None:
    meet(stage, 0, 1)
    stage.store(0, stage.compose(3, "here"))
    stage.store(1, stage.compose(3, "there"))
    stage.checks.finish()
    assert "fork unseen at equal length" in seen(stage)


def test_what_is_refused_and_skipped_is_counted(stage: Stage) -> None:
    stage.tell(0, Refusal(stage.peer(3), None, None, "hash is not sha256"))
    assert seen(stage) == {"message refused"}
    stage.tell(0, Refusal(stage.peer(3), None, None, "signature does not match"))
    stage.tell(0, Skipped(stage.peer(3), stage.site(3).feed, 1))
    stage.tell(0, Granted(Unfollow(stage.site(3).feed)))
    assert seen(stage) == {
        "message refused",
        "bad signature refused",
        "messages skipped",
        "feed unfollowed",
    }


def test_a_block_of_a_connected_peer_is_counted(stage: Stage) -> None:
    block = facts.Asked(Operation(1.0, 0, Do.BLOCK, target=1))
    stage.tell(0, block)
    assert seen(stage) == set()
    meet(stage, 0, 1)
    stage.tell(0, block)
    assert seen(stage) == {"peer blocked while connected"}


def test_a_source_that_brings_nothing_and_is_replaced_is_counted(stage: Stage) -> None:
    meet(stage, 0, 1)
    meet(stage, 0, 2)
    say(stage, 1, 0, 3, 0, ask=False)
    stage.store(1, stage.compose(3), source=3)
    say(stage, 1, 0, 3, 1, ask=False)
    say(stage, 0, 1, 3, 0, ask=True)
    stage.wait(3.5)
    say(stage, 0, 1, 3, 0, ask=False)
    assert seen(stage) == set()
    say(stage, 0, 2, 3, 0, ask=True)
    assert seen(stage) == {"stalled source replaced"}


def test_a_source_with_nothing_more_that_is_replaced_did_not_stall(stage: Stage) -> None:
    meet(stage, 0, 1)
    meet(stage, 0, 2)
    say(stage, 1, 0, 3, 0, ask=False)
    say(stage, 0, 1, 3, 0, ask=True)
    stage.wait(3.5)
    say(stage, 0, 2, 3, 0, ask=True)
    assert seen(stage) == set()


def test_a_feed_that_is_left_out_of_opening_notes_is_counted(stage: Stage) -> None:
    stage.publish(0)
    meet(stage, 0, 1)
    say(stage, 0, 1, 0, 1, ask=False)
    assert seen(stage) == set()
    meet(stage, 0, 2)
    stage.tell(0, facts.Said(stage.peer(2), EbtNotes({})))
    assert seen(stage) == {"request skipped by stored clock"}


def test_other_words_of_replication_are_counted(stage: Stage) -> None:
    feed = stage.publish(0).author
    stage.tell(0, facts.Said(stage.peer(1), HistoryRequest(feed, live=True)))
    stage.tell(0, facts.Said(stage.peer(1), HistoryRequest(feed, limit=1)))
    stage.tell(0, facts.Said(stage.peer(1), Range(feed, 1, 1, again=True)))
    assert seen(stage) == {"history stream used", "fork proof asked for", "message sent again"}


def test_what_comes_from_others_than_its_author_and_together_is_counted(stage: Stage) -> None:
    feed = stage.site(3).feed
    for _ in range(10):
        stage.store(1, stage.compose(3), source=3)
    assert seen(stage) == set()
    stage.tell(1, Appended(feed, 1, 10, stage.peer(3)))
    assert seen(stage) == {"many messages at once"}
    stage.tell(1, Appended(feed, 10, 10, stage.peer(2)))
    assert seen(stage) == {"many messages at once", "message handed on"}


def test_what_comes_when_packets_are_let_go_is_counted() -> None:
    stage = Stage(HOLD)
    stage.tell(1, facts.FaultEnded(HOLD))
    stage.wait(1.5)
    stage.store(1, stage.compose(3), source=3)
    assert seen(stage) == set()
    stage.tell(1, facts.FaultEnded(HOLD))
    stage.store(1, stage.compose(3), source=3)
    assert seen(stage) == {"held messages arrived"}


def test_a_host_that_takes_too_many_places_is_counted(stage: Stage) -> None:
    reason = "too many connections from one host"
    stage.tell(0, Hangup(LinkId(outgoing=False, number=1), reason))
    assert seen(stage) == {"host with too many connections"}


def test_blobs_are_counted_by_who_wanted_them(stage: Stage) -> None:
    blob = blob_of(WANT)
    stage.tell(1, b.Arrived(blob, 1000), b.Discard(blob))
    assert {"blob arrived by sympathy", "blob made room"} <= seen(stage)
    stage.tell(2, facts.Started(clean=True), facts.Asked(WANT), b.Wanted(blob))
    stage.tell(2, b.Unfetched(stage.peer(3), blob, b.Failure.WRONG, "other bytes"))
    stage.tell(2, facts.Started(clean=True), b.Arrived(blob, 1000))
    assert {
        "blob arrived",
        "wrong blob bytes refused",
        "want outlived a restart",
        "blob fetched elsewhere",
    } <= seen(stage)
