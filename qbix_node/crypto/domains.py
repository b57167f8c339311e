"""What keeps one kind of signed or hashed thing from being taken for another (spec/encoding.md 2).

No two types share a domain.
"""

from qbix_node.crypto.boxes import sha256

HEAD = b"qbix/head/1\0"
INTENT = b"qbix/intent/1\0"
OWNERS_SET = b"qbix/owners-set/1\0"
RESOLVE = b"qbix/resolve/1\0"
DHT_RECORD = b"qbix/dht-record/1\0"

STREAM = b"qbix/stream/1\0"
OWNERS = b"qbix/owners/1\0"
DHT_BOX = b"qbix/dht-box/1\0"
DHT_PROVIDER = b"qbix/dht-provider/1\0"
DHT_DOMAIN = b"qbix/dht-domain/1\0"


def hashed(domain: bytes, body: bytes) -> bytes:
    """SHA-256 of a body in its domain."""
    return sha256(domain, body)
