"""Contents apart from their entries: what is missing, what fills it, what is dropped
(spec/streams.md 3, 11).

Questions about the store, whose answers are worked out in bounded parts. Whoever asks lets one
piece of work after the other change the contents of a stream.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from qbix_node.crypto.boxes import sha256
from qbix_node.ports import Delete, Put, Rows, Write
from qbix_node.streams.lacking import (
    LATE,
    place_key,
    read_lacking,
    scan_lacking,
)
from qbix_node.streams.messages import SEGMENT_BYTES_MAX, read_header
from qbix_node.streams.records import (
    Run,
    put_contents,
    read_contents,
    read_first_contents,
    read_late_contents,
    read_run,
)
from qbix_node.streams.succession import OWNERS_SET
from qbix_node.wire.references import StreamId

PLACES_MAX = 256  # of contents that are asked for at once
ANSWER_BYTES_MAX = SEGMENT_BYTES_MAX - 16 * 1024  # of contents in one answer
CONTENT_FIELD_BYTES = 5  # at most, before a content
READ_BYTES_MAX = 4 * SEGMENT_BYTES_MAX  # of contents that are read for one answer
RUNS_MAX = 256  # that one part of an answer looks at


@dataclass(frozen=True, slots=True)
class Missing:
    """What a header says about the content that belongs there."""

    place: int
    size: int
    hash: bytes

    def fits(self, content: bytes) -> bool:
        return len(content) == self.size and sha256(content) == self.hash


@dataclass(frozen=True, slots=True)
class Found:
    """Contents to be fetched, newest first. `below`: what lies from there on was looked at."""

    missing: tuple[Missing, ...]
    below: int


@dataclass(frozen=True, slots=True)
class LackingIn:
    """What is to be fetched from `first` to before `stop`. `whole`: not only what was asked for."""

    stream: StreamId
    first: int
    stop: int
    whole: bool

    def answer(self, rows: Rows) -> Found:
        found, size = list[Missing](), 0
        beginning = read_run(rows, self.stream, self.first)
        start = beginning.first if beginning else self.first
        part = scan_lacking(rows, self.stream, start, self.stop, RUNS_MAX, reverse=True)
        for lacking in part:
            wanted = {*lacking.asked, *(lacking.plain if self.whole else ())}
            places = sorted([place for place in wanted if self.first <= place < self.stop])
            for each in reversed(_named(rows, self.stream, places)):
                size += each.size + CONTENT_FIELD_BYTES
                if found and (size > ANSWER_BYTES_MAX or len(found) == PLACES_MAX):
                    return Found(tuple(found), found[-1].place)
                found.append(each)
        below = part[-1].first if len(part) == RUNS_MAX else self.first
        return Found(tuple(found), max(below, self.first))


def _named(rows: Rows, stream: StreamId, places: list[int]) -> list[Missing]:
    """By the headers of one run."""
    run = read_run(rows, stream, places[0]) if places else None
    if run is None:
        return []
    return [_missing(run, place) for place in places]


def _missing(run: Run, place: int) -> Missing:
    header = read_header(run.leaves[place - run.first])
    return Missing(place, header.content_size, header.content_hash)


# ---- changes ----


@dataclass(frozen=True, slots=True)
class Edited:
    """A part of a change. `rest`: what is to be done after it; `wrong`: a place whose content was
    not what its header names.
    """

    writes: tuple[Write, ...]
    contents: int
    bytes: int
    rest: "Edit | None" = None
    wrong: int | None = None


@dataclass(frozen=True, slots=True)
class Fill:
    """Keep these where they are missing and are what their headers name; `dropped` ones, too."""

    stream: StreamId
    contents: Mapping[int, bytes]
    dropped: bool = False

    def answer(self, rows: Rows) -> Edited:
        writes, size, count, wrong = list[Write](), 0, 0, list[int]()
        left = dict(sorted(self.contents.items()))
        while left:
            run = read_run(rows, self.stream, next(iter(left)))
            if run is None:
                break  # what is beyond is not here either
            there = {place: left.pop(place) for place in [*left] if place < run.stop}
            lacking = read_lacking(rows, self.stream, run.first)
            takes = lacking.every if self.dropped else {*lacking.plain, *lacking.asked}
            new = {place: each for place, each in there.items() if place in takes}
            good = {place: each for place, each in new.items() if _missing(run, place).fits(each)}
            wrong += [place for place in new if place not in good]
            if good:
                writes += [Put(place_key(LATE, self.stream, place), good[place]) for place in good]
                writes.append(lacking.filled(good).write(self.stream))
                count, size = count + len(good), size + sum(map(len, good.values()))
        return Edited(tuple(writes), count, size, wrong=wrong[0] if wrong else None)


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget the contents from `first` to before `stop`, and don't fetch them by itself again."""

    stream: StreamId
    first: int
    stop: int

    def answer(self, rows: Rows) -> Edited:
        writes, size, count, read = list[Write](), 0, 0, 0
        for number, run in enumerate(_runs(rows, self.stream, self.first, self.stop), 1):
            came = read_first_contents(rows, self.stream, run)
            late = read_late_contents(rows, self.stream, run)
            here = {place: each for place, each in enumerate(came, run.first) if each is not None}
            gone = {
                place: content
                for place, content in {**here, **late}.items()
                if self.first <= place < self.stop and not _stays(run, place)
            }
            writes += self._writes(rows, run, came, gone)
            count, size = count + len(gone), size + sum(map(len, gone.values()))
            read += sum([len(each) for each in {**here, **late}.values()])
            if run.stop < self.stop and (read > READ_BYTES_MAX or number == RUNS_MAX):
                return Edited(tuple(writes), count, size, replace(self, first=run.stop))
        return Edited(tuple(writes), count, size)

    def _writes(
        self, rows: Rows, run: Run, came: tuple[bytes | None, ...], gone: Mapping[int, bytes]
    ) -> Iterator[Write]:
        lacking = read_lacking(rows, self.stream, run.first)
        waiting = [place for place in lacking.every if self.first <= place < self.stop]
        kept = [None if place in gone else each for place, each in enumerate(came, start=run.first)]
        if kept != [*came]:
            yield put_contents(self.stream, run, kept)
        yield from [Delete(place_key(LATE, self.stream, place)) for place in gone]
        if gone or waiting:
            yield lacking.with_dropped([*gone, *waiting]).write(self.stream)


