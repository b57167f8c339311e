"""What the sequencer takes, proposes and brings together; writers and owners are the attackers."""

from dataclasses import replace
from typing import Any

import pytest

from qbix_node import machines as m
from qbix_node.sequencing import messages as q
from qbix_node.sequencing import packets
from qbix_node.sequencing.gathering import TOO_MUCH, WAITING_BYTES_MAX
from qbix_node.sequencing.queue import STREAM_ENTRIES_MAX, WRITER_ENTRIES_MAX
from qbix_node.sequencing.records import Signed, put_signed, read_signed
from qbix_node.streams.authoring import make_intent
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Header, NewEntry, intent_body
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import StreamId
from tests.sequencing.test_cosigning import founded, state_of
from tests.sequencing.town import ALICE, BOB, CAROL, DAVE, Member, Town, genesis_of
from tests.streams.logs import keys_of

STAMP_MS = 1_700_000_000_000
CONTENT = b"content"


def told(member: Member) -> list[tuple[m.PeerId, q.Message]]:
    """What it has sent since, with all writes done."""
    while member.sync():
        pass
    sent = [(to, packets.read_message(data)) for to, data in member.out]
    member.out.clear()
    return sent


def proposals(member: Member) -> list[tuple[m.PeerId, q.Propose]]:
    return [(to, said) for to, said in told(member) if isinstance(said, q.Propose)]


def intent(member: Member, stream: StreamId, name: str, author_seq: int = 1) -> Header:
    entry = NewEntry("note", CONTENT)
    return make_intent(state_of(member, stream), keys_of(name), author_seq, entry, STAMP_MS)


def signed(header: Header, name: str) -> Header:
    return header._replace(author_sig=keys_of(name).sign(intent_body(header)))


def hand_in(
    member: Member, header: Header, name: str, number: int = 1, content: bytes | None = CONTENT
) -> None:
    peer = m.PeerId(keys_of(name).public)
    said = packets.read_message(packets.encode(q.Intent(number, header, content)))
    member.tell(m.Received(peer, said))


def has_signed_nothing(name: str, member: Member, stream: StreamId) -> None:
    """So that owner says, if it is one."""
    peer = m.PeerId(keys_of(name).public)
    member.tell(m.Connected(peer, outgoing=False))
    member.tell(m.Received(peer, q.Votes(stream, ())))


def answer_to(
    member: Member, header: Header, name: str, content: bytes | None = CONTENT
) -> q.Message:
    """The only one."""
    hand_in(member, header, name, content=content)
    mine = [said for to, said in told(member) if to == keys_of(name).public]
    answers = [said for said in mine if not isinstance(said, q.Propose)]
    assert len(answers) == 1
    return answers[0]


def alone(
    writers: tuple[str, ...], readers: tuple[str, ...] | None = None
) -> tuple[Member, StreamId]:
    """Alice is the only owner; others are connected."""
    genesis = genesis_of(ALICE, threshold=1, writers=writers, readers=readers)
    alice = Member(ALICE)
    alice.create(genesis)
    told(alice)
    for name in (BOB, CAROL, DAVE):
        alice.tell(m.Connected(m.PeerId(keys_of(name).public), outgoing=False))
    return alice, genesis.stream


def test_a_proposal_is_durable_before_it_leaves_and_the_same_after_a_restart() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    alice.write(stream, "one", "two")
    assert not alice.out
    alice.sync()  # the numbers
    assert alice.machine.proposals
    alice.tell(m.Connected(bob.id, outgoing=False))
    alice.tell(m.TimerFired("sequencing/round"))
    assert not alice.out
    first = proposals(alice)
    assert {to for to, _ in first} == {bob.id, m.PeerId(keys_of(CAROL).public)}
    assert read_signed(alice.disk)[stream].length == 2
    alice.restart()  # before anybody signed
    alice.tell(m.Connected(bob.id, outgoing=False))
    again = proposals(alice)
    assert again == [each for each in first if each[0] == bob.id]
    alice.write(stream, "three")
    assert proposals(alice) == []  # one at a time


def test_it_is_sent_again_to_who_has_not_signed() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=3)
    alice.write(stream, "one")
    (said, *_) = [each for _, each in proposals(alice)]
    town = Town(alice, bob, stream=stream)
    town.settle()
    assert alice.length(stream) == 1
    alice.tell(m.Connected(carol.id, outgoing=False))
    assert proposals(alice) == [(carol.id, said)]
    town.tick()
    assert proposals(alice) == [(carol.id, said)]


