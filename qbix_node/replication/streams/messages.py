"""What peers say of streams in EBT, what people ask, and how notes look on the wire
(spec/replication.md 10). What is the same for feeds stands in replication/messages.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.replication.messages import NOTE_MAX, REFUSED
from qbix_node.wire.references import STREAM_PREFIX, StreamId, format_stream, parse_stream
from qbix_node.wire.v8json import JsonValue, compact


class Format(StrEnum):
    """What one packet carries."""

    SEGMENTS = "qbix-v1-seg"
    ENTRIES = "qbix-v1"  # segments of one entry, as JavaScript's EBT wants them


@dataclass(frozen=True, slots=True)
class FormatCall:
    """`ebt.replicateFormat`: who dialled calls it; the notes of who answers come first."""

    format: Format


@dataclass(frozen=True, slots=True)
class FollowStream:
    """`headers_only`: without contents, until it is followed again without that."""

    stream: StreamId
    headers_only: bool = False


@dataclass(frozen=True, slots=True)
class UnfollowStream:
    stream: StreamId


@dataclass(frozen=True, slots=True)
class StopStream:
    """Take nothing further of it, for this reason; go on announcing and serving it."""

    stream: StreamId
    reason: str


@dataclass(frozen=True, slots=True)
class PeerHolds:
    """What a peer said of streams, be they ours or not: whether it replicates each."""

    peer: PeerId
    streams: Mapping[StreamId, bool]


def format_arguments(format_: Format) -> list[JsonValue]:
    return [{"version": 3, "format": format_.value}]


def parse_format(arguments: list[JsonValue]) -> Format:
    """Raises Malformed."""
    options = arguments[0] if arguments else None
    if not isinstance(options, dict) or options.get("version") != 3:
        raise Malformed("ebt.replicateFormat: expected {version: 3}")
    named = options.get("format")
    if not isinstance(named, str) or named not in list(Format):
        raise Malformed(f"Unknown format: {str(named)[:40]}")
    return Format(named)


def parse_stream_notes(value: Mapping[str, JsonValue]) -> dict[StreamId, int]:
    """Names and numbers that we can't use are left out."""
    inner = value.get("clock")
    notes = {}
    for name, note in (inner if isinstance(inner, dict) else value).items():
        if type(note) is int and REFUSED <= note <= NOTE_MAX and name.startswith(STREAM_PREFIX):
            try:
                notes[parse_stream(name)] = note
            except Malformed:
                continue
    return notes


def format_stream_notes(notes: Mapping[StreamId, int]) -> bytes:
    return compact({format_stream(stream): note for stream, note in notes.items()})
