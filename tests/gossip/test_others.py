"""Proofs about streams that are nothing to a node, and how they reach who follows later
(spec/gossip.md 6).
"""

import pytest

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.early import KEPT_BYTES_MAX, KEPT_MAX, KeptProofs
from qbix_node.gossip.peers import CHECKS_A_SECOND
from qbix_node.gossip.work import Accused
from qbix_node.streams.authoring import sign_head
from qbix_node.streams.forks import ShownHead, encode_fork, equal_fork, read_fork
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Head
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.tree import Hash
from tests.gossip.desk import Desk
from tests.gossip.gossips import STAMP_MS, Author
from tests.gossip.test_machine import A, B, proof_between
from tests.replication.network import keys_of

ALICE, BOB, CAROL, DAVE = (
    m.PeerId(keys_of(name).public) for name in ("alice", "bob", "carol", "dave")
)
FORGER = keys_of("forger")
HEADS = [Hash(bytes([number]) * 32) for number in (1, 2)]


def cheap_proof(number: int, uniqueness: Uniqueness = Uniqueness.GOSSIP) -> bytes:
    """Valid, about a stream of its own: two signatures, and no entry was ever written."""
    owners = Owners(((AuthorId(FORGER.public), 1),), 1)
    genesis = Genesis(owners, "test", uniqueness, (), number.to_bytes(16, "big"))
    heads = [Head(genesis.stream, 2, root, STAMP_MS) for root in HEADS]
    one, other = (ShownHead(sign_head(head, (0, FORGER))) for head in heads)
    return encode_fork(equal_fork(genesis, one, other))


def told_to(desk: Desk, peer: m.PeerId) -> list[bytes]:
    said = [each for to, each in desk.take_said(g.Proofs) if to == peer]
    return [proof for each in said if isinstance(each, g.Proofs) for proof in each.proofs]


# ---- whoever follows later finds them at its neighbours ----


def test_a_new_proof_is_told_to_those_who_do_not_hear_of_the_stream() -> None:
    author, desk = Author(), Desk()
    desk.take(author.genesis, author.write(*A))
    desk.meet(BOB)
    desk.meet(CAROL, author.stream)
    proof = proof_between(author, A, B)
    desk.hear(CAROL, g.Proofs((proof,)))
    assert told_to(desk, BOB) == [proof]
    # Later only who says that it has the stream is told.
    desk.meet(DAVE)
    desk.round()
    assert desk.take_said() == []
    desk.do(m.Requested(g.Announced(DAVE, (author.stream,), ())))
    assert told_to(desk, DAVE) == [proof]


@pytest.mark.parametrize("announces", ["by a note", "by listening"])
def test_it_is_handed_on_to_who_announces_the_stream_later(announces: str) -> None:
    desk, proof = Desk(), cheap_proof(1)
    stream = read_fork(proof).stream
    desk.meet(BOB)
    desk.meet(CAROL)
    desk.hear(BOB, g.Proofs((proof,)))
    assert desk.said == []  # it does not flood
    assert desk.gossiper.accused() == []
    if announces == "by a note":
        desk.do(m.Requested(g.Announced(CAROL, (stream,), ())))
    else:
        desk.hear(CAROL, g.Listen((stream,), ()))
    assert desk.take_said() == [(CAROL, g.Proofs((proof,)))]
    # Once over a connection.
    desk.do(m.Requested(g.Announced(CAROL, (), (stream,))))
    desk.do(m.Requested(g.Announced(CAROL, (stream,), ())))
    assert desk.take_said() == []


def test_it_is_handed_on_to_who_announced_the_stream_before() -> None:
    desk, proof = Desk(), cheap_proof(1)
    desk.meet(BOB)
    desk.meet(CAROL, read_fork(proof).stream)
    desk.hear(BOB, g.Proofs((proof,)))
    assert desk.take_said() == [(CAROL, g.Proofs((proof,)))]


