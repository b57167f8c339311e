"""How streams lie in the store (spec/streams.md 11).

    s/g stream                 genesis
    s/l stream                 the log: how far it is here (LogState)
    s/e stream first           a run of leaves, and the Head that ends with it
    s/c stream first           their contents, as they came with them
    s/d stream index           a content that came later
    s/m stream first           which of their contents are missing
    s/n stream level index     roots of full subtrees of 256 leaves and more
    s/a stream author          the last intent of an author
    s/o stream index           that this entry changed the owners
    s/x stream id              a fork proof (spec/gossip.md 8), by its id
    s/r stream                 the Resolve that counts, with its proof (resolution.py)
    s/u stream                 of an own one: that others may know more of it (caution.py)

Numbers are big-endian, so that a stream lies in its order. A run is what came together: one value
for up to 256 entries, because a key for each would cost more than all else.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from qbix_node.errors import DamagedStore, Malformed
from qbix_node.ports import Put, Rows, Write
from qbix_node.streams.genesis import Genesis, read_genesis
from qbix_node.streams.lacking import LATE, lacking_of, place_key
from qbix_node.streams.messages import (
    CONTENT_BYTES_MAX,
    ENTRIES_MAX,
    Head,
    SignedHead,
    read_hashes,
    read_header,
    read_signed_head,
)
from qbix_node.streams.owners import AuthorId, Owners, Signatures, read_owners, read_signatures
from qbix_node.streams.succession import OWNERS_SET
from qbix_node.streams.tree import (
    LENGTH_MAX,
    Hash,
    Prefix,
    Subtrees,
    bag,
    cut_of,
    grow,
    lead,
    leaf_hashes,
    peaks_of,
)
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import StreamId, format_stream

GENESIS = b"s/g"
LOG = b"s/l"
LEAVES = b"s/e"
CONTENTS = b"s/c"
NODE = b"s/n"
AUTHOR = b"s/a"
CHANGE = b"s/o"

BLOCK_LEVEL = 8  # nodes below are made from leaves when they are needed
BLOCKS_MAX = 8  # that are remembered of those read: 1 MiB
_BLOCK = 1 << BLOCK_LEVEL
_SCAN = 256
_OWNERS_SET = OWNERS_SET.encode()


@dataclass(frozen=True, slots=True)
class LogState:
    """How far a log is here, and the Head that covers it (SPEC streams 4, 5)."""

    length: int
    peaks: tuple[Hash, ...]
    signed: SignedHead
    frontier: tuple[Hash, ...]  # from `length` to the Head's root
    owners: Owners  # who sign what comes next
    stamp_ms: int = 0  # of the only owner's last entry

    @property
    def sequence(self) -> int:
        """What EBT's notes count."""
        return self.length

    @property
    def prefix(self) -> Prefix:
        """What is here, under the Head."""
        return Prefix(self.length, self.peaks, self.frontier)


@dataclass(frozen=True, slots=True)
class AuthorState:
    """Of the last intent of an author in a log."""

    author_seq: int
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Run:
    """Leaves that lie together. `ending`: timestamp and signatures of a Head that ends there."""

    first: int
    leaves: tuple[bytes, ...]
    ending: tuple[int, Signatures] | None

    @property
    def stop(self) -> int:
        return self.first + len(self.leaves)


def log_key(stream: StreamId) -> bytes:
    return LOG + stream


def author_key(stream: StreamId, author: AuthorId) -> bytes:
    return AUTHOR + stream + author


def _node_key(stream: StreamId, level: int, index: int) -> bytes:
    return NODE + stream + bytes([level]) + index.to_bytes(4, "big")


# ---- writes ----


def put_genesis(genesis: Genesis) -> Put:
    return Put(GENESIS + genesis.stream, genesis.encoded)


def put_log(stream: StreamId, state: LogState) -> Put:
    decided = state.owners.packable()
    shown = state.peaks, state.signed.packable(), state.frontier
    return Put(log_key(stream), pack((state.length, *shown, *decided, state.stamp_ms)))


def put_run(stream: StreamId, run: Run, contents: Sequence[bytes | None]) -> list[Write]:
    """`contents` in the order of the leaves; without any, nothing is written for them."""
    key = place_key(LEAVES, stream, run.first)
    writes: list[Write] = [Put(key, pack((run.leaves, run.ending)))]
    if any(content is not None for content in contents):
        writes.append(put_contents(stream, run, contents))
    if None in contents:
        lacking = lacking_of(run.first, run.leaves, contents)
        writes += [lacking.write(stream)] if lacking.every else []
    # SPEC streams 7: an `owners.set` is the last entry under its Head, so the last of its run.
    place = run.stop - 1
    if place > 0 and run.ending is not None and _changes_owners(run.leaves[-1]):
        writes.append(Put(place_key(CHANGE, stream, place), b""))
    return writes


