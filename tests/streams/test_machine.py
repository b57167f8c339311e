"""Segments that peers offer to a StreamBook."""

from dataclasses import replace

import pytest

from qbix_node import machines as m
from qbix_node.streams.authoring import sign_head
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.line import HeadReplaced
from qbix_node.streams.messages import (
    Grown,
    HeadContradicts,
    SegmentRefused,
    SegmentSkipped,
)
from qbix_node.streams.records import (
    AuthorState,
    author_key,
    read_author,
    read_head_at,
    read_run,
    read_runs,
)
from qbix_node.streams.tree import Hash
from tests.streams.desk import PETE, QUIN, Desk
from tests.streams.logs import (
    CAROL,
    START_MS,
    Log,
    alices_log,
    genesis_of,
)

LOG = alices_log(20)
STREAM = LOG.stream


@pytest.fixture
def desk() -> Desk:
    return Desk([STREAM])


def log_of(number: int) -> Log:
    """One of alice's many."""
    return Log(genesis_of(salt=b"%16d" % number)).write_many(2)


# ---- what is taken ----


def test_entries_of_a_peer_are_said_to_be_here_once_durable(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 5))
    assert (len(desk.checks), desk.writes) == (1, [])
    desk.verify()
    assert (desk.found, desk.book.length(STREAM), desk.settled) == ([], 0, {})
    desk.sync()
    assert desk.found == [Grown(STREAM, 0, 5, PETE)]
    assert desk.book.length(STREAM) == 5
    assert desk.settled == {PETE: 1}
    assert desk.leaves(STREAM) == LOG.leaves[:5]
    assert desk.stored(STREAM) == desk.book.logs[STREAM]
    assert desk.book.geneses == {STREAM: LOG.genesis}
    assert desk.book.waiting == 0


def test_runs_are_taken_one_after_the_other(desk: Desk) -> None:
    for number, segment in enumerate(LOG.segments(5, 5, 5)):
        desk.offer(segment, peer=(PETE, QUIN)[number % 2])
    assert desk.checks_made == 1
    desk.settle()
    assert desk.findings(Grown) == [
        Grown(STREAM, first, first + 5, peer)
        for first, peer in ((0, PETE), (5, QUIN), (10, PETE), (15, QUIN))
    ]
    assert desk.leaves(STREAM) == LOG.leaves
    assert [run.first for run in read_runs(desk.disk, STREAM, 0, 20)] == [0, 5, 10, 15]


def test_one_signature_covers_all_runs_under_one_head(desk: Desk) -> None:
    desk.offer(*[LOG.segment(first, first + 5, 20) for first in (0, 5, 10, 15)])
    desk.settle()
    assert desk.checks_made == 1
    assert desk.batches == 2  # the others came while the first was being dealt with
    assert desk.leaves(STREAM) == LOG.leaves
    assert read_head_at(desk.disk, STREAM, 20) == LOG.head(20)
    assert read_head_at(desk.disk, STREAM, 10) is None


def test_a_run_before_the_end_of_its_head_keeps_what_leads_there(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 7, 20))
    desk.settle()
    state = desk.stored(STREAM)
    assert (state.length, state.signed, state.frontier) == (
        7,
        LOG.head(20),
        LOG.segment(0, 7, 20).frontier,
    )
    desk.offer(LOG.segment(7, 20))
    desk.settle()
    assert desk.stored(STREAM).frontier == ()


def test_of_a_run_that_overlaps_only_what_is_new_is_written(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 5), LOG.segment(2, 9))
    desk.settle()
    assert desk.findings(Grown)[-1] == Grown(STREAM, 5, 9, PETE)
    run = read_run(desk.disk, STREAM, 6)
    assert run is not None
    assert (run.first, run.leaves) == (5, tuple(LOG.leaves[5:9]))


@pytest.mark.parametrize(("first", "stop"), [(0, 9), (3, 9), (8, 9), (0, 5), (4, 5)])
def test_what_is_here_already_costs_no_signature_and_no_write(
    desk: Desk, first: int, stop: int
) -> None:
    desk.offer(LOG.segment(0, 9))
    desk.settle()
    desk.offer(LOG.segment(first, stop), peer=QUIN)
    assert (desk.checks_made, desk.batches) == (1, 1)
    assert desk.settled == {PETE: 1, QUIN: 1}
    assert len(desk.found) == 1


def test_a_run_after_a_gap_is_skipped_and_can_be_offered_again(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 5), LOG.segment(6, 9))
    desk.settle()
    assert desk.findings(SegmentSkipped) == [SegmentSkipped(PETE, STREAM)]
    assert desk.book.length(STREAM) == 5
    desk.offer(LOG.segment(5, 6), LOG.segment(6, 9))
    desk.settle()
    assert desk.leaves(STREAM) == LOG.leaves[:9]
    assert desk.settled == {PETE: 4}


