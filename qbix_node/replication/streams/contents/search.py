"""How far each peer was asked for the missing contents of one stream: for each of them once, the
newest first, and then after a rest again.
"""

import math
from dataclasses import dataclass, field

from qbix_node.machines import PeerId

REST_S = 60.0  # before a peer is asked again for what it did not give; doubles
REST_MAX_S = 3600.0


@dataclass(slots=True)
class Pass:
    """It was asked for what is missing from `low` to before `high`."""

    low: int
    high: int
    rest_until: float = -math.inf
    rest_s: float = REST_S
    gave: bool | None = None  # something, when it was asked last
    found: bool = False  # anything to ask it for, since it was begun
    gained: bool = False  # anything from it, since it was begun

    def next(self, length: int) -> tuple[int, int]:
        """From where to where to look for what it hasn't been asked for, of so long a log."""
        return (self.high, length) if self.high < length else (0, self.low)

    def looked(self, first: int, stop: int, below: int, *, found: bool) -> None:
        """At what lies from `below` on, when it was to be from `first` to before `stop`."""
        self.found = self.found or found
        if stop <= self.low:
            self.low = below
        else:  # what is new; if not all of it, the rest is looked at with what is older
            self.low, self.high = (self.low if below <= first else below), stop

    @property
    def done(self) -> bool:
        return self.low == 0

    def restart(self, length: int, now: float) -> None:
        """At once where it gave something, as it may have more; else after a rest."""
        if self.gained:
            self.rest_s = REST_S
        else:
            self._rest(now)
        self._begin(length)

    def fail(self, length: int, now: float) -> None:
        """It did not answer: it is asked all of it again, later."""
        self.gave = False
        self._rest(now)
        self._begin(length)

    def _rest(self, now: float) -> None:
        self.rest_until = now + self.rest_s
        self.rest_s = min(2 * self.rest_s, REST_MAX_S)

    def _begin(self, length: int) -> None:
        self.low, self.high, self.found, self.gained = length, length, False, False


@dataclass(slots=True)
class Search:
    """One thing at a time is done about a stream: `busy` until it is."""

    passes: dict[PeerId, Pass] = field(default_factory=dict)
    busy: bool = False
    begun_at: float = -math.inf  # when there last was more to fetch than before

    def choose(self, lengths: dict[PeerId, int], now: float) -> PeerId | None:
        """Of these peers, with how much of the log each has: one that may be asked now."""
        ready = [
            peer
            for peer, length in lengths.items()
            if (state := self.passes.get(peer)) is None
            or state.rest_until <= now
            or state.high < length
        ]
        return min(ready, key=self._doubt, default=None)

    def _doubt(self, peer: PeerId) -> int:
        """Who gave something comes first, then who wasn't asked yet."""
        state = self.passes.get(peer)
        return {True: 0, None: 1, False: 2}[state.gave if state else None]

    def rests_until(self, peers: dict[PeerId, int]) -> float:
        ends = [self.passes[peer].rest_until for peer in peers if peer in self.passes]
        return min(ends, default=math.inf)
