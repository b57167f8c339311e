"""What an owner signed on the branch that was given up, and on the one that goes on."""

from dataclasses import dataclass

import pytest

from qbix_node import machines as m
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.records import Run, Signed, put_run, put_signed, read_runs, read_signed
from qbix_node.streams.messages import Head, OfferedSegment
from qbix_node.streams.resolution import FORKED, Resolution
from tests.sequencing.town import ALICE, BOB, START_S, Member, genesis_of
from tests.streams.forking import proof_b, resolution
from tests.streams.logs import Log


@dataclass
class Fork:
    """Alice, the only owner, wrote `chosen` and, from leaf 4 on, `other`."""

    chosen: Log
    other: Log
    choice: Resolution  # at fork_length 7, whose chosen Head is 9 long


def forked() -> Fork:
    chosen = Log(genesis_of(ALICE, threshold=1, writers=(BOB,))).write_many(3)
    other = chosen.twin(4)
    for n in range(8):
        other.write(f"other {n}")
    chosen.write_many(5)
    return Fork(chosen, other, resolution(proof_b(other, 7, chosen, 9), chosen))


def run_of(log: Log, first: int, stop: int) -> Run:
    head = Head(log.stream, stop, log.root(stop), int(START_S * 1000))
    return Run(first, tuple(log.leaves[first:stop]), tuple(log.contents[first:stop]), head)


def alice_with(log: Log, length: int, *, signed: Run) -> Member:
    """She has so much of it, and has proposed the rest."""
    alice = Member(ALICE)
    alice.follow(log.stream)
    offer(alice, log, 0, length)
    head = signed.head
    alice.disk.append([put_run(signed), put_signed(log.stream, Signed(head.length, head.root))])
    alice.disk.sync()
    alice.stopped[log.stream] = FORKED
    alice.restart()
    return alice


def offer(alice: Member, log: Log, first: int, stop: int, under: int | None = None) -> None:
    segment = log.segment(first, stop, under or stop)
    alice.tell(m.Received(m.PeerId(b"p" * 32), OfferedSegment(segment)), alice.book)
    settle(alice)


def settle(alice: Member) -> None:
    while alice.sync() or alice.do_work():
        pass


def writes(alice: Member, log: Log) -> q.Done | q.Failed | None:
    request = alice.write(log.stream, "new")
    settle(alice)
    return alice.outcome(request)


@pytest.mark.parametrize(("first", "stop"), [(7, 9), (5, 9), (9, 11)])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_proposed_on_the_other_branch_is_forgotten_with_the_log(
    first: int, stop: int, restarted: bool
) -> None:
    fork = forked()
    stream = fork.other.stream
    alice = alice_with(fork.other, first, signed=run_of(fork.other, first, stop))
    alice.resolve(fork.choice)
    if restarted:
        alice.restart()
        offer(alice, fork.other, 0, 4)  # wakes it up
    settle(alice)
    assert read_runs(alice.disk) == {}
    assert read_signed(alice.disk) == {}
    assert not alice.machine.proposals
    assert writes(alice, fork.other) == q.Failed(
        alice.requests, "the branch of that stream that its owners chose is not here yet", True
    )
    offer(alice, fork.chosen, 0, 9)
    assert alice.leaves(stream) == fork.chosen.leaves
    assert writes(alice, fork.chosen) == q.Done(alice.requests, (9,))
    assert alice.leaves(stream)[:9] == fork.chosen.leaves


def test_what_was_signed_on_the_chosen_branch_is_continued_after_the_log_was_dropped() -> None:
    fork = forked()
    stream = fork.other.stream
    fork.chosen.write_many(2)
    alice = alice_with(fork.other, 8, signed=run_of(fork.chosen, 9, 11))
    alice.resolve(fork.choice)
    settle(alice)
    assert read_signed(alice.disk)[stream] == Signed(11, fork.chosen.root(11))
    offer(alice, fork.chosen, 0, 9)
    assert alice.length(stream) == 9
    alice.tell(m.TimerFired("sequencing/round"))
    settle(alice)
    assert alice.leaves(stream) == fork.chosen.leaves  # what she had proposed, word for word


def test_without_the_proposal_nothing_is_signed_against_what_was_signed() -> None:
    fork = forked()
    stream = fork.other.stream
    fork.chosen.write_many(2)
    run = run_of(fork.chosen, 9, 11)
    alice = alice_with(fork.other, 8, signed=run)
    alice.disk.append([put_run(run_of(fork.other, 4, 6))])  # of another time
    alice.disk.sync()
    alice.restart()
    alice.resolve(fork.choice)
    settle(alice)
    assert read_runs(alice.disk) == {}
    offer(alice, fork.chosen, 0, 9)
    refused = writes(alice, fork.chosen)
    assert isinstance(refused, q.Failed)
    assert "signed another log" in refused.reason
    assert alice.length(stream) == 9


def test_nothing_is_offered_before_the_log_is_known_to_be_on_the_chosen_branch() -> None:
    fork = forked()
    alice = alice_with(fork.other, 7, signed=run_of(fork.other, 7, 9))
    alice.found.clear()
    alice.slow = True
    alice.resolve(fork.choice)  # the log has not been looked at
    alice.tell(m.TimerFired("sequencing/round"))
    assert not [each for each in alice.found if isinstance(each, q.Completed)]


def test_what_was_signed_up_to_the_fork_counts_no_more() -> None:
    fork = forked()
    alice = alice_with(fork.other, 4, signed=run_of(fork.other, 4, 6))
    alice.resolve(fork.choice)
    settle(alice)
    assert not alice.machine.proposals
    offer(alice, fork.chosen, 0, 9)
    assert writes(alice, fork.chosen) == q.Done(alice.requests, (9,))
