"""What is kept of those we exchange datagrams with (spec/dht.md 3, 4): the key agreed on, the
cookie they gave us, which of their requests came, how long they take. Bounded. Pure.
"""

from dataclasses import dataclass

from qbix_node.dht.wire import COOKIE_BYTES
from qbix_node.machines import PeerId

WINDOW = 256  # requests that may come in another order than they were numbered
_ALL = (1 << WINDOW) - 1

TIMEOUT_S_FIRST = 1.0  # as long as nobody answered yet
TIMEOUT_S_MIN = 0.2
TIMEOUT_S_MAX = 3.0
SPREADS = 4  # RFC 6298: how many deviations above the mean an answer is waited for


@dataclass(slots=True)
class RoundTrip:
    """RFC 6298: mean and deviation, both smoothed."""

    mean_s: float = 0.0
    spread_s: float = 0.0

    def add(self, measured_s: float) -> None:
        if not self.mean_s:
            self.mean_s, self.spread_s = measured_s, measured_s / 2
            return
        self.spread_s += (abs(measured_s - self.mean_s) - self.spread_s) / 4
        self.mean_s += (measured_s - self.mean_s) / 8

    def timeout_s(self) -> float:
        wanted = self.mean_s + SPREADS * self.spread_s if self.mean_s else TIMEOUT_S_FIRST
        return min(max(wanted, TIMEOUT_S_MIN), TIMEOUT_S_MAX)


NO_COOKIE = bytes(COOKIE_BYTES)


@dataclass(slots=True)
class Peer(RoundTrip):
    shared: bytes = b""
    cookie: bytes = NO_COOKIE
    newest: int = -1  # the highest number of a request of theirs
    came: int = 0  # bit i: number newest - i came
    came_ms: int = -1  # when the last one came
    after_ms: int = -1  # what has an older cookie may have come before, and was forgotten

    def is_new(self, number: int, given_ms: int) -> bool:
        """Whether a request with a cookie that was given then can't have come before."""
        if given_ms <= self.after_ms:
            return False
        return given_ms > self.came_ms or self._is_new(number)

    def _is_new(self, number: int) -> bool:
        behind = self.newest - number
        return behind < 0 or (behind < WINDOW and not self.came >> behind & 1)

    def came_with(self, number: int, now_ms: int) -> None:
        """It is new."""
        if not self._is_new(number):  # they count anew, so what came till now can't be told by it
            self.after_ms = self.came_ms
            self.newest, self.came = -1, 0
        ahead = number - self.newest
        if ahead > 0:
            self.came = (self.came << min(ahead, WINDOW) | 1) & _ALL
            self.newest = number
        else:
            self.came |= 1 << -ahead
        self.came_ms = now_ms


class Peers:
    """By key, those who proved that it is theirs; the one unheard of for longest makes room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._peers: dict[PeerId, Peer] = {}
        self.after_ms = -1  # requests with older cookies may have come from who made room

    def __len__(self) -> int:
        return len(self._peers)

    def get(self, key: PeerId) -> Peer | None:
        peer = self._peers.pop(key, None)
        if peer is not None:
            self._peers[key] = peer
        return peer

    def add(self, key: PeerId, peer: Peer) -> None:
        peer.after_ms = self.after_ms
        self._peers[key] = peer
        if len(self._peers) > self._most:
            gone = self._peers.pop(next(iter(self._peers)))
            self.after_ms = max(self.after_ms, gone.came_ms)
