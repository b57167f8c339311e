"""Stored messages as they leave a node: values that are shared, for nobody alters them.

A text is parsed once in a process, whichever node reads it; so are the packets cut that carry it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from qbix_node.feeds.records import read_log
from qbix_node.ports import Rows
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue, parse

VALUES_MAX = 1 << 14  # texts in memory; beyond, the oldest is parsed anew
PART_BYTES = 32 * 1024  # about so much text travels together

_values: dict[bytes, JsonValue] = {}


@dataclass(frozen=True, slots=True)
class Part:
    values: tuple[JsonValue, ...]
    text_bytes: int
    last: int  # sequence


def value_of(encoded: bytes) -> JsonValue:
    value = _values.get(encoded)
    if value is None:
        value = _values[encoded] = parse(encoded, "stored message")
        if len(_values) > VALUES_MAX:
            del _values[next(iter(_values))]
    return value


def read_values(rows: Rows, feed: FeedId, first: int, limit: int) -> Iterator[Part]:
    """At most `limit` messages from sequence `first` on."""
    values: list[JsonValue] = []
    size, last = 0, 0
    for stored in read_log(rows, feed, first, limit):
        values.append(value_of(stored.encoded))
        size += len(stored.encoded)
        last = stored.sequence
        if size >= PART_BYTES:
            yield Part(tuple(values), size, last)
            values, size = [], 0
    if values:
        yield Part(tuple(values), size, last)
