"""Streams of which a node keeps nothing but the newest Head (spec/gossip.md 9)."""

from dataclasses import replace

import pytest

from qbix_node import machines as m
from qbix_node.errors import DamagedStore
from qbix_node.gossip import messages as g
from qbix_node.gossip.headsonly import read_heads_only
from qbix_node.gossip.knowledge import PENDING_MAX
from qbix_node.gossip.messages import LISTENED_MAX
from qbix_node.ports import Put
from qbix_node.streams.forks import ShownHead, check_fork, read_fork
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.tree import Hash, Prefix
from qbix_node.wire.references import StreamId
from tests.gossip import ahead
from tests.gossip.circles import Circle
from tests.gossip.desk import Desk
from tests.gossip.gossips import Author
from tests.gossip.test_resolving import CHOICE, FORK, STREAM, told
from tests.replication.network import keys_of
from tests.streams.branches import Branch

ALICE, BOB, CAROL, DAVE = (
    m.PeerId(keys_of(name).public) for name in ("alice", "bob", "carol", "dave")
)
X = [["same"], ["x", "y"]]
EQUAL = [["same"], ["x", "z"]]
LONGER = [["same"], ["other"], ["and", "more", "of", "it"]]
MORE = [*X, ["more"], ["and", "more"], ["still", "more", "of", "it"]]


@pytest.fixture
def author() -> Author:
    return Author()


def holder(author: Author, texts: list[list[str]]) -> Desk:
    desk = Desk()
    desk.take(author.genesis, author.write(*texts))
    return desk


def hearing(author: Author) -> Desk:
    desk = Desk()
    desk.hear_of(author.stream)
    return desk


def proven(desk: Desk, author: Author) -> bool:
    proofs = desk.gossiper.proofs(author.stream)
    for encoded in proofs:
        check_fork(read_fork(encoded))
    return bool(proofs)


# ---- the newest Head ----


def test_the_newest_head_is_kept_with_its_peaks_and_no_entry(author: Author) -> None:
    alice, bob = hearing(author), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    kept = alice.heads_only.logs[author.stream]
    assert kept == replace(bob.logs[author.stream], stamp_ms=0)
    assert author.stream not in alice.geneses
    assert alice.gossiper.pending(author.stream) == []


def test_it_goes_on_as_the_log_grows_and_each_was_seen_to_continue_the_last(
    author: Author,
) -> None:
    alice, bob = hearing(author), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    segments = author.write(*MORE)
    for segment in segments[len(X) + 1 :]:
        bob.take(author.genesis, [segment])
        circle.rounds(3)
        assert alice.heads_only.logs[author.stream].signed == segment.signed_head
        assert not proven(alice, author)
    # At rest nothing more is said.
    circle.rounds(2)
    alice.round()
    bob.round()
    assert alice.said == bob.said == []


def test_it_survives_a_restart(author: Author) -> None:
    alice, bob = hearing(author), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    again = Desk(rows=alice.rows)
    assert again.heads_only.logs == alice.heads_only.logs
    assert again.heads_only.geneses == alice.heads_only.geneses
    again.meet(BOB)
    assert again.take_said() == [(BOB, g.Listen((author.stream,), ()))]


def test_no_longer(author: Author) -> None:
    alice, bob = hearing(author), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    alice.hear_of(author.stream, wanted=False)
    circle.pass_on()
    bob.take(author.genesis, author.write(*X, ["more"])[-1:])
    for _ in range(4):
        bob.round()
    assert bob.take_said() == []
    assert read_heads_only(alice.rows).streams == {}


def test_a_node_may_begin_before_and_after_it_met_those_who_hold_the_stream(
    author: Author,
) -> None:
    alice, bob = Desk(), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    alice.hear_of(author.stream)
    circle.pass_on()
    circle.rounds(4)
    assert alice.heads_only.logs[author.stream].signed == bob.logs[author.stream].signed
    assert g.Settled(1) in alice.found


def test_who_may_not_read_hears_nothing() -> None:
    author = Author(readers=[CAROL])
    alice, bob = hearing(author), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    alice.said = []
    for _ in range(4):
        bob.round()
    assert bob.said == []
    bob.hear(ALICE, g.Compare(1, ShownHead(bob.logs[author.stream].signed), whole(bob, author)))
    assert bob.take_said() == [(ALICE, g.Unknown(1))]


def whole(desk: Desk, author: Author) -> Prefix:
    return desk.logs[author.stream].prefix


