"""Segments that wait and follow each other are judged and written as one (spec/streams.md 8)."""

from dataclasses import replace
from itertools import pairwise

import pytest

from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.line import TOGETHER_BYTES_MAX, TOGETHER_MAX
from qbix_node.streams.messages import CONTENT_BYTES_MAX, ENTRIES_MAX, HeadContradicts, Segment
from qbix_node.streams.records import read_runs
from tests.streams.desk import PETE, QUIN, Desk
from tests.streams.logs import BOB, CAROL, Log, alices_log, genesis_of, owners_of

LOG = alices_log(20)
STREAM = LOG.stream
ONE_BY_ONE = [LOG.segment(first, first + 1) for first in range(20)]


@pytest.fixture
def desk() -> Desk:
    return Desk([STREAM])


def runs(desk: Desk, log: Log = LOG) -> list[int]:
    return [run.first for run in read_runs(desk.disk, log.stream, 0, log.length)]


def test_entries_that_wait_cost_one_signature_and_one_write(desk: Desk) -> None:
    desk.offer(*ONE_BY_ONE)
    desk.settle()
    assert (desk.checks_made, desk.batches) == (2, 2)  # the first did not wait
    assert desk.leaves(STREAM) == LOG.leaves
    assert desk.head(STREAM) == LOG.head(20)
    assert runs(desk) == [0, 1]
    assert desk.settled == {PETE: 20}


def test_so_do_entries_under_one_head_that_goes_further(desk: Desk) -> None:
    desk.offer(*[LOG.segment(first, first + 1, 20) for first in range(15)])
    desk.settle()
    assert (desk.checks_made, desk.batches) == (1, 2)
    assert desk.stored(STREAM).frontier == LOG.segment(0, 15, 20).frontier


def test_what_several_peers_offer_is_not_mixed(desk: Desk) -> None:
    for number, segment in enumerate(ONE_BY_ONE):
        desk.offer(segment, peer=QUIN if number % 2 else PETE)
    desk.settle()
    assert desk.batches == 20


def test_heads_that_go_further_than_their_entries_are_all_checked(desk: Desk) -> None:
    """Nobody has shown that the later one continues the earlier one."""
    desk.offer(LOG.segment(0, 1), LOG.segment(1, 2, 15), LOG.segment(2, 3, 18), LOG.segment(3, 4))
    desk.settle()
    assert (desk.checks_made, desk.batches) == (4, 4)
    assert desk.leaves(STREAM) == LOG.leaves[:4]


def test_only_so_many_entries_go_together() -> None:
    log = alices_log(2 * TOGETHER_MAX)
    cuts = [0, 1, *range(1 + ENTRIES_MAX, log.length, ENTRIES_MAX), log.length]
    desk = Desk([log.stream])
    desk.offer(*[log.segment(*cut) for cut in pairwise(cuts)])
    desk.settle()
    assert desk.batches == 3
    assert desk.leaves(log.stream) == log.leaves
    assert runs(desk, log) == cuts[:-1]  # no run is longer than a segment


def test_only_so_many_bytes_go_together() -> None:
    log = Log(genesis_of())
    count = 2 * TOGETHER_BYTES_MAX // CONTENT_BYTES_MAX
    for _ in range(count):
        log.write("x" * CONTENT_BYTES_MAX)
    desk = Desk([log.stream])
    desk.offer(*[log.segment(first, first + 1) for first in range(log.length)])
    desk.settle()
    assert desk.batches == 4  # with the headers, two can't hold them
    assert desk.leaves(log.stream) == log.leaves


# ---- something is wrong with one of them: it is as if each had come alone ----


def offer_broken(desk: Desk, place: int, broken: Segment) -> None:
    desk.offer(*ONE_BY_ONE[:place], broken, *ONE_BY_ONE[place + 1 :])
    desk.settle()
    assert desk.leaves(STREAM) == LOG.leaves[:place]
    assert desk.head(STREAM) == LOG.head(place)
    assert len(desk.refused) == 1
    assert desk.settled == {PETE: 20}
    desk.offer(LOG.segment(place, 20), peer=QUIN)  # and others can help
    desk.settle()
    assert desk.leaves(STREAM) == LOG.leaves


@pytest.mark.parametrize("place", [1, 2, 10, 18, 19])
def test_those_before_a_content_that_does_not_fit_are_kept(desk: Desk, place: int) -> None:
    offer_broken(desk, place, replace(ONE_BY_ONE[place], contents=(b"other",)))
    assert desk.findings(HeadContradicts) == []


@pytest.mark.parametrize("place", [1, 2, 10, 18, 19])
def test_a_head_of_another_branch_is_found_between_others(desk: Desk, place: int) -> None:
    twin = LOG.twin(place)
    twin.write("another entry")
    offer_broken(desk, place, replace(ONE_BY_ONE[place], signed_head=twin.head(place + 1)))
    assert desk.findings(HeadContradicts) == [HeadContradicts(PETE, twin.head(place + 1))]


@pytest.mark.parametrize("place", [1, 19])
def test_a_forged_head_at_the_end_takes_nothing_with_it(desk: Desk, place: int) -> None:
    forged = LOG.head(place + 1)._replace(signatures=((0, bytes(64)),))
    desk.offer(*ONE_BY_ONE[:place], replace(ONE_BY_ONE[place], signed_head=forged))
    desk.settle()
    assert desk.leaves(STREAM) == LOG.leaves[:place]
    assert desk.refused == ["a signature does not match"]


def test_a_head_between_others_is_not_kept_so_its_signature_is_not_checked(desk: Desk) -> None:
    forged = LOG.head(10)._replace(signatures=((0, bytes(64)),))
    desk.offer(*ONE_BY_ONE[:9], replace(ONE_BY_ONE[9], signed_head=forged), *ONE_BY_ONE[10:])
    desk.settle()
    assert (desk.leaves(STREAM), desk.head(STREAM)) == (LOG.leaves, LOG.head(20))
    assert desk.checks_made == 2


def test_a_change_of_owners_between_others_is_taken() -> None:
    log = Log(genesis_of(uniqueness=Uniqueness.NONE)).write_many(3)
    segments = [log.segment(first, first + 1) for first in range(4)]
    log.hand_over(owners_of((BOB, 1), threshold=1), (0, BOB))
    log.write_many(3)
    segments += [log.segment(first, first + 1) for first in range(4, 8)]
    desk = Desk([log.stream], keys=CAROL)
    desk.offer(*segments)
    desk.settle()
    assert desk.leaves(log.stream) == log.leaves
    assert desk.book.logs[log.stream].owners.only == BOB.public


def test_what_is_here_already_does_not_count_again(desk: Desk) -> None:
    desk.offer(LOG.segment(0, 8))
    desk.offer(*ONE_BY_ONE[:12], peer=QUIN)
    desk.settle()
    assert desk.leaves(STREAM) == LOG.leaves[:12]
    assert desk.settled == {PETE: 1, QUIN: 12}
    assert runs(desk) == [0, 8]
