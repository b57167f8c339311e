"""What an owner signs, and what it never does: the sequencer is the attacker here."""

from itertools import combinations, product

from qbix_node import machines as m
from qbix_node.sequencing import messages as q
from qbix_node.sequencing import packets
from qbix_node.sequencing.proposals import exactly_enough
from qbix_node.streams.authoring import make_intent
from qbix_node.streams.messages import Head, Header, NewEntry, OfferedSegment, intent_body
from qbix_node.streams.records import LogState
from qbix_node.streams.serving import make_segments
from qbix_node.streams.tree import Hash, bag, grow, leaf_hash
from qbix_node.wire.references import StreamId
from tests.sequencing.town import ALICE, BOB, CAROL, DAVE, Member, Town, genesis_of
from tests.streams.logs import keys_of

MALLORY = keys_of(ALICE)  # the sequencer
STAMP_MS = 1_700_000_100_000


def founded(*names: str, threshold: int) -> tuple[list[Member], StreamId]:
    """A stream that has begun honestly."""
    genesis = genesis_of(*names, threshold=threshold)
    members = [Member(name) for name in names]
    members[0].begin(genesis)
    for member in members[1:]:
        member.follow(genesis.stream)
    town = Town(*members, stream=genesis.stream)
    town.live()
    for one, other in combinations(members[1:], 2):
        town.cut(one.id, other.id)  # so they don't wait for what the other knows of them
    assert {member.length(genesis.stream) for member in members} == {1}
    for member in members:
        member.signed.clear()
        member.out.clear()
    return members, genesis.stream


def intents(state: LogState, *texts: str, first_seq: int = 1) -> list[Header]:
    made = []
    for number, text in enumerate(texts):
        entry = NewEntry("note", text.encode())
        header = make_intent(state, MALLORY, first_seq + number, entry, STAMP_MS)
        made.append(header._replace(place=state.length + number))
    return made


def proposed(state: LogState, headers: list[Header]) -> q.Propose:
    leaves = tuple([header.encoded for header in headers])
    peaks, _ = grow(state.peaks, state.length, [leaf_hash(leaf) for leaf in leaves])
    stream, length = headers[0].stream, state.length + len(leaves)
    return q.Propose(state.length, leaves, Head(stream, length, bag(peaks), STAMP_MS))


def answers(member: Member, said: q.Propose, sender: str = ALICE) -> list[q.Message]:
    """As its bytes would be read; all writes are done."""
    member.tell(
        m.Received(m.PeerId(keys_of(sender).public), packets.read_message(packets.encode(said)))
    )
    while member.sync():
        pass
    sent = [packets.read_message(data) for _, data in member.out]
    member.out.clear()
    return sent


def state_of(member: Member, stream: StreamId) -> LogState:
    return member.book.logs[stream]


def test_an_owner_signs_one_of_two_runs_of_one_length() -> None:
    """Three of four: whatever two sets of three have in common besides the sequencer is honest."""
    (alice, *others), stream = founded(ALICE, BOB, CAROL, DAVE, threshold=3)
    state = state_of(alice, stream)
    one, other = (proposed(state, intents(state, text)) for text in ("one", "other"))
    genesis = alice.book.geneses[stream]
    for shown in product([(one, other), (other, one)], repeat=3):
        hers = genesis.owners.index(alice.id)
        assert hers is not None
        signers = {said.head.root: {hers} for said in (one, other)}
        for member, order in zip(others, shown, strict=True):
            before = member.disk.snapshot()
            again = Member(member.name, member.disk, followed=[stream])
            again.tell(m.Connected(alice.id, outgoing=False))
            for said in order:
                for answer in answers(again, said):
                    if isinstance(answer, q.Signature):
                        signers[answer.root].add(answer.owner)
            assert len(again.signed) == 1
            member.disk.roll_back(before)
        complete = [root for root in signers if exactly_enough(genesis.owners, signers[root])]
        assert len(complete) <= 1


def test_the_same_run_gets_the_same_signature_also_after_a_restart() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    said = proposed(state_of(alice, stream), intents(state_of(alice, stream), "one"))
    first = answers(bob, said)
    assert isinstance(first[0], q.Signature)
    assert answers(bob, said) == first
    bob.restart()
    bob.tell(m.Connected(alice.id, outgoing=False))
    assert answers(bob, said) == first
    other = proposed(state_of(alice, stream), intents(state_of(alice, stream), "other"))
    (refused,) = answers(bob, other)
    assert isinstance(refused, q.Refused)
    assert "does not continue" in refused.reason
    assert answers(bob, other) == [refused]  # and it costs no signature checks


def test_a_signature_leaves_once_it_is_durable() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    said = proposed(state_of(alice, stream), intents(state_of(alice, stream), "one"))
    bob.tell(m.Received(alice.id, said))
    assert not bob.out
    bob.restart()  # before the write: nobody has seen that signature
    bob.tell(m.Connected(alice.id, outgoing=False))
    other = proposed(state_of(alice, stream), intents(state_of(alice, stream), "other"))
    assert isinstance(answers(bob, other)[0], q.Signature)
    assert isinstance(answers(bob, said)[0], q.Refused)


