"""Heads that wait are compared with each other, and with everybody who told of them
(spec/gossip.md 4).
"""

import pytest

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.knowledge import TELLERS_MAX
from qbix_node.gossip.peers import QUESTION_ROUNDS
from qbix_node.streams.forks import ShownHead
from tests.gossip.ahead import COMMON, SIGNED, STREAM, branch_off
from tests.gossip.desk import Desk
from tests.gossip.test_ahead import forks, holding
from tests.streams.branches import Branch, keys_of

BOB, CAROL, DAVE = PEERS = [m.PeerId(keys_of(name).public) for name in ("bob", "carol", "dave")]
HERE = 5  # entries


@pytest.fixture
def desk() -> Desk:
    """All know the first entries, and nobody has what comes then."""
    desk = holding(COMMON, HERE, HERE)
    for peer in PEERS:
        desk.meet(peer, STREAM)
    desk.round()
    desk.said = []
    return desk


def shown(log: Branch, length: int) -> ShownHead:
    return log.shown(SIGNED, length)


def tell(desk: Desk, peer: m.PeerId, log: Branch, length: int) -> None:
    desk.hear(peer, g.Heads((shown(log, length),)))


def asked(desk: Desk) -> list[m.PeerId]:
    return [to for to, _ in desk.take_said(g.Compare)]


# ---- with each other ----


def test_two_of_one_length_are_a_proof(desk: Desk) -> None:
    tell(desk, BOB, COMMON, 20)
    assert forks(desk) == []
    tell(desk, CAROL, branch_off(8), 20)
    [fork] = forks(desk)
    assert fork.compared_length == 20


def test_two_that_were_shown_to_differ_at_a_length_in_common_are_a_proof(desk: Desk) -> None:
    other = branch_off(6)
    desk.hear(BOB, g.Compare(1, shown(COMMON, 20), COMMON.prefix(8, 20)))
    assert forks(desk) == []
    desk.hear(CAROL, g.Compare(1, shown(other, 30), other.prefix(7, 30)))
    [fork] = forks(desk)
    assert (fork.compared_length, fork.prefixes is None) == (8, False)


def test_two_of_which_no_length_in_common_is_known_wait(desk: Desk) -> None:
    other = branch_off(6)
    tell(desk, BOB, COMMON, 20)
    tell(desk, CAROL, other, 30)
    assert forks(desk) == []
    assert len(desk.gossiper.pending(STREAM)) == 2


def test_an_honest_owner_is_not_accused_whatever_is_shown_of_its_heads(desk: Desk) -> None:
    for number, (length, total) in enumerate([(7, 20), (8, 30), (19, 20), (20, 33)]):
        desk.hear(BOB, g.Compare(number, shown(COMMON, total), COMMON.prefix(length, total)))
    assert forks(desk) == []
    assert desk.found == []


# ---- with those who told of them ----


def test_the_next_one_is_asked_where_the_first_has_left(desk: Desk) -> None:
    tell(desk, BOB, COMMON, 20)
    tell(desk, CAROL, COMMON, 20)
    desk.do(m.Disconnected(BOB))
    desk.round()
    assert asked(desk) == [CAROL]


def test_the_next_one_is_asked_where_the_first_does_not_answer(desk: Desk) -> None:
    tell(desk, BOB, COMMON, 20)
    tell(desk, CAROL, COMMON, 20)
    desk.round()
    assert asked(desk) == [BOB]
    desk.round()
    assert asked(desk) == [CAROL]
    for _ in range(QUESTION_ROUNDS + 1):
        desk.round()
    assert asked(desk) == [BOB, CAROL]  # both anew


def test_the_next_one_is_asked_where_the_first_knows_nothing(desk: Desk) -> None:
    tell(desk, BOB, COMMON, 20)
    tell(desk, CAROL, COMMON, 20)
    desk.round()
    [(_, question)] = desk.take_said(g.Compare)
    assert isinstance(question, g.Compare)
    desk.hear(BOB, g.Unknown(question.number))
    desk.round()
    assert asked(desk) == [CAROL]


def test_nobody_is_asked_once_one_has_shown_that_it_continues_the_log(desk: Desk) -> None:
    tell(desk, BOB, COMMON, 20)
    tell(desk, CAROL, COMMON, 20)
    desk.round()
    [(_, question)] = desk.take_said(g.Compare)
    assert isinstance(question, g.Compare)
    frontier = COMMON.prefix(HERE, 20).frontier
    desk.hear(BOB, g.Continues(question.number, shown(COMMON, 20), frontier))
    for _ in range(4):
        desk.round()
    assert asked(desk) == []
    assert desk.gossiper.pending(STREAM) == []


def test_of_many_who_told_the_newest_are_asked(desk: Desk) -> None:
    peers = [m.PeerId(keys_of(f"peer {number}").public) for number in range(TELLERS_MAX + 3)]
    for peer in peers:
        desk.meet(peer, STREAM)
        tell(desk, peer, COMMON, 20)
    desk.said = []
    for _ in range(QUESTION_ROUNDS):
        desk.round()
    assert asked(desk) == peers[3 : 3 + QUESTION_ROUNDS]
