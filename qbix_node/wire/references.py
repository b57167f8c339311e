"""Names of Scuttlebutt things: feeds `@…`, messages `%…`, blobs `&…`, and their URI forms.

A reference is its sigil, canonical base64 of 32 bytes and a suffix; the URI form is
`ssb:message/classic/<base64url>` and so on (github.com/ssbc/ssb-uri-spec). Both forms are read,
the sigil form is written. Streams have the URI form only (spec/streams.md 1).
"""

import base64
import binascii
from functools import lru_cache
from typing import NewType

from qbix_node.errors import Malformed

FeedId = NewType("FeedId", bytes)  # Ed25519 public key, 32 bytes
MessageId = NewType("MessageId", bytes)  # SHA-256 of the encoded message, 32 bytes
BlobId = NewType("BlobId", bytes)  # SHA-256 of the blob, 32 bytes
StreamId = NewType("StreamId", bytes)  # of the genesis, 32 bytes

FEEDS_MAX = 4096  # ids that are remembered: every message of an author names it again

STREAM_PREFIX = "ssb:feed/qbix-v1/"

_URI = {
    "feed": ("ssb:feed/ed25519/", "ssb:feed/classic/"),
    "message": ("ssb:message/sha256/", "ssb:message/classic/"),
    "blob": ("ssb:blob/sha256/", "ssb:blob/classic/"),
}


def decode_base64(text: str, size: int | None = None) -> bytes | None:
    """The bytes of canonical standard base64 (of `size` bytes, if given), else None."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    canonical = binascii.b2a_base64(data, newline=False).decode() == text
    return data if canonical and (size is None or len(data) == size) else None


def encode_base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def format_feed(feed: bytes) -> str:
    return f"@{encode_base64(feed)}.ed25519"


def format_message(message: bytes) -> str:
    return f"%{encode_base64(message)}.sha256"


def format_blob(blob: bytes) -> str:
    return f"&{encode_base64(blob)}.sha256"


def format_stream(stream: bytes) -> str:
    return STREAM_PREFIX + base64.urlsafe_b64encode(stream).decode()


def is_feed(text: str) -> bool:
    """Whether it means to be the id of a feed, which is the key of its author."""
    return text.startswith("@")


def is_stream(text: str) -> bool:
    """Whether it means to be the id of a stream, not of a feed."""
    return text.startswith(STREAM_PREFIX)


@lru_cache(maxsize=FEEDS_MAX)
def parse_stream(text: str) -> StreamId:
    """Raises Malformed."""
    data = _decode_base64url(text.removeprefix(STREAM_PREFIX))
    if data is None or not text.startswith(STREAM_PREFIX):
        raise Malformed(f"{_shown(text)} is no stream id: expected {STREAM_PREFIX}<base64url>")
    return StreamId(data)


@lru_cache(maxsize=FEEDS_MAX)
def parse_feed(text: str) -> FeedId:
    """Raises Malformed."""
    return FeedId(_parse(text, "feed", "@", ".ed25519"))


def parse_message(text: str) -> MessageId:
    """Raises Malformed."""
    return MessageId(_parse(text, "message", "%", ".sha256"))


def parse_blob(text: str) -> BlobId:
    """Raises Malformed."""
    return BlobId(_parse(text, "blob", "&", ".sha256"))


def _parse(text: str, kind: str, sigil: str, suffix: str) -> bytes:
    data = None
    if text.startswith(sigil) and text.endswith(suffix):
        data = decode_base64(text[1 : -len(suffix)], 32)
    else:
        for prefix in _URI[kind]:
            if text.startswith(prefix):
                data = _decode_base64url(text.removeprefix(prefix))
    if data is None:
        raise Malformed(
            f"{_shown(text)} is no {kind} id: expected {sigil}<44 characters of base64>{suffix}"
            f" or {_URI[kind][1]}<base64url>"
        )
    return data


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")


def _decode_base64url(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, UnicodeEncodeError):
        return None
    canonical = base64.urlsafe_b64encode(data).decode() == text
    return data if canonical and len(data) == 32 else None
