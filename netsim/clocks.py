"""The clock on a node's wall, and how fast its time runs."""

from netsim.loop import Loop

EPOCH_S = 1_800_000_000.0  # of the run's beginning, in seconds since 1970


class WallClock:
    """`skew_s` and `rate` may change at any time; `local` never runs backwards."""

    __slots__ = ("_local", "_loop", "_rate", "_since", "skew_s")

    def __init__(self, loop: Loop) -> None:
        self.skew_s = 0.0
        self._loop = loop
        self._rate = 1.0
        self._since = 0.0  # when the rate changed, and what `local` was then
        self._local = 0.0

    @property
    def rate(self) -> float:
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._local, self._since, self._rate = self.local(), self._loop.now, rate

    def local(self) -> float:
        """Seconds of this node's own time since the run began."""
        return self._local + (self._loop.now - self._since) * self._rate

    def wall(self) -> float:
        """Seconds since 1970, as this node believes."""
        return EPOCH_S + self.skew_s + self.local()

    def delay_s(self, local: float) -> float:
        """How much true time passes until `local` is reached."""
        return max(0.0, (local - self.local()) / self._rate)
