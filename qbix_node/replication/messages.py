"""What peers say in EBT version 3 and createHistoryStream, what people ask of replication, and
what it finds (spec/replication.md). Bytes come in through the parsers here; they decide nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.wire.references import FeedId, format_feed, parse_feed
from qbix_node.wire.v8json import JsonValue, compact

REFUSED = -1  # the note, and the sequence, that say: this feed is not replicated here
SEQUENCE_MAX = 2**30 - 1  # JavaScript peers shift notes in 32 bits
NOTE_MAX = 2 * SEQUENCE_MAX + 1

LogId = TypeVar("LogId", bound=bytes)  # of a feed or of a stream: both are exchanged alike

EBT_ARGUMENTS: list[JsonValue] = [{"version": 3, "format": "classic"}]


def make_note(sequence: int, *, receive: bool) -> int:
    """SPEC replication 2.1: the sequence, doubled, plus one unless more is asked for."""
    return min(sequence, SEQUENCE_MAX) << 1 | (not receive)


def sequence_of(note: int) -> int:
    """The sequence that a note announces, or REFUSED."""
    return note >> 1


def asks(note: int) -> bool:
    """Whether its sender wants to be sent what follows the announced sequence."""
    return not note & 1  # REFUSED is odd


# ---- between peers ----


@dataclass(frozen=True, slots=True)
class EbtCall:
    """`ebt.replicate`: who dialled calls it; the clock of who answers comes first."""


@dataclass(frozen=True, slots=True)
class EbtNotes(Generic[LogId]):
    notes: Mapping[LogId, int]


@dataclass(frozen=True, slots=True)
class EbtEnded:
    """The conversation is over; `reason` is what the side that ended it said, if anything."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Range(Generic[LogId]):
    """Send the peer these stored messages, after or instead of what still waits of that feed.

    What was sent in this conversation is left out, unless it is to be sent `again`.
    """

    feed: LogId
    first: int
    last: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Stop(Generic[LogId]):
    """Send the peer nothing of what still waits of that feed. `forget`: nor keep in mind what it
    was sent, as it may be sent another branch.
    """

    feed: LogId
    forget: bool = False


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """The argument of createHistoryStream. `sequence` is the first that is asked for."""

    feed: FeedId
    sequence: int = 1
    limit: int | None = None
    live: bool = False
    old: bool = True
    keys: bool = True
    values: bool = True


@dataclass(frozen=True, slots=True)
class HistoryEnded:
    """A stream that we had asked a peer for is over."""

    feed: FeedId
    reason: str | None = None


# ---- what people ask ----


@dataclass(frozen=True, slots=True)
class Follow:
    feed: FeedId


@dataclass(frozen=True, slots=True)
class Unfollow:
    feed: FeedId


@dataclass(frozen=True, slots=True)
class Block:
    feed: FeedId


@dataclass(frozen=True, slots=True)
class Unblock:
    feed: FeedId


@dataclass(frozen=True, slots=True)
class SaveClocks:
    """Keep what connected peers told, as before a clean stop."""


Request = Follow | Unfollow | Block | Unblock | SaveClocks


# ---- what the machine finds ----


@dataclass(frozen=True, slots=True)
class Granted:
    """The request holds, durably."""

    request: object


@dataclass(frozen=True, slots=True)
class Denied:
    request: object
    reason: str


@dataclass(frozen=True, slots=True)
class PeerBlocked:
    """The peer is to be disconnected and kept out."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerUnblocked:
    peer: PeerId


@dataclass(frozen=True, slots=True)
class Hangup:
    """Nothing more can be exchanged over this connection: whoever dialled may dial again."""

    peer: PeerId
    reason: str


# ---- forms on the wire ----


def is_message(value: Mapping[str, JsonValue]) -> bool:
    """Whether an object in an EBT stream is a message; otherwise it is a set of notes."""
    return "author" in value


def parse_notes(value: Mapping[str, JsonValue]) -> dict[FeedId, int]:
    """The notes about classic feeds; names and numbers that we can't use are left out.

    Peers announce feeds of other formats too, and did announce what never was a feed.
    """
    inner = value.get("clock")
    notes = {}
    for name, note in (inner if isinstance(inner, dict) else value).items():
        if type(note) is int and REFUSED <= note <= NOTE_MAX and name.startswith("@"):
            try:
                notes[parse_feed(name)] = note
            except Malformed:
                continue
    return notes


def format_notes(notes: Mapping[FeedId, int]) -> bytes:
    return compact({format_feed(feed): note for feed, note in notes.items()})


def check_ebt_arguments(arguments: list[JsonValue]) -> None:
    """Raises Malformed unless the call is for version 3 and classic feeds."""
    options = arguments[0] if arguments else None
    if not isinstance(options, dict) or options.get("version") != 3:
        raise Malformed("ebt.replicate: expected {version: 3}")
    if options.get("format") not in (None, "classic"):
        raise Malformed("ebt.replicate: only format 'classic' is spoken here")


def parse_history_request(arguments: list[JsonValue]) -> HistoryRequest:
    """Raises Malformed."""
    options = arguments[0] if arguments else None
    if not isinstance(options, dict) or not isinstance(options.get("id"), str):
        raise Malformed("createHistoryStream: expected {id: <feed id>, ...}")
    sequence = _count(options, "sequence") or _count(options, "seq") or 1
    return HistoryRequest(
        parse_feed(str(options["id"])),
        sequence,
        _count(options, "limit"),
        live=options.get("live") is True,
        old=options.get("old") is not False,
        keys=options.get("keys") is not False,
        values=options.get("values") is not False,
    )


def _count(options: Mapping[str, JsonValue], name: str) -> int | None:
    """A positive number, or None for what peers write when they mean none (0, -1, null)."""
    value = options.get(name)
    if value is None:
        return None
    if type(value) is not int:
        raise Malformed(f"createHistoryStream: {name} is no whole number")
    return value if value > 0 else None


def format_history_request(request: HistoryRequest) -> list[JsonValue]:
    options: dict[str, JsonValue] = {
        "id": format_feed(request.feed),
        "seq": request.sequence,
        "live": request.live,
        "old": request.old,
        "keys": request.keys,
        "values": request.values,
    }
    if request.limit is not None:
        options["limit"] = request.limit
    return [options]
