"""Contents that are missing, filled, dropped and asked for, in the store."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qbix_node.errors import DamagedStore
from qbix_node.ports import Put
from qbix_node.store.memory import MemoryDisk
from qbix_node.streams import shelf
from qbix_node.streams.lacking import LACKING, place_key, read_lacking
from qbix_node.streams.messages import CONTENT_BYTES_MAX
from qbix_node.streams.records import Run, put_run
from qbix_node.streams.serving import read_entries
from qbix_node.streams.shelf import (
    ANSWER_BYTES_MAX,
    PLACES_MAX,
    RUNS_MAX,
    AskFor,
    Drop,
    Edit,
    Edited,
    Fill,
    Found,
    LackingIn,
    answer_contents,
    count_gaps,
)
from qbix_node.wire.packing import Packable, pack
from tests.streams.logs import CAROL, START_MS, Log, alices_log, genesis_of, owners_of

LENGTH = 700
LOG = alices_log(LENGTH)
STREAM = LOG.stream
RIGHT = {place: content for place, content in enumerate(LOG.contents) if content is not None}


def stored(log: Log, *sizes: int, here: range = range(0)) -> MemoryDisk:
    """In runs of these sizes and then of 256, with the contents of some places."""
    disk, first, left = MemoryDisk(), 0, [*sizes]
    while first < log.length:
        stop = min(first + (left.pop(0) if left else 256), log.length)
        contents = [log.contents[place] if place in here else None for place in range(first, stop)]
        disk.append(put_run(log.stream, Run(first, tuple(log.leaves[first:stop]), None), contents))
        first = stop
    disk.sync()
    return disk


def carry_out(disk: MemoryDisk, edit: Edit) -> list[Edited]:
    parts, left = list[Edited](), edit
    while left is not None:
        part = left.answer(disk)
        disk.append(part.writes)
        disk.sync()
        parts.append(part)
        if part.rest is None:
            return parts
        left = part.rest
    return parts


def here(disk: MemoryDisk, length: int = LENGTH) -> dict[int, bytes]:
    entries = read_entries(disk, STREAM, 0, length)
    return {entry.place: entry.content for entry in entries if entry.content is not None}


def lacking(disk: MemoryDisk, *, whole: bool, stop: int = LENGTH) -> list[int]:
    """Part by part, as a ContentKeeper looks."""
    found = list[int]()
    while stop:
        part = LackingIn(STREAM, 0, stop, whole).answer(disk)
        assert part.below < stop
        found += [each.place for each in part.missing]
        stop = part.below
    return found


def gaps(disk: MemoryDisk, first: int, stop: int) -> tuple[int, int, int]:
    parts = list(count_gaps(disk, STREAM, first, stop))
    return (
        sum([part.missing for part in parts]),
        sum([part.dropped for part in parts]),
        sum([part.asked for part in parts]),
    )


def test_what_came_without_contents_is_lacking_newest_first() -> None:
    disk = stored(LOG, 3, 1, here=range(100, 200))
    assert lacking(disk, whole=True) == [*range(LENGTH - 1, 199, -1), *range(99, 0, -1)]
    assert lacking(disk, whole=False) == []
    assert gaps(disk, 0, LENGTH) == (599, 0, 0)
    assert gaps(disk, 150, 210) == (10, 0, 0)


def test_where_nothing_is_missing_nothing_is_written_for_it() -> None:
    disk = stored(LOG, here=range(LENGTH))
    assert disk.scan(LACKING, LACKING + b"\xff", limit=1) == []


places = st.integers(1, LENGTH - 1)
spans = st.tuples(places, st.integers(1, 400)).map(lambda each: (each[0], sum(each)))
edits = st.one_of(
    spans.map(lambda span: Drop(STREAM, *span)),
    spans.map(lambda span: AskFor(STREAM, *span)),
    st.tuples(st.sets(places, max_size=40), st.booleans()).map(
        lambda each: Fill(STREAM, {place: RIGHT[place] for place in each[0]}, each[1])
    ),
)


class Model:
    """The same with sets."""

    def __init__(self, there: set[int]) -> None:
        self.there = there
        self.dropped: set[int] = set()
        self.asked: set[int] = set()

    def carry_out(self, edit: Edit) -> None:
        match edit:
            case Drop(_, first, stop):
                span = {*range(first, min(stop, LENGTH))}
                self.there -= span
                self.asked -= span
                self.dropped |= span
            case AskFor(_, first, stop):
                span = {*range(first, min(stop, LENGTH))} - self.there
                self.dropped -= span
                self.asked |= span
            case Fill(_, contents, dropped):
                brought = {*contents} if dropped else {*contents} - self.dropped
                self.there |= brought
                self.dropped -= brought
                self.asked -= brought


@settings(max_examples=60, deadline=None)
@given(st.lists(edits, max_size=8), st.lists(st.integers(1, 256), max_size=6), spans)
def test_any_changes_lead_where_sets_lead(
    changes: list[Edit], sizes: list[int], span: tuple[int, int]
) -> None:
    disk, model = stored(LOG, *sizes, here=range(*span)), Model({*range(*span)} & {*RIGHT})
    for change in changes:
        carry_out(disk, change)
        model.carry_out(change)
    assert here(disk) == {place: RIGHT[place] for place in model.there}
    missing = {*RIGHT} - model.there
    assert {*lacking(disk, whole=True)} == missing - model.dropped
    assert {*lacking(disk, whole=False)} == model.asked
    found = gaps(disk, *span)
    assert found == tuple(
        [
            len(each & {*range(*span)})
            for each in (missing - model.dropped, model.dropped, model.asked)
        ]
    )


def test_many_small_runs_are_changed_part_by_part() -> None:
    disk = stored(LOG, *[1] * LENGTH, here=range(LENGTH))
    parts = carry_out(disk, Drop(STREAM, 1, LENGTH))
    assert len(parts) == 3
    assert sum([part.contents for part in parts]) == LENGTH - 1
    parts = carry_out(disk, AskFor(STREAM, 1, LENGTH))
    assert len(parts) == 3
    assert sum([part.contents for part in parts]) == LENGTH - 1
    assert len(LackingIn(STREAM, 0, LENGTH, whole=True).answer(disk).missing) == PLACES_MAX
    assert lacking(disk, whole=False) == [*range(LENGTH - 1, 0, -1)]


def test_many_runs_with_nothing_to_fetch_are_looked_at_part_by_part() -> None:
    disk = stored(LOG, *[1] * LENGTH, here=range(LENGTH))
    carry_out(disk, Drop(STREAM, 1, LENGTH))
    assert LackingIn(STREAM, 0, LENGTH, whole=True).answer(disk) == Found((), LENGTH - RUNS_MAX)
    assert lacking(disk, whole=True) == []


def test_what_is_not_the_content_is_not_kept() -> None:
    disk = stored(LOG)
    [part] = carry_out(disk, Fill(STREAM, {5: RIGHT[5], 6: RIGHT[5], 7: b"", LENGTH: b"x"}))
    assert (part.contents, part.wrong) == (1, 6)
    assert here(disk) == {5: RIGHT[5]}
    assert carry_out(disk, Fill(STREAM, {5: b"not looked at, as it is here"}))[0].wrong is None


def test_a_change_of_owners_keeps_its_content() -> None:
    log = Log(genesis_of()).write_many(3)
    log.hand_over(owners_of((CAROL, 1), threshold=1), (0, CAROL))
    disk = MemoryDisk()
    disk.append(put_run(log.stream, Run(0, tuple(log.leaves), None), log.contents))
    disk.sync()
    [part] = carry_out(disk, Drop(log.stream, 1, 99))
    assert part.contents == 3
    kept = [entry.content for entry in read_entries(disk, log.stream, 0, 99)]
    assert kept == [None] * 4 + [log.contents[4]]


# ---- large contents ----


def log_of(count: int, size: int) -> Log:
    log = Log(genesis_of())
    for number in range(count):
        log.write(f"{number:04d}" + "x" * (size - 4), stamp_ms=START_MS)
    return log


def test_an_answer_holds_so_much_and_no_more() -> None:
    log = log_of(20, CONTENT_BYTES_MAX)
    disk = stored(log, 3, here=range(99))
    answer = answer_contents(disk, log.stream, tuple(range(20, 0, -1))).contents
    assert [each is not None for each in answer] == [False] * 5 + [True] * 15
    assert sum([len(each or b"") for each in answer]) <= ANSWER_BYTES_MAX
    empty = stored(log, 3)
    asked = LackingIn(log.stream, 0, 21, whole=True).answer(empty)
    assert [each.place for each in asked.missing] == [*range(20, 5, -1)]
    assert asked.below == 6


def test_little_is_read_for_an_answer_however_far_apart_the_places_lie() -> None:
    log = log_of(300, 30_000)
    disk = CountingDisk(stored(log, *[30] * 10, here=range(999)))
    answer = answer_contents(disk, log.stream, tuple(range(1, 300, 30))).contents
    assert [each is not None for each in answer] == [True] * 5 + [False] * 5
    assert disk.bytes_read < 2 * shelf.READ_BYTES_MAX


class CountingDisk:
    """Implements ports.Rows."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk
        self.bytes_read = 0

    def get(self, key: bytes) -> bytes | None:
        found = self._disk.get(key)
        self.bytes_read += len(found or b"")
        return found

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        found = self._disk.scan(start, stop, limit=limit, reverse=reverse)
        self.bytes_read += sum([len(value) for _, value in found])
        return found


def damaged_records() -> Iterator[Packable]:
    yield from (1, (), ((), ()), ((), (), (), ()), ((256,), (), ()), ((-1,), (), ()))
    yield from ((("x",), (), ()), (tuple(range(257)), (), ()), (1, (), ()))


@pytest.mark.parametrize("record", list(damaged_records()), ids=str)
def test_what_is_damaged_is_not_believed(record: Packable) -> None:
    disk = MemoryDisk()
    disk.append([Put(place_key(LACKING, STREAM, 0), pack(record))])
    disk.sync()
    with pytest.raises(DamagedStore, match="missing contents"):
        read_lacking(disk, STREAM, 0)