@pytest.mark.parametrize("wrong", ["signature", "owner", "root"])
def test_a_wrong_signature_completes_nothing(wrong: str) -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    alice.write(stream, "one")
    (_, said), *_ = proposals(alice)
    head, owners = said.head, alice.book.geneses[stream].owners
    index = owners.index(bob.id)
    assert index is not None
    good = q.Signature(*head.identity, index, bob.keys.sign(head.body))
    other = owners.index(carol.id)
    assert other is not None
    bad = {
        "signature": q.Signature(*head.identity, index, bytes(64)),
        "owner": q.Signature(*head.identity, other, good.signature),
        "root": q.Signature(stream, head.length, Hash(bytes(32)), index, good.signature),
    }[wrong]
    for _ in range(100):
        alice.tell(m.Received(bob.id, bad))
    told(alice)
    assert alice.length(stream) == 1
    lies = [found for found in alice.found if isinstance(found, LiarFound)]
    assert len(lies) == (1 if wrong == "signature" else 0)
    if lies:  # it is not listened to any more
        alice.tell(m.Received(bob.id, good))
        told(alice)
        assert alice.length(stream) == 1
    carols = q.Signature(*head.identity, other, carol.keys.sign(head.body))
    alice.tell(m.Received(carol.id, carols))
    told(alice)
    assert alice.length(stream) == 2


def test_a_refusal_is_shown_and_a_signature_takes_it_back() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=3)
    alice.write(stream, "one")
    (_, said), *_ = proposals(alice)
    head, owners = said.head, alice.book.geneses[stream].owners
    index = owners.index(bob.id)
    assert index is not None
    alice.tell(m.Received(bob.id, q.Refused(*head.identity, "I would rather not")))
    assert alice.machine.proposals[stream].refused == {index: "I would rather not"}
    alice.tell(m.Received(bob.id, q.Signature(*head.identity, index, bob.keys.sign(head.body))))
    assert alice.machine.proposals[stream].refused == {}


def test_an_owner_alone_takes_entries_of_writers_and_its_own() -> None:
    alice, stream = alone(writers=(BOB,))
    hand_in(alice, intent(alice, stream, BOB), BOB, number=7)
    sent = told(alice)
    assert sent == [(keys_of(BOB).public, q.Placed(7, 1))]
    request = alice.write(stream, "mine", "and mine")
    told(alice)
    assert alice.outcome(request) == q.Done(request, (2, 3))
    assert alice.authors(stream) == [keys_of(BOB).public, alice.id, alice.id]
    alice.restart()
    assert alice.length(stream) == 4


@pytest.mark.parametrize("late", [False, True])
def test_an_owner_that_may_have_signed_more_takes_nothing_for_now(*, late: bool) -> None:
    alice, stream = alone(writers=(BOB,))
    alice.slow = late
    if not late:
        alice.doubts[stream] = "who knows"
    hand_in(alice, intent(alice, stream, BOB), BOB, number=7)
    if late:
        alice.do_work()  # its signature is checked
        alice.doubts[stream] = "who knows"
        alice.slow = False
        alice.do_work()
    assert told(alice) == [(keys_of(BOB).public, q.Declined(7, "who knows", later=True))]
    assert alice.length(stream) == 1
    del alice.doubts[stream]
    assert answer_to(alice, intent(alice, stream, BOB), BOB) == q.Placed(1, 1)


REFUSALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "no writer": (CAROL, {}, "neither an owner nor among the writers"),
    "sent by another": (BOB, {"author": keys_of(CAROL).public}, "authors hand in"),
    "a wrong signature": (BOB, {"author_sig": bytes(64)}, "does not match"),
    "a base that is not ours": (BOB, {"base_root": Hash(bytes(32))}, "another log"),
    "a base that is longer": (BOB, {"base_length": 9}, "has seen more"),
    "a reserved kind": (BOB, {"kind": "owners.set"}, "reserved"),
    "a time to come": (BOB, {"timestamp_ms": STAMP_MS + 3_600_000}, "future"),
    "another stream": (BOB, {"stream": StreamId(bytes(32))}, "does not put entries"),
}


@pytest.mark.parametrize("rule", REFUSALS)
def test_what_is_no_good_is_declined(rule: str) -> None:
    alice, stream = alone(writers=(BOB,))
    name, change, reason = REFUSALS[rule]
    header = intent(alice, stream, name)._replace(**change)
    if "author_sig" not in change:
        header = signed(header, name)
    answer = answer_to(alice, header, name)
    assert isinstance(answer, q.Declined)
    assert reason in answer.reason
    assert alice.length(stream) == 1