def _changes_owners(leaf: bytes) -> bool:
    return _OWNERS_SET in leaf and read_header(leaf).kind == OWNERS_SET


def put_contents(stream: StreamId, run: Run, contents: Sequence[bytes | None]) -> Put:
    return Put(place_key(CONTENTS, stream, run.first), pack(tuple(contents)))


def put_nodes(stream: StreamId, made: Iterable[Subtrees]) -> list[Write]:
    """Of those that came to be, the ones that are kept."""
    return [
        Put(_node_key(stream, each.level, index), root)
        for each in made
        if each.level >= BLOCK_LEVEL
        for index, root in enumerate(each.roots, each.start)
    ]


def put_author(stream: StreamId, author: AuthorId, state: AuthorState) -> Put:
    return Put(author_key(stream, author), pack((state.author_seq, state.timestamp_ms)))


# ---- reads: all raise DamagedStore ----


def read_streams(rows: Rows) -> dict[StreamId, Genesis]:
    """All that are here."""
    found: dict[StreamId, Genesis] = {}
    for key, encoded in scan_all(rows, GENESIS):
        genesis = _genesis(encoded)
        if GENESIS + genesis.stream != key:
            raise DamagedStore(f"the genesis at {key.hex()} is of another stream")
        found[genesis.stream] = genesis
    return found


