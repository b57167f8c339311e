"""What a StreamBook takes no more of: limits, dropped and stopped streams; and restarts."""

from dataclasses import replace

import pytest

from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.line import OFFERS_PER_STREAM_BYTES_MAX, OFFERS_PER_STREAM_MAX
from qbix_node.streams.machine import (
    OFFERS_BYTES_MAX,
    OFFERS_MAX,
)
from qbix_node.streams.messages import CONTENT_BYTES_MAX, SegmentSkipped
from tests.streams.desk import PETE, Desk
from tests.streams.logs import ALICE, CAROL, Log, alices_log, genesis_of, owners_of

LOG = alices_log(20)
STREAM = LOG.stream


@pytest.fixture
def desk() -> Desk:
    return Desk([STREAM])


def log_of(number: int) -> Log:
    """One of alice's many."""
    return Log(genesis_of(salt=b"%16d" % number)).write_many(2)


# ---- limits, and streams that are not taken ----


def test_of_one_stream_so_many_runs_wait_and_no_more(desk: Desk) -> None:
    log = alices_log(OFFERS_PER_STREAM_MAX + 3)
    desk.offer(*[log.segment(first, first + 1) for first in range(log.length)])
    assert desk.book.waiting == OFFERS_PER_STREAM_MAX + 1  # and one is looked at
    assert desk.findings(SegmentSkipped) == [SegmentSkipped(PETE, STREAM)] * 2
    assert desk.settled == {PETE: 2}
    desk.settle()
    assert desk.book.length(STREAM) == OFFERS_PER_STREAM_MAX + 1
    assert desk.settled == {PETE: OFFERS_PER_STREAM_MAX + 3}
    assert desk.book.waiting == 0


def test_of_all_streams_so_many_runs_wait_and_no_more() -> None:
    logs = [log_of(number) for number in range(OFFERS_MAX + 2)]
    desk = Desk([log.stream for log in logs])
    for log in logs:
        desk.offer(log.segment(0, 3))
    assert (desk.book.waiting, desk.skipped) == (OFFERS_MAX, 2)
    desk.settle()
    assert len(desk.book.logs) == OFFERS_MAX
    assert (desk.book.waiting, desk.settled) == (0, {PETE: OFFERS_MAX + 2})
    for log in logs[OFFERS_MAX:]:
        desk.offer(log.segment(0, 3))
    desk.settle()
    assert len(desk.book.logs) == OFFERS_MAX + 2


def large_log(number: int) -> Log:
    """Its contents are as large as they get in one segment."""
    log = Log(genesis_of(salt=b"%16d" % number))
    for _ in range(15):
        log.write("x" * CONTENT_BYTES_MAX)
    return log


def test_of_one_stream_so_many_bytes_wait_and_no_more() -> None:
    log = large_log(0)
    desk = Desk([log.stream])
    segment = log.segment(0, log.length)
    fitting = OFFERS_PER_STREAM_BYTES_MAX // segment.size_bytes
    desk.offer(*[segment] * (fitting + 3))
    assert (desk.book.waiting, desk.skipped) == (fitting, 3)
    desk.settle()
    assert (desk.book.waiting, desk.settled) == (0, {PETE: fitting + 3})
    desk.offer(*[segment] * 2)  # there is room again
    assert desk.skipped == 3


def test_of_all_streams_so_many_bytes_wait_and_no_more() -> None:
    logs = [large_log(number) for number in range(12)]
    desk = Desk([log.stream for log in logs])
    fitting = OFFERS_BYTES_MAX // logs[0].segment(0, logs[0].length).size_bytes
    for round_ in range(6):
        for log in logs:
            desk.offer(log.segment(0, log.length))
        assert desk.book.waiting == min(12 * (round_ + 1), fitting)
    desk.settle()
    assert (desk.book.waiting, desk.settled) == (0, {PETE: 72})
    desk.offer(logs[0].segment(0, logs[0].length))  # there is room again
    assert desk.skipped == 72 - fitting


def test_a_stream_that_nobody_wants_is_not_looked_at(desk: Desk) -> None:
    desk.offer(log_of(1).segment(0, 3))
    assert (desk.checks, desk.found, desk.settled) == ([], [], {PETE: 1})


def test_of_a_dropped_stream_only_what_is_being_written_is_kept(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 5), LOG.segment(5, 9))
    desk.verify()
    desk.book.drop(STREAM)
    desk.book.drop(STREAM)  # once more is no error
    desk.settle()
    assert desk.leaves(STREAM) == LOG.leaves[:5]
    assert (desk.book.waiting, desk.settled) == (0, {PETE: 2})
    desk.offer(LOG.segment(5, 9))
    assert desk.settled == {PETE: 3}
    desk.book.accept(STREAM)
    desk.offer(LOG.segment(5, 9))
    desk.settle()
    assert desk.leaves(STREAM) == LOG.leaves[:9]


def test_what_is_checked_while_its_stream_is_dropped_is_not_written(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 5))
    desk.book.drop(STREAM)
    desk.settle()
    assert (desk.batches, desk.settled, desk.book.waiting) == (0, {PETE: 1}, 0)


def test_a_stopped_stream_takes_nothing_further(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 5), LOG.segment(5, 9), LOG.segment(9, 12))
    desk.settle()
    desk.offer(LOG.segment(12, 13), LOG.segment(13, 14))
    desk.book.stopped[STREAM] = "it was forked"
    desk.settle()
    desk.offer(LOG.segment(12, 15))
    desk.settle()
    assert desk.leaves(STREAM) == LOG.leaves[:12]
    assert (desk.book.waiting, desk.settled) == (0, {PETE: 6})


# ---- restarts ----


def test_a_restart_goes_on_from_what_is_durable(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 5), LOG.segment(5, 9), LOG.segment(9, 12))
    desk.verify()
    desk.sync()
    desk.verify()
    desk.restart()
    assert desk.book.length(STREAM) == 5
    assert desk.book.logs[STREAM] == desk.stored(STREAM)
    desk.offer(LOG.segment(5, 20))
    desk.settle()
    assert desk.leaves(STREAM) == LOG.leaves
    assert desk.book.logs[STREAM].signed == LOG.head(20)


def test_owners_who_follow_are_known_after_a_restart() -> None:
    log = Log(genesis_of(uniqueness=Uniqueness.NONE)).write_many(1)
    log.hand_over(owners_of((CAROL, 1), threshold=1), (0, CAROL))
    log.write_many(2)
    desk = Desk([log.stream])
    desk.offer(log.segment(0, 3))
    desk.settle()
    desk.restart()
    alices = replace(log.twin(3), signers=((0, ALICE),)).write_many(1)
    desk.offer(alices.segment(3, 4))
    desk.settle()
    assert desk.book.length(log.stream) == 3
    desk.offer(log.segment(3, 5))
    desk.settle()
    assert desk.leaves(log.stream) == log.leaves
