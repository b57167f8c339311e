"""Every check says what is wrong, and nothing where all is right; facts are told by hand."""

from dataclasses import replace

import pytest

from netsim import facts
from netsim.asking import blob_of
from netsim.checks import settling
from netsim.checks.blobs import OperatorsBlobsStay, RightBytes, SympathyWithinQuota
from netsim.checks.checks import ALWAYS, TOLD_MAX
from netsim.checks.dht import DHT_CHECKS
from netsim.checks.feeds import (
    AcknowledgedSurvives,
    AppendOnly,
    DurableWhenSaid,
    HonestAuthors,
    StampsAscend,
    ValidMessages,
    WholeBatches,
)
from netsim.checks.forks import EvidenceStands, NoFalseConviction, NothingAfterFork
from netsim.checks.links import Bounded, NoFailure, OneLink
from netsim.checks.privacy import SealedForItsReaders
from netsim.checks.promises import (
    BlockedPeersAreCutOff,
    BlockedPeersAreSentNothing,
    PromisesKept,
    UnfollowedFeedsRest,
)
from netsim.checks.speech import (
    NothingClaimedEarly,
    OnlyWhatIsReplicated,
    SentAgainSeldom,
    SignaturesCheckedOnce,
    WantsEnd,
)
from netsim.plan import Do, Operation, blob_bytes
from netsim.world import Load
from qbix_node.blobs import messages as b
from qbix_node.feeds.messages import Appended, ForkFound
from qbix_node.feeds.records import Evidence, put_evidence, put_head, put_message
from qbix_node.feeds.validation import signature_check
from qbix_node.machines import Delete, Put
from qbix_node.replication.messages import (
    REFUSED,
    Block,
    EbtNotes,
    Follow,
    Granted,
    Range,
    Unfollow,
)
from tests.netsim.sentences import strays
from tests.netsim.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_an_honest_network_violates_nothing(stage: Stage) -> None:
    first, second = stage.publish(0), stage.publish(0)
    stage.store(1, first, source=0)
    stage.store(1, second, source=0)
    stage.tell(1, facts.Said(stage.peer(2), EbtNotes({stage.site(0).feed: 2 << 1})))
    stage.tell(1, facts.Stopped(), facts.Started(clean=True))
    stage.checks.finish()
    assert stage.violated() == []


def test_each_check_has_a_name_of_its_own() -> None:
    checks = {*ALWAYS, *DHT_CHECKS}
    assert len({check.name for check in checks}) == len(checks)


@pytest.mark.parametrize(
    "guarded", [*[check.guards for check in (*ALWAYS, *DHT_CHECKS)], *settling.RESTS_ON]
)
def test_what_a_check_guards_stands_in_the_page_that_it_names(guarded: str) -> None:
    assert strays(guarded) == []


# ---- logs ----


def test_a_message_that_is_replaced_by_another_is_seen(stage: Stage) -> None:
    stage.store(0, stage.compose(3, "one"))
    stage.store(0, stage.compose(3, "two"))
    assert stage.blames(AppendOnly, 0)


def test_a_message_with_a_wrong_signature_is_seen(stage: Stage) -> None:
    message = stage.compose(3)
    forged = replace(message, encoded=message.encoded.replace("hello", "hullo"))
    stage.store(0, forged)
    assert stage.blames(ValidMessages, 0)


def test_a_message_that_does_not_follow_the_one_before_is_seen(stage: Stage) -> None:
    elsewhere = stage.compose(3, "elsewhere")
    stage.store(0, stage.compose(3, "here"))
    stage.store(0, stage.compose(3, after=elsewhere.head))
    assert stage.blames(ValidMessages, 0)


def test_a_message_that_is_said_to_be_durable_and_is_not_is_seen(stage: Stage) -> None:
    stage.tell(0, Appended(stage.site(3).feed, 1, 1, None))
    assert stage.blames(DurableWhenSaid, 0)