def test_streams_that_nobody_compares_are_not_told() -> None:
    author = Author(uniqueness=Uniqueness.NONE)
    alice, bob = hearing(author), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(3)
    assert alice.heads_only.geneses == {}


# ---- forks ----


@pytest.mark.parametrize("other", [EQUAL, LONGER], ids=["equal", "longer"])
def test_two_holders_who_never_meet_are_shown_the_fork(
    author: Author, other: list[list[str]]
) -> None:
    alice, bob, carol = hearing(author), holder(author, X), holder(author, other)
    circle = Circle({ALICE: alice, BOB: bob, CAROL: carol})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    circle.join(ALICE, CAROL)
    circle.rounds(6)
    assert all(proven(desk, author) for desk in (alice, bob, carol))


@pytest.mark.parametrize("other", [EQUAL, LONGER], ids=["equal", "longer"])
def test_it_remembers_what_it_saw_of_who_is_gone(author: Author, other: list[list[str]]) -> None:
    """The holders are never there at the same time, and the node was restarted in between."""
    alice, bob, carol = hearing(author), holder(author, X), holder(author, other)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    again = Desk(rows=alice.rows)
    circle = Circle({ALICE: again, CAROL: carol})
    circle.join(ALICE, CAROL)
    circle.rounds(6)
    assert proven(again, author)
    assert proven(carol, author)
    assert again.gossiper.stopped(author.stream)
    kept = Desk(rows=again.rows)
    assert proven(kept, author)


@pytest.mark.parametrize("other", [EQUAL, LONGER], ids=["equal", "longer"])
def test_two_who_keep_heads_only_tell_each_other(author: Author, other: list[list[str]]) -> None:
    """A line: a holder, two that hold nothing, and a holder of the other branch."""
    desks = holder(author, X), hearing(author), hearing(author), holder(author, other)
    names = ALICE, BOB, CAROL, DAVE
    circle = Circle(dict(zip(names, desks, strict=True)))
    for one, two in ((ALICE, BOB), (BOB, CAROL), (CAROL, DAVE)):
        circle.join(one, two)
    circle.rounds(10)
    assert all(proven(desk, author) for desk in desks)


def test_an_honest_owner_is_never_accused_by_slow_peers(author: Author) -> None:
    """Carol is far behind, Bob ahead; what she says is asked of him, and then forgotten."""
    alice, bob, carol = hearing(author), holder(author, MORE), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob, CAROL: carol})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    circle.join(ALICE, CAROL)
    circle.rounds(8)
    assert not any(proven(desk, author) for desk in (alice, bob, carol))
    assert alice.gossiper.pending(author.stream) == []
    assert alice.heads_only.logs[author.stream].signed == bob.logs[author.stream].signed


# ---- lies ----


def test_a_genesis_of_another_stream_is_passed_over(author: Author) -> None:
    alice = hearing(author)
    alice.meet(BOB)
    alice.hear(BOB, g.Geneses((Author("mallory").genesis.encoded,)))
    assert alice.heads_only.geneses == {}
    alice.hear(BOB, g.Geneses((b"junk",)))
    assert [each for each in alice.found if isinstance(each, LiarFound)]


def test_peaks_that_are_not_those_of_the_head_are_a_lie(author: Author) -> None:
    alice, bob = hearing(author), holder(author, X)
    alice.meet(BOB)
    alice.hear(BOB, g.Geneses((author.genesis.encoded,)))
    shown = ShownHead(bob.logs[author.stream].signed)
    alice.hear(BOB, g.Heads((shown,)))
    alice.take_said()
    alice.round()
    [(_, question)] = alice.take_said(g.Compare)
    assert isinstance(question, g.Compare)
    wrong = (Hash(bytes(32)),)
    peaks = bob.logs[author.stream].peaks
    alice.hear(BOB, g.Continues(question.number, shown, (), peaks, wrong))
    assert author.stream not in alice.heads_only.logs
    assert [each for each in alice.found if isinstance(each, LiarFound)]


def test_a_branch_that_a_liar_swears_to_continue_does_not_take_the_place_of_the_head(
    author: Author,
) -> None:
    """Mallory has another branch, and answers every question with it and no peaks."""
    alice, bob = hearing(author), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    kept = alice.heads_only.logs[author.stream]
    mallory = holder(author, LONGER).logs[author.stream]
    alice.meet(CAROL)
    alice.hear(CAROL, g.Geneses((author.genesis.encoded,)))
    alice.hear(CAROL, g.Heads((ShownHead(mallory.signed),)))
    alice.said = []
    alice.round()
    said, alice.said = alice.said, [each for each in alice.said if each[0] == BOB]
    [number] = [each.number for to, each in said if to == CAROL and isinstance(each, g.Compare)]
    alice.hear(CAROL, g.Continues(number, ShownHead(mallory.signed), (), (), mallory.peaks))
    assert alice.heads_only.logs[author.stream] == kept
    assert alice.gossiper.pending(author.stream) == [mallory.signed]
    # Who has the entries of that branch shows what it is.
    alice.do(m.Disconnected(CAROL))
    circle.desks[DAVE] = holder(author, LONGER)
    circle.join(ALICE, DAVE)
    circle.rounds(3)
    assert proven(alice, author)


