"""What a Gossiper tells, believes and proves (spec/gossip.md)."""

import pytest

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.gossip.knowledge import PENDING_MAX
from qbix_node.gossip.peers import CHECKS_BURST, QUESTIONS_MAX
from qbix_node.streams.authoring import sign_head
from qbix_node.streams.forks import ShownHead, check_fork, encode_fork, equal_fork, read_fork
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Head, Segment
from qbix_node.streams.tree import EMPTY_ROOT, Hash, Prefix, grow, leaf_hash
from qbix_node.wire.v8json import JsonValue
from tests.gossip.desk import Desk
from tests.gossip.gossips import STAMP_MS, Author
from tests.replication.network import keys_of

BOB, CAROL, DAVE = (m.PeerId(keys_of(name).public) for name in ("bob", "carol", "dave"))
A = [["same"], ["x", "y"]]
B = [["same"], ["x", "z"]]
LONG = [["other"], ["a", "b", "c", "d"]]


@pytest.fixture
def author() -> Author:
    return Author()


@pytest.fixture
def desk(author: Author) -> Desk:
    """It holds branch A; bob and carol hold the stream, too."""
    desk = Desk()
    desk.take(author.genesis, author.write(*A))
    desk.meet(BOB, author.stream)
    desk.meet(CAROL, author.stream)
    return desk


def head_of(segments: list[Segment]) -> ShownHead:
    return ShownHead(segments[-1].signed_head)


def whole(segments: list[Segment]) -> Prefix:
    """What shows a log with all entries under its Head."""
    leaves = [leaf_hash(leaf) for segment in segments for leaf in segment.leaves]
    return Prefix(len(leaves), grow((), 0, leaves)[0], ())


def proofs_in(desk: Desk) -> list[tuple[m.PeerId, bytes]]:
    return [
        (to, proof)
        for to, said in desk.take_said(g.Proofs)
        if isinstance(said, g.Proofs)
        for proof in said.proofs
    ]


# ---- telling ----


def test_heads_are_told_once_and_only_to_who_holds_the_stream(desk: Desk, author: Author) -> None:
    desk.meet(DAVE)
    desk.round()
    told = g.Heads((head_of(author.write(*A)),))
    assert sorted(desk.take_said()) == sorted([(BOB, told), (CAROL, told)])
    desk.round()
    assert desk.take_said() == []


def test_a_new_head_is_told_and_a_returning_peer_is_told_anew(desk: Desk, author: Author) -> None:
    desk.round()
    desk.take_said()
    longer = author.write(*A, ["more"])
    desk.take(author.genesis, longer[-1:])
    desk.do(m.Disconnected(BOB))
    desk.meet(BOB, author.stream)
    desk.round()
    assert {to for to, _ in desk.take_said(g.Heads)} == {BOB, CAROL}


def test_what_a_peer_told_us_is_not_told_to_it(desk: Desk, author: Author) -> None:
    desk.hear(BOB, g.Heads((head_of(author.write(*A)),)))
    desk.round()
    assert [to for to, _ in desk.take_said(g.Heads)] == [CAROL]


def test_rounds_end_with_the_last_peer_and_reach_three_at_most(author: Author) -> None:
    desk = Desk()
    desk.take(author.genesis, author.write(*A))
    peers = [m.PeerId(keys_of(f"peer {n}").public) for n in range(9)]
    for peer in peers:
        desk.meet(peer, author.stream)
    desk.round()
    assert len(desk.take_said(g.Heads)) == 3
    assert desk.timer is not None
    assert 1.5 <= desk.timer - desk.now <= 2.5


def test_a_private_stream_is_told_to_its_readers_only(author: Author) -> None:
    author = Author(readers=[BOB])
    desk = Desk()
    desk.take(author.genesis, author.write(*A))
    desk.meet(BOB, author.stream)
    desk.meet(CAROL, author.stream)
    desk.round()
    assert {to for to, _ in desk.take_said()} == {BOB}
    branch = author.write(*B)
    desk.hear(CAROL, g.Compare(7, head_of(branch), whole(branch)))
    assert desk.take_said() == [(CAROL, g.Unknown(7))]
    assert desk.checked == 0


# ---- hearing ----


