"""Private messages of the second kind, `….box2` (spec/private-messages.md 3): the envelope of
github.com/ssbc/envelope-spec with the keys of github.com/ssbc/private-group-spec. A box opens only
in its place: the author and the id of the message before are part of every key.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from qbix_node.crypto import boxes, keys
from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import BadInput
from qbix_node.wire.references import FeedId, MessageId, format_feed

SUFFIX = ".box2"
SLOTS_MAX = 16
KEY_BYTES = 32

GROUP = "envelope-large-symmetric-group"
DIRECT = "envelope-id-based-dm-converted-ed25519"
SELF = "envelope-symmetric-key-for-self"

_NONCE = bytes(boxes.NONCE_BYTES)  # every key seals once
_HEADER_BYTES = boxes.MAC_BYTES + 16
_DIRECT_SALT = sha256(b"envelope-dm-v1-extract-salt")


@dataclass(frozen=True, slots=True)
class SlotKey:
    """What one slot can be opened with."""

    key: bytes = field(repr=False)
    scheme: str


@dataclass(frozen=True, slots=True)
class Context:
    """Where a box stands."""

    author: FeedId
    previous: MessageId | None

    def derive(self, key: bytes, *labels: str) -> bytes:
        """SPEC private-messages 3.1: HKDF-Expand with everything that a key is meant for."""
        names = [label.encode() for label in labels]
        previous = b"\1\0" + (self.previous or bytes(32))
        return _expand(key, _listed(b"envelope", b"\0\0" + self.author, previous, *names))


def seal(
    plain: bytes, context: Context, slots: Sequence[SlotKey], draw: Callable[[int], bytes]
) -> bytes:
    """Raises BadInput."""
    if not 1 <= len(slots) <= SLOTS_MAX:
        raise BadInput(f"{len(slots)} slots: a box takes 1 to {SLOTS_MAX}")
    message_key = draw(KEY_BYTES)
    read_key = context.derive(message_key, "read_key")
    offset = _HEADER_BYTES + KEY_BYTES * len(slots)
    header = offset.to_bytes(2, "little") + bytes(14)
    return b"".join(
        [
            boxes.seal(header, _NONCE, context.derive(read_key, "header_key")),
            *(_flip(message_key, slot, context) for slot in slots),
            boxes.seal(plain, _NONCE, context.derive(read_key, "body_key")),
        ]
    )


def unseal(box: bytes, context: Context, slots: Sequence[SlotKey]) -> bytes | None:
    """The plaintext, or None: none of these keys opens it here."""
    header_box = box[:_HEADER_BYTES]
    room = (len(box) - _HEADER_BYTES - boxes.MAC_BYTES) // KEY_BYTES
    for slot in slots:
        # A group's slot is the first one: a node in many groups would try long otherwise.
        tried = min(room, 1 if slot.scheme == GROUP else SLOTS_MAX)
        for place in range(tried):
            start = _HEADER_BYTES + KEY_BYTES * place
            message_key = _flip(box[start : start + KEY_BYTES], slot, context)
            read_key = context.derive(message_key, "read_key")
            if header := boxes.unseal(header_box, _NONCE, context.derive(read_key, "header_key")):
                offset = int.from_bytes(header[:2], "little")
                return boxes.unseal(box[offset:], _NONCE, context.derive(read_key, "body_key"))
    return None


def direct_keys(mine: KeyPair, other: FeedId) -> list[SlotKey]:
    """The keys that both sides know: one, or two; [] if the other's key is not usable.

    SPEC private-messages 3.3: the specification sorts both ends byte by byte, ssb-box2 sorts them
    as JavaScript sorts text. Where that differs a message gets a slot for each.
    """
    public = keys.curve_public(other)
    shared = public and keys.scalarmult(keys.curve_secret(mine.secret), public)
    own = keys.curve_public(mine.public)
    if not (public and own and shared):
        return []
    secret = hmac.digest(_DIRECT_SALT, shared, "sha256")
    ends = [b"\3\0" + own + b"\0\0" + mine.public, b"\3\0" + public + b"\0\0" + other]
    orders = [sorted(ends), sorted(ends, key=_as_javascript_text)]
    infos = dict.fromkeys(_listed(b"envelope-ssb-dm-v1/key", *order) for order in orders)
    return [SlotKey(_expand(secret, info), DIRECT) for info in infos]


def own_key(mine: KeyPair) -> SlotKey:
    """For what we send ourselves. It follows from the identity, so a restored one reads it too."""
    return SlotKey(_expand(mine.secret[:KEY_BYTES], b"qbix/box2-own-key/1"), SELF)


def group_key(key: bytes) -> SlotKey:
    """Raises BadInput."""
    if len(key) != KEY_BYTES:
        raise BadInput(f"a group key has {KEY_BYTES} bytes, this has {len(key)}")
    return SlotKey(key, GROUP)


def reader_keys(mine: KeyPair, reader: FeedId) -> list[SlotKey]:
    """The slots for one reader. Raises BadInput."""
    if reader == mine.public:
        return [own_key(mine)]
    slots = direct_keys(mine, reader)
    if not slots:
        raise BadInput(f"nothing can be sealed for {format_feed(reader)}: it is no usable key")
    return slots


def _flip(key: bytes, slot: SlotKey, context: Context) -> bytes:
    """Put a message key into a slot, or take it out."""
    mask = context.derive(slot.key, "slot_key", slot.scheme)
    return bytes([left ^ right for left, right in zip(key, mask, strict=True)])


def _listed(*items: bytes) -> bytes:
    """Shallow length-prefixed encoding."""
    return b"".join([len(item).to_bytes(2, "little") + item for item in items])


def _expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand of RFC 5869 with SHA-256, one block."""
    return hmac.digest(key, info + b"\1", "sha256")


def _as_javascript_text(data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode("utf-16-be")