def kept_by_alice(author: Author, bob: Desk) -> Desk:
    alice = hearing(author)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    alice.meet(CAROL)
    alice.hear(CAROL, g.Geneses((author.genesis.encoded,)))
    alice.said = []
    return alice


def test_a_head_of_the_same_length_is_proof_enough(author: Author) -> None:
    alice = kept_by_alice(author, holder(author, X))
    other = holder(author, EQUAL).logs[author.stream]
    alice.hear(CAROL, g.Heads((ShownHead(other.signed),)))
    assert proven(alice, author)
    assert {to for to, _ in alice.take_said(g.Proofs)} == {BOB, CAROL}


def test_two_that_wait_are_proof_enough(author: Author) -> None:
    alice = kept_by_alice(author, holder(author, X))
    heads = [author.write(*X, [text, "b"])[-1].signed_head for text in ("one", "other")]
    alice.hear(CAROL, g.Heads((ShownHead(heads[0]),)))
    assert not proven(alice, author)
    alice.hear(CAROL, g.Heads((ShownHead(heads[1]),)))
    assert proven(alice, author)


def test_a_longer_log_does_not_take_the_place_of_the_head_by_itself(author: Author) -> None:
    """It has to be shown to continue it."""
    alice = kept_by_alice(author, holder(author, X))
    kept = alice.heads_only.logs[author.stream]
    for texts in (MORE, LONGER):
        other = holder(author, texts).logs[author.stream]
        alice.hear(CAROL, g.Compare(1, ShownHead(other.signed), other.prefix))
        assert alice.take_said() == [(CAROL, g.Shorter(1, ShownHead(kept.signed), kept.prefix))]
        assert alice.heads_only.logs[author.stream] == kept


# ---- a Head over more than its entries ----


def reaching(log: Branch, length: int, total: int) -> Desk:
    desk = Desk()
    desk.take(log.genesis, [log.segment(ahead.SIGNED, 0, length, total)])
    return desk


def test_a_head_that_nobody_shows_up_to_its_end_is_kept_until_there_is_a_better_one() -> None:
    alice = Desk()
    alice.hear_of(ahead.STREAM)
    bob, carol = reaching(ahead.COMMON, 5, 12), reaching(ahead.COMMON, 20, 20)
    circle = Circle({ALICE: alice, BOB: bob, CAROL: carol})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    kept = alice.heads_only.logs[ahead.STREAM]
    assert (kept.length, kept.signed.head.length) == (5, 12)
    other = ahead.branch_off(3, 20)
    alice.hear(BOB, g.Compare(1, other.shown(ahead.SIGNED), other.prefix(20)))
    assert alice.heads_only.logs[ahead.STREAM] == kept
    alice = Desk(rows=alice.rows)
    circle.desks[ALICE] = alice
    circle.join(ALICE, CAROL)
    circle.rounds(6)
    kept = alice.heads_only.logs[ahead.STREAM]
    assert (kept.length, kept.signed.head.length) == (20, 20)
    assert alice.gossiper.pending(ahead.STREAM) == []
    assert not alice.gossiper.proofs(ahead.STREAM)


def test_what_was_kept_so_is_compared_with_what_took_its_place() -> None:
    alice = Desk()
    alice.hear_of(ahead.STREAM)
    bob, carol = reaching(ahead.COMMON, 5, 12), reaching(ahead.branch_off(9), 20, 20)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    circle = Circle({ALICE: alice, CAROL: carol})
    alice.do(m.Disconnected(BOB))
    circle.join(ALICE, CAROL)
    circle.rounds(6)
    assert [read_fork(each) for each in alice.gossiper.proofs(ahead.STREAM)]


# ---- limits ----


def test_how_many_streams_a_node_may_keep_heads_of(author: Author) -> None:
    alice = Desk()
    for number in range(LISTENED_MAX):
        alice.hear_of(StreamId(number.to_bytes(32, "big")))
    alice.hear_of(author.stream)
    refused = alice.found[-1]
    assert isinstance(refused, g.Settled)
    assert refused.refused
    assert "1024" in refused.refused
    assert len(read_heads_only(alice.rows).streams) == LISTENED_MAX


