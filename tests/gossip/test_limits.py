"""What gossip does at its limits, and when things change while it thinks (spec/gossip.md 7)."""

from dataclasses import replace

import pytest

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.early import KEPT_BYTES_MAX, KeptProofs
from qbix_node.gossip.peers import (
    CHECKS_BURST,
    PROOFS_A_ROUND,
    QUESTION_ROUNDS,
    QUESTIONS_MAX,
    UNSEEN_MAX,
    Listener,
)
from qbix_node.gossip.work import Accused
from qbix_node.streams.authoring import sign_head
from qbix_node.streams.forks import ShownHead, encode_fork, equal_fork, read_fork
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Head, SignedHead
from qbix_node.streams.resolution import put_proof, read_forks
from qbix_node.streams.tree import Hash
from tests.gossip.desk import Desk
from tests.gossip.gossips import STAMP_MS, Author
from tests.gossip.test_machine import A, B, head_of, whole
from tests.replication.network import keys_of

BOB, CAROL = (m.PeerId(keys_of(name).public) for name in ("bob", "carol"))
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


def test_a_head_that_was_not_looked_at_is_looked_at_later(desk: Desk, author: Author) -> None:
    """Its peer has told it, and says it no second time."""
    for length in range(100, 100 + CHECKS_BURST):
        desk.hear(BOB, g.Heads((junk(author, length),)))
    desk.hear(BOB, g.Heads((head_of(author.write(*B)),)))
    assert desk.checked == CHECKS_BURST
    assert desk.found == []
    desk.round()
    assert [type(each) for each in desk.found] == [g.ForkProven]


def test_heads_that_wait_to_be_looked_at_are_bounded(author: Author) -> None:
    head, listener = junk(author, 100).signed.head, Listener(since=0.0)
    for length in range(UNSEEN_MAX + 9):
        listener.look_later(ShownHead(SignedHead(head._replace(length=length), ())))
    assert len(listener.unseen) == UNSEEN_MAX
    assert next(iter(listener.unseen))[1] == 9


def test_all_streams_have_their_turn_though_a_peer_says_nothing_of_the_first(desk: Desk) -> None:
    authors = [Author(f"author {number}") for number in range(3 * QUESTIONS_MAX)]
    for each in authors:
        desk.take(each.genesis, each.write(["a"]))
    streams = tuple([each.stream for each in authors])
    desk.do(m.Requested(g.Announced(BOB, streams, ())))
    for each in authors:
        desk.hear(BOB, g.Heads((junk(each, 9),)))
    asked = set()
    for _ in range(20 * QUESTION_ROUNDS):
        desk.round()
        for _, said in desk.take_said(g.Compare):
            assert isinstance(said, g.Compare)
            asked.add(said.shown.head.stream)
    assert asked == {*streams}


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


# ---- many streams ----


def forked(author: Author) -> bytes:
    one, other = head_of(author.write(["1"])), head_of(author.write(["2"]))
    return encode_fork(equal_fork(author.genesis, one, other))


def test_proofs_of_many_streams_are_told_some_a_round_until_all_are_told(desk: Desk) -> None:
    """So that they don't get lost where what waits for a peer is full."""
    authors = [Author(f"author {number}") for number in range(5 * PROOFS_A_ROUND)]
    for each in authors:
        desk.take(each.genesis, each.write(["1"]))
        fork = read_fork(forked(each))
        desk.write([put_proof(each.stream, encode_fork(fork))])
    again = Desk(desk.rows, desk.geneses, desk.logs)
    again.meet(CAROL, *[each.stream for each in authors])
    told: list[bytes] = []
    for _ in range(6):
        now = [said for _, said in again.take_said(g.Proofs)]
        assert all(len(g.encode(said)) <= g.PACKET_BYTES_MAX for said in now)
        proofs = [proof for said in now if isinstance(said, g.Proofs) for proof in said.proofs]
        assert len(proofs) <= PROOFS_A_ROUND
        told += proofs
        again.round()
    assert sorted(told) == sorted(forked(each) for each in authors)
    assert again.take_said(g.Proofs) == []


def test_of_another_proof_about_a_strange_stream_no_more_is_read_than_of_which_it_is(
    desk: Desk, author: Author
) -> None:
    """What is wrong with the rest is seen only where it matters."""
    stranger = Author("stranger")
    desk.hear(BOB, g.Proofs((forked(stranger),)))
    checked = desk.checked
    for each, liars in ((stranger, 0), (author, 1)):
        proof = bytearray(forked(each))
        proof[-1:] = b"\xc1"  # in the place of nil: no msgpack
        desk.hear(BOB, g.Proofs((bytes(proof),)))
        assert [type(found) for found in desk.found] == [LiarFound] * liars
    assert desk.checked == checked > 0


def test_what_names_no_stream_makes_a_liar_however_it_is_cut(author: Author) -> None:
    proof = forked(author)
    for size in (0, 1, 2, 5, 40):
        desk = Desk()
        desk.take(author.genesis, author.write(["1"]))
        desk.meet(BOB, author.stream)
        desk.hear(BOB, g.Proofs((proof[:size],)))
        assert [type(found) for found in desk.found] == [LiarFound]


def test_endless_proofs_of_one_stream_cost_two_writes(desk: Desk, author: Author) -> None:
    for number in range(300):
        one, other = (author.write([*"x" * number, word]) for word in ("1", "2"))
        fork = equal_fork(author.genesis, head_of(one), head_of(other))
        desk.hear(BOB, g.Proofs((encode_fork(fork),)))
    assert desk.checked == 2 * 2
    assert len(desk.gossiper.proofs(author.stream)) == 2
    assert len(read_forks(desk.rows)[author.stream]) == 2


# ---- proofs that come before the stream ----


def test_a_proof_that_comes_before_its_stream_counts_once_something_is_here(desk: Desk) -> None:
    author = Author("followed")
    desk.followed.add(author.stream)
    desk.meet(CAROL, author.stream)
    desk.hear(BOB, g.Proofs((forked(author),)))
    assert desk.checked == 2
    desk.round()
    assert desk.gossiper.proofs(author.stream) == []
    desk.take(author.genesis, author.write(["1"]))
    desk.round()
    assert desk.gossiper.proofs(author.stream) == [forked(author)]
    assert g.ForkProven(read_fork(forked(author)), BOB) in desk.found
    assert CAROL in [to for to, _ in desk.take_said(g.Proofs)]


def test_a_forged_proof_of_a_stream_that_is_to_come_makes_a_liar(desk: Desk) -> None:
    author = Author("followed")
    desk.followed.add(author.stream)
    proof = bytearray(forked(author))
    proof[-20] ^= 1
    desk.hear(BOB, g.Proofs((bytes(proof),)))
    assert [type(each) for each in desk.found] == [LiarFound]


def test_proofs_of_streams_that_are_to_come_are_bounded() -> None:
    early, half = KeptProofs(), KEPT_BYTES_MAX // 2
    forks = [read_fork(forked(Author(f"author {number}"))) for number in range(5)]
    for fork in forks:
        early.keep(Accused(BOB, fork), half)
        early.keep(Accused(CAROL, fork), half)  # a second one is not kept
    kept = early.take(lambda stream: True)
    assert kept == [Accused(BOB, fork) for fork in forks[-2:]]
    assert early.take(lambda stream: True) == []
    early.keep(Accused(BOB, forks[0]), half)
    early.keep(Accused(BOB, forks[1]), half)
    assert len(early.take(lambda stream: stream == forks[0].stream)) == 1