def _stays(run: Run, place: int) -> bool:
    """SPEC streams 7: the content of an `owners.set` is never left out."""
    return place == 0 or read_header(run.leaves[place - run.first]).kind == OWNERS_SET


@dataclass(frozen=True, slots=True)
class AskFor:
    """Fetch what is missing from `first` to before `stop`, dropped or not."""

    stream: StreamId
    first: int
    stop: int

    def answer(self, rows: Rows) -> Edited:
        beginning = read_run(rows, self.stream, self.first)
        start = beginning.first if beginning else self.first
        part = scan_lacking(rows, self.stream, start, self.stop, RUNS_MAX)
        writes, count = list[Write](), 0
        for lacking in part:
            places = [place for place in lacking.every if self.first <= place < self.stop]
            count += len(places)
            if not {*places} <= {*lacking.asked}:
                writes.append(lacking.with_asked(places).write(self.stream))
        last = read_run(rows, self.stream, part[-1].first) if len(part) == RUNS_MAX else None
        rest = replace(self, first=last.stop) if last else None
        return Edited(tuple(writes), count, 0, rest)


Edit = Fill | Drop | AskFor


def _runs(rows: Rows, stream: StreamId, first: int, stop: int) -> Iterator[Run]:
    while first < stop and (run := read_run(rows, stream, first)) is not None:
        yield run
        first = run.stop


# ---- for peers ----


@dataclass(frozen=True, slots=True)
class AnsweredContents:
    """In the order of the places; `read`: how many bytes were, to make it out."""

    contents: tuple[bytes | None, ...]
    read: int


def answer_contents(rows: Rows, stream: StreamId, places: tuple[int, ...]) -> AnsweredContents:
    """Of these places, as far as they are here and one answer holds them. What is read for it is
    bounded, however far apart they lie.
    """
    found, size, read = dict[int, bytes](), 0, 0
    run, contents = None, tuple[bytes | None, ...]()
    for place in sorted({*places}):
        if run is None or place >= run.stop:
            if read > READ_BYTES_MAX:
                break
            run = read_run(rows, stream, place)
            if run is None:
                break
            contents = read_contents(rows, stream, run)
            read += sum([len(each or b"") for each in (*contents, *run.leaves)])
        content = contents[place - run.first]
        if content is not None and place > 0:
            size += len(content) + CONTENT_FIELD_BYTES
            if size > ANSWER_BYTES_MAX:
                break
            found[place] = content
    return AnsweredContents(tuple([found.get(place) for place in places]), read)


# ---- for people ----


@dataclass(frozen=True, slots=True)
class Gaps:
    """How many contents are missing in a range."""

    missing: int  # dropped ones not counted
    dropped: int
    asked: int  # of those missing, the ones that were asked for by name


def count_gaps(rows: Rows, stream: StreamId, first: int, stop: int) -> Iterator[Gaps]:
    """Part by part."""
    beginning = read_run(rows, stream, first)
    start = beginning.first if beginning else first
    while part := scan_lacking(rows, stream, start, stop, RUNS_MAX):
        within = range(first, stop)
        plain, dropped, asked = [
            sum([place in within for each in part for place in places(each)])
            for places in (_plain, _dropped, _asked)
        ]
        yield Gaps(plain + asked, dropped, asked)
        start = part[-1].first + 1


_plain, _dropped, _asked = (attrgetter(name) for name in ("plain", "dropped", "asked"))