@pytest.mark.parametrize("peer", [BOB, DAVE], ids=["gossips", "does not"])
def test_a_head_that_contradicts_the_log_is_looked_at_whoever_sent_it(
    desk: Desk, author: Author, peer: m.PeerId
) -> None:
    """Its entries came by replication, and its signatures were checked there."""
    desk.do(m.Requested(g.Contradiction(peer, author.write(*LONG)[-1].signed_head)))
    assert [each.head.length for each in desk.gossiper.pending(author.stream)] == [6]
    assert [to for to, _ in desk.take_said()] == ([BOB] if peer == BOB else [])
    desk.do(m.Requested(g.Contradiction(peer, author.write(*B)[-1].signed_head)))
    assert [type(each) for each in desk.found] == [g.ForkProven]


def test_a_head_of_the_same_length_and_another_root_is_a_fork_at_once(
    desk: Desk, author: Author
) -> None:
    desk.hear(BOB, g.Heads((head_of(author.write(*B)),)))
    [proven] = [each for each in desk.found if isinstance(each, g.ForkProven)]
    assert proven.fork.forked_length == 4
    told = proofs_in(desk)
    assert sorted(to for to, _ in told) == sorted([BOB, CAROL])
    check_fork(read_fork(told[0][1]))
    assert desk.gossiper.proofs(author.stream) == [told[0][1]]


@pytest.mark.parametrize("ours", [[*A, ["more"]], [["same", "x", "y", "more"]]])
def test_a_shorter_head_that_our_log_does_not_continue_is_a_fork_at_once(
    author: Author, ours: list[list[str]]
) -> None:
    """Whether or not there is a Head of that length here: nobody has to show entries or peaks."""
    desk = Desk()
    desk.take(author.genesis, author.write(*ours))
    desk.meet(BOB, author.stream)
    desk.hear(BOB, g.Heads((head_of(author.write(*B)),)))
    [proven] = desk.found
    assert isinstance(proven, g.ForkProven)
    assert proven.fork.forked_length == 4
    check_fork(proven.fork)


def test_an_earlier_head_of_our_log_is_no_fork(desk: Desk, author: Author) -> None:
    for stop in (1, 2, 3):
        desk.hear(BOB, g.Heads((head_of(author.write(*A)[:stop]),)))
    assert desk.found == []
    assert desk.take_said() == []


def test_a_longer_head_is_pending_and_compared_if_nothing_comes(desk: Desk, author: Author) -> None:
    longer = author.write(*LONG)
    desk.hear(BOB, g.Heads((head_of(longer),)))
    assert desk.take_said() == []
    assert [each.head.length for each in desk.gossiper.pending(author.stream)] == [6]
    desk.round()
    said = desk.said
    assert [to for to, _ in desk.take_said(g.Compare)] == [BOB]
    # And it is told to who has not heard of it.
    [told] = [each for to, each in said if to == CAROL]
    assert isinstance(told, g.Heads)
    assert head_of(longer) in told.heads


def test_a_longer_head_that_continues_ours_is_pending_no_longer(desk: Desk, author: Author) -> None:
    longer = author.write(*A, ["more", "of it"])
    desk.hear(BOB, g.Heads((head_of(longer),)))
    desk.round()
    [(_, question)] = desk.take_said(g.Compare)
    assert isinstance(question, g.Compare)
    other = Desk()
    other.take(author.genesis, longer)
    other.meet(DAVE, author.stream)
    other.hear(DAVE, question)
    [(_, answer)] = other.take_said()
    assert isinstance(answer, g.Continues)
    desk.hear(BOB, answer)
    assert desk.gossiper.pending(author.stream) == []
    assert desk.found == []


def test_who_claims_that_its_head_continues_ours_and_cant_show_it_lies(
    desk: Desk, author: Author
) -> None:
    longer = author.write(*LONG)
    desk.hear(BOB, g.Heads((head_of(longer),)))
    desk.round()
    [(_, question)] = desk.take_said(g.Compare)
    assert isinstance(question, g.Compare)
    desk.hear(BOB, g.Continues(question.number, head_of(longer), (EMPTY_ROOT,)))
    assert [type(each) for each in desk.found] == [LiarFound]
    assert len(desk.gossiper.pending(author.stream)) == 1


