"""Whether a datagram's address can be answered at length (spec/dht.md 4). Pure."""

from hashlib import blake2b
from hmac import compare_digest

from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.wire import COOKIE_BYTES
from qbix_node.machines import PeerId, Rng

LIFETIME_S = 300.0  # of a secret; a cookie counts under its secret and the one after it

_SECRET_BYTES = 32


class Cookies:
    def __init__(self) -> None:
        self._secrets: tuple[bytes, bytes] | None = None  # this one, the one before
        self._since = 0.0

    def turn(self, now: float, rng: Rng) -> None:
        """Before any other call at a moment."""
        if self._secrets is None or now - self._since >= 2 * LIFETIME_S:
            self._secrets = rng.randbytes(_SECRET_BYTES), rng.randbytes(_SECRET_BYTES)
        elif now - self._since >= LIFETIME_S:
            self._secrets = rng.randbytes(_SECRET_BYTES), self._secrets[0]
        else:
            return
        self._since = now

    def make(self, source: Endpoint, sender: PeerId) -> bytes:
        assert self._secrets is not None
        return _cookie(self._secrets[0], source, sender)

    def count(self, cookie: bytes, source: Endpoint, sender: PeerId) -> bool:
        assert self._secrets is not None
        return any(compare_digest(cookie, _cookie(each, source, sender)) for each in self._secrets)


def _cookie(secret: bytes, source: Endpoint, sender: PeerId) -> bytes:
    place = source.port.to_bytes(2) + source.ip
    return blake2b(sender + place, key=secret, digest_size=COOKIE_BYTES).digest()