def scan_all(rows: Rows, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Whatever begins with it, in order."""
    start, stop = prefix, prefix[:-1] + bytes([prefix[-1] + 1])
    while part := rows.scan(start, stop, limit=_SCAN):
        yield from part
        start = part[-1][0] + b"\0"


def read_log_state(record: bytes, stream: StreamId) -> LogState:
    try:
        row = fields.array(unpack(record, "log"), "log", size=7)
        length, peaks, signed, frontier, weights, threshold, stamp = row
        state = LogState(
            fields.number(length, "log: length", 1, LENGTH_MAX),
            read_hashes(peaks, "log: peaks"),
            read_signed_head(signed),
            read_hashes(frontier, "log: frontier"),
            read_owners(weights, threshold, "log", least=0),
            fields.number(stamp, "log: timestamp"),
        )
    except Malformed as error:
        raise DamagedStore(f"the log of {format_stream(stream)} is damaged: {error}") from error
    head = state.signed.head
    if head.stream != stream or head.root != lead(
        state.peaks, state.length, state.frontier, head.length
    ):
        raise DamagedStore(f"the log of {format_stream(stream)} is not what its Head covers")
    return state


def read_author(record: bytes | None, stream: StreamId) -> AuthorState | None:
    if record is None:
        return None
    try:
        author_seq, stamp = fields.array(unpack(record, "author"), "author", size=2)
        return AuthorState(
            fields.number(author_seq, "author_seq"), fields.number(stamp, "timestamp")
        )
    except Malformed as error:
        raise DamagedStore(f"an author of {format_stream(stream)}: {error}") from error


def read_run(rows: Rows, stream: StreamId, place: int) -> Run | None:
    """The run with the leaf at `place`; None: it is not here."""
    start, stop = LEAVES + stream, place_key(LEAVES, stream, place + 1)
    found = rows.scan(start, stop, limit=1, reverse=True)
    run = _run(stream, *found[0]) if found else None
    return run if run is not None and place < run.stop else None


def read_runs(rows: Rows, stream: StreamId, first: int, stop: int) -> list[Run]:
    """Those with the leaves from `first` to before `stop`, as far as they are here."""
    beginning = read_run(rows, stream, first)
    if beginning is None:
        return []
    runs, here = [beginning], beginning.stop
    while here < stop:
        start, end = place_key(LEAVES, stream, here), place_key(LEAVES, stream, stop)
        part = [_run(stream, *row) for row in rows.scan(start, end, limit=_SCAN)]
        for run in part:
            if run.first != here:
                raise DamagedStore(f"{format_stream(stream)} has a hole at entry {here}")
            here = run.stop
        runs += part
        if not part:
            break
    return runs


def read_leaves(rows: Rows, stream: StreamId, first: int, stop: int) -> list[bytes]:
    runs = read_runs(rows, stream, first, stop)
    leaves = [leaf for run in runs for leaf in run.leaves]
    return leaves[first - runs[0].first : stop - runs[0].first] if runs else []


def read_contents(rows: Rows, stream: StreamId, run: Run) -> tuple[bytes | None, ...]:
    """In the order of its leaves."""
    came = read_first_contents(rows, stream, run)
    late = read_late_contents(rows, stream, run) if None in came[run.first == 0 :] else {}
    if not late:
        return came
    return tuple([late.get(place, content) for place, content in enumerate(came, run.first)])


def read_late_contents(rows: Rows, stream: StreamId, run: Run) -> dict[int, bytes]:
    """Those that came after their entries."""
    found = rows.scan(
        place_key(LATE, stream, run.first), place_key(LATE, stream, run.stop), limit=ENTRIES_MAX
    )
    return {int.from_bytes(key[-4:], "big"): content for key, content in found}


def read_first_contents(rows: Rows, stream: StreamId, run: Run) -> tuple[bytes | None, ...]:
    """Those that came with their entries, and were not dropped."""
    record = rows.get(place_key(CONTENTS, stream, run.first))
    if record is None:
        return (None,) * len(run.leaves)
    try:
        row = fields.array(unpack(record, "contents"), "contents", size=len(run.leaves))
        return tuple(
            [
                None if each is None else fields.data(each, "content", most=CONTENT_BYTES_MAX)
                for each in row
            ]
        )
    except Malformed as error:
        raise DamagedStore(f"contents of {format_stream(stream)}: {error}") from error


@dataclass(slots=True)
class StoredNodes:
    """The tree over what is stored of a log; implements tree.Nodes. Remembers the blocks that it
    read last, so who goes through a log in order reads each block once.
    """

    rows: Rows
    stream: StreamId
    _blocks: dict[int, dict[tuple[int, int], Hash]] = field(default_factory=dict)

    def node(self, level: int, index: int) -> Hash:
        if level >= BLOCK_LEVEL:
            found = self.rows.get(_node_key(self.stream, level, index))
            if found is None or len(found) != 32:
                raise DamagedStore(f"a node of {format_stream(self.stream)} is missing")
            return Hash(found)
        number = index >> (BLOCK_LEVEL - level)
        node = self._block(number).get((level, index - (number << BLOCK_LEVEL - level)))
        if node is None:
            stop = (index + 1) << level
            raise DamagedStore(f"{format_stream(self.stream)} has no entry {stop - 1}")
        return node

    def cut(self, level: int, index: int, total: int) -> Hash:
        return cut_of(self, level, index, total)

    def _block(self, number: int) -> dict[tuple[int, int], Hash]:
        """The full subtrees of a block by level and index within it."""
        if number not in self._blocks:
            if len(self._blocks) >= BLOCKS_MAX:
                del self._blocks[next(iter(self._blocks))]
            first = number << BLOCK_LEVEL
            read = read_leaves(self.rows, self.stream, first, first + _BLOCK)
            hashes = leaf_hashes(read)
            _, made = grow((), 0, hashes)
            found = {(0, place): each for place, each in enumerate(hashes)}
            for level, start, roots in made:
                found.update({(level, index): root for index, root in enumerate(roots, start)})
            self._blocks[number] = found
        return self._blocks[number]


def root_at(rows: Rows, stream: StreamId, length: int) -> Hash:
    """Of the first `length` leaves, all of which are here."""
    return bag(peaks_of(StoredNodes(rows, stream), length))


def read_head_at(rows: Rows, stream: StreamId, length: int) -> SignedHead | None:
    """The Head of that length, if one ended a run here."""
    run = read_run(rows, stream, length - 1)
    if run is None or run.stop != length or run.ending is None:
        return None
    stamp_ms, signatures = run.ending
    return SignedHead(Head(stream, length, root_at(rows, stream, length), stamp_ms), signatures)


def read_logs(rows: Rows, streams: Iterable[StreamId]) -> dict[StreamId, LogState]:
    records = [(stream, rows.get(log_key(stream))) for stream in streams]
    return {each: read_log_state(record, each) for each, record in records if record is not None}


def read_change(rows: Rows, stream: StreamId, first: int) -> int | None:
    """The place of the first change of owners from `first` on."""
    start = place_key(CHANGE, stream, first)
    found = rows.scan(start, CHANGE + stream + b"\xff" * 5, limit=1)
    return int.from_bytes(found[0][0][-4:], "big") if found else None


# ----


def _genesis(encoded: bytes) -> Genesis:
    try:
        return read_genesis(encoded)
    except Malformed as error:
        raise DamagedStore(f"a genesis is damaged: {error}") from error


def _run(stream: StreamId, key: bytes, record: bytes) -> Run:
    try:
        leaves, ending = fields.array(unpack(record, "run"), "run", size=2)
        _require_leaves(leaves)
        if ending is not None:
            stamp, signatures = fields.array(ending, "run: Head", size=2)
            ending = fields.number(stamp, "run: Head"), read_signatures(signatures, "run: Head")
    except Malformed as error:
        raise DamagedStore(f"entries of {format_stream(stream)}: {error}") from error
    return Run(int.from_bytes(key[-4:], "big"), leaves, ending)


def _require_leaves(value: object) -> None:
    """Raises Malformed."""
    leaves = fields.array(value, "run: leaves", most=ENTRIES_MAX)
    if not leaves or any(type(leaf) is not bytes for leaf in leaves):
        raise Malformed("run: expected leaves")
