"""Whether a value is a valid classic message, by itself and as the next of its feed.

SPEC classic-feeds 3 and 4. Signatures are checked by others: `signature_check` says which.
"""

import math
import re
from functools import lru_cache

from qbix_node.crypto.boxes import auth, sha256
from qbix_node.crypto.keys import SIGNATURE_BYTES, verify
from qbix_node.errors import Malformed
from qbix_node.feeds.messages import (
    SIGNATURE_CHARS,
    SIGNATURE_SUFFIX,
    ClassicMessage,
    Head,
    Refused,
)
from qbix_node.machines import SignatureCheck
from qbix_node.wire.references import (
    FeedId,
    MessageId,
    decode_base64,
    parse_feed,
    parse_message,
)
from qbix_node.wire.v8json import SAFE_INTEGER, JsonValue, stringify

UNITS_MAX = 8192  # UTF-16 code units of the whole encoded message
TYPE_UNITS_MIN = 3
TYPE_UNITS_MAX = 52

_FIELD_ORDERS = (
    ("previous", "sequence", "author", "timestamp", "hash", "content", "signature"),
    ("previous", "author", "sequence", "timestamp", "hash", "content", "signature"),
)
_BOXED = re.compile(r"([A-Za-z0-9+/=]*)\.box[^\n\r\u2028\u2029]*")


def read_message(value: JsonValue) -> ClassicMessage | Refused:
    """Everything about one message but its signature and its place in the chain."""
    if not isinstance(value, dict):
        return Refused("a message is a JSON object")
    if tuple(value) not in _FIELD_ORDERS:
        return Refused("the fields of a message are not those of the format, in their order")
    sequence, content = value["sequence"], value["content"]
    if type(sequence) is not int or not 1 <= sequence < SAFE_INTEGER:
        return Refused("sequence is not a positive whole number")
    if value["hash"] != "sha256":
        return Refused("hash is not sha256")
    if reason := content_fault(content):
        return Refused(reason)
    try:
        timestamp = _read_timestamp(value["timestamp"])
        author = _read_author(_text(value["author"], "author"))
        previous = _read_previous(value["previous"], sequence)
        signature = _read_signature(_text(value["signature"], "signature"))
    except Malformed as error:
        return Refused(str(error))
    encoded = stringify(value)
    if units(encoded) > UNITS_MAX:
        return Refused(f"the encoded message is longer than {UNITS_MAX} UTF-16 units")
    return ClassicMessage(
        author, sequence, previous, timestamp, content, signature, message_id(encoded), encoded
    )


def check_next(head: Head | None, message: ClassicMessage) -> Refused | None:
    """Whether the message is the one after `head` (None: the first of its feed)."""
    expected = head.sequence + 1 if head else 1
    if message.sequence != expected:
        return Refused(f"sequence is {message.sequence}, expected {expected}")
    if message.previous != (head.id if head else None):
        return Refused("previous is not the id of the message before")
    return None


def signature_check(message: ClassicMessage) -> SignatureCheck:
    return SignatureCheck(message.author, message.signed_body, message.signature)


def validate(
    value: JsonValue, head: Head | None, hmac_key: bytes | None = None
) -> ClassicMessage | Refused:
    """The whole verdict. With `hmac_key` (a network of its own) the signature covers an HMAC."""
    message = read_message(value)
    if isinstance(message, Refused):
        return message
    if refused := check_next(head, message):
        return refused
    body = auth(message.signed_body, hmac_key) if hmac_key else message.signed_body
    if not verify(message.author, body, message.signature):
        return Refused("signature does not match")
    return message


def content_fault(content: JsonValue) -> str:
    """Why this can't be the content of a message, or ""."""
    if isinstance(content, str):
        boxed = _BOXED.fullmatch(content)
        if boxed is None or decode_base64(boxed[1]) is None:
            return "content that is text is not canonical base64 followed by .box"
        return ""
    if not isinstance(content, dict):
        return "content is neither an object nor text"
    kind = content.get("type")
    if not isinstance(kind, str) or not TYPE_UNITS_MIN <= units(kind) <= TYPE_UNITS_MAX:
        return f"content has no type of {TYPE_UNITS_MIN} to {TYPE_UNITS_MAX} characters"
    return ""


def units(text: str) -> int:
    """Length in UTF-16 code units, the only length that JavaScript knows."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def message_id(encoded: str) -> MessageId:
    """SHA-256 of the low byte of each UTF-16 unit: what Node.js calls latin1 or binary.

    Different texts can have one id; only the signature tells them apart.
    """
    if encoded.isascii():
        return MessageId(sha256(encoded.encode()))
    return MessageId(sha256(encoded.encode("utf-16-le")[::2]))


def _read_timestamp(value: JsonValue) -> int | float:
    """Raises Malformed."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Malformed("timestamp is not a number")
    if not math.isfinite(value):  # null in the encoded form, which no other peer would take
        raise Malformed("timestamp is beyond all numbers")
    return value


def _read_signature(text: str) -> bytes:
    """Raises Malformed."""
    encoded = text.removesuffix(SIGNATURE_SUFFIX)
    signature = decode_base64(encoded, SIGNATURE_BYTES)
    if signature is None or len(text) != SIGNATURE_CHARS:
        raise Malformed("signature is not canonical base64 of 64 bytes with .sig.ed25519")
    return signature


@lru_cache(maxsize=1024)  # each message of a feed names the same author
def _read_author(text: str) -> FeedId:
    """Raises Malformed."""
    return parse_feed(_sigil_form(text, "author"))


def _read_previous(value: JsonValue, sequence: int) -> MessageId | None:
    """Raises Malformed."""
    if sequence == 1:
        if value is not None:
            raise Malformed("previous of a first message is not null")
        return None
    return parse_message(_sigil_form(_text(value, "previous"), "previous"))


def _sigil_form(reference: str, field: str) -> str:
    """A message has one form only, and it has no URIs."""
    if reference.startswith("ssb:"):
        raise Malformed(f"{field} is a URI")
    return reference


def _text(value: JsonValue, field: str) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{field} is not text")
    return value
