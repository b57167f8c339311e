"""Whether a datagram's address can be answered at length, and since when (spec/dht.md 4). Pure."""

import math
from hashlib import blake2b
from hmac import compare_digest

from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.wire import COOKIE_BYTES
from qbix_node.machines import PeerId, Rng

LIFETIME_S = 300.0  # of a secret; a cookie counts under its secret and the one after it
FRESH_MS = 10_000

_SECRET_BYTES = 32
_TIME_BYTES = 8
_MAC_BYTES = COOKIE_BYTES - _TIME_BYTES


class Cookies:
    def __init__(self) -> None:
        self._secrets: tuple[bytes, bytes] | None = None  # this one, the one before
        self._since = self._now = -math.inf

    def turn(self, now: float, rng: Rng) -> None:
        """Before any other call at a moment."""
        self._now = now
        age_s = now - self._since
        if age_s < LIFETIME_S:
            return
        this = rng.randbytes(_SECRET_BYTES)
        if self._secrets is None or age_s >= 2 * LIFETIME_S:
            self._secrets = this, rng.randbytes(_SECRET_BYTES)
        else:
            self._secrets = this, self._secrets[0]
        self._since = now

    @property
    def now_ms(self) -> int:
        return int(self._now * 1000)

    def make(self, source: Endpoint, sender: PeerId) -> bytes:
        assert self._secrets is not None
        given = self.now_ms.to_bytes(_TIME_BYTES)
        return given + _mac(self._secrets[0], given, source, sender)

    def next(self, cookie: bytes, given_ms: int, source: Endpoint, sender: PeerId) -> bytes:
        """For who came with this one, which counts: the same one, as long as it is fresh."""
        now_ms = self.now_ms
        if given_ms >= int(self._since * 1000) and now_ms - given_ms < FRESH_MS:
            return cookie
        return self.make(source, sender)

    def given_ms(self, cookie: bytes, source: Endpoint, sender: PeerId) -> int | None:
        """When it was given; None: never, to them, or too long ago."""
        assert self._secrets is not None
        given = cookie[:_TIME_BYTES]
        at_ms = int.from_bytes(given)
        secret = self._secrets[at_ms < int(self._since * 1000)]  # so one is tried, whatever comes
        right = compare_digest(cookie[_TIME_BYTES:], _mac(secret, given, source, sender))
        return at_ms if right else None


def _mac(secret: bytes, given: bytes, source: Endpoint, sender: PeerId) -> bytes:
    about = given + sender + source.port.to_bytes(2) + source.ip
    return blake2b(about, key=secret, digest_size=_MAC_BYTES).digest()
