"""What owners who were put back are told by others, and what a liar among these can't do."""

from dataclasses import replace

import pytest

from qbix_node import machines as m
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.recalling import PATIENCE_S
from qbix_node.sequencing.records import Signed, read_signed, read_votes
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Head, Header
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import StreamId
from tests.sequencing.test_cosigning import answers, founded, intents, proposed, state_of
from tests.sequencing.test_proposing import told
from tests.sequencing.town import ALICE, BOB, CAROL, DAVE, Member, Town, genesis_of
from tests.streams.branches import owned_by
from tests.streams.logs import keys_of

STAMP_MS = 1_700_000_100_000


def connect(member: Member, *others: Member) -> None:
    for other in others:
        member.tell(m.Connected(other.id, outgoing=False))


def put_back(member: Member, disk: object) -> None:
    member.disk.roll_back(disk)  # type: ignore[arg-type]  # a snapshot
    member.restart()


def carry(sender: Member, to: Member) -> None:
    """What one says to the other; all else is lost."""
    for peer, message in told(sender):
        if peer == to.id:
            to.tell(m.Received(sender.id, message))


def runs(alice: Member, stream: StreamId, *texts: str) -> list[q.Propose]:
    """Of one place."""
    state = state_of(alice, stream)
    return [proposed(state, intents(state, text)) for text in texts]


def vote_of(member: Member, said: q.Propose, **change: object) -> q.Vote:
    owner = state_of(member, said.head.stream).owners.index(member.id)
    assert owner is not None
    fields = {"first": said.first, "leaves": said.leaves, "head": said.head, "owner": owner}
    signature = member.keys.sign(said.head.body)
    return q.Vote(**{**fields, "signature": signature, **change})  # type: ignore[arg-type]  # named


# ---- an owner that signs what is proposed ----


def test_who_forgot_what_it_signed_is_told_by_another_owner_and_signs_nothing_else() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    one, other = runs(alice, stream, "one", "other")
    copy = carol.disk.snapshot()
    connect(carol, bob)
    connect(bob, carol)
    carol.tell(m.Received(bob.id, q.Votes(stream, ())))
    carol.tell(m.Received(alice.id, one))
    carry(carol, bob)  # which is asked
    carry(bob, carol)
    carry(carol, bob)
    told(bob)
    assert [vote.head for (_, _), vote in read_votes(bob.disk).items()] == [one.head]

    put_back(carol, copy)
    bob.restart()
    connect(carol, alice, bob)
    connect(bob, carol)
    carol.tell(m.Received(alice.id, other))
    carry(carol, bob)
    carry(bob, carol)
    (refused,) = [said for to, said in told(carol) if to == alice.id]
    assert isinstance(refused, q.Refused)
    assert "does not continue" in refused.reason
    assert read_signed(carol.disk)[stream] == Signed(2, one.head.root)
    (again,) = answers(carol, one)
    assert isinstance(again, q.Signature)


def test_other_owners_are_not_waited_for_for_ever() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    carol.restart()
    connect(carol, alice, bob)
    (one,) = runs(alice, stream, "one")
    assert answers(carol, one) == [q.Recall(stream)]
    carol.now += PATIENCE_S - 0.1
    assert answers(carol, one) == []
    carol.now += 0.2
    assert isinstance(answers(carol, one)[0], q.Signature)


def test_a_round_goes_on_with_what_waits() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    carol.restart()
    connect(carol, alice, bob)
    (one,) = runs(alice, stream, "one")
    answers(carol, one)
    carol.now += PATIENCE_S + 1
    carol.tell(m.TimerFired("sequencing/round"))
    assert any(isinstance(said, q.Signature) for _, said in told(carol))