def test_pending_heads_are_bounded(desk: Desk, author: Author) -> None:
    """The owner may sign any number of Heads over entries that nobody was shown."""
    for length in range(100, 100 + 2 * PENDING_MAX):
        signed = sign_head(
            Head(author.stream, length, Hash(bytes([length]) * 32), STAMP_MS), (0, author.keys)
        )
        desk.hear(BOB, g.Heads((ShownHead(signed),)))
    lengths = [each.head.length for each in desk.gossiper.pending(author.stream)]
    assert lengths == [104, 105, 106, 107]


def test_heads_of_streams_that_are_not_here_cost_nothing(desk: Desk) -> None:
    stranger = Author("somebody else")
    desk.hear(BOB, g.Heads((head_of(stranger.write(*A)),)))
    assert desk.checked == 0
    assert desk.gossiper.pending(stranger.stream) == []


def test_a_known_head_costs_no_signature(desk: Desk, author: Author) -> None:
    desk.hear(BOB, g.Heads((head_of(author.write(*A)),)))
    longer = g.Heads((head_of(author.write(*LONG)),))
    desk.hear(BOB, longer)
    assert desk.checked == 1
    desk.hear(CAROL, longer)
    assert desk.checked == 1


def test_who_sends_a_wrong_signature_is_not_listened_to(desk: Desk, author: Author) -> None:
    forged = sign_head(Head(author.stream, 4, Hash(b"r" * 32), STAMP_MS), (0, keys_of("mallory")))
    desk.hear(BOB, g.Heads((ShownHead(forged),)))
    assert [type(each) for each in desk.found] == [LiarFound]
    desk.hear(BOB, g.Heads((head_of(author.write(*B)),)))
    assert len(desk.found) == 1
    desk.hear(CAROL, g.Heads((head_of(author.write(*B)),)))
    assert [type(each) for each in desk.found[1:]] == [g.ForkProven]


def test_a_peer_costs_a_bounded_number_of_signatures(desk: Desk, author: Author) -> None:
    for length in range(100, 100 + 2 * CHECKS_BURST):
        root = Hash(length.to_bytes(32, "big"))
        signed = sign_head(Head(author.stream, length, root, STAMP_MS), (0, author.keys))
        desk.hear(BOB, g.Heads((ShownHead(signed),)))
    assert desk.checked == CHECKS_BURST


# ---- comparing ----


@pytest.mark.parametrize("other", [B, LONG, [["other"]]], ids=["equal", "longer", "shorter"])
def test_two_that_compare_come_to_the_same_proof(author: Author, other: list[list[str]]) -> None:
    branch = author.write(*other)
    ours, theirs = Desk(), Desk()
    ours.take(author.genesis, author.write(*A))
    theirs.take(author.genesis, branch)
    ours.meet(BOB, author.stream)
    theirs.meet(CAROL, author.stream)
    far = sign_head(Head(author.stream, 99, Hash(b"r" * 32), STAMP_MS), (0, author.keys))
    ours.hear(BOB, g.Heads((ShownHead(far),)))
    ours.round()
    [(_, question)] = ours.take_said(g.Compare)
    theirs.hear(CAROL, question)
    for _, answer in theirs.take_said():
        ours.hear(BOB, answer)
    for _, answer in ours.take_said():
        theirs.hear(CAROL, answer)
    assert ours.gossiper.proofs(author.stream) == theirs.gossiper.proofs(author.stream) != []


def test_peaks_that_are_not_those_of_the_head_are_a_lie(desk: Desk, author: Author) -> None:
    branch = author.write(*B)
    desk.hear(BOB, g.Compare(1, head_of(branch), whole(author.write(*A))))
    assert [type(each) for each in desk.found] == [LiarFound]
    desk.hear(BOB, g.Compare(2, head_of(branch), whole(branch)))
    assert desk.take_said() == [(BOB, g.Unknown(2))]


def test_questions_of_ours_are_bounded_and_an_answer_to_none_is_nothing(
    desk: Desk, author: Author
) -> None:
    for _ in range(2 * QUESTIONS_MAX):
        desk.do(m.Requested(g.Contradiction(BOB, author.write(*LONG)[-1].signed_head)))
    assert len(desk.take_said(g.Compare)) == 1  # one a stream
    branch = author.write(*B)
    desk.hear(CAROL, g.Shorter(99, head_of(branch), whole(branch)))
    desk.hear(CAROL, g.Continues(99, head_of(branch), ()))
    assert desk.found == []


