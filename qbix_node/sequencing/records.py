"""What must not be forgotten of sequencing (spec/sequencing.md 8).

q/p stream   what this node proposes, until it stands in the log
q/s stream   the newest Head that this node has signed together with others
q/a stream   the last intent of this node: author_seq and timestamp
q/r stream owner   which branch of a fork an owner chose, this node or another
q/k stream owner   the newest vote of an owner, this node or another
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from qbix_node.errors import DamagedStore, Malformed
from qbix_node.ports import Delete, Put, Rows
from qbix_node.sequencing.messages import LEAVES_MAX, Choice, Vote
from qbix_node.sequencing.packets import read_choice, read_vote
from qbix_node.streams.genesis import GENESIS_BYTES_MAX
from qbix_node.streams.messages import Head, read_head
from qbix_node.streams.records import AuthorState
from qbix_node.streams.tree import LENGTH_MAX, Hash
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import StreamId, format_stream

PROPOSAL = b"q/p"
SIGNED = b"q/s"
WRITTEN = b"q/a"
VOTE = b"q/k"
CHOICE = b"q/r"

_SCAN = 256

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Run:
    """What is proposed: leaves from `first` on with their contents, under a Head."""

    first: int
    leaves: tuple[bytes, ...]
    contents: tuple[bytes | None, ...]
    head: Head


@dataclass(frozen=True, slots=True)
class Signed:
    """Everything that this node signs of the stream continues this."""

    length: int
    root: Hash


def put_run(run: Run) -> Put:
    row = run.first, run.leaves, run.contents, (1, *run.head)
    return Put(PROPOSAL + run.head.stream, pack(row))


def delete_run(stream: StreamId) -> Delete:
    return Delete(PROPOSAL + stream)


def put_signed(stream: StreamId, signed: Signed) -> Put:
    return Put(SIGNED + stream, pack((signed.length, signed.root)))


def delete_signed(stream: StreamId) -> Delete:
    return Delete(SIGNED + stream)


def put_written(stream: StreamId, last: AuthorState) -> Put:
    return Put(WRITTEN + stream, pack((last.author_seq, last.timestamp_ms)))


def put_vote(vote: Vote) -> Put:
    return Put(_key(VOTE, vote.head.stream, vote.owner), pack(vote.packable()))


def delete_vote(stream: StreamId, owner: int) -> Delete:
    return Delete(_key(VOTE, stream, owner))


def put_choice(choice: Choice) -> Put:
    return Put(_key(CHOICE, choice.stream, choice.owner), pack(choice.packable()))


def _key(prefix: bytes, stream: StreamId, owner: int) -> bytes:
    return prefix + stream + owner.to_bytes(1, "big")


# ---- reads: all raise DamagedStore ----


def read_runs(rows: Rows) -> dict[StreamId, Run]:
    return _read(rows, PROPOSAL, _run)


def read_signed(rows: Rows) -> dict[StreamId, Signed]:
    return _read(rows, SIGNED, _signed)


def read_run_of(rows: Rows, stream: StreamId) -> Run | None:
    record = rows.get(PROPOSAL + stream)
    return None if record is None else _read_one(stream, record, _run)


def read_signed_of(rows: Rows, stream: StreamId) -> Signed | None:
    record = rows.get(SIGNED + stream)
    return None if record is None else _read_one(stream, record, _signed)


def read_written(rows: Rows) -> dict[StreamId, AuthorState]:
    return _read(rows, WRITTEN, _written)


def read_votes(rows: Rows) -> dict[tuple[StreamId, int], Vote]:
    return {
        (StreamId(key[:32]), vote.owner): vote for key, vote in _read(rows, VOTE, _vote).items()
    }


def _vote(value: object) -> Vote:
    return read_vote(value, "vote")


def read_choices(rows: Rows) -> dict[StreamId, dict[int, Choice]]:
    found: dict[StreamId, dict[int, Choice]] = {}
    for choice in _read(rows, CHOICE, _choice).values():
        found.setdefault(choice.stream, {})[choice.owner] = choice
    return found


def _choice(value: object) -> Choice:
    return read_choice(*fields.array(value, "choice", size=2))


def _read(rows: Rows, prefix: bytes, read: Callable[[object], Row]) -> dict[StreamId, Row]:
    found, start = dict[StreamId, Row](), prefix
    while part := rows.scan(start, prefix + b"\xff" * 33, limit=_SCAN):
        for key, record in part:
            stream = StreamId(key[len(prefix) :])
            found[stream] = _read_one(stream, record, read)
        start = part[-1][0] + b"\0"
    return found


def _read_one(stream: StreamId, record: bytes, read: Callable[[object], Row]) -> Row:
    try:
        return read(unpack(record, "record"))
    except Malformed as error:
        raise DamagedStore(f"what was signed of {format_stream(stream)}: {error}") from error


def _run(value: object) -> Run:
    first, leaves, contents, body = fields.array(value, "proposal", size=4)
    rows = fields.array(leaves, "proposal: leaves", most=LEAVES_MAX)
    given = fields.array(contents, "proposal: contents", size=len(rows))
    return Run(
        fields.number(first, "proposal: first", 0, LENGTH_MAX - 1),
        tuple([fields.data(leaf, "proposal: leaf", most=GENESIS_BYTES_MAX) for leaf in rows]),
        tuple([None if each is None else fields.data(each, "content") for each in given]),
        read_head(body, "proposal"),
    )


def _signed(value: object) -> Signed:
    length, root = fields.array(value, "Head", size=2)
    return Signed(
        fields.number(length, "Head: length", 1, LENGTH_MAX),
        Hash(fields.data(root, "Head: root", size=32)),
    )


def _written(value: object) -> AuthorState:
    author_seq, stamp = fields.array(value, "intent", size=2)
    numbers = fields.number(author_seq, "intent: author_seq"), fields.number(stamp, "intent: time")
    return AuthorState(*numbers)
