"""What a node writes itself: streams that it creates, and entries under its own Heads."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node import machines as m
from qbix_node.crypto.keys import verify
from qbix_node.streams.caution import ShownAhead
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.machine import OFFERS_MAX, WISHES_PER_STREAM_MAX
from qbix_node.streams.messages import (
    CONTENT_BYTES_MAX,
    ENTRIES_MAX,
    Appended,
    AppendRefused,
    Grown,
    Segment,
    read_header,
    read_segment,
)
from qbix_node.streams.records import read_contents, read_runs
from qbix_node.streams.tree import LENGTH_MAX, bag, grow, leaf_hash
from qbix_node.streams.wishes import BATCH_BYTES_MAX, ENTRY_BYTES
from qbix_node.wire.fields import NUMBER_MAX
from tests.streams.desk import PETE, Desk
from tests.streams.logs import ALICE, BOB, START_MS, Log, genesis_of, owners_of
from tests.streams.reader import Reader

OWN = genesis_of(BOB)
STREAM = OWN.stream


@pytest.fixture
def desk() -> Desk:
    """Bob's, with a stream of his own."""
    made = Desk()
    made.create(OWN)
    made.settle()
    made.found.clear()
    return made


def check_stored(desk: Desk) -> None:
    """The log is what its Head covers, and everybody takes it as bob has stored it."""
    state, carol = desk.stored(STREAM), Reader(OWN)
    for run in read_runs(desk.disk, STREAM, 0, state.length):
        assert run.ending is not None
        peaks, _ = grow((), 0, [leaf_hash(leaf) for leaf in desk.leaves(STREAM)[: run.stop]])
        head = state.signed.head._replace(
            length=run.stop, root=bag(peaks), timestamp_ms=run.ending[0]
        )
        signed = state.signed._replace(head=head, signatures=run.ending[1])
        contents = read_contents(desk.disk, STREAM, run)
        segment = Segment(STREAM, run.first, run.leaves, contents, signed, ())
        growth = carol.take(read_segment(segment.encoded))
        for check in growth.head_checks:
            assert verify(check.key, check.body, check.signature)
    assert carol.state == state


def test_a_stream_is_created_once_durable() -> None:
    desk = Desk()
    request = desk.create(OWN)
    assert (desk.found, desk.book.geneses, desk.book.logs) == ([], {}, {})
    assert not desk.book.owns(STREAM)
    desk.sync()
    assert desk.found == [Grown(STREAM, 0, 1, None), Appended(request, STREAM, 0, 1)]
    assert desk.book.owns(STREAM)
    assert desk.leaves(STREAM) == [OWN.encoded]
    check_stored(desk)


def test_an_entry_is_said_to_be_appended_once_durable(desk: Desk) -> None:
    request = desk.append(STREAM, b"hello")
    assert (desk.found, desk.book.length(STREAM)) == ([], 1)
    desk.sync()
    assert desk.found == [Grown(STREAM, 1, 2, None), Appended(request, STREAM, 1, 2)]
    assert desk.checks_made == 0  # nobody checks own signatures
    check_stored(desk)


def test_whatever_waits_goes_under_one_head(desk: Desk) -> None:
    requests = [desk.append(STREAM, b"a", b"b") for _ in range(10)]
    assert desk.signed == 2  # of the genesis and of the first
    desk.settle()
    assert desk.signed == 3
    assert desk.book.length(STREAM) == 21
    places = [(each.request, each.first, each.stop) for each in desk.findings(Appended)]
    assert places == [(request, 1 + 2 * n, 3 + 2 * n) for n, request in enumerate(requests)]
    assert desk.findings(Grown) == [Grown(STREAM, 1, 3, None), Grown(STREAM, 3, 21, None)]
    check_stored(desk)


def test_one_head_has_as_many_entries_as_a_segment_and_no_more(desk: Desk) -> None:
    for _ in range(ENTRIES_MAX + 2):
        desk.append(STREAM)
    desk.settle()
    sizes = [len(run.leaves) for run in read_runs(desk.disk, STREAM, 0, 10_000)]
    assert sizes == [1, 1, ENTRIES_MAX, 1]
    check_stored(desk)