# ---- proofs ----


def proof_between(author: Author, one: list[list[str]], other: list[list[str]]) -> bytes:
    heads = head_of(author.write(*one)), head_of(author.write(*other))
    return encode_fork(equal_fork(author.genesis, *heads))


def test_a_proof_is_durable_before_anybody_hears_of_it(desk: Desk, author: Author) -> None:
    desk.held = []
    desk.hear(BOB, g.Proofs((proof_between(author, A, B),)))
    assert desk.found == []
    assert desk.take_said() == []
    [done] = desk.held
    desk.do(done)
    assert [type(each) for each in desk.found] == [g.ForkProven]
    assert [to for to, _ in proofs_in(desk)] == [CAROL]  # not back to who sent it


def test_a_proof_is_told_to_who_comes_later_and_after_a_restart(desk: Desk, author: Author) -> None:
    proof = proof_between(author, A, B)
    desk.hear(BOB, g.Proofs((proof,)))
    desk.take_said()
    desk.meet(DAVE, author.stream)
    assert proofs_in(desk) == [(DAVE, proof)]
    again = Desk(desk.rows, desk.geneses, desk.logs)
    again.meet(DAVE, author.stream)
    assert proofs_in(again) == [(DAVE, proof)]


def test_who_comes_while_a_proof_is_written_hears_of_it_when_it_is_durable(
    desk: Desk, author: Author
) -> None:
    desk.held = []
    desk.hear(BOB, g.Heads((head_of(author.write(*B)),)))
    desk.meet(DAVE, author.stream)
    assert proofs_in(desk) == []
    assert desk.gossiper.proofs(author.stream) == []
    [done] = desk.held
    desk.do(done)
    assert [to for to, _ in proofs_in(desk)] == [BOB, CAROL, DAVE]


def test_a_proof_that_is_submitted_is_kept_and_told(desk: Desk, author: Author) -> None:
    one, other = [head_of(author.write(*branch)) for branch in (A, B)]
    fork = equal_fork(author.genesis, one, other)
    desk.do(m.Requested(g.Submitted(7, fork)))
    assert desk.found == [g.ForkProven(fork, None), g.Settled(7)]
    assert [to for to, _ in proofs_in(desk)] == [BOB, CAROL]
    desk.do(m.Requested(g.Submitted(8, fork)))
    assert desk.found[2:] == [g.Settled(8)]
    assert proofs_in(desk) == []


def test_what_is_submitted_and_proves_nothing_is_passed_over(desk: Desk, author: Author) -> None:
    one, other = [head_of(author.write(*branch)) for branch in (A, B)]
    forged = ShownHead(sign_head(other.head, (0, keys_of("eve"))))
    elsewhere = Author("elsewhere")
    heads = [head_of(elsewhere.write(*branch)) for branch in (A, B)]
    for number, fork in enumerate(
        (
            equal_fork(author.genesis, one, forged),
            equal_fork(author.genesis, one, one),
            equal_fork(elsewhere.genesis, heads[0], heads[1]),
        )
    ):
        desk.found.clear()
        desk.do(m.Requested(g.Submitted(number, fork)))
        assert desk.found == [g.Settled(number)]
    assert desk.gossiper.proofs(author.stream) == []


def test_two_proofs_a_stream_are_kept_of_different_lengths(desk: Desk, author: Author) -> None:
    first = proof_between(author, A, B)
    same_length = proof_between(author, A, [["same"], ["x", "w"]])
    second = proof_between(author, [["1"]], [["2"]])
    third = proof_between(author, [["1", "2"]], [["1", "3"]])
    for proof in (first, same_length, second, third):
        desk.hear(BOB, g.Proofs((proof,)))
    assert desk.gossiper.proofs(author.stream) == [first, second]


def test_what_proves_nothing_makes_a_liar(desk: Desk, author: Author) -> None:
    proof = bytearray(proof_between(author, A, B))
    proof[-20] ^= 1
    desk.hear(BOB, g.Proofs((bytes(proof),)))
    assert [type(each) for each in desk.found] == [LiarFound]
    assert desk.gossiper.proofs(author.stream) == []


