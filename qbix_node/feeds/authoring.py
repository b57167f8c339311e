"""Write the next message of an own feed (SPEC classic-feeds 5)."""

import math

from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import BadInput
from qbix_node.feeds.messages import SIGNATURE_SUFFIX, ClassicMessage, Head
from qbix_node.feeds.validation import UNITS_MAX, content_fault, message_id, units
from qbix_node.wire.references import (
    FeedId,
    decode_base64,
    encode_base64,
    format_feed,
    format_message,
)
from qbix_node.wire.v8json import JsonValue, has_surrogate, stringify

BOX_BYTES_MIN = 24 + 32  # nonce and key of a box1, which JavaScript peers read without a look


def make_message(
    keys: KeyPair, head: Head | None, content: JsonValue, timestamp_ms: int | float
) -> ClassicMessage:
    """Raises BadInput for content that peers would refuse, or accept and then corrupt."""
    if fault := content_fault(content):
        raise BadInput(fault)
    author = FeedId(keys.public)
    sequence, previous = (head.sequence + 1, head.id) if head else (1, None)
    indented = stringify(content).replace("\n", "\n  ")  # in JSON a line break is never in a text
    if poison := _poison(content, indented):
        raise BadInput(poison)
    fields = f"""{{
  "previous": {f'"{format_message(previous)}"' if previous else "null"},
  "sequence": {sequence},
  "author": "{format_feed(author)}",
  "timestamp": {stringify(timestamp_ms)},
  "hash": "sha256",
  "content": {indented}"""
    signature = keys.sign(f"{fields}\n}}".encode())
    signed = f'"signature": "{encode_base64(signature)}{SIGNATURE_SUFFIX}"'
    encoded = f"{fields},\n  {signed}\n}}"
    if (length := units(encoded)) > UNITS_MAX:
        raise BadInput(
            f"the message is {length} UTF-16 units long, {UNITS_MAX} are allowed:"
            " put long content into a blob and name the blob in the message"
        )
    return ClassicMessage(
        author, sequence, previous, timestamp_ms, content, signature, message_id(encoded), encoded
    )


def _poison(content: JsonValue, encoded: str) -> str:
    """Why peers would sign for this and then hand on something else, or "".

    ssb-db2 stores BIPF, which alters lone surrogates; a __proto__ member gets lost in JavaScript
    objects; both leave a feed that nobody can get past. A box too short to be one ends ssb-db.
    """
    if isinstance(content, str):
        box = decode_base64(content.partition(".")[0]) or b""
        short = len(box) < BOX_BYTES_MIN
        return "content is too short for a box: peers that try to open it stop" if short else ""
    traces = "\\ud" in encoded or "__proto__" in encoded or "null" in encoded
    return _find_poison(content) if traces else ""


def _find_poison(content: JsonValue) -> str:
    match content:
        case str() if has_surrogate(content):
            return "content has half of a UTF-16 pair, which peers store wrongly"
        case float() if not math.isfinite(content):
            return "content has a number beyond all numbers, which JSON would turn into null"
        case list():
            return next(filter(None, map(_find_poison, content)), "")
        case dict():
            if "__proto__" in content:
                return "content has a member named __proto__, which peers lose"
            return next(filter(None, map(_find_poison, [*content, *content.values()])), "")
        case _:
            return ""