def test_an_owner_in_doubt_neither_signs_nor_says_what_others_signed() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    carol.doubts[stream] = "put back"
    connect(carol, bob)
    (one,) = runs(alice, stream, "one")
    (refused,) = answers(carol, one)
    assert refused == q.Refused(*one.head.identity, "put back")
    carol.tell(m.Received(bob.id, q.Recall(stream)))
    assert told(carol) == []
    carol.doubts.clear()
    carol.tell(m.Received(bob.id, q.Recall(stream)))
    assert told(carol) == [(bob.id, q.Votes(stream, ()))]
    carol.tell(m.Disconnected(bob.id))
    assert isinstance(answers(carol, one)[0], q.Signature)


def test_another_owner_hears_of_a_signature_once_it_is_durable() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    connect(carol, alice)
    (one,) = runs(alice, stream, "one")
    carol.tell(m.Received(alice.id, one))
    while carol.do_work():
        pass
    connect(carol, bob)
    carol.tell(m.Received(bob.id, q.Recall(stream)))  # the disk is slow
    assert not carol.out
    (vote,) = [said for to, said in told(carol) if to == bob.id and isinstance(said, q.Votes)]
    assert [each.head for each in vote.votes] == [one.head]


# ---- the sequencer ----


def test_a_sequencer_that_forgot_its_proposal_gets_it_back_from_who_signed_it() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=3)
    copy = alice.disk.snapshot()
    alice.write(stream, "one")
    carry(alice, bob)
    told(bob)  # is lost
    first = alice.machine.proposals[stream].run.head
    put_back(alice, copy)
    request = alice.write(stream, "other")
    told(alice)
    assert not alice.machine.proposals
    town = Town(alice, bob, carol, stream=stream)
    town.live()
    assert state_of(alice, stream).length == 3
    assert len({tuple(member.leaves(stream)) for member in (alice, bob, carol)}) == 1
    assert state_of(alice, stream).signed.head.timestamp_ms >= first.timestamp_ms
    assert alice.outcome(request) == q.Done(request, (2,))
    for member in (alice, bob, carol):
        assert len({length for length, _ in member.signed}) == len(set(member.signed))
        assert not read_votes(member.disk)


def test_it_proposes_nothing_before_owners_that_reach_the_threshold_have_spoken() -> None:
    (alice, bob, carol, dave), stream = founded(ALICE, BOB, CAROL, DAVE, threshold=3)
    alice.restart()
    connect(alice, bob, carol, dave)
    alice.write(stream, "one")
    asked = [(to, said) for to, said in told(alice) if isinstance(said, q.Recall)]
    assert {to for to, _ in asked} == {bob.id, carol.id, dave.id}
    alice.tell(m.Received(bob.id, q.Votes(stream, ())))
    alice.tell(m.Received(bob.id, q.Votes(stream, ())))
    assert not alice.machine.proposals
    assert len(alice.machine.unheard(stream)) == 2
    alice.tell(m.TimerFired("sequencing/round"))
    assert {to for to, _ in told(alice)} == {carol.id, dave.id}
    alice.tell(m.Received(dave.id, q.Votes(stream, ())))
    told(alice)
    assert stream in alice.machine.proposals
    assert alice.machine.unheard(stream) == []


def test_a_sequencer_that_decides_alone_waits_for_nobody() -> None:
    weights = [(keys_of(ALICE), 3), (keys_of(BOB), 1)]
    genesis = replace(genesis_of(ALICE, BOB, threshold=2), owners=owned_by(*weights, threshold=3))
    alice = Member(ALICE)
    alice.begin(genesis)
    told(alice)
    alice.restart()
    request = alice.write(genesis.stream, "one")
    told(alice)
    assert alice.outcome(request) == q.Done(request, (1,))


def test_nobody_is_asked_about_a_stream_that_ended_meanwhile() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=3)
    alice.restart()
    connect(alice, bob, carol)
    alice.write(stream, "one")
    assert told(alice)
    alice.stopped[stream] = "forked"
    alice.tell(m.TimerFired("sequencing/round"))
    assert told(alice) == []
    assert "sequencing/round" in alice.alarms  # of before
    alice.alarms.clear()
    alice.tell(m.TimerFired("sequencing/round"))
    assert not alice.alarms


