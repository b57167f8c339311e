"""Heads over more than the entries that were shown: forks below them come to light, too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.knowledge import PENDING_MAX
from qbix_node.streams.forks import (
    HeadFork,
    ShownHead,
    check_fork,
    encode_fork,
    equal_fork,
    read_fork,
)
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.tree import Prefix
from tests.gossip.ahead import COMMON, GENESIS, LONGEST, SIGNED, STREAM, branch_off
from tests.gossip.desk import Desk
from tests.streams.branches import Branch, keys_of

BOB, CAROL, DAVE = (m.PeerId(keys_of(name).public) for name in ("bob", "carol", "dave"))


def holding(log: Branch, length: int, total: int, *, rest: int = 0) -> Desk:
    """A node with so many entries and a Head over `total`; the first `rest` came before."""
    desk = Desk()
    if rest:
        desk.take(GENESIS, [log.segment(SIGNED, 0, rest, rest)])
    desk.take(GENESIS, [log.segment(SIGNED, rest, length, total)])
    return desk


def replace_head(desk: Desk, log: Branch, length: int, total: int) -> None:
    """As the StreamBook does, and says."""
    before = desk.logs[STREAM]
    desk.take(GENESIS, [log.segment(SIGNED, before.length, length, total)])
    desk.do(m.Requested(g.Replaced(before)))


def talk(bob: Desk, carol: Desk, rounds: int = 4) -> None:
    """Until both are at rest."""
    bob.meet(CAROL, STREAM)
    carol.meet(BOB, STREAM)
    for _ in range(rounds):
        bob.round()
        carol.round()
        while bob.said or carol.said:
            for _, said in bob.take_said():
                carol.hear(BOB, said)
            for _, said in carol.take_said():
                bob.hear(CAROL, said)


def forks(desk: Desk) -> list[HeadFork]:
    found = [read_fork(encoded) for encoded in desk.gossiper.proofs(STREAM)]
    for fork in found:
        check_fork(fork)
    return [fork for fork in found if isinstance(fork, HeadFork)]


def knows(length: int, total: int) -> set[int]:
    """The lengths at which a node knows the root, by their definition."""
    known, end = {*range(1, length + 1)}, length
    while end < total:
        end = min(end + (end & -end), total)
        known.add(end)
    return known


def lengths() -> st.SearchStrategy[tuple[int, int]]:
    return st.integers(1, LONGEST).flatmap(
        lambda total: st.tuples(st.integers(1, total), st.just(total))
    )


@given(st.integers(1, LONGEST - 1), lengths(), lengths())
def test_a_fork_is_proven_wherever_both_know_where_they_differ(
    common: int, ours: tuple[int, int], theirs: tuple[int, int]
) -> None:
    bob, carol = holding(COMMON, *ours), holding(branch_off(common), *theirs)
    talk(bob, carol)
    both = knows(*ours) & knows(*theirs)
    differ = [length for length in both if length > common]
    assert len(forks(bob)) == len(forks(carol)) == (1 if differ else 0)
    if differ:
        fork = forks(bob)[0]
        assert fork.compared_length in differ
        assert fork.forked_length <= fork.compared_length
    # Nobody is called a liar for what the owner did.
    assert not [each for each in bob.found + carol.found if isinstance(each, LiarFound)]


@given(lengths(), lengths())
def test_one_branch_is_never_accused(ours: tuple[int, int], theirs: tuple[int, int]) -> None:
    bob, carol = holding(COMMON, *ours), holding(COMMON, *theirs)
    talk(bob, carol)
    assert bob.found == carol.found == []
    # And once all is here, nothing waits any more.
    for desk in (bob, carol):
        if desk.logs[STREAM].length < LONGEST:
            replace_head(desk, COMMON, LONGEST, LONGEST)
    talk(bob, carol)
    assert bob.gossiper.pending(STREAM) == carol.gossiper.pending(STREAM) == []
    assert bob.found == carol.found == []


def test_two_nodes_with_the_same_entries_and_heads_of_two_branches_prove_the_fork() -> None:
    """Nobody but the owner has an entry in which the branches differ."""
    bob, carol = holding(COMMON, 9, 10), holding(branch_off(9), 9, 12)
    talk(bob, carol)
    [fork] = forks(bob)
    assert forks(carol) == [fork]
    assert (fork.compared_length, fork.forked_length) == (10, 10)
    assert [fork.shown.head.length, fork.other.head.length] == [10, 12]


def test_a_root_whose_peaks_nobody_has_is_enough_where_its_head_ends() -> None:
    """From 8 leaves, a frontier to 11 shows nothing but the root."""
    bob, carol = holding(COMMON, 8, 11), holding(branch_off(8), 12, 12)
    talk(bob, carol)
    [fork] = forks(carol)
    assert forks(bob) == [fork]
    assert fork.prefixes is not None
    assert fork.prefixes[0] == Prefix(11, (), ())


def test_heads_that_share_no_length_wait_without_a_word_for_entries() -> None:
    bob, carol = holding(COMMON, 8, 11), holding(branch_off(8), 8, 12)
    talk(bob, carol, rounds=6)
    assert forks(bob) == forks(carol) == []
    for desk in (bob, carol):
        assert len(desk.gossiper.pending(STREAM)) == 1
        desk.round()
        assert desk.take_said() == []  # what was compared is not compared again
    carol.take(GENESIS, [branch_off(8).segment(SIGNED, 8, 12, 12)])
    carol.round()
    [fork] = forks(carol)
    assert fork.compared_length == 11


# ---- Heads that are replaced ----


@pytest.mark.parametrize(
    ("length", "total"), [(10, 10), (10, 12), (12, 12), (9, 12)], ids=["", "ahead", "past", "same"]
)
def test_a_head_that_contradicts_the_one_before_is_a_fork_at_once(length: int, total: int) -> None:
    """Nobody else is needed: the node knows both."""
    desk = holding(COMMON, 9, 11)
    replace_head(desk, branch_off(9), length, total)
    [fork] = forks(desk)
    assert fork.compared_length == 10


def test_a_longer_head_that_is_replaced_waits_until_entries_reach_it() -> None:
    other = branch_off(8)
    desk = holding(COMMON, 8, 15)
    replace_head(desk, other, 9, 9)
    assert desk.found == []
    assert desk.gossiper.pending(STREAM) == [COMMON.head(SIGNED, 15)]
    # It is told to others, and looked at again with each entry.
    desk.meet(DAVE, STREAM)
    desk.round()
    [(_, told)] = desk.take_said(g.Heads)
    assert isinstance(told, g.Heads)
    assert ShownHead(COMMON.head(SIGNED, 15)) in told.heads
    replace_head(desk, other, 14, 14)
    desk.round()
    assert desk.found == []
    replace_head(desk, other, 15, 15)
    desk.round()
    [fork] = forks(desk)
    assert fork.compared_length == 15


def test_of_a_replaced_head_all_lengths_that_it_tells_are_compared() -> None:
    """The frontier from 9 leaves to 15 tells of 10 and 12, too: entries need not reach 15."""
    other = branch_off(11)
    desk = holding(COMMON, 9, 15)
    desk.meet(DAVE)
    replace_head(desk, other, 10, 10)
    assert desk.found == []
    replace_head(desk, other, 12, 12)
    desk.round()
    [fork] = forks(desk)
    assert fork.compared_length == 12


def test_replaced_heads_that_wait_are_bounded() -> None:
    desk = holding(COMMON, 8, 40)
    for length in range(30, 40):
        replace_head(desk, COMMON, 8, length)
    assert len(desk.gossiper.pending(STREAM)) <= PENDING_MAX


def test_what_is_shown_and_does_not_lead_to_its_head_is_a_lie() -> None:
    desk = holding(COMMON, 9, 12)
    desk.meet(BOB, STREAM)
    shown = COMMON.shown(SIGNED, 12)
    desk.hear(BOB, g.Compare(1, shown, branch_off(9).prefix(10, 12)))
    assert [type(each) for each in desk.found] == [LiarFound]


def test_a_head_that_is_looked_at_while_a_proof_comes_does_not_wait() -> None:
    desk = holding(COMMON, 8, 11)
    desk.meet(BOB, STREAM)
    desk.asked = []
    desk.hear(BOB, g.Compare(1, COMMON.shown(SIGNED, 12), COMMON.prefix(8, 12)))
    ends = COMMON.shown(SIGNED, 11), branch_off(8).shown(SIGNED, 11)
    desk.hear(BOB, g.Proofs((encode_fork(equal_fork(GENESIS, *ends)),)))
    desk.answer_all()
    assert len(forks(desk)) == 1
    assert desk.gossiper.pending(STREAM) == []