@pytest.mark.parametrize("rounds", [0, 1])
def test_it_counts_once_the_node_follows_the_stream_itself(rounds: int) -> None:
    author, desk = Author(), Desk()
    desk.meet(BOB)
    desk.hear(BOB, g.Proofs((proof_between(author, A, B),)))
    desk.followed.add(author.stream)
    for _ in range(rounds):
        desk.round()
    assert desk.gossiper.stopped(author.stream) is None
    desk.take(author.genesis, author.write(*A))
    desk.round()
    assert desk.gossiper.stopped(author.stream)


@pytest.mark.parametrize("holds", [False, True])
def test_about_a_private_stream_only_readers_are_told(holds: bool) -> None:
    author, desk = Author(readers=[CAROL]), Desk()
    if holds:
        desk.take(author.genesis, author.write(*A))
    for peer in (BOB, CAROL, DAVE):
        desk.meet(peer, author.stream)
    desk.hear(BOB, g.Proofs((proof_between(author, A, B),)))
    assert {to for to, _ in desk.take_said(g.Proofs)} == {CAROL}


def test_a_forged_one_makes_a_liar_and_is_not_kept() -> None:
    desk, proof = Desk(), bytearray(cheap_proof(1))
    stream = read_fork(bytes(proof)).stream
    desk.meet(BOB)
    desk.meet(CAROL, stream)
    proof[-20] ^= 1
    desk.hear(BOB, g.Proofs((bytes(proof),)))
    assert [type(each) for each in desk.found] == [LiarFound]
    assert desk.said == []


def test_streams_that_nobody_compares_have_none() -> None:
    desk = Desk()
    desk.meet(BOB)
    desk.hear(BOB, g.Proofs((cheap_proof(1, Uniqueness.NONE),)))
    assert desk.checked == 0


# ---- limits ----


def test_valid_proofs_about_a_million_streams_stay_within_bounds() -> None:
    """So many that the bound on bytes is reached twice; what follows makes no difference."""
    desk = Desk()
    desk.meet(BOB)
    rows = dict(desk.rows.scan(b"", b"\xff", limit=9999))
    kept = desk.gossiper._known.others
    size, number = len(cheap_proof(0)), 0
    while number * size < 2 * KEPT_BYTES_MAX:
        for _ in range(16):
            desk.hear(BOB, g.Proofs((cheap_proof(number),)))
            number += 1
        desk.now += 2 * 16 / CHECKS_A_SECOND
        assert kept.size_bytes <= KEPT_BYTES_MAX
        assert kept.count <= KEPT_MAX
    assert desk.checked == 2 * number
    assert kept.size_bytes > KEPT_BYTES_MAX - 2 * size
    assert len(desk.gossiper._known.streams) == 0
    assert dict(desk.rows.scan(b"", b"\xff", limit=9999)) == rows
    assert desk.found == desk.said == []


def test_who_sends_them_faster_is_not_believed_faster() -> None:
    desk = Desk()
    desk.meet(BOB)
    for number in range(1000):
        desk.hear(BOB, g.Proofs((cheap_proof(number),)))
    assert desk.checked == 256


def test_a_flood_of_one_peer_leaves_what_others_sent() -> None:
    kept, few = KeptProofs(), [read_fork(cheap_proof(number)) for number in range(3)]
    for fork in few:
        kept.keep(Accused(CAROL, fork), 1000)
    for number in range(3, 1200):
        kept.keep(Accused(BOB, read_fork(cheap_proof(number))), 4000)
    assert kept.size_bytes <= KEPT_BYTES_MAX
    assert all(kept.use(fork.stream) for fork in few)


def test_small_ones_are_limited_by_their_number() -> None:
    kept = KeptProofs()
    for number in range(KEPT_MAX + 10):
        kept.keep(Accused(BOB, read_fork(cheap_proof(number))), 1)
    assert kept.count == KEPT_MAX


def test_what_was_used_stays_longer() -> None:
    kept = KeptProofs()
    forks = [read_fork(cheap_proof(number)) for number in range(4)]
    third = KEPT_BYTES_MAX // 3
    for fork in forks[:3]:
        kept.keep(Accused(BOB, fork), third)
    kept.use(forks[0].stream)
    kept.keep(Accused(BOB, forks[3]), third)
    assert kept.use(forks[0].stream)
    assert not kept.use(forks[1].stream)