def test_a_signature_that_is_asked_for_again_waits_for_the_same_write() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    said = proposed(state_of(alice, stream), intents(state_of(alice, stream), "one"))
    bob.tell(m.Received(alice.id, said))
    while bob.do_work():
        pass
    bob.tell(m.Received(alice.id, said))  # the disk is slow, and Alice proposes it once more
    assert not bob.out
    assert len(answers(bob, said)) == 3


def test_a_run_that_continues_what_was_signed_may_replace_it() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    state = state_of(alice, stream)
    headers = intents(state, "one", "two", "three")
    assert isinstance(answers(bob, proposed(state, headers[:1]))[0], q.Signature)
    assert isinstance(answers(bob, proposed(state, headers))[0], q.Signature)
    (refused,) = answers(bob, proposed(state, headers[:2]))
    assert isinstance(refused, q.Refused)  # shorter than what it has signed


def test_a_run_waits_for_the_entries_before_it() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    request = alice.write(stream, "one")
    town = Town(alice, carol, stream=stream)
    town.live()
    assert isinstance(alice.outcome(request), q.Done)
    state = state_of(alice, stream)
    said = proposed(state, intents(state, "two", first_seq=2))
    assert answers(bob, said) == []
    bob.learn_from(alice, stream)
    while bob.sync():
        pass
    (sent,) = [packets.read_message(data) for _, data in bob.out]
    assert isinstance(sent, q.Signature)


def test_a_log_that_moved_meanwhile_is_not_contradicted() -> None:
    """The sequencer shows another run to this owner than to those who complete theirs."""
    for done_before in range(3):
        (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
        state = state_of(alice, stream)
        other = proposed(state, intents(state, "other"))
        bob.slow = True
        bob.tell(m.Received(alice.id, other))
        for _ in range(done_before):
            bob.do_work()
        alice.write(stream, "one")
        Town(alice, carol, stream=stream).live()
        bob.learn_from(alice, stream)
        while bob.do_work(bob.book) or bob.sync():
            pass
        assert bob.length(stream) == 2
        assert len(bob.work) == (1 if done_before < 2 else 0)
        while bob.do_work() or bob.sync():
            pass
        assert bool(bob.signed) == bool(bob.out) == (done_before == 2)


def test_a_run_waits_where_a_head_covers_more_than_is_here() -> None:
    """What is missing was signed: another entry in its place would contradict it."""
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    request = alice.write(stream, "one", "two", "three")
    Town(alice, carol, stream=stream).live()
    assert isinstance(alice.outcome(request), q.Done)
    whole = make_segments(alice.disk, state_of(alice, stream), 1, 2)
    bob.tell(m.Received(alice.id, OfferedSegment(whole[0])), bob.book)
    while bob.sync():
        pass
    state = state_of(bob, stream)
    assert (state.length, state.signed.head.length) == (2, 4)
    assert answers(bob, proposed(state, intents(state, "other", first_seq=9))) == []
    assert not bob.signed


def broken(state: LogState) -> dict[str, q.Propose]:
    good = intents(state, "one", "two")
    said = proposed(state, good)
    wrong_sig = [good[0]._replace(author_sig=bytes(64)), good[1]]
    unsigned = [good[0]._replace(author_sig=None, base_root=None, author_seq=1)]
    other_base = good[0]._replace(base_root=Hash(bytes(32)))
    other_base = other_base._replace(author_sig=MALLORY.sign(intent_body(other_base)))
    reserved = good[0]._replace(kind="owners.set")
    reserved = reserved._replace(author_sig=MALLORY.sign(intent_body(reserved)))
    return {
        "root": q.Propose(said.first, said.leaves, said.head._replace(root=Hash(bytes(32)))),
        "signature of an author": proposed(state, wrong_sig),
        "no signature of an author": proposed(state, unsigned),
        "base": proposed(state, [other_base]),
        "replayed number": proposed(state, [good[0], good[0]._replace(place=2)]),
        "place": proposed(state, [good[0]._replace(place=2)]),
        "reserved kind": proposed(state, [reserved]),
        "no header": q.Propose(1, (b"x", b"y"), said.head),
    }


def test_what_breaks_a_rule_is_not_signed() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    state = state_of(alice, stream)
    for rule, said in broken(state).items():
        (refused,) = answers(bob, said)
        assert isinstance(refused, q.Refused), rule
        assert not bob.signed, rule
    good = proposed(state, intents(state, "one"))
    assert isinstance(answers(bob, good)[0], q.Signature)


def test_only_the_sequencer_is_listened_to() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    said = proposed(state_of(alice, stream), intents(state_of(alice, stream), "one"))
    assert answers(bob, said, sender=CAROL) == []


def test_who_follows_no_longer_signs_no_longer() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    bob.followed.clear()
    said = proposed(state_of(alice, stream), intents(state_of(alice, stream), "one"))
    assert answers(bob, said) == []


def test_a_forked_stream_is_not_signed() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    bob.stopped[stream] = "its owners forked that stream"
    said = proposed(state_of(alice, stream), intents(state_of(alice, stream), "one"))
    (refused,) = answers(bob, said)
    assert isinstance(refused, q.Refused)
    assert "forked" in refused.reason


def test_a_flood_of_proposals_costs_what_a_peer_may_cost() -> None:
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    state = state_of(alice, stream)
    answered = 0
    for number in range(1000):
        header = intents(state, f"{number}")[0]._replace(author_sig=bytes(64))
        answered += len(answers(bob, proposed(state, [header])))
    assert answered <= 256 // 2
