"""What a scenario may leave to the seed: numbers within bounds, and how many of a group."""

import math
from dataclasses import dataclass

from netsim.chance import Draws
from netsim.plan import Range
from netsim.scenario.reading import Table


@dataclass(frozen=True, slots=True)
class Portion:
    """So many of a group (a whole number in the file), or such a share of it (one with a point)."""

    count: int = 0
    share: float = 0.0

    def of(self, size: int) -> int:
        """A share that is not zero is one at least."""
        if self.share:
            return min(size, max(1, round(self.share * size)))
        return min(size, self.count)


def read_portion(
    table: Table, key: str, default: Portion | None = None, *, low: int = 0
) -> Portion:
    if key not in table and default is not None:
        return default
    if table.holds(key, int):
        return Portion(count=table.count(key, low=low))
    share = table.number(key)
    if not 0 < share <= 1:
        raise table.wrong(key, "a whole number, or a share above 0 and up to 1.0, is expected")
    return Portion(share=share)


def fixed(value: float) -> Range:
    return Range(value, value)


def draw_evenly(bounds: Range, draws: Draws) -> float:
    """Bounds that are one number are that number, to the last bit."""
    drawn = draws.between(bounds.low, bounds.high)
    return bounds.low if bounds.low == bounds.high else round(drawn, 3)


def draw_widely(bounds: Range, draws: Draws) -> float:
    """Log-uniform: as often between 1 and 10 as between 10 and 100."""
    part = draws.random()
    if bounds.low == bounds.high:
        return bounds.low
    return float(f"{bounds.low * (bounds.high / bounds.low) ** part:.4g}")


def draw_times(a_minute: float, between: Range, draws: Draws) -> list[float]:
    """The moments of a Poisson process."""
    times: list[float] = []
    at_s = between.low
    while a_minute > 0:
        at_s -= math.log(1.0 - draws.random()) * 60 / a_minute
        if at_s >= between.high:
            break
        times.append(round(at_s, 3))
    return times