def test_a_message_that_a_crash_took_is_seen(stage: Stage) -> None:
    stage.publish(0)
    second = stage.publish(0)
    stage.forget(0, second)
    stage.tell(0, facts.Crashed(power=True), facts.Started(clean=False))
    assert stage.blames(AcknowledgedSurvives, 0)


def test_what_a_roll_back_took_is_no_fault_of_the_node(stage: Stage) -> None:
    stage.publish(0)
    second = stage.publish(0)
    stage.forget(0, second)
    stage.tell(0, facts.RolledBack(1, noticed=True), facts.Started(clean=False))
    assert stage.violated() == []


def test_a_head_without_its_message_is_seen(stage: Stage) -> None:
    message = stage.compose(3)
    stage.write(0, put_head(message.author, message.head))
    stage.tell(0, facts.Started(clean=False))
    assert stage.blames(WholeBatches, 0)


def test_messages_beyond_the_head_are_seen(stage: Stage) -> None:
    message = stage.compose(3)
    stage.write(0, put_message(message, 1))
    stage.tell(0, facts.Started(clean=False))
    assert stage.blames(WholeBatches, 0)


def test_an_honest_author_who_writes_a_place_twice_is_seen(stage: Stage) -> None:
    other = stage.compose(0, "other")
    stage.publish(0, "one")
    stage.store(1, other)
    assert stage.blames(HonestAuthors, 1)


def test_a_peer_that_has_what_its_author_has_not_is_seen(stage: Stage) -> None:
    stage.store(1, stage.compose(0))
    assert stage.blames(HonestAuthors, 1)


def test_timestamps_that_go_back_are_seen(stage: Stage) -> None:
    stage.publish(0)
    stage.tell(0, facts.Started(clean=True))
    stage.now_ms -= 3_600_000  # another life may begin earlier
    stage.publish(0)
    assert stage.violated() == []
    stage.now_ms -= 3
    stage.publish(0)
    assert stage.blames(StampsAscend, 0)


# ---- forks ----


def fork(stage: Stage, node: int, author: int, *, keep: bool = True) -> None:
    """The node finds one."""
    ours, theirs = stage.compose(author, "here"), stage.compose(author, "there")
    if keep:
        stage.write(node, put_evidence(Evidence(1, ours, theirs)))
    stage.tell(node, ForkFound(ours.author, ours.sequence, ours, theirs))


def test_a_fork_of_a_dishonest_author_is_no_violation(stage: Stage) -> None:
    fork(stage, 0, 3)
    stage.tell(0, facts.Started(clean=False))
    stage.checks.finish()
    assert stage.violated() == []


def test_an_honest_author_who_is_convicted_is_seen(stage: Stage) -> None:
    fork(stage, 0, 1)
    assert stage.blames(NoFalseConviction, 0)


def test_evidence_that_was_not_kept_is_seen(stage: Stage) -> None:
    fork(stage, 0, 3, keep=False)
    assert stage.blames(EvidenceStands, 0)


def test_evidence_that_is_lost_later_is_seen(stage: Stage) -> None:
    fork(stage, 0, 3)
    stage.write(0, Delete(b"f/x" + stage.site(3).feed))
    stage.tell(0, facts.Started(clean=True))
    assert stage.blames(EvidenceStands, 0)


def test_evidence_of_twice_the_same_message_is_seen(stage: Stage) -> None:
    message = stage.compose(3)
    stage.write(0, put_evidence(Evidence(1, message, message)))
    stage.tell(0, ForkFound(message.author, 1, message, message))
    assert stage.blames(EvidenceStands, 0)


def test_a_message_after_a_fork_is_seen(stage: Stage) -> None:
    fork(stage, 0, 3)
    stage.store(0, stage.compose(3))
    assert stage.blames(NothingAfterFork, 0)


