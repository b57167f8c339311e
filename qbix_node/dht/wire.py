"""The envelope of a datagram (spec/dht.md 3). Pure.

A header says who asks whom; the box behind it opens for these two and under this very header only.
"""

import struct
from typing import NamedTuple

from qbix_node.crypto import boxes
from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.domains import DHT_BOX, hashed
from qbix_node.crypto.keys import KeyPair, curve_public, curve_secret, scalarmult, verify
from qbix_node.dht.ids import NodeId
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.wire.packing import pack

DATAGRAM_BYTES_MAX = 1280
VERSION = 1
ANSWER = 0x80  # this bit of a type says that it is an answer
COOKIE = 0x80  # the answer to a request whose cookie does not count
REFUSED = 0xFF

COOKIE_BYTES = 16
SALT_BYTES = 8
_FORM = struct.Struct(">BBQ32s32s16s8s")
HEADER_BYTES = _FORM.size
BODY_BYTES_MAX = DATAGRAM_BYTES_MAX - HEADER_BYTES - boxes.MAC_BYTES
REQUEST_BYTES_MIN = HEADER_BYTES + boxes.MAC_BYTES + 1
NUMBER_MAX = 2**64 - 1


def encode_header(
    kind: int, number: int, sender: PeerId, recipient: NodeId, *, cookie: bytes, salt: bytes
) -> bytes:
    return _FORM.pack(VERSION, kind, number, sender, recipient, cookie, salt)


class Header(NamedTuple):
    version: int
    type: int
    number: int  # of the request; one that asks counts upwards
    sender: PeerId
    recipient: NodeId
    cookie: bytes  # the recipient's; in an answer, the sender's for requests to come
    salt: bytes  # drawn for this datagram; in COOKIE, that of the request

    def encode(self) -> bytes:
        return _FORM.pack(*self)


def read_header(datagram: bytes) -> Header:
    """Raises Malformed."""
    if not HEADER_BYTES <= len(datagram) <= DATAGRAM_BYTES_MAX:
        raise Malformed(
            f"datagram: {len(datagram)} bytes, expected {HEADER_BYTES} to {DATAGRAM_BYTES_MAX}"
        )
    header = Header._make(_FORM.unpack_from(datagram))
    if header.version != VERSION:
        raise Malformed(f"datagram: version {header.version} is not known here")
    if header.type == COOKIE:
        if len(datagram) != HEADER_BYTES:
            raise Malformed("datagram: a cookie comes without a box")
    elif len(datagram) < REQUEST_BYTES_MIN:
        raise Malformed("datagram: there is no box in it")
    return header


class Sealing:
    """The cryptography of one node. A simulator brings one that remembers what was computed."""

    def __init__(self, keys: KeyPair) -> None:
        self.keys = keys
        self._secret = curve_secret(keys.secret)

    def agree(self, peer: PeerId) -> bytes | None:
        """The key shared with a peer; None if there can't be one."""
        theirs = curve_public(peer)
        shared = None if theirs is None else scalarmult(self._secret, theirs)
        if shared is None:
            return None
        return hashed(DHT_BOX, pack([shared, *sorted((self.keys.public, peer))]))

    def seal(self, header: bytes, body: bytes, shared: bytes) -> bytes:
        """The datagram."""
        return header + boxes.seal(body, sha256(header)[: boxes.NONCE_BYTES], shared)

    def unseal(self, datagram: bytes, shared: bytes) -> bytes | None:
        """The body; None if it was not sealed under this header with this key."""
        nonce = sha256(datagram[:HEADER_BYTES])[: boxes.NONCE_BYTES]
        return boxes.unseal(datagram[HEADER_BYTES:], nonce, shared)

    def verify(self, key: bytes, body: bytes, signature: bytes) -> bool:
        return verify(key, body, signature)
