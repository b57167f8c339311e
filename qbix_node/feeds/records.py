"""How feeds lie in the store (spec/classic-feeds.md 6).

    f/h feed                 head: sequence (8 bytes), id
    f/m feed sequence        message: id, milliseconds of arrival (8 bytes), encoded as UTF-8
    f/x feed                 evidence of a fork: arrival, two encoded messages (msgpack)

Numbers are big-endian, so that a feed lies in its order.
"""

from dataclasses import dataclass

from qbix_node.errors import DamagedStore, Malformed
from qbix_node.feeds.messages import ClassicMessage, Head, Refused
from qbix_node.feeds.validation import read_message
from qbix_node.ports import Put, Rows
from qbix_node.wire import packing, v8json
from qbix_node.wire.references import FeedId, MessageId, format_feed

_HEAD = b"f/h"
_MESSAGE = b"f/m"
_EVIDENCE = b"f/x"
_ID_BYTES = 32
_FEED_BYTES = 32
_SCAN = 1000  # keys read at once


@dataclass(frozen=True, slots=True)
class StoredMessage:
    feed: FeedId
    sequence: int
    id: MessageId
    received_ms: int
    encoded: bytes  # UTF-8 of ClassicMessage.encoded

    def message(self) -> ClassicMessage:
        return _stored_message(self.encoded, self.feed)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two valid messages of one author and sequence: whoever checks both knows of the fork."""

    received_ms: int
    ours: ClassicMessage
    theirs: ClassicMessage


def message_key(feed: FeedId, sequence: int) -> bytes:
    return _MESSAGE + feed + sequence.to_bytes(8, "big")


def put_message(message: ClassicMessage, received_ms: int) -> Put:
    record = message.id + received_ms.to_bytes(8, "big") + message.encoded.encode()
    return Put(message_key(message.author, message.sequence), record)


def put_head(feed: FeedId, head: Head) -> Put:
    return Put(_HEAD + feed, head.sequence.to_bytes(8, "big") + head.id)


def put_evidence(evidence: Evidence) -> Put:
    texts = evidence.ours.encoded.encode(), evidence.theirs.encoded.encode()
    return Put(_EVIDENCE + evidence.ours.author, packing.pack((evidence.received_ms, *texts)))


def unpack_message(feed: FeedId, sequence: int, record: bytes) -> StoredMessage:
    if len(record) <= _ID_BYTES + 8:
        raise DamagedStore(f"the record of message {sequence} of {format_feed(feed)} is too short")
    received_ms = int.from_bytes(record[_ID_BYTES : _ID_BYTES + 8], "big")
    return StoredMessage(
        feed, sequence, MessageId(record[:_ID_BYTES]), received_ms, record[_ID_BYTES + 8 :]
    )


def read_heads(rows: Rows) -> dict[FeedId, Head]:
    heads = {}
    for key, record in _scan_all(rows, _HEAD):
        if len(key) != len(_HEAD) + _FEED_BYTES or len(record) != 8 + _ID_BYTES:
            raise DamagedStore(f"the head record at {key.hex()} is not one")
        head = Head(int.from_bytes(record[:8], "big"), MessageId(record[8:]))
        heads[FeedId(key[len(_HEAD) :])] = head
    return heads


def read_forked(rows: Rows) -> set[FeedId]:
    return {FeedId(key[len(_EVIDENCE) :]) for key, _ in _scan_all(rows, _EVIDENCE)}


def read_log(rows: Rows, feed: FeedId, first: int, limit: int) -> list[StoredMessage]:
    """At most `limit` messages from sequence `first` on."""
    found = rows.scan(message_key(feed, first), _MESSAGE + _after(feed), limit=limit)
    return [unpack_message(feed, int.from_bytes(key[-8:], "big"), record) for key, record in found]


def read_evidence(rows: Rows, feed: FeedId) -> Evidence | None:
    record = rows.get(_EVIDENCE + feed)
    if record is None:
        return None
    try:
        received_ms, ours, theirs = packing.unpack(record, "evidence record")
    except (Malformed, ValueError, TypeError) as error:
        raise DamagedStore(f"the evidence about {format_feed(feed)} is damaged") from error
    if [type(part) for part in (received_ms, ours, theirs)] != [int, bytes, bytes]:
        raise DamagedStore(f"the evidence about {format_feed(feed)} is damaged")
    return Evidence(received_ms, _stored_message(ours, feed), _stored_message(theirs, feed))


def _stored_message(encoded: bytes, feed: FeedId) -> ClassicMessage:
    try:
        message = read_message(v8json.parse(encoded, "stored message"))
    except Malformed as error:
        raise DamagedStore(f"a message of {format_feed(feed)}: {error}") from error
    if isinstance(message, Refused):
        raise DamagedStore(f"a message of {format_feed(feed)}: {message.reason}")
    return message


def _scan_all(rows: Rows, prefix: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    start = prefix
    while part := rows.scan(start, _after(prefix), limit=_SCAN):
        found += part
        start = part[-1][0] + b"\0"
    return found


def _after(prefix: bytes) -> bytes:
    """The first key past all that start with `prefix`."""
    number = int.from_bytes(prefix, "big") + 1
    return number.to_bytes(len(prefix), "big")