def test_one_head_has_as_many_bytes_as_a_batch_and_no_more(desk: Desk) -> None:
    for _ in range(10):
        desk.append(STREAM, bytes(CONTENT_BYTES_MAX))
    desk.settle()
    each = CONTENT_BYTES_MAX + ENTRY_BYTES
    sizes = [len(run.leaves) for run in read_runs(desk.disk, STREAM, 0, 10_000)]
    assert sizes == [1, 1, BATCH_BYTES_MAX // each, 2]
    check_stored(desk)


def test_the_largest_append_makes_a_segment_that_may_be_sent(desk: Desk) -> None:
    contents = [bytes(1024)] * ENTRIES_MAX
    desk.append(STREAM, *contents)
    desk.settle()
    assert desk.book.length(STREAM) == 1 + ENTRIES_MAX
    check_stored(desk)


def test_time_does_not_run_backwards_though_the_clock_does(desk: Desk) -> None:
    for stamp_ms in (START_MS + 5, START_MS - 5, START_MS + 7):
        desk.append(STREAM, stamp_ms=stamp_ms)
        desk.settle()
    desk.append(STREAM, stamp_ms=START_MS)
    desk.append(STREAM, stamp_ms=START_MS + 9)
    desk.append(STREAM, stamp_ms=START_MS + 8)
    desk.settle()
    stamps = [read_header(leaf).timestamp_ms - START_MS for leaf in desk.leaves(STREAM)[1:]]
    assert stamps == [5, 5, 7, 7, 9, 9]
    check_stored(desk)


def test_an_own_stream_goes_on_after_a_restart(desk: Desk) -> None:
    desk.append(STREAM)
    desk.settle()
    desk.append(STREAM)  # not durable
    desk.restart()
    desk.found.clear()
    request = desk.append(STREAM)
    desk.settle()
    assert desk.appended == [request]
    assert desk.book.length(STREAM) == 3
    check_stored(desk)


# ---- what is refused ----


def test_a_stream_is_created_once(desk: Desk) -> None:
    desk.create(OWN)
    assert desk.refusals == ["that stream is here already"]
    other = genesis_of(BOB, salt=b"t" * 16)
    desk.create(other)
    desk.create(other)
    assert desk.refusals[1:] == ["that stream is here already"]
    desk.settle()
    assert set(desk.book.geneses) == {STREAM, other.stream}


@pytest.mark.parametrize(
    "genesis",
    [genesis_of(ALICE), genesis_of(owners=owners_of((ALICE, 1), (BOB, 1), threshold=2))],
    ids=["alice's", "of both"],
)
def test_only_the_only_owner_creates_a_stream(genesis: Genesis) -> None:
    desk = Desk()
    desk.create(genesis)
    assert desk.refusals == ["this node is not the only owner of that stream"]
    assert desk.writes == []


INVALID_GENESES: dict[str, Callable[[Genesis], Genesis]] = {
    "watched": lambda own: replace(own, uniqueness=Uniqueness.WATCHED, network=b"n" * 32, epoch=0),
    "of no name": lambda own: replace(own, kind="Notes"),
    "without salt": lambda own: replace(own, salt=b""),
    "that nobody can sign": lambda own: replace(own, owners=replace(own.owners, threshold=2)),
}


@pytest.mark.parametrize("spoil", INVALID_GENESES.values(), ids=INVALID_GENESES)
def test_a_stream_that_nobody_would_take_is_not_created(
    spoil: Callable[[Genesis], Genesis],
) -> None:
    desk = Desk()
    desk.create(spoil(OWN))
    assert [refusal.bad_content for refusal in desk.findings(AppendRefused)] == [True]
    assert (desk.writes, desk.signed) == ([], 0)
    desk.create(OWN)
    desk.settle()
    assert desk.book.owns(STREAM)


def test_entries_of_a_stream_that_is_not_here_are_refused() -> None:
    desk = Desk()
    desk.append(STREAM)
    desk.create(OWN)
    desk.append(STREAM)  # it is being created, and not here yet
    desk.settle()
    assert desk.refusals == ["that stream is not here"] * 2


def test_entries_of_somebody_elses_stream_are_refused() -> None:
    log = Log(genesis_of(ALICE)).write_many(2)
    desk = Desk([log.stream])
    desk.offer(log.segment(0, 3))
    desk.settle()
    desk.append(log.stream)
    assert desk.refusals == ["this node is not the only owner of that stream"]
    assert desk.signed == 0


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ([b"x"] * (ENTRIES_MAX + 1), "1 to 256 entries"),
        ([bytes(CONTENT_BYTES_MAX + 1)], "larger are blobs"),
        ([bytes(CONTENT_BYTES_MAX)] * 8, "together they have more"),
    ],
    ids=["too many", "too large", "too much"],
)
def test_what_could_never_be_appended_is_refused_as_such(
    desk: Desk, contents: list[bytes], reason: str
) -> None:
    desk.append(STREAM, *contents)
    (refusal,) = desk.findings(AppendRefused)
    assert reason in refusal.reason
    assert refusal.bad_content
    assert desk.writes == []


@pytest.mark.parametrize("kind", ["", "Note", "1", "a" * 65, "owners.set", "void", "reanchor"])
@pytest.mark.parametrize("waiting", [False, True], ids=["at once", "behind another"])
def test_a_kind_that_no_receiver_would_take_is_refused(
    desk: Desk, kind: str, waiting: bool
) -> None:
    if waiting:
        desk.append(STREAM)
    desk.append(STREAM, b"content", kind=kind)
    desk.append(STREAM)
    desk.settle()
    assert [refusal.bad_content for refusal in desk.findings(AppendRefused)] == [True]
    assert desk.book.length(STREAM) == (3 if waiting else 2)
    check_stored(desk)