def test_a_message_after_a_fork_and_a_restart_is_seen(stage: Stage) -> None:
    fork(stage, 0, 3)
    stage.tell(0, facts.Started(clean=True))
    stage.store(0, stage.compose(3))
    assert stage.blames(NothingAfterFork, 0)


# ---- promises ----


def test_a_follow_that_is_granted_and_not_durable_is_seen(stage: Stage) -> None:
    stage.write(0, Delete(b"r/f" + stage.site(1).feed))
    stage.tell(0, Granted(Follow(stage.site(1).feed)))
    assert stage.blames(PromisesKept, 0)


def test_a_follow_that_a_restart_forgets_is_seen(stage: Stage) -> None:
    stage.tell(0, Granted(Follow(stage.site(1).feed)))
    assert stage.violated() == []
    stage.write(0, Delete(b"r/f" + stage.site(1).feed))
    stage.tell(0, facts.Started(clean=True))
    assert stage.blames(PromisesKept, 0)


def test_what_was_asked_and_not_answered_before_a_crash_may_hold_or_not(stage: Stage) -> None:
    stage.tell(0, Granted(Follow(stage.site(1).feed)))
    stage.tell(0, facts.Asked(Operation(1.0, 0, Do.UNFOLLOW, target=1)))
    stage.write(0, Delete(b"r/f" + stage.site(1).feed))
    stage.tell(0, facts.Crashed(power=True), facts.Started(clean=False))
    assert stage.violated() == []


def test_an_operators_want_that_a_restart_forgets_is_seen(stage: Stage) -> None:
    wish = Operation(1.0, 0, Do.WANT_BLOB, target=1, number=1, size=10)
    stage.write(0, Put(b"b/w" + blob_of(wish), b""))
    stage.tell(0, facts.Asked(wish), b.Wanted(blob_of(wish)))
    stage.write(0, Delete(b"b/w" + blob_of(wish)))
    stage.tell(0, facts.Started(clean=False))
    assert stage.blames(PromisesKept, 0)


def test_an_unfollowed_feed_that_grows_is_seen(stage: Stage) -> None:
    stage.write(0, Delete(b"r/f" + stage.site(3).feed))
    stage.tell(0, Granted(Unfollow(stage.site(3).feed)))
    stage.store(0, stage.compose(3))
    assert stage.blames(UnfollowedFeedsRest, 0)


def block(stage: Stage, node: int, other: int) -> None:
    feed = stage.site(other).feed
    stage.write(node, Put(b"r/b" + feed, b""), Delete(b"r/f" + feed))
    stage.tell(node, Granted(Block(feed)))


def test_a_blocked_peer_that_is_told_something_is_seen(stage: Stage) -> None:
    block(stage, 0, 3)
    stage.tell(0, facts.Said(stage.peer(3), EbtNotes({})))
    assert stage.blames(BlockedPeersAreSentNothing, 0)


def test_a_connection_to_a_blocked_peer_may_end_but_not_stay(stage: Stage) -> None:
    stage.tell(0, facts.LinkUp(stage.peer(3), outgoing=True))
    block(stage, 0, 3)
    stage.wait(1)
    stage.tell(0, facts.LinkDown(stage.peer(3), "blocked"))
    stage.tell(0, facts.LinkUp(stage.peer(3), outgoing=True))
    assert stage.violated() == []
    stage.wait(60)
    stage.checks.finish()
    assert stage.blames(BlockedPeersAreCutOff, 0)


# ---- what is said ----


def test_a_note_about_what_is_not_durable_is_seen(stage: Stage) -> None:
    stage.publish(0)
    stage.tell(0, facts.Said(stage.peer(1), EbtNotes({stage.site(0).feed: 2 << 1})))
    assert stage.blames(NothingClaimedEarly, 0)


def test_messages_sent_before_they_are_durable_are_seen(stage: Stage) -> None:
    stage.tell(0, facts.Said(stage.peer(1), Range(stage.site(0).feed, 1, 1)))
    assert stage.blames(NothingClaimedEarly, 0)


