"""Box stream: boxes of at most 4096 bytes, each sealed with the next nonce (spec/transport.md 3).

A box is `secretbox(length || MAC of the body) || body`. Pure; keys come from the handshake.
"""

from qbix_node.crypto import boxes
from qbix_node.errors import Malformed

BODY_BYTES_MAX = 4096
HEADER_BYTES = 2 + boxes.MAC_BYTES + boxes.MAC_BYTES  # length, MAC of the body, MAC of both
_GOODBYE = bytes(2 + boxes.MAC_BYTES)


class _Nonces:
    """24 bytes that count upwards, most significant byte first, and wrap."""

    __slots__ = ("_next",)

    def __init__(self, first: bytes) -> None:
        self._next = int.from_bytes(first, "big")

    def new(self) -> bytes:
        nonce = self._next.to_bytes(boxes.NONCE_BYTES, "big")
        self._next = (self._next + 1) % (1 << 8 * boxes.NONCE_BYTES)
        return nonce


class Sealer:
    __slots__ = ("_key", "_nonces")

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._key = key
        self._nonces = _Nonces(nonce)

    def seal(self, plain: bytes) -> bytes:
        """As few boxes as hold it."""
        parts = []
        for at in range(0, len(plain), BODY_BYTES_MAX):
            body = plain[at : at + BODY_BYTES_MAX]
            header_nonce = self._nonces.new()
            box = boxes.seal(body, self._nonces.new(), self._key)
            header = len(body).to_bytes(2, "big") + box[: boxes.MAC_BYTES]
            parts.append(boxes.seal(header, header_nonce, self._key))
            parts.append(box[boxes.MAC_BYTES :])
        return b"".join(parts)

    def goodbye(self) -> bytes:
        """The last box of a stream; without it the other side can't tell an end from a cut."""
        return boxes.seal(_GOODBYE, self._nonces.new(), self._key)


class Opener:
    """Holds at most one unfinished box. `ended` once the other side said goodbye."""

    __slots__ = ("_header", "_key", "_nonces", "_rest", "ended")

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._key = key
        self._nonces = _Nonces(nonce)
        self._rest = b""
        self._header: bytes | None = None  # opened, while its body is incomplete
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """What the complete boxes hold. Raises Malformed; the stream is then of no use.

        What follows a goodbye is not looked at.
        """
        data = self._rest + data if self._rest else data
        plain = []
        at = 0
        while not self.ended:
            if self._header is None:
                if len(data) - at < HEADER_BYTES:
                    break
                self._open_header(data[at : at + HEADER_BYTES])
                at += HEADER_BYTES
            elif len(data) - at < (size := int.from_bytes(self._header[:2], "big")):
                break
            else:
                plain.append(self._open_body(self._header[2:] + data[at : at + size]))
                at += size
        self._rest = b"" if self.ended else data[at:]
        return b"".join(plain)

    def _open_header(self, box: bytes) -> None:
        header = boxes.unseal(box, self._nonces.new(), self._key)
        if header is None:
            raise Malformed("box stream: a header that was not sealed with this key and nonce")
        if header == _GOODBYE:
            self.ended = True
        elif int.from_bytes(header[:2], "big") > BODY_BYTES_MAX:
            raise Malformed(f"box stream: a box of more than {BODY_BYTES_MAX} bytes")
        else:
            self._header = header

    def _open_body(self, box: bytes) -> bytes:
        self._header = None
        body = boxes.unseal(box, self._nonces.new(), self._key)
        if body is None:
            raise Malformed("box stream: a body that was not sealed with this key and nonce")
        return body