@pytest.mark.parametrize("stamp_ms", [-1, NUMBER_MAX + 1])
def test_a_time_that_no_receiver_would_take_is_refused(desk: Desk, stamp_ms: int) -> None:
    desk.append(STREAM, stamp_ms=stamp_ms)
    desk.create(genesis_of(BOB, salt=b"t" * 16), stamp_ms)
    assert [refusal.bad_content for refusal in desk.findings(AppendRefused)] == [True, True]
    assert desk.writes == []


def test_so_many_wishes_wait_and_no_more(desk: Desk) -> None:
    for _ in range(WISHES_PER_STREAM_MAX + 3):
        desk.append(STREAM)
    assert desk.refusals == ["too much waits to be appended already"] * 2  # one is being written
    desk.settle()
    assert len(desk.appended) == WISHES_PER_STREAM_MAX + 1
    desk.append(STREAM)
    desk.settle()
    assert desk.book.length(STREAM) == 1 + WISHES_PER_STREAM_MAX + 2
    assert desk.signed == 1 + 1 + WISHES_PER_STREAM_MAX // ENTRIES_MAX + 1


def test_a_stopped_stream_is_not_appended_to(desk: Desk) -> None:
    desk.append(STREAM)
    desk.append(STREAM)
    desk.book.stopped[STREAM] = "it was forked"
    desk.append(STREAM)
    desk.settle()
    assert desk.refusals == ["it was forked"] * 2
    assert desk.book.length(STREAM) == 2  # what was signed already
    assert desk.signed == 2


def test_a_log_that_is_as_long_as_logs_can_be_is_not_appended_to(desk: Desk) -> None:
    desk.book.logs[STREAM] = replace(desk.book.logs[STREAM], length=LENGTH_MAX - ENTRIES_MAX + 1)
    desk.append(STREAM)
    assert desk.refusals == ["that stream is as long as streams can be"]


def test_a_skipped_offer_does_not_keep_a_stream_from_being_created() -> None:
    logs = [Log(genesis_of(salt=b"%16d" % number)) for number in range(OFFERS_MAX)]
    desk = Desk([STREAM, *[log.stream for log in logs]])
    for log in logs:
        desk.offer(log.segment(0, 1))
    desk.offer(Log(OWN, ((0, BOB),)).segment(0, 1))
    assert desk.skipped == 1
    request = desk.create(OWN)
    desk.settle()
    assert desk.appended == [request]


def test_wishes_go_before_what_peers_offer(desk: Desk) -> None:
    desk.accepted.append(STREAM)
    desk.book.accept(STREAM)
    log = Log(OWN, ((0, BOB),)).write_many(3)
    first = desk.append(STREAM)
    desk.offer(log.segment(0, 4))
    second = desk.append(STREAM)
    desk.settle()
    assert desk.appended == [first, second]
    assert desk.book.waiting == 0
    assert desk.settled == {PETE: 1}


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(0, 4))
def test_wishes_of_any_sizes_all_come_in_their_order(sizes: list[int], syncs: int) -> None:
    desk = Desk()
    desk.create(OWN)
    desk.settle()
    for number, size in enumerate(sizes):
        desk.append(STREAM, *[b"%d of %d" % (place, number) for place in range(size)])
        if number % 5 < syncs:
            desk.sync()
    desk.settle()
    expected = [b"%d of %d" % (place, n) for n, size in enumerate(sizes) for place in range(size)]
    runs = read_runs(desk.disk, STREAM, 0, 10_000)
    contents = [each for run in runs for each in read_contents(desk.disk, STREAM, run)]
    assert contents == [None, *expected]
    assert len(desk.appended) == len(sizes) + 1
    check_stored(desk)


def test_what_this_node_signs_is_marked_and_what_peers_send_is_not() -> None:
    """SPEC streams 10: a database that is put back must not seem to be the newest."""
    foreign = genesis_of(ALICE)
    desk = Desk([foreign.stream])
    desk.create(OWN)
    assert [write.marked for write in desk.writes] == [True]
    desk.settle()
    desk.append(STREAM)
    assert [write.marked for write in desk.writes] == [True]
    desk.settle()
    desk.offer(Log(foreign).write_many(1).segment(0, 2))
    desk.verify()
    assert [write.marked for write in desk.writes] == [False]


def test_what_waits_to_be_appended_is_refused_once_a_longer_own_head_is_shown() -> None:
    desk = Desk()
    desk.create(OWN)
    desk.settle()
    desk.append(STREAM)
    desk.append(STREAM)  # waits for the first to be durable
    desk.tell(m.Requested(ShownAhead(STREAM, 50)))
    desk.settle()
    (refused,) = desk.findings(AppendRefused)
    assert "a Head of length 50" in refused.reason
    assert refused.for_now
    assert desk.book.length(STREAM) == 2