def test_an_entry_is_placed_once() -> None:
    alice, stream = alone(writers=(BOB,))
    header = intent(alice, stream, BOB)
    assert answer_to(alice, header, BOB) == q.Placed(1, 1)
    again = answer_to(alice, header, BOB)
    assert isinstance(again, q.Declined)
    assert "ascend" in again.reason
    assert alice.length(stream) == 2


def test_an_entry_that_is_on_its_way_is_not_taken_twice() -> None:
    (alice, *_), stream = founded(ALICE, BOB, CAROL, threshold=3)
    header = intent(alice, stream, BOB)
    hand_in(alice, header, BOB, number=1)
    hand_in(alice, header, BOB, number=2)  # it is proposed by now
    assert told(alice)
    assert alice.machine.proposals[stream].run.head.length == 2
    assert [asker.number for asker in alice.machine.proposals[stream].askers.values()] == [2]


def test_a_content_that_could_come_with_its_entry_has_to() -> None:
    alice, stream = alone(writers=(BOB,))
    answer = answer_to(alice, intent(alice, stream, BOB), BOB, content=None)
    assert isinstance(answer, q.Declined)
    assert "content" in answer.reason


def test_strangers_learn_nothing_of_a_stream_that_they_may_not_read() -> None:
    alice, stream = alone(writers=(), readers=(BOB,))
    assert answer_to(alice, intent(alice, stream, BOB), BOB) == q.Placed(1, 1)
    hidden = answer_to(alice, intent(alice, stream, CAROL), CAROL)
    nothing = signed(intent(alice, stream, CAROL)._replace(stream=StreamId(bytes(32))), CAROL)
    assert hidden == answer_to(alice, nothing, CAROL)


def test_whoever_may_read_may_write_where_anybody_may() -> None:
    alice, stream = alone(writers=())
    for name in (BOB, CAROL, DAVE):
        assert isinstance(answer_to(alice, intent(alice, stream, name), name), q.Placed)


def test_a_stream_without_writers_takes_none() -> None:
    (alice, *_), stream = founded(ALICE, BOB, CAROL, threshold=2)
    alice.tell(m.Connected(m.PeerId(keys_of(DAVE).public), outgoing=False))
    answer = answer_to(alice, intent(alice, stream, DAVE), DAVE)
    assert isinstance(answer, q.Declined)


def test_a_flood_of_one_writer_locks_nobody_out() -> None:
    alice, stream = alone(writers=(BOB, CAROL))
    headers = [intent(alice, stream, BOB, seq) for seq in range(1, 200)]
    for number, header in enumerate(headers):
        hand_in(alice, header, BOB, number=number)
    hand_in(alice, intent(alice, stream, CAROL), CAROL, number=9)
    sent = told(alice)
    declined = [said for _, said in sent if isinstance(said, q.Declined)]
    assert len(declined) >= 199 - 1 - WRITER_ENTRIES_MAX
    assert all(said.later for said in declined)
    (placed,) = [said for to, said in sent if to == keys_of(CAROL).public]
    assert isinstance(placed, q.Placed)
    assert placed.place <= 4  # right after what was under way when it came


def test_many_strangers_fill_their_share_and_an_owner_has_room() -> None:
    alice, stream = alone(writers=())
    crowd = [keys_of(f"stranger {number}") for number in range(STREAM_ENTRIES_MAX + 20)]
    state = state_of(alice, stream)
    answers = []
    for keys in crowd:
        peer = m.PeerId(keys.public)
        alice.tell(m.Connected(peer, outgoing=False))
        header = make_intent(state, keys, 1, NewEntry("note", CONTENT), STAMP_MS)
        alice.tell(m.Received(peer, q.Intent(1, header, CONTENT)))
        answers += [packets.read_message(data) for _, data in alice.out]
        alice.out.clear()
    full = [said for said in answers if isinstance(said, q.Declined)]
    assert len(full) == 20 - 1  # one is being put into the log
    request = alice.write(stream, "mine")
    told(alice)
    assert isinstance(alice.outcome(request), q.Done)


