"""How entries get from a writer's node to the sequencer, and when they are said to be placed."""

from qbix_node import machines as m
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.records import WRITTEN
from qbix_node.sequencing.writing import AT_ONCE, NUMBER_GONE, REQUESTS_MAX
from qbix_node.streams.messages import LargeContent, read_header
from qbix_node.wire.references import StreamId
from tests.sequencing.test_cosigning import founded
from tests.sequencing.test_proposing import told
from tests.sequencing.town import ALICE, BOB, CAROL, Member, Town


def writer() -> tuple[Member, Member, StreamId]:
    """Bob, who writes, and alice, who sequences; they are not joined but for what tests do."""
    (alice, bob, _), stream = founded(ALICE, BOB, CAROL, threshold=2)
    return alice, bob, stream


def handed_over(bob: Member) -> list[q.Intent]:
    return [said for _, said in told(bob) if isinstance(said, q.Intent)]


def test_a_number_is_durable_before_it_leaves_and_used_once() -> None:
    _, bob, stream = writer()
    bob.write(stream, "one")
    assert not bob.out
    (first,) = handed_over(bob)
    bob.restart()
    bob.tell(m.Connected(Member(ALICE).id, outgoing=True))
    bob.write(stream, "another")
    (second,) = handed_over(bob)
    assert (first.header.author_seq, second.header.author_seq) == (1, 2)
    assert second.header.timestamp_ms >= first.header.timestamp_ms


def test_what_the_log_has_of_this_author_counts_as_used() -> None:
    alice, bob, stream = writer()
    bob.write(stream, "one", "two")
    Town(alice, bob, stream=stream).live()
    assert bob.length(stream) == 3
    bob.disk.append([m.Delete(WRITTEN + stream)])  # as in a new home with the old secret
    bob.disk.sync()
    bob.restart()
    request = bob.write(stream, "three")
    assert isinstance(bob.outcome(request), q.Failed)  # nobody is connected
    town = Town(alice, bob, stream=stream)
    request = bob.write(stream, "three")
    town.live()
    assert bob.outcome(request) == q.Done(request, (3,))


def test_another_entry_with_the_same_number_is_not_the_one_that_was_asked_for() -> None:
    """Of a home that was put back, with a sequencer that kept what it was sent before."""
    alice, bob, stream = writer()
    bob.write(stream, "before")
    (before,) = handed_over(bob)
    bob.disk.append([m.Delete(WRITTEN + stream)])
    bob.disk.sync()
    bob.restart()
    bob.tell(m.Connected(alice.id, outgoing=True))
    request = bob.write(stream, "after")
    (after,) = handed_over(bob)  # and it is lost
    assert after.header.author_seq == before.header.author_seq
    town = Town(alice, bob, stream=stream)
    alice.tell(m.Received(bob.id, before))
    town.live()
    assert bob.length(stream) == 2
    assert bob.outcome(request) == q.Failed(request, NUMBER_GONE, later=True)
    request = bob.write(stream, "after")
    town.live()
    assert bob.outcome(request) == q.Done(request, (2,))


def test_of_a_large_content_only_size_and_hash_are_handed_over() -> None:
    alice, bob, stream = writer()
    large = LargeContent(1_000_000, bytes(32))
    request = bob.write(stream, "small", large)
    Town(alice, bob, stream=stream).live()
    assert bob.outcome(request) == q.Done(request, (1, 2))
    header = read_header(alice.leaves(stream)[2])
    assert (header.content_size, header.content_hash) == (large.size, large.hash)


def test_so_many_are_under_way_at_once() -> None:
    alice, bob, stream = writer()
    for _ in range(3):
        bob.write(stream, *["entry"] * 20)
    sent = handed_over(bob)
    assert len(sent) == 20  # the next ones get their numbers once these are placed
    bob.write(stream, *["entry"] * 100)
    more = bob.write(stream, "last")
    Town(alice, bob, stream=stream)
    for _ in range(2):
        for said in sent:
            bob.tell(m.Received(alice.id, q.Declined(said.number, "no")))
        sent = handed_over(bob)
        assert len(sent) == 20
    assert bob.outcome(more) is None


def test_a_long_wish_goes_in_parts() -> None:
    _, bob, stream = writer()
    bob.write(stream, *["entry"] * (AT_ONCE + 8))
    assert len(handed_over(bob)) == AT_ONCE


def test_what_has_not_been_sent_goes_in_the_next_connection() -> None:
    alice, bob, stream = writer()
    request = bob.write(stream, "one")
    bob.tell(m.Disconnected(alice.id))
    assert handed_over(bob) == []
    town = Town(alice, bob, stream=stream)
    town.live()
    assert bob.outcome(request) == q.Done(request, (1,))


def test_what_was_sent_is_not_sent_again() -> None:
    alice, bob, stream = writer()
    bob.write(stream, "one")
    assert len(handed_over(bob)) == 1
    bob.tell(m.Disconnected(alice.id))
    bob.tell(m.Connected(alice.id, outgoing=True))
    assert handed_over(bob) == []


def test_the_word_of_the_sequencer_is_not_enough() -> None:
    alice, bob, stream = writer()
    request = bob.write(stream, "one")
    (said,) = handed_over(bob)
    bob.tell(m.Received(alice.id, q.Placed(said.number, 1)))
    told(bob)
    assert bob.outcome(request) is None


def test_only_the_sequencer_declines() -> None:
    alice, bob, stream = writer()
    carol = Member(CAROL)
    request = bob.write(stream, "one")
    (said,) = handed_over(bob)
    bob.tell(m.Received(carol.id, q.Declined(said.number, "no")))
    assert bob.outcome(request) is None
    bob.tell(m.Received(alice.id, q.Declined(said.number, "no", later=True)))
    assert bob.outcome(request) == q.Failed(request, "no", later=True)


def test_what_stands_in_the_log_was_not_declined() -> None:
    (alice, bob, carol), stream = founded(ALICE, BOB, CAROL, threshold=2)
    request = bob.write(stream, "one", "two")
    first, second = handed_over(bob)
    alice.tell(m.Received(bob.id, first))
    alice.tell(m.Received(bob.id, first))
    Town(alice, carol, stream=stream).live()
    bob.learn_from(alice, stream)
    told(bob)
    assert bob.length(stream) == 2
    bob.tell(m.Received(alice.id, q.Declined(first.number, "no")))
    assert bob.outcome(request) is None
    bob.tell(m.Received(alice.id, q.Declined(second.number, "no")))
    assert bob.outcome(request) == q.Failed(request, "no", placed=1)


def test_wishes_have_a_limit_and_one_that_is_given_up_makes_room() -> None:
    _, bob, stream = writer()
    requests = [bob.write(stream, f"{number}") for number in range(REQUESTS_MAX + 1)]
    failed = bob.outcome(requests[-1])
    assert isinstance(failed, q.Failed)
    assert failed.later
    assert len(handed_over(bob)) == 1
    bob.tell(m.Requested(q.GiveUp(requests[0])))
    (next_,) = handed_over(bob)  # it is its turn
    assert next_.header.author_seq == 2
    assert bob.outcome(bob.write(stream, "room")) is None