def test_a_peer_that_listens_to_more_is_told_of_the_first(author: Author) -> None:
    bob = holder(author, X)
    bob.meet(ALICE)
    streams = [StreamId(number.to_bytes(32, "big")) for number in range(LISTENED_MAX)]
    bob.hear(ALICE, g.Listen(tuple(streams), ()))
    bob.hear(ALICE, g.Listen((author.stream,), ()))
    bob.round()
    assert bob.take_said() == []
    bob.hear(ALICE, g.Listen((author.stream,), tuple(streams[:1])))
    bob.round()
    assert bob.take_said(g.Geneses) == [(ALICE, g.Geneses((author.genesis.encoded,)))]


def test_who_asks_anew_all_the_time_gets_a_genesis_a_round(author: Author) -> None:
    bob = holder(author, X)
    bob.meet(ALICE)
    for _ in range(100):
        bob.hear(ALICE, g.Listen((author.stream,), ()))
        bob.hear(ALICE, g.Listen((), (author.stream,)))
    bob.hear(ALICE, g.Listen((author.stream,), ()))
    bob.round()
    assert len(bob.take_said(g.Geneses)) == 1


def test_heads_that_nobody_backs_are_few(author: Author) -> None:
    alice, bob = hearing(author), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    alice.meet(CAROL)
    alice.hear(CAROL, g.Geneses((author.genesis.encoded,)))
    long = author.write(*X, *[[f"entry {number}"] for number in range(20)])
    alice.hear(CAROL, g.Heads(tuple([ShownHead(each.signed_head) for each in long[3:]])))
    assert len(alice.gossiper.pending(author.stream)) == PENDING_MAX
    assert not proven(alice, author)


def test_a_damaged_record_is_said(author: Author) -> None:
    alice, bob = hearing(author), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    key = b"s/h" + author.stream
    record = alice.rows.get(key)
    assert record is not None
    for wrong in (b"junk", record[:-1], record.replace(author.stream, bytes(32))):
        alice.write([Put(key, wrong)])
        with pytest.raises(DamagedStore):
            read_heads_only(alice.rows)


# ---- entries after all ----


def test_a_stream_that_is_followed_after_all_is_judged_by_its_entries(author: Author) -> None:
    """What the node saw of the other branch still counts."""
    alice, bob = hearing(author), holder(author, X)
    circle = Circle({ALICE: alice, BOB: bob})
    circle.join(ALICE, BOB)
    circle.rounds(4)
    alice.followed.add(author.stream)
    alice.take(author.genesis, author.write(*EQUAL))
    alice.round()
    assert read_heads_only(alice.rows).streams == {}
    assert (BOB, g.Listen((), (author.stream,))) in alice.said
    assert proven(alice, author)


# ---- a choice between branches ----


def test_a_choice_is_kept_and_told_and_heads_are_looked_at_no_more() -> None:
    """Which of them are of the chosen branch is for those who have entries."""
    alice = Desk()
    alice.hear_of(STREAM)
    alice.meet(BOB)
    alice.hear(BOB, g.Geneses((FORK.genesis.encoded,)))
    alice.meet(CAROL, STREAM)
    alice.said = []
    alice.hear(BOB, told(CHOICE))
    assert alice.gossiper.resolution(STREAM) == CHOICE
    assert [to for to, _ in alice.take_said(g.Resolve)] == [CAROL]
    checked = alice.checked
    alice.hear(BOB, g.Heads((FORK.other,)))
    assert (alice.checked, alice.heads_only.logs) == (checked, {})
    again = Desk(rows=alice.rows)
    assert again.gossiper.resolution(STREAM) == CHOICE
    assert not again.gossiper.stopped(STREAM)


def test_a_head_that_comes_between_the_first_entries_and_the_next_round(author: Author) -> None:
    """It is followed after all, and nobody has sent its genesis before the entries had it."""
    alice, bob = hearing(author), holder(author, MORE)
    alice.meet(BOB, author.stream)
    alice.followed.add(author.stream)
    alice.take(author.genesis, author.write(*X))
    longer = bob.logs[author.stream]
    alice.hear(BOB, g.Compare(1, ShownHead(longer.signed), longer.prefix))
    alice.round()
    assert author.stream not in alice.heads_only
    assert alice.gossiper.pending(author.stream) == [longer.signed]