def test_a_want_that_is_said_before_it_is_durable_is_seen(stage: Stage) -> None:
    stage.tell(0, facts.Said(stage.peer(1), b.Want(b.EMPTY, 1)))
    assert stage.blames(NothingClaimedEarly, 0)


def test_a_want_that_was_withdrawn_meanwhile_was_durable_when_it_was_said(stage: Stage) -> None:
    wish = Operation(1.0, 0, Do.WANT_BLOB, target=2, size=3)
    said = facts.Said(stage.peer(1), b.Want(blob_of(wish), 1))
    stage.tell(0, facts.Asked(replace(wish, do=Do.UNWANT_BLOB)), said)
    assert stage.violated() == []
    stage.tell(0, facts.Started(clean=True), said)
    assert stage.blames(NothingClaimedEarly, 0)


def test_a_note_about_a_feed_that_is_not_followed_is_seen(stage: Stage) -> None:
    feed = stage.site(3).feed
    about = facts.Said(stage.peer(1), EbtNotes({feed: 0}))
    stage.write(0, Delete(b"r/f" + feed))
    stage.tell(0, facts.Said(stage.peer(1), EbtNotes({feed: REFUSED, stage.site(0).feed: 0})))
    stage.tell(0, facts.Asked(Operation(1.0, 0, Do.FOLLOW, target=3)), about)
    assert stage.violated() == []
    stage.write(1, Delete(b"r/f" + feed))
    stage.tell(1, about)
    assert stage.blames(OnlyWhatIsReplicated, 1)


def test_a_want_that_travels_on_and_on_is_seen(stage: Stage) -> None:
    stage.tell(0, facts.Said(stage.peer(1), b.Want(b.EMPTY, 3)))
    assert stage.violated() == []
    stage.tell(0, facts.Said(stage.peer(1), b.Want(b.EMPTY, 4)))
    assert stage.blames(WantsEnd, 0)


def test_messages_sent_again_too_soon_are_seen(stage: Stage) -> None:
    stage.publish(0)
    again = facts.Said(stage.peer(1), Range(stage.site(0).feed, 1, 1, again=True))
    stage.tell(0, again)
    stage.wait(20)
    stage.tell(0, again)
    assert stage.violated() == []
    stage.wait(5)
    stage.tell(0, again)
    assert stage.blames(SentAgainSeldom, 0)


def test_a_signature_that_is_checked_again_is_seen(stage: Stage) -> None:
    message = stage.publish(0)
    stage.tell(1, facts.Checked((signature_check(message),)))
    stage.store(1, message, source=0)
    assert stage.violated() == []
    stage.tell(1, facts.Checked((signature_check(message),)))
    assert stage.blames(SignaturesCheckedOnce, 1)


# ---- blobs ----

ADD = Operation(1.0, 0, Do.ADD_BLOB, number=1, size=1000)


def add(stage: Stage, node: int = 0) -> None:
    """The person of the node adds a blob."""
    stage.site(node).files.put(blob_of(ADD), blob_bytes(0, 1, 1000))
    stage.tell(node, facts.Asked(ADD), b.Arrived(blob_of(ADD), 1000))


def test_a_blob_with_other_bytes_is_seen(stage: Stage) -> None:
    add(stage)
    stage.site(0).files.damage(blob_of(ADD))
    stage.checks.finish()
    assert stage.blames(RightBytes, 0)


def test_a_blob_of_the_operator_that_goes_is_seen(stage: Stage) -> None:
    add(stage)
    stage.tell(0, facts.Started(clean=True))
    assert stage.violated() == []
    stage.site(0).files.remove(blob_of(ADD))
    stage.checks.finish()
    assert stage.blames(OperatorsBlobsStay, 0)


