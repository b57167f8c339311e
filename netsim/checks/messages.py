"""Whether the text of a stored message is what its key and author say (spec/classic-feeds.md).

Written apart from qbix_node.feeds.validation, which it watches: only the bytes of the encoding are
taken as they are stored. Verdicts are kept, since every node of a run stores the same messages.
"""

import json
from base64 import b64decode
from dataclasses import dataclass
from hashlib import sha256

from qbix_node.crypto.keys import verify

KEPT_MAX = 50_000  # verdicts

_FIELDS = {"previous", "sequence", "author", "timestamp", "hash", "content", "signature"}
_SIGNATURE = ',\n  "signature": "'


@dataclass(frozen=True, slots=True)
class Verdict:
    author: bytes = b""
    sequence: int = 0
    previous: bytes | None = None
    id: bytes = b""
    timestamp: float = 0.0
    signature: bytes = b""
    fault: str = ""


_kept: dict[bytes, Verdict] = {}


def judge(text: bytes) -> Verdict:
    """SPEC classic-feeds 1 and 3: what the encoded message says, and what is wrong with it."""
    verdict = _kept.get(text)
    if verdict is None:
        if len(_kept) >= KEPT_MAX:
            _kept.clear()
        verdict = _kept[text] = _judge(text)
    return verdict


def _judge(text: bytes) -> Verdict:
    try:
        encoded = text.decode()
        fields = json.loads(encoded)
        author = _bytes(fields["author"], "@", ".ed25519")
        signature = _bytes(fields["signature"], "", ".sig.ed25519")
        previous = fields["previous"] and _bytes(fields["previous"], "%", ".sha256")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Verdict(fault=f"it can't be read: {error!r}")
    # "latin1": the low byte of each UTF-16 unit.
    message_id = sha256(encoded.encode("utf-16-le", "surrogatepass")[::2]).digest()
    return Verdict(
        author,
        fields["sequence"],
        previous,
        message_id,
        fields["timestamp"],
        signature,
        _fault(encoded, fields, author, signature),
    )


def _fault(encoded: str, fields: dict[str, object], author: bytes, signature: bytes) -> str:
    if set(fields) != _FIELDS:
        return "its members are not those of a message"
    if (fields["previous"] is None) != (fields["sequence"] == 1):
        return "only a first message has no previous"
    body = encoded[: encoded.rindex(_SIGNATURE)] + "\n}"
    return "" if verify(author, body.encode(), signature) else "its signature does not match"


def _bytes(reference: str, sigil: str, suffix: str) -> bytes:
    """Raises ValueError."""
    if not (reference.startswith(sigil) and reference.endswith(suffix)):
        raise ValueError(reference)
    return b64decode(reference[len(sigil) : len(reference) - len(suffix)], validate=True)
