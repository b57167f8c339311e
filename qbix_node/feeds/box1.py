"""Private messages of the first kind, `….box` (spec/private-messages.md 2): up to 7 readers, nobody
else learns how many or who. One key seals the body; a slot for each reader holds that key.
"""

from collections.abc import Callable, Sequence

from qbix_node.crypto import boxes, keys
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import BadInput
from qbix_node.wire.references import FeedId, format_feed

SUFFIX = ".box"
READERS_MAX = 7
SLOTS_TRIED = 16  # a reader looks no further, though 255 slots are possible

_SLOTS_AT = boxes.NONCE_BYTES + 32  # after the nonce and the one-time key
_SLOT_BYTES = boxes.MAC_BYTES + 1 + boxes.KEY_BYTES


def seal(plain: bytes, readers: Sequence[FeedId], draw: Callable[[int], bytes]) -> bytes:
    """`draw` gives the one-time key, the nonce and the body's key. Raises BadInput."""
    if not 1 <= len(readers) <= READERS_MAX:
        raise BadInput(f"{len(readers)} readers: a box takes 1 to {READERS_MAX}")
    secret, nonce, key = draw(32), draw(boxes.NONCE_BYTES), draw(boxes.KEY_BYTES)
    slot = bytes([len(readers)]) + key
    slots = [boxes.seal(slot, nonce, _shared(secret, reader)) for reader in readers]
    body = boxes.seal(plain, nonce, key)
    return b"".join([nonce, keys.scalarmult_base(secret), *slots, body])


def unseal(box: bytes, reader: KeyPair) -> bytes | None:
    """The plaintext, or None: it is not for this reader, or damaged."""
    nonce, one_time = box[: boxes.NONCE_BYTES], box[boxes.NONCE_BYTES : _SLOTS_AT]
    if len(box) < _SLOTS_AT + _SLOT_BYTES + boxes.MAC_BYTES:
        return None
    shared = keys.scalarmult(keys.curve_secret(reader.secret), one_time)
    if shared is None:
        return None
    for place in range(SLOTS_TRIED):
        start = _SLOTS_AT + place * _SLOT_BYTES
        if slot := boxes.unseal(box[start : start + _SLOT_BYTES], nonce, shared):
            return boxes.unseal(box[_SLOTS_AT + slot[0] * _SLOT_BYTES :], nonce, slot[1:])
    return None


def _shared(secret: bytes, reader: FeedId) -> bytes:
    public = keys.curve_public(reader)
    shared = public and keys.scalarmult(secret, public)
    if not shared:
        raise BadInput(f"nothing can be sealed for {format_feed(reader)}: it is no usable key")
    return shared