def test_a_later_head_without_new_entries_is_kept(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 5), LOG.segment(4, 5, 9))
    desk.settle()
    assert desk.findings(Grown)[-1] == Grown(STREAM, 5, 5, PETE)
    assert desk.stored(STREAM).signed == LOG.head(9)
    assert desk.leaves(STREAM) == LOG.leaves[:5]
    assert read_head_at(desk.disk, STREAM, 5) == LOG.head(5)


def test_two_peers_with_the_same_entries_cost_one_signature(desk: Desk) -> None:
    desk.offer(*LOG.segments(10), peer=PETE)
    desk.offer(*LOG.segments(10), peer=QUIN)
    desk.settle()
    assert (desk.checks_made, desk.batches) == (2, 2)
    assert desk.settled == {PETE: 2, QUIN: 2}


def test_streams_do_not_wait_for_each_other(desk: Desk) -> None:
    other = log_of(1)
    desk.book.accept(other.stream)
    desk.offer(LOG.segment(0, 5), other.segment(0, 3))
    first, second = desk.checks
    desk.tell(m.Verified(second.token, (True,)))
    desk.sync()
    assert desk.found == [Grown(other.stream, 0, 3, PETE)]
    desk.tell(m.Verified(first.token, (True,)))
    desk.sync()
    assert desk.found[-1] == Grown(STREAM, 0, 5, PETE)


def test_an_answer_that_comes_twice_changes_nothing(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 5))
    check = desk.checks[0]
    desk.verify()
    write = desk.writes[0]
    desk.sync()
    for event in (m.Verified(check.token, (False,)), m.Persisted(write.token)):
        assert desk.tell(event) == ()
    assert desk.tell(m.TimerFired("a timer")) == ()


# ---- intents ----


def test_intents_are_judged_by_what_the_store_says_of_author_and_base(desk: Desk) -> None:
    log = LOG.twin(6)
    log.intend(1, base=3)
    log.intend(2, base=7)
    desk.offer(log.segment(0, 6), log.segment(6, 7), log.segment(7, 8))
    desk.settle()
    assert desk.leaves(STREAM) == log.leaves
    author = log.intend(3).author
    assert read_author(desk.disk.get(author_key(STREAM, author)), STREAM) == AuthorState(
        2, START_MS
    )
    assert desk.checks_made == 4  # two Heads, of which one covers two runs, and two intents


def test_an_intent_is_refused_a_second_time_after_a_restart(desk: Desk) -> None:
    log = LOG.twin(3)
    log.intend(5)
    desk.offer(log.segment(0, 4))
    desk.settle()
    desk.restart()
    log.intend(5)
    desk.offer(log.segment(4, 5))
    desk.settle()
    assert desk.refused == ["entry 4: its author's numbers don't ascend"]


def test_a_base_in_another_log_is_refused(desk: Desk) -> None:
    log = LOG.twin(6)
    log.intend(1, base=3, base_root=Hash(b"w" * 32))
    desk.offer(log.segment(0, 6), log.segment(6, 7))
    desk.settle()
    assert desk.refused == ["entry 6: its author had seen another log"]
    assert desk.book.length(STREAM) == 6


def test_an_intent_that_its_author_did_not_sign_is_refused(desk: Desk) -> None:
    log = LOG.twin(3)
    header = log.intend(1)
    log.leaves[-1] = header._replace(author_seq=2).encoded
    desk.offer(log.segment(0, 4))
    desk.settle()
    assert desk.refused == ["a signature does not match"]


# ---- what is refused ----


def test_entries_under_a_forged_head_are_refused(desk: Desk) -> None:
    segment, signed = LOG.segment(0, 5), LOG.head(5)
    desk.offer(replace(segment, signed_head=signed._replace(signatures=())))
    assert desk.refused == ["the Head isn't signed by exactly enough owners"]
    desk.offer(replace(segment, signed_head=signed._replace(signatures=((0, b"s" * 64),))))
    desk.settle()
    assert desk.refused[1:] == ["a signature does not match"]
    assert (desk.book.length(STREAM), desk.batches, desk.book.waiting) == (0, 0, 0)
    desk.offer(LOG.segment(0, 5), peer=QUIN)
    desk.settle()
    assert desk.book.length(STREAM) == 5


def test_another_content_is_refused_before_a_signature_is_checked(desk: Desk) -> None:
    desk.offer(replace(LOG.segment(0, 2), contents=(None, b"another")))
    assert desk.refused == ["entry 1: this is not its content"]
    assert desk.checks_made == 0


def test_another_genesis_than_the_streams_is_refused(desk: Desk) -> None:
    desk.offer(replace(log_of(1).segment(0, 1), stream=STREAM))
    assert desk.refused == ["the first entry is not the genesis of this stream"]