def test_of_several_the_run_that_the_most_weight_signed_is_proposed_again() -> None:
    (alice, bob, carol, dave), stream = founded(ALICE, BOB, CAROL, DAVE, threshold=4)
    one, other = runs(alice, stream, "one", "other")
    alice.restart()
    connect(alice, bob, carol, dave)
    alice.write(stream, "new")
    for member, said in ((bob, one), (carol, other), (dave, other)):
        alice.tell(m.Received(member.id, q.Votes(stream, (vote_of(member, said),))))
    told(alice)
    assert alice.machine.proposals[stream].run.head == other.head


# ---- liars ----


@pytest.mark.parametrize("wrong", ["signature", "root", "author"])
def test_what_no_sequencer_proposed_is_not_taken_for_its_own(wrong: str) -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=3)
    state = state_of(alice, stream)
    (one,) = runs(alice, stream, "one")
    if wrong == "root":
        one = q.Propose(one.first, one.leaves, one.head._replace(root=Hash(bytes(32))))
    if wrong == "author":
        (header,) = intents(state, "one")
        forged: Header = header._replace(author_sig=bytes(64))
        one = proposed(state, [forged])
    lie = vote_of(bob, one)
    if wrong == "signature":
        lie = vote_of(bob, one, signature=bytes(64))
    alice.restart()
    connect(alice, bob, carol)
    alice.write(stream, "new")
    told(alice)
    alice.tell(m.Received(bob.id, q.Votes(stream, (lie,))))
    alice.tell(m.Received(carol.id, q.Votes(stream, ())))
    told(alice)
    if wrong == "signature":
        assert LiarFound(bob.id, "a signature of an owner does not match") in alice.found
        assert not alice.machine.proposals
    else:
        assert alice.machine.proposals[stream].run.head != one.head


def test_who_speaks_of_what_is_far_ahead_has_not_spoken() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    head = Head(stream, 1000, Hash(bytes(32)), STAMP_MS)
    far = q.Propose(999, runs(alice, stream, "one")[0].leaves, head)
    alice.restart()
    connect(alice, bob, carol)
    alice.write(stream, "new")
    alice.tell(m.Received(bob.id, q.Votes(stream, (vote_of(bob, far),))))
    told(alice)
    assert not alice.machine.proposals
    alice.tell(m.Received(carol.id, q.Votes(stream, ())))
    told(alice)
    assert stream in alice.machine.proposals


def test_nobody_speaks_for_another_owner_or_of_a_stream_of_others() -> None:
    (alice, bob, carol, dave), stream = founded(ALICE, BOB, CAROL, DAVE, threshold=3)
    one, other = runs(alice, stream, "one", "other")
    connect(carol, bob)
    for vote in (vote_of(dave, one), vote_of(alice, one)):
        carol.tell(m.Received(bob.id, q.Votes(stream, (vote,))))
    stranger = m.PeerId(keys_of("mallory").public)
    carol.tell(m.Connected(stranger, outgoing=False))
    carol.tell(m.Received(stranger, q.Votes(stream, (vote_of(carol, one),))))
    carol.tell(m.Received(stranger, q.Recall(stream)))
    carol.tell(m.Received(bob.id, q.Recall(StreamId(bytes(32)))))
    assert told(carol) == []
    assert not read_votes(carol.disk)
    carol.tell(m.Received(bob.id, q.Votes(stream, ())))
    carol.tell(m.Disconnected(bob.id))
    assert isinstance(answers(carol, other)[0], q.Signature)


def test_a_stream_of_votes_costs_its_sender_and_keeps_one_of_an_owner() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    connect(carol, bob)
    (one,) = runs(alice, stream, "one")
    for length in range(2, 1000):
        head = one.head._replace(length=length)
        vote = vote_of(bob, q.Propose(length, (), head))
        carol.tell(m.Received(bob.id, q.Votes(stream, (vote,))))
    told(carol)
    (kept,) = read_votes(carol.disk).values()
    assert kept.head.length < 300
    assert kept.leaves == ()
