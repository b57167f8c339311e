"""What a sweep's figures say, and how sure they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.96  # 95 of 100 such intervals hold the true share


@dataclass(frozen=True, slots=True)
class Share:
    """`low` and `high`: Wilson's score interval, good for few seeds and small shares, too."""

    some: int
    of: int
    low: float
    high: float


def share(some: int, of: int) -> Share:
    if of == 0:
        return Share(0, 0, 0.0, 1.0)
    part, squared = some / of, _Z * _Z
    middle = (part + squared / (2 * of)) / (1 + squared / of)
    spread = math.sqrt(part * (1 - part) / of + squared / (4 * of * of)) * _Z / (1 + squared / of)
    low = 0.0 if some == 0 else max(0.0, middle - spread)
    high = 1.0 if some == of else min(1.0, middle + spread)
    return Share(some, of, low, high)


def quantile(values: Sequence[float], part: float) -> float | None:
    """The smallest value that at least `part` of them do not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]