def test_a_blob_of_the_operator_that_keeps_the_mark_of_sympathy_is_seen(stage: Stage) -> None:
    stage.write(0, Put(b"b/s" + blob_of(ADD), bytes(8)))
    add(stage)
    stage.tell(0, facts.Crashed(power=True), facts.Started(clean=False))
    assert stage.blames(OperatorsBlobsStay, 0)


def test_a_blob_that_a_full_disk_refused_is_not_the_operators(stage: Stage) -> None:
    stage.site(0).disk.full = True
    stage.tell(0, facts.Asked(ADD))
    stage.site(0).disk.full = False
    stage.write(0, Put(b"b/s" + blob_of(ADD), bytes(8)))
    stage.site(0).files.put(blob_of(ADD), blob_bytes(0, 1, 1000))
    stage.tell(0, b.Arrived(blob_of(ADD), 1000))
    stage.checks.finish()
    assert stage.violated() == []


def test_a_blob_that_the_operator_removes_may_go(stage: Stage) -> None:
    add(stage)
    stage.tell(0, facts.Asked(replace(ADD, do=Do.REMOVE_BLOB)))
    stage.site(0).files.remove(blob_of(ADD))
    stage.checks.finish()
    assert stage.violated() == []


def test_more_sympathy_than_the_quota_allows_is_seen() -> None:
    stage = Stage(settings={"sympathy_bytes_max": 100_000})
    for number in (1, 2):
        blob = blob_of(replace(ADD, number=number))
        stage.site(0).files.put(blob, blob_bytes(0, number, 1000))
        stage.write(0, Put(b"b/s" + blob, number.to_bytes(8, "big")))
        stage.tell(0, b.Arrived(blob, 1000))
    assert stage.blames(SympathyWithinQuota, 0)


# ---- links, limits, failures, privacy ----


def test_two_connections_to_one_peer_are_seen(stage: Stage) -> None:
    up = facts.LinkUp(stage.peer(1), outgoing=True)
    stage.tell(0, up, facts.LinkDown(stage.peer(1), "replaced"), up)
    assert stage.violated() == []
    stage.tell(0, up)
    assert stage.blames(OneLink, 0)


def test_more_than_a_limit_allows_is_seen(stage: Stage) -> None:
    stage.puppets[0].kept = Load(waiting_messages=8193)
    stage.tell(0, facts.Healed())
    assert stage.blames(Bounded, 0)


def test_a_failure_is_seen(stage: Stage) -> None:
    stage.tell(0, facts.Failed("KeyError"))
    assert stage.blames(NoFailure, 0)


def test_the_same_check_complains_a_few_times_about_a_node(stage: Stage) -> None:
    for _ in range(TOLD_MAX + 5):
        stage.tell(0, facts.Failed("KeyError"))
    assert len(stage.violated()) == TOLD_MAX


def ask_for_private(stage: Stage, reader: int) -> Operation:
    operation = Operation(1.0, 0, Do.PUBLISH, target=reader, number=7, size=20)
    stage.tell(0, facts.Asked(operation))
    return operation


def test_a_private_message_opens_for_its_reader(stage: Stage) -> None:
    stage.publish(0, stage.text_of(ask_for_private(stage, 1)), reader=1)
    assert stage.violated() == []
    assert stage.checks.events["private message opened"] == 1


def test_a_private_message_for_somebody_else_is_seen(stage: Stage) -> None:
    stage.publish(0, stage.text_of(ask_for_private(stage, 1)), reader=2)
    assert stage.blames(SealedForItsReaders, 0)


def test_a_private_message_in_the_open_is_seen(stage: Stage) -> None:
    stage.publish(0, stage.text_of(ask_for_private(stage, 1)))
    assert stage.blames(SealedForItsReaders, 0)


def test_byzantine_nodes_are_not_judged(stage: Stage) -> None:
    stage.tell(3, facts.Failed("KeyError"), Appended(stage.site(0).feed, 1, 1, None))
    assert stage.violated() == []
