"""What keeps one kind of signed or hashed thing from being taken for another (spec/encoding.md 2).

No two types share a domain.
"""

from qbix_node.crypto.boxes import sha256

HEAD = b"qbix/head/1\0"
INTENT = b"qbix/intent/1\0"
OWNERS_SET = b"qbix/owners-set/1\0"
RESOLVE = b"qbix/resolve/1\0"
DHT_RECORD = b"qbix/dht-record/1\0"
TXSIG = b"qbix/txsig/1\0"
INVITE = b"qbix/invite/1\0"
ACCEPT = b"qbix/accept/1\0"
LOCK = b"qbix/lock/1\0"
COMMIT = b"qbix/commit/1\0"
CONFIRM = b"qbix/confirm/1\0"
EMPTY = b"qbix/empty/1\0"
CANCEL = b"qbix/cancel/1\0"

STREAM = b"qbix/stream/1\0"
OWNERS = b"qbix/owners/1\0"
POSITION = b"qbix/position/1\0"
ANCHORS = b"qbix/anchors/1\0"
WATCHERS = b"qbix/watchers/1\0"
BASE = b"qbix/base/1\0"
CORE = b"qbix/core/1\0"
TX = b"qbix/tx/1\0"
NONCE = b"qbix/nonce/1\0"
DECISION = b"qbix/decision/1\0"
DHT_BOX = b"qbix/dht-box/1\0"
DHT_PROVIDER = b"qbix/dht-provider/1\0"
DHT_DOMAIN = b"qbix/dht-domain/1\0"


def hashed(domain: bytes, body: bytes) -> bytes:
    """SHA-256 of a body in its domain."""
    return sha256(domain, body)
