"""What a node has of a stream when its owners choose a branch, and what it has afterwards."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.ports import Put
from qbix_node.streams.forks import HeadFork, check_fork
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.lacking import LACKING, LATE, place_key
from qbix_node.streams.messages import Segment
from qbix_node.streams.records import GENESIS
from qbix_node.streams.resolution import CLOSED, FORKED, Resolution, standing
from qbix_node.streams.serving import make_segments
from qbix_node.streams.switching import LogDropped, Switched
from tests.streams.desk import PETE, QUIN, Desk
from tests.streams.forking import (
    again,
    forked_log,
    proof_a,
    proof_b,
    proof_r,
    resolution,
    root_only,
)
from tests.streams.logs import BOB, Log, genesis_of


def served(log: Log, choice: Resolution | None, size: int = 3) -> list[Segment]:
    """By a node that has the branch, and knows of the choice."""
    desk = Desk([log.stream])
    desk.offer(*log.segments(log.length))
    desk.settle()
    state = desk.book.logs[log.stream]
    return make_segments(desk.disk, state, 0, log.length, entries_max=size, resolution=choice)


def holder(log: Log, length: int) -> Desk:
    """A node with so much of that branch, which it has stopped."""
    desk = Desk([log.stream])
    if length:
        desk.offer(log.segment(0, length))
        desk.settle()
    desk.stopped[log.stream] = FORKED
    return desk


def log_rows(desk: Desk) -> list[bytes]:
    return [key for key, _ in desk.disk.scan(b"s/", b"s0", limit=9999) if key[:3] != GENESIS]


def test_who_has_the_chosen_branch_goes_on() -> None:
    one, other = forked_log(4, 9, 7)
    desk = holder(one, 8)
    desk.resolve(resolution(proof_b(other, 7, one, 9, 6), one))
    desk.settle()
    assert desk.findings(LogDropped) == []
    assert len(desk.findings(Switched)) == 1
    desk.offer(one.segment(8, 9))
    desk.settle()
    assert desk.leaves(one.stream) == one.leaves
    assert desk.stopped == {}


def test_what_waits_may_go_from_the_chosen_head_to_the_next() -> None:
    one, other = forked_log(4, 9, 7)
    choice = resolution(proof_b(other, 7, one, 9, 6), one)
    one.write_many(2)
    desk = holder(other, 0)
    desk.resolve(choice)
    desk.settle()
    chosen = choice.chosen_head.head.length
    cuts = [0, 1, 3, chosen, one.length]
    desk.offer(*[one.segment(a, b, max(b, chosen)) for a, b in pairwise(cuts)])
    desk.settle()
    assert desk.skipped == 0
    assert desk.leaves(one.stream) == one.leaves


@pytest.mark.parametrize("length", [1, 5, 7])
def test_who_has_another_branch_or_too_little_of_it_drops_all_of_it(length: int) -> None:
    one, other = forked_log(4, 9, 7)
    desk = holder(other, length)
    desk.resolve(choice := resolution(proof_b(other, 7, one, 9, 6), one))
    desk.settle()
    assert desk.findings(LogDropped) == [LogDropped(one.stream)]
    assert [key[:3] for key in log_rows(desk)] == [b"s/r"]
    assert desk.book.length(one.stream) == 0
    desk.offer(*served(one, choice))
    desk.settle()
    assert desk.leaves(one.stream) == one.leaves
    assert desk.refused == []


def test_contents_that_came_late_and_notes_of_missing_ones_go_with_the_log() -> None:
    one, other = forked_log(4, 9, 7)
    desk = holder(other, 7)
    late = [Put(place_key(prefix, one.stream, 5), b"late") for prefix in (LATE, LACKING)]
    desk.disk.append(late)
    desk.disk.sync()
    desk.resolve(resolution(proof_b(other, 7, one, 9, 6), one))
    desk.settle()
    assert [key[:3] for key in log_rows(desk)] == [b"s/r"]


def test_a_long_log_is_dropped_in_batches_and_a_crash_in_the_midst_changes_nothing() -> None:
    one, other = forked_log(4, 9, 700)
    desk = Desk([one.stream])
    desk.offer(other.segment(0, 5), *[other.segment(*at) for at in pairwise(range(5, 701, 5))])
    for _ in range(30):
        desk.offer(*[other.segment(n, n + 5) for n in range(desk.book.length(one.stream), 700, 5)])
        desk.settle()
    assert desk.book.length(one.stream) == 700
    desk.resolve(choice := resolution(proof_a(one, other, 8), one))
    steps = 0
    while desk.questions or desk.writes:
        desk.look()
        assert all(len(write.writes) <= 128 for write in desk.writes)
        if steps % 2:
            desk.restart()
            desk.offer(one.segment(0, 9))  # wakes it up, and waits its turn
        desk.sync()
        steps += 1
    desk.settle()
    assert steps > 4
    assert [key[:3] for key in log_rows(desk)] == [b"s/r"]
    desk.offer(*served(one, choice))
    desk.settle()
    assert desk.leaves(one.stream) == one.leaves


def test_a_crash_before_the_log_is_dropped_does_not_keep_the_other_branch() -> None:
    one, other = forked_log(4, 9, 9)
    desk = holder(other, 9)
    desk.resolve(resolution(proof_a(one, other, 8), one))
    desk.restart()
    desk.offer(other.segment(0, 9))
    desk.settle()
    assert desk.book.length(one.stream) == 0


def test_a_log_that_comes_anew_is_not_dropped_again_at_a_restart() -> None:
    one, other = forked_log(4, 9, 9)
    desk = holder(other, 9)
    desk.resolve(choice := resolution(proof_a(one, other, 8), one))
    desk.settle()
    first, *rest = served(one, choice)
    desk.offer(first)
    desk.settle()
    desk.restart()
    desk.offer(*rest)
    desk.settle()
    assert desk.leaves(one.stream) == one.leaves


def test_what_is_being_written_is_looked_at_afterwards() -> None:
    one, other = forked_log(4, 9, 9)
    desk = Desk([one.stream])
    desk.offer(other.segment(0, 9))
    desk.verify()
    desk.resolve(resolution(proof_a(one, other, 8), one))
    desk.settle()
    assert len(desk.findings(LogDropped)) == 1


def test_entries_of_the_other_branch_are_not_taken_however_often_they_are_offered() -> None:
    """Each costs no signature; the peer is asked again when it has come to rest, as others are."""
    one, other = forked_log(4, 9, 9)
    desk = holder(other, 9)
    desk.resolve(choice := resolution(proof_a(one, other, 8), one))
    desk.settle()
    checks = desk.checks_made
    for stop in range(1, 10):
        desk.offer(other.segment(0, stop), other.segment(0, stop, 9), peer=QUIN)
        desk.offer(one.segment(0, stop, 9))  # under a Head that doesn't show where it leads
        desk.settle()
    assert desk.checks_made == checks
    assert desk.skipped == 27
    assert desk.refused == []
    desk.offer(*served(one, choice))
    desk.settle()
    desk.offer(other.segment(8, 9), peer=QUIN)
    desk.settle()
    assert desk.leaves(one.stream) == one.leaves


def test_who_shows_wrong_entries_under_the_chosen_head_is_refused() -> None:
    one, other = forked_log(4, 9, 9)
    desk = holder(other, 9)
    desk.resolve(choice := resolution(proof_a(one, other, 8), one))
    desk.settle()
    first = served(one, choice, 6)[0]
    shown = first.signed_head, first.frontier
    desk.offer(replace(other.segment(0, 6), signed_head=shown[0], frontier=shown[1]))
    desk.settle()
    assert len(desk.refused) == 1
    desk.offer(*served(one, choice))
    desk.settle()
    assert desk.leaves(one.stream) == one.leaves


def test_an_owner_whose_log_is_dropped_appends_when_the_chosen_branch_is_there() -> None:
    own = genesis_of(BOB)
    log = Log(own, ((0, BOB),)).write_many(3)
    twin = log.twin(4)
    log.write_many(3)
    twin.write("other")
    desk = holder(twin, 5)
    desk.resolve(choice := resolution(proof_b(twin, 5, log, 7), log))
    desk.settle()
    assert desk.book.owns(own.stream)
    desk.append(own.stream)
    assert desk.refusals == ["the branch that its owners chose is not here yet"]
    first, *rest = served(log, choice)
    desk.offer(first)
    desk.settle()
    desk.append(own.stream)
    assert len(desk.refusals) == 2
    assert desk.signed == 0
    desk.offer(*rest)
    desk.settle()
    desk.trust(own.stream)
    desk.append(own.stream)
    desk.settle()
    assert desk.book.length(own.stream) == 8


def test_a_choice_may_be_heard_twice() -> None:
    one, other = forked_log(4, 9, 7)
    desk = holder(one, 9)
    choice = resolution(proof_b(other, 7, one, 9), one)
    desk.resolve(choice)
    desk.resolve(choice)
    desk.settle()
    assert desk.leaves(one.stream) == one.leaves


# ---- whatever order ----


@given(st.data())
def test_whatever_comes_first_a_node_ends_on_the_chosen_branch(data: st.DataObject) -> None:
    common = data.draw(st.integers(1, 6), "common")
    lengths = [common + data.draw(st.integers(1, 6)) for _ in range(2)]
    one, other = forked_log(common, *lengths)
    chosen, lost = (one, other) if data.draw(st.booleans(), "first") else (other, one)
    choice = resolution(data.draw(st.sampled_from(_proofs(one, other))), chosen)
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    desk = Desk([one.stream])
    offers = [(PETE, s) for s in served(chosen, None, 2)] + [(QUIN, s) for s in served(lost, None)]
    offers += [(PETE, s) for s in served(chosen, choice, 2)]
    events = offers * 2
    chance.shuffle(events)
    heard = chance.randrange(len(events))
    for number, (peer, segment) in enumerate(events):
        if number == heard:
            desk.resolve(choice)
        desk.offer(segment, peer=peer)
        work = chance.choice([desk.look, desk.verify, desk.sync, desk.settle, desk.restart])
        work()
    desk.settle()
    for segment in served(chosen, choice):
        desk.offer(segment)
        desk.settle()
    assert desk.leaves(one.stream) == chosen.leaves
    assert desk.stored(one.stream).length == chosen.length
    assert desk.book.length(one.stream) == chosen.length
    told = [type(each) for each in desk.found if isinstance(each, LogDropped | Switched)]
    assert LogDropped not in told[told.index(Switched) :]  # what is over is over, also for restarts


def _proofs(one: Log, other: Log) -> list[HeadFork]:
    """Of Heads of the whole branches, at each length at which they can be compared."""
    shorter, longer = sorted((one, other), key=lambda log: log.length)
    if one.length == other.length:
        return [proof_a(one, other, one.length)]
    low, high = shorter.length, longer.length
    first = next(
        n
        for n, pair in enumerate(zip(one.leaves, other.leaves, strict=False))
        if pair[0] != pair[1]
    )
    found = [proof_b(shorter, low, longer, high, at) for at in range(first + 1, low + 1)]
    found.append(root_only(proof_b(shorter, low, longer, high)))
    for each in found:
        check_fork(each)
    return found


# ---- what a stream is then ----


def test_a_stream_is_forked_then_resolved_then_closed() -> None:
    one, other = forked_log(4, 9, 7)
    first = proof_b(other, 7, one, 9, 6)
    choice = resolution(first, one)
    twin = one.twin(8)
    twin.write("again")
    second = proof_a(one, twin, 9)
    counting = again(second, one, 6, twin)
    elsewhere = again(second, one, 5, twin)
    assert standing([], None) is None
    assert standing([first], None) == FORKED
    assert standing([counting], None) == FORKED
    assert standing([first], choice) is None
    assert standing([first, second], choice) is None  # it doesn't say which branch it is about
    assert standing([first, elsewhere], choice) is None
    assert standing([first, counting], choice) == CLOSED
    assert standing([proof_r(one)], choice) == CLOSED
    assert standing([proof_r(one)], None) == CLOSED


def test_only_forks_of_gossip_streams_are_resolved() -> None:
    log = Log(genesis_of(uniqueness=Uniqueness.NONE)).write_many(3)
    twin = log.twin(3)
    twin.write("other")
    with pytest.raises(Exception, match="gossip"):
        resolution(proof_a(log, twin, 4), log).checks()