def test_a_header_that_is_malformed_is_refused(desk: Desk) -> None:
    segment = LOG.segment(0, 2)
    desk.offer(replace(segment, leaves=(segment.leaves[0], b"header")))
    assert len(desk.refused) == 1
    assert desk.findings(SegmentRefused)[0] == SegmentRefused(PETE, STREAM, 0, desk.refused[0])


def test_a_watched_stream_is_not_taken_from_its_owners() -> None:
    watched = replace(genesis_of(), uniqueness=Uniqueness.WATCHED, network=b"n" * 32, epoch=1)
    desk = Desk([watched.stream])
    desk.offer(Log(watched).segment(0, 1))
    assert desk.refused == ["the owners of a watched stream sign no Heads"]


def test_what_the_same_peer_sent_after_a_refused_run_is_gone(desk: Desk) -> None:
    bad = replace(LOG.segment(0, 5), contents=(None, b"another", None, None, None))
    desk.offer(LOG.segment(0, 1), bad, LOG.segment(5, 9), LOG.segment(9, 12))
    desk.offer(LOG.segment(0, 6), LOG.segment(6, 9), peer=QUIN)
    desk.settle()
    assert desk.settled == {PETE: 4, QUIN: 2}
    assert desk.findings(SegmentSkipped) == []
    assert desk.leaves(STREAM) == LOG.leaves[:9]
    assert desk.book.waiting == 0


def forked_branch() -> Log:
    twin = LOG.twin(3)
    for _ in range(5):
        twin.write("other")
    return twin


@pytest.mark.parametrize(("stop", "total"), [(9, 9), (9, 14), (7, 21)])
def test_a_head_that_is_replaced_before_its_entries_came_is_not_forgotten(
    desk: Desk, stop: int, total: int
) -> None:
    log = alices_log(21)
    desk.offer(log.segment(0, 7, 20))
    desk.settle()
    before = desk.book.logs[STREAM]
    desk.offer(log.segment(5, stop, total))
    desk.settle()
    assert desk.book.logs[STREAM].signed == log.head(total)
    assert desk.findings(HeadReplaced) == [HeadReplaced(before)]


def test_a_head_whose_entries_are_here_or_that_is_the_same_is_not_replaced(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 7), LOG.segment(7, 9, 20), LOG.segment(9, 12, 20))
    desk.offer(LOG.segment(12, 20))
    desk.settle()
    assert desk.book.length(STREAM) == 20
    assert desk.findings(HeadReplaced) == []


def test_nothing_is_looked_up_for_who_has_no_signature_of_the_owners() -> None:
    """A peer can make up as many bases and authors as it likes."""
    log = Log(genesis_of()).write_many(2)
    log.intend(1)
    segment = log.segment(0, 4)
    forged = replace(segment, signed_head=sign_head(segment.signed_head.head, (0, CAROL)))
    elsewhere = replace(segment, signed_head=log.twin(3).write_many(1).head(4))
    for offered, reason in ((forged, "signature"), (elsewhere, "don't lead")):
        desk = Desk([log.stream])
        desk.offer(offered)
        assert desk.questions == []
        assert desk.checks_made == 1
        desk.verify()
        assert desk.questions == []
        assert reason in desk.refused[0]
    desk = Desk([log.stream])
    desk.offer(segment)
    desk.verify()
    assert len(desk.questions) == 1
    desk.settle()
    assert (desk.book.length(log.stream), desk.checks_made) == (4, 2)


def test_a_head_of_another_branch_is_shown_as_a_contradiction(desk: Desk) -> None:
    other = forked_branch()
    desk.offer(LOG.segment(0, 5))
    desk.offer(other.segment(5, 7), other.segment(7, 8), peer=QUIN)
    desk.settle()
    assert desk.findings(HeadContradicts) == [HeadContradicts(QUIN, other.head(7))]
    assert desk.refused == ["its entries don't lead from our log to its Head"]
    assert desk.settled == {PETE: 1, QUIN: 2}
    assert desk.leaves(STREAM) == LOG.leaves[:5]


def test_a_frontier_that_lies_is_shown_as_a_contradiction(desk: Desk) -> None:
    segment = LOG.segment(0, 5, 9)
    desk.offer(replace(segment, frontier=(Hash(bytes(32)), *segment.frontier[1:])))
    desk.settle()
    assert desk.findings(HeadContradicts) == [HeadContradicts(PETE, LOG.head(9))]
    assert desk.book.length(STREAM) == 0


def test_a_contradiction_under_a_forged_head_accuses_nobody(desk: Desk) -> None:
    other = forked_branch()
    forged = other.head(7)._replace(signatures=((0, CAROL.sign(b"")),))
    desk.offer(LOG.segment(0, 5), replace(other.segment(5, 7), signed_head=forged))
    desk.settle()
    assert desk.findings(HeadContradicts) == []
    assert desk.refused == ["a signature does not match"]