def test_the_same_twice_changes_nothing(desk: Desk, author: Author) -> None:
    proof = g.Proofs((proof_between(author, A, B),))
    desk.hear(BOB, proof)
    desk.take_said()
    found = list(desk.found)
    desk.hear(CAROL, proof)
    desk.hear(BOB, proof)
    assert desk.take_said() == []
    assert desk.found == found


# ---- whom it concerns ----


def test_of_a_stream_of_uniqueness_none_nothing_is_told_compared_or_proven() -> None:
    author = Author(uniqueness=Uniqueness.NONE)
    desk = Desk()
    desk.take(author.genesis, author.write(*A))
    desk.meet(BOB, author.stream)
    branch, proof = author.write(*B), proof_between(author, A, B)
    check_fork(read_fork(proof))  # it is one, for whoever is handed it
    desk.hear(BOB, g.Heads((head_of(branch),)))
    desk.hear(BOB, g.Proofs((proof,)))
    desk.hear(BOB, g.Compare(1, head_of(branch), whole(branch)))
    desk.do(m.Requested(g.Contradiction(BOB, branch[-1].signed_head)))
    desk.do(m.Requested(g.Replaced(desk.logs[author.stream])))
    desk.do(m.Requested(g.Submitted(7, read_fork(proof))))
    desk.round()
    assert desk.take_said() == [(BOB, g.Unknown(1))]
    assert desk.found == [g.Settled(7)]
    assert (desk.checked, desk.gossiper.proofs(author.stream)) == (0, [])


def test_who_did_not_announce_the_stream_is_answered_and_asked_nothing(
    desk: Desk, author: Author
) -> None:
    desk.meet(DAVE)
    branch = author.write(*LONG)
    desk.hear(DAVE, g.Compare(1, head_of(branch), whole(branch)))
    assert desk.take_said() == [(DAVE, g.Unknown(1))]
    assert desk.checked == 0
    desk.hear(DAVE, g.Heads((head_of(branch),)))
    desk.do(m.Requested(g.Contradiction(DAVE, branch[-1].signed_head)))
    desk.round()
    assert DAVE not in [to for to, _ in desk.take_said()]
    desk.do(m.Requested(g.Announced(DAVE, (author.stream,), ())))
    desk.round()
    assert [to for to, _ in desk.take_said(g.Compare)] == [DAVE]


def test_who_holds_the_stream_no_longer_is_answered_nothing(desk: Desk, author: Author) -> None:
    desk.do(m.Requested(g.Announced(BOB, (), (author.stream,))))
    branch = author.write(*B)
    desk.hear(BOB, g.Compare(1, head_of(branch), whole(branch)))
    assert desk.take_said() == [(BOB, g.Unknown(1))]
    desk.hear(CAROL, g.Proofs((proof_between(author, A, B),)))
    assert [to for to, _ in proofs_in(desk)] == [BOB]  # whoever may read it is told of a fork


def test_of_a_forked_stream_nothing_but_proofs_is_said(desk: Desk, author: Author) -> None:
    longer, other = author.write(*LONG), author.write(["1"], ["2", "3", "4", "5", "6", "7"])
    desk.hear(BOB, g.Heads((head_of(longer),)))
    desk.hear(BOB, g.Proofs((proof_between(author, A, B),)))
    assert [to for to, _ in proofs_in(desk)] == [CAROL]
    assert desk.gossiper.pending(author.stream) == []
    checked = desk.checked
    desk.hear(CAROL, g.Heads((head_of(other),)))
    desk.hear(CAROL, g.Compare(1, head_of(other), whole(other)))
    desk.do(m.Requested(g.Contradiction(CAROL, other[-1].signed_head)))
    for _ in range(3):
        desk.round()
    assert desk.take_said() == [(CAROL, g.Unknown(1))]
    assert desk.checked == checked
    assert desk.gossiper.pending(author.stream) == []
    second = proof_between(author, [["1"]], [["2"]])
    desk.hear(CAROL, g.Proofs((second,)))
    assert proofs_in(desk) == [(BOB, second)]


@pytest.mark.parametrize("said", [[], [{}], [{"version": 2}], [{"version": True}], [{}, {}]])
def test_other_versions_of_gossip_are_refused(said: list[JsonValue]) -> None:
    g.check_arguments([{"version": 1}])
    with pytest.raises(Malformed, match="version: 1"):
        g.check_arguments(said)