def test_what_a_log_contradicts_is_never_completed() -> None:
    """A sequencer whose store was put back, say: its log has something else in that place."""
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    before = alice.disk.snapshot()
    request = alice.write(stream, "one")
    Town(alice, bob, stream=stream).live()
    carol.learn_from(bob, stream)
    told(carol)
    assert isinstance(alice.outcome(request), q.Done)
    alice.disk.roll_back(before)
    alice.restart()
    other = alice.write(stream, "other")
    told(alice)
    has_signed_nothing(DAVE, alice, stream)
    assert not alice.machine.proposals
    has_signed_nothing(BOB, alice, stream)  # says one who has forgotten it, too
    told(alice)
    proposal = alice.machine.proposals[stream]
    alice.learn_from(carol, stream)
    told(alice)
    assert alice.machine.proposals[stream] is proposal
    assert proposal.barred
    for request in (other, alice.write(stream, "more")):
        told(alice)
        failed = alice.outcome(request)
        assert isinstance(failed, q.Failed)
        assert "another log" in failed.reason
    bob.restart()
    town = Town(alice, bob, stream=stream)
    town.live()
    assert alice.length(stream) == 2
    assert len({tuple(member.leaves(stream)) for member in (alice, bob, carol)}) == 1


def test_a_log_that_moves_while_a_run_is_put_together_is_not_contradicted() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    before = alice.disk.snapshot()
    alice.write(stream, "one")
    Town(alice, bob, stream=stream).live()
    alice.disk.roll_back(before)
    alice.restart()
    alice.slow = True
    alice.tell(m.Connected(m.PeerId(keys_of(CAROL).public), outgoing=False))
    header = intent(alice, stream, CAROL)
    hand_in(alice, header, CAROL)
    alice.do_work()  # its signature
    has_signed_nothing(CAROL, alice, stream)  # what the log says of it is looked up now
    alice.learn_from(bob, stream)
    while alice.do_work(alice.book) or alice.sync():
        pass
    assert (alice.length(stream), len(alice.work)) == (2, 1)
    while alice.do_work() or alice.sync():
        pass
    assert alice.machine.proposals[stream].run.first == 2


def test_what_waits_is_declined_where_nothing_is_put_together_any_more() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    requests = [alice.write(stream, "one")]
    told(alice)
    for number in range(1, 11):
        hand_in(alice, intent(alice, stream, BOB, number), BOB, number=number)
    (proposal,) = alice.machine.proposals.values()
    index = proposal.genesis.owners.index(carol.id)
    assert index is not None
    head = proposal.run.head
    signature = q.Signature(*head.identity, index, carol.keys.sign(head.body))
    alice.tell(m.Received(carol.id, signature))
    alice.sync()  # the entry; what was proposed is deleted next
    alice.followed.clear()
    sent = [said for to, said in told(alice) if to == bob.id]
    declined = [said for said in sent if isinstance(said, q.Declined)]
    assert [said.number for said in declined] == list(range(1, 11))
    assert isinstance(alice.outcome(requests[0]), q.Done)


def test_what_this_node_has_signed_and_does_not_have_ends_the_stream_here() -> None:
    (alice, *_), stream = founded(ALICE, BOB, CAROL, threshold=2)
    for signed_ in (Signed(1, Hash(bytes(32))), Signed(2, Hash(bytes(32)))):
        alice.disk.append([put_signed(stream, signed_)])
        alice.disk.sync()
        alice.restart()
        request = alice.write(stream, "one")
        told(alice)
        has_signed_nothing(BOB, alice, stream)
        told(alice)
        failed = alice.outcome(request)
        assert isinstance(failed, q.Failed)
        assert "another log" in failed.reason


def test_what_waits_in_all_streams_has_a_limit() -> None:
    content = bytes(64 * 1024)
    alice = Member(ALICE)
    answers = list[q.Message]()
    anybody = genesis_of(ALICE, threshold=1, writers=())
    geneses = [replace(anybody, salt=bytes([number] * 16)) for number in range(3)]
    for genesis in geneses:
        alice.create(genesis)
    told(alice)
    for genesis in geneses:
        state = state_of(alice, genesis.stream)
        for writer in range(WAITING_BYTES_MAX // len(content) // 3 + 20):
            keys = keys_of(f"writer {writer}")
            alice.tell(m.Connected(m.PeerId(keys.public), outgoing=False))
            header = make_intent(state, keys, 1, NewEntry("note", content), STAMP_MS)
            alice.tell(m.Received(m.PeerId(keys.public), q.Intent(1, header, content)))
        answers += [packets.read_message(data) for _, data in alice.out]
        alice.out.clear()
    assert answers
    assert all(said == q.Declined(1, TOO_MUCH, later=True) for said in answers)
