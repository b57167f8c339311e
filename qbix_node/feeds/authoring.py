"""Write the next message of an own feed (SPEC classic-feeds 5)."""

import math

from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import BadInput
from qbix_node.feeds.messages import SIGNATURE_SUFFIX, ClassicMessage, Head
from qbix_node.feeds.validation import UNITS_MAX, content_fault, message_id, units
from qbix_node.wire.references import FeedId, encode_base64, format_feed, format_message
from qbix_node.wire.v8json import JsonValue, has_surrogate, stringify


def make_message(
    keys: KeyPair, head: Head | None, content: JsonValue, timestamp_ms: int | float
) -> ClassicMessage:
    """Raises BadInput for content that peers would refuse, or accept and then corrupt."""
    if reason := content_fault(content) or _poison(content):
        raise BadInput(reason)
    previous = head.id if head else None
    sequence = head.sequence + 1 if head else 1
    unsigned = stringify(
        {
            "previous": format_message(previous) if previous else None,
            "sequence": sequence,
            "author": format_feed(keys.public),
            "timestamp": timestamp_ms,
            "hash": "sha256",
            "content": content,
        }
    )
    signature = keys.sign(unsigned.encode())
    field = f'"signature": "{encode_base64(signature)}{SIGNATURE_SUFFIX}"'
    encoded = f"{unsigned[:-2]},\n  {field}\n}}"
    if (length := units(encoded)) > UNITS_MAX:
        raise BadInput(
            f"the message is {length} UTF-16 units long, {UNITS_MAX} are allowed:"
            " put long content into a blob and name the blob in the message"
        )
    author = FeedId(keys.public)
    return ClassicMessage(
        author, sequence, previous, timestamp_ms, content, signature, message_id(encoded), encoded
    )


def _poison(content: JsonValue) -> str:
    """Why peers would sign for this and then hand on something else, or "".

    ssb-db2 stores BIPF, which alters lone surrogates; a __proto__ member gets lost in JavaScript
    objects; both leave a feed that nobody can get past.
    """
    match content:
        case str() if has_surrogate(content):
            return "content has half of a UTF-16 pair, which peers store wrongly"
        case float() if not math.isfinite(content):
            return "content has a number beyond all numbers, which JSON would turn into null"
        case list():
            return next(filter(None, map(_poison, content)), "")
        case dict():
            if "__proto__" in content:
                return "content has a member named __proto__, which peers lose"
            return next(filter(None, map(_poison, [*content, *content.values()])), "")
        case _:
            return ""
