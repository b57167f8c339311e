"""An only owner gives its stream to another."""

from qbix_node import machines as m
from qbix_node.streams.authoring import make_segment
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import (
    Appended,
    AppendRefused,
    NewEntry,
    OfferedSegment,
    Segment,
    SetOwners,
    read_header,
)
from qbix_node.streams.owners import Owners
from qbix_node.streams.serving import make_segments
from qbix_node.wire.references import StreamId
from tests.streams.desk import PETE, Desk
from tests.streams.logs import ALICE, BOB, START_MS, genesis_of, owners_of

FREE = genesis_of(BOB, uniqueness=Uniqueness.NONE)
STREAM = FREE.stream
ALICES = owners_of((ALICE, 1), threshold=1)


def bobs() -> Desk:
    desk = Desk()
    desk.create(FREE)
    desk.settle()
    desk.append(STREAM)
    desk.settle()
    desk.found.clear()
    return desk


def give(desk: Desk, stream: StreamId = STREAM, owners: Owners = ALICES) -> None:
    desk.tell(m.Requested(SetOwners(1000, stream, owners, START_MS)))


def segments(desk: Desk, first: int = 0) -> list[Segment]:
    state = desk.book.logs[STREAM]
    return list(make_segments(desk.disk, state, first, state.length))


def test_the_change_ends_its_head_and_whoever_waits_behind_it_is_refused() -> None:
    desk = bobs()
    desk.append(STREAM)
    desk.append(STREAM)
    give(desk)
    desk.append(STREAM)
    desk.settle()
    assert len(desk.findings(AppendRefused)) == 1
    assert desk.refusals == ["this node is not the only owner of that stream"]
    assert [done.first for done in desk.findings(Appended)] == [2, 3, 4]
    state = desk.stored(STREAM)
    assert (state.length, state.owners, state.signed.head.length) == (5, ALICES, 5)
    assert read_header(desk.leaves(STREAM)[-1]).kind == "owners.set"
    assert len(set(map(len, [segment.leaves for segment in segments(desk)]))) >= 1
    desk.restart()
    assert not desk.book.owns(STREAM)


def test_the_new_owner_goes_on_and_the_former_can_not() -> None:
    desk = bobs()
    give(desk)
    desk.settle()
    alice = Desk([STREAM], keys=ALICE)
    alice.offer(*segments(desk))
    alice.settle()
    assert alice.book.owns(STREAM)
    former = make_segment(desk.book.logs[STREAM], BOB, [NewEntry("note", b"mine")], START_MS)
    alice.offer(former)
    alice.settle()
    assert (alice.book.length(STREAM), len(alice.refused)) == (3, 1)
    alice.append(STREAM, stamp_ms=5)  # whose clock is far behind
    alice.settle()
    assert alice.book.length(STREAM) == 4
    desk.book.accept(STREAM)
    for segment in segments(alice, 3):
        desk.tell(m.Received(PETE, OfferedSegment(segment)))
    desk.settle()
    assert desk.leaves(STREAM) == alice.leaves(STREAM)


def test_what_can_not_be_given_away_is_refused() -> None:
    desk = bobs()
    gossip = genesis_of(BOB)
    desk.create(gossip)
    desk.settle()
    give(desk, gossip.stream)
    (refusal,) = desk.findings(AppendRefused)
    assert (refusal.reason, refusal.bad_content) == ("the owners of that stream never change", True)
    give(desk, StreamId(bytes(32)))
    give(desk)
    desk.settle()
    desk.found.clear()
    give(desk, owners=owners_of((BOB, 1), threshold=1))
    assert desk.refusals == ["this node is not the only owner of that stream"]
