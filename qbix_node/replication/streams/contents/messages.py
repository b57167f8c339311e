"""What peers say about contents, what is asked of a ContentKeeper, and what it finds
(spec/replication.md 10.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.streams.messages import CONTENT_BYTES_MAX, SEGMENT_BYTES_MAX
from qbix_node.streams.shelf import PLACES_MAX, Edit
from qbix_node.streams.tree import LENGTH_MAX
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import STREAM_PREFIX, StreamId, format_stream, parse_stream
from qbix_node.wire.v8json import JsonValue, compact

METHOD = "qbix.contents"
ARGUMENTS: list[JsonValue] = [{"version": 1}]
QUESTION_BYTES_MAX = 4096
CHOICE = "contents"  # the member that tells a choice from notes


# ---- between peers ----


@dataclass(frozen=True, slots=True)
class ContentChoice:
    """Of which streams the peer wants contents beside entries; of others it does."""

    streams: Mapping[StreamId, bool]


@dataclass(frozen=True, slots=True)
class WantContents:
    stream: StreamId
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """In the order of the places that were asked for; None: not here, or not for you."""

    contents: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class NoContents:
    """The question was not answered. `never`: the peer doesn't know of such questions."""

    never: bool = False


# ---- asked of a ContentKeeper ----


@dataclass(frozen=True, slots=True)
class Change:
    """`number` names it in Changed or ChangeRefused."""

    number: int
    edit: Edit


# ---- found ----


@dataclass(frozen=True, slots=True)
class Changed:
    """It is durable. `wrong`: an entry whose content was not what its header names."""

    number: int
    contents: int
    bytes: int
    wrong: int | None = None


@dataclass(frozen=True, slots=True)
class ChangeRefused:
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Filled:
    """So many contents that were missing are durable. `peer`: None, if a file brought them."""

    stream: StreamId
    peer: PeerId | None
    contents: int


@dataclass(frozen=True, slots=True)
class ContentsRefused:
    """The peer sent what is not the content of that entry; it is not asked any more."""

    peer: PeerId
    stream: StreamId
    reason: str


# ---- bytes ----


def format_choice(streams: Mapping[StreamId, bool]) -> bytes:
    return compact({CHOICE: {format_stream(stream): want for stream, want in streams.items()}})


def parse_choice(value: JsonValue) -> ContentChoice:
    """Of the member `contents`. Names and values that we can't use are left out."""
    streams = {}
    for name, want in value.items() if isinstance(value, dict) else ():
        if type(want) is bool and name.startswith(STREAM_PREFIX):
            try:
                streams[parse_stream(name)] = want
            except Malformed:
                continue
    return ContentChoice(streams)


def encode_question(question: WantContents) -> bytes:
    return pack((1, question.stream, question.places))


def read_question(data: bytes) -> WantContents:
    """Raises Malformed."""
    what = f"{METHOD}: question"
    if len(data) > QUESTION_BYTES_MAX:
        raise Malformed(f"{what}: {len(data)} bytes, {QUESTION_BYTES_MAX} are allowed")
    _, stream, places = fields.versioned(unpack(data, what), what, size=3)
    named = StreamId(fields.data(stream, f"{what}: stream", size=32))
    rows = fields.array(places, f"{what}: places", most=PLACES_MAX)
    if not rows:
        raise Malformed(f"{what}: it names no places")
    return WantContents(
        named, tuple([fields.number(each, f"{what}: place", 1, LENGTH_MAX - 1) for each in rows])
    )


def encode_answer(answer: Contents) -> bytes:
    return pack((1, answer.contents))


def read_answer(data: bytes) -> Contents:
    """Raises Malformed."""
    what = f"{METHOD}: answer"
    if len(data) > SEGMENT_BYTES_MAX:
        raise Malformed(f"{what}: {len(data)} bytes, {SEGMENT_BYTES_MAX} are allowed")
    _, contents = fields.versioned(unpack(data, what), what, size=2)
    rows = fields.array(contents, f"{what}: contents", most=PLACES_MAX)
    return Contents(
        tuple(
            [
                None if each is None else fields.data(each, what, most=CONTENT_BYTES_MAX)
                for each in rows
            ]
        )
    )


def check_arguments(arguments: list[JsonValue]) -> None:
    """Raises Malformed."""
    if compact(arguments) != compact(ARGUMENTS):
        raise Malformed(f"{METHOD}: expected {{version: 1}}")
