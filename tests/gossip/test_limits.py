"""What gossip does at its limits, and when things change while it thinks (spec/gossip.md 7)."""

from dataclasses import replace

import pytest

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.peers import CHECKS_BURST, QUESTION_ROUNDS
from qbix_node.streams.authoring import sign_head
from qbix_node.streams.forks import ShownHead
from qbix_node.streams.messages import Head
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.tree import Hash
from tests.gossip.desk import Desk
from tests.gossip.gossips import STAMP_MS, Author
from tests.gossip.test_machine import A, B, head_of, whole
from tests.replication.network import keys_of

BOB = m.PeerId(keys_of("bob").public)
LONG = [["other"], ["a", "b", "c", "d"]]


@pytest.fixture
def author() -> Author:
    return Author()


@pytest.fixture
def desk(author: Author) -> Desk:
    desk = Desk()
    desk.take(author.genesis, author.write(*A))
    desk.meet(BOB, author.stream)
    return desk


def junk(author: Author, length: int) -> ShownHead:
    root = Hash(length.to_bytes(32, "big"))
    return ShownHead(sign_head(Head(author.stream, length, root, STAMP_MS), (0, author.keys)))


def test_owners_that_change_while_a_head_is_pending_end_nothing(desk: Desk, author: Author) -> None:
    """The new owners' Head isn't the first ones' word, so that no proof can be made of both."""
    desk.hear(BOB, g.Heads((head_of(author.write(*LONG)),)))
    heirs = sorted([keys_of("heir"), keys_of("other heir")], key=lambda keys: keys.public)
    owners = Owners(tuple([(AuthorId(keys.public), 1) for keys in heirs]), 2)
    other = Head(author.stream, 6, Hash(b"o" * 32), STAMP_MS)
    signed = sign_head(other, *enumerate(heirs))
    state = desk.logs[author.stream]
    desk.logs[author.stream] = replace(state, owners=owners, signed=signed)
    desk.round()
    assert desk.found == []
    assert desk.gossiper.pending(author.stream) == []


def test_heads_of_many_owners_are_told_in_packets_that_may_be_sent(desk: Desk) -> None:
    authors = [Author(f"author {number}") for number in range(60)]
    many = tuple([(index, bytes(64)) for index in range(64)])
    for each in authors:
        desk.take(each.genesis, each.write(["a"]))
        state = desk.logs[each.stream]
        desk.logs[each.stream] = replace(state, signed=state.signed._replace(signatures=many))
    desk.do(m.Requested(g.Announced(BOB, tuple([each.stream for each in authors]), ())))
    told: list[ShownHead] = []
    for _ in range(4):
        desk.round()
        for _, said in desk.take_said():
            assert isinstance(said, g.Heads)
            assert len(g.encode(said)) <= g.PACKET_BYTES_MAX
            told += said.heads
    assert len(told) == 61


def test_who_asks_more_than_it_may_cost_hears_that_nothing_is_known(
    desk: Desk, author: Author
) -> None:
    for length in range(100, 100 + CHECKS_BURST):
        desk.hear(BOB, g.Heads((junk(author, length),)))
    branch = author.write(*B)
    desk.hear(BOB, g.Compare(5, head_of(branch), whole(branch)))
    assert desk.take_said() == [(BOB, g.Unknown(5))]
    # And a Head that was not looked at is told on another day.
    desk.now += 60
    desk.hear(BOB, g.Heads((head_of(branch),)))
    assert [type(each) for each in desk.found] == [g.ForkProven]


def test_a_question_that_is_not_answered_is_asked_again(desk: Desk, author: Author) -> None:
    desk.hear(BOB, g.Heads((head_of(author.write(*LONG)),)))
    asked = 0
    for _ in range(2 * QUESTION_ROUNDS + 2):
        desk.round()
        asked += len(desk.take_said(g.Compare))
    assert asked == 2


def test_an_answer_is_about_the_head_that_was_looked_at(author: Author) -> None:
    """Also if the log grows while the answer is made out."""
    desk = Desk()
    longer = author.write(*A, ["more"], ["and more"])
    desk.take(author.genesis, longer[:-1])
    desk.meet(BOB, author.stream)
    shown = author.write(*A)
    desk.asked = []
    desk.hear(BOB, g.Compare(1, head_of(shown), whole(shown)))
    desk.take(author.genesis, longer[-1:])
    desk.answer_all()
    [(_, said)] = desk.take_said()
    assert isinstance(said, g.Continues)
    assert said.shown == head_of(longer[:-1])
