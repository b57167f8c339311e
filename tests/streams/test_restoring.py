"""Own streams that come back from others, and those that others hand over."""

from qbix_node.streams.caution import Doubt, read_doubts
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import Segment
from qbix_node.streams.records import read_runs
from tests.streams.desk import PETE, QUIN, Desk
from tests.streams.logs import ALICE, BOB, Log, genesis_of, owners_of
from tests.streams.reader import Reader

OWN = genesis_of(BOB)
STREAM = OWN.stream


# ---- an own stream that comes back from others ----


def test_an_own_stream_is_restored_before_it_goes_on() -> None:
    log = Log(OWN, ((0, BOB),)).write_many(11)
    desk = Desk([STREAM])
    desk.offer(log.segment(0, 5, 12))
    desk.settle()
    desk.append(STREAM)
    assert desk.refusals == [
        "entries of that stream, which this node signed, are not here again yet"
    ]
    assert desk.signed == 0
    desk.offer(log.segment(5, 12))
    desk.settle()
    desk.append(STREAM)
    assert desk.refusals[1:] == [Doubt.CAME]
    assert desk.signed == 0
    desk.trust(STREAM)
    desk.append(STREAM)
    desk.settle()
    assert desk.book.length(STREAM) == 13
    check_restored(desk, log)


def test_a_shorter_head_does_not_make_an_own_stream_seem_restored() -> None:
    """Else the node would sign a second entry in a place where it has signed one: a fork."""
    log = Log(OWN, ((0, BOB),)).write_many(11)
    desk = Desk([STREAM])
    desk.offer(log.segment(0, 5, 12))
    desk.offer(log.segment(5, 8), peer=QUIN)  # who has heard less of it
    desk.settle()
    desk.append(STREAM)
    assert desk.signed == 0
    assert desk.book.logs[STREAM].signed == log.head(12)
    assert desk.settled == {PETE: 1, QUIN: 1}
    desk.offer(log.segment(5, 12))
    desk.settle()
    desk.trust(STREAM)
    desk.append(STREAM)
    desk.settle()
    check_restored(desk, log)


def test_that_an_own_stream_came_is_durable_with_its_first_entries() -> None:
    log, others = Log(OWN, ((0, BOB),)), Log(genesis_of(ALICE), ((0, ALICE),))
    free = Log(genesis_of(BOB, uniqueness=Uniqueness.NONE), ((0, BOB),))
    desk = Desk([each.stream for each in (log, others, free)])
    for each in (log, others, free):
        desk.offer(each.segment(0, 1))
    desk.settle()
    assert read_doubts(desk.disk) == {STREAM: 0}
    made = Desk()
    made.create(OWN)
    made.settle()
    assert read_doubts(made.disk) == {}


def check_restored(desk: Desk, log: Log) -> None:
    assert desk.leaves(STREAM)[: log.length] == log.leaves
    assert desk.book.length(STREAM) == log.length + 1
    assert desk.signed == 1


# ---- owners who follow ----


def test_who_handed_a_stream_over_appends_no_more() -> None:
    genesis = genesis_of(BOB, uniqueness=Uniqueness.NONE)
    log = Log(genesis, ((0, BOB),)).write_many(1)
    log.hand_over(owners_of((ALICE, 1), threshold=1), (0, ALICE))
    desk = Desk([genesis.stream])
    desk.offer(log.segment(0, 3))
    desk.settle()
    assert not desk.book.owns(genesis.stream)
    desk.append(genesis.stream)
    assert desk.refusals == ["this node is not the only owner of that stream"]


def test_who_took_a_stream_over_appends() -> None:
    genesis = genesis_of(ALICE, uniqueness=Uniqueness.NONE)
    log = Log(genesis).write_many(1)
    log.hand_over(owners_of((BOB, 1), threshold=1), (0, BOB))
    desk = Desk([genesis.stream])
    desk.offer(log.segment(0, 3))
    desk.settle()
    request = desk.append(genesis.stream)
    desk.settle()
    assert desk.appended == [request]
    carol = Reader(genesis)
    carol.take(log.segment(0, 3))
    run = read_runs(desk.disk, genesis.stream, 3, 4)[-1]
    signed = desk.head(genesis.stream)
    carol.take(Segment(genesis.stream, 3, run.leaves, (None,), signed, ()))
