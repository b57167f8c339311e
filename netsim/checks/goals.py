"""What a network of the hash table has to reach ([dht.goals], docs/netsim.md), and whether it did.

Shares are of all lookups of a sweep. A single run has few, so that it is blamed only for what
chance hardly does: three deviations below.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from netsim.checks.complaining import Complaint
from qbix_node.wire.v8json import JsonValue

Figures = Mapping[str, JsonValue]

_DEVIATIONS = 3
_LOOKUPS = ("lookups", "attacked lookups")


@dataclass(frozen=True, slots=True)
class Reached:
    """`goal`: of what; `some` of `of`, or their mean; `least` or most that it may be."""

    goal: str
    some: float
    of: float
    wanted: float

    @property
    def value(self) -> float:
        return self.some / self.of if self.of else 0.0

    def met(self, *, alone: bool = False) -> bool:
        """`alone`: in a single run."""
        if not self.of:
            return True
        if self.goal not in ("exact", "found"):
            return self.value <= self.wanted
        slack = math.sqrt(self.wanted * (1 - self.wanted) / self.of) if alone else 0.0
        return self.value >= self.wanted - _DEVIATIONS * slack

    def __str__(self) -> str:
        match self.goal:
            case "exact":
                said = f"{self.some:g} of {self.of:g} lookups found the nearest"
            case "found":
                said = f"{self.some:g} of {self.of:g} reads found the newest record"
            case "calls":
                said = f"{self.value:.1f} calls a lookup, of {self.of:g}"
            case _:
                said = f"{self.value:.1f} KiB a node"
        bound = "at least" if self.goal in ("exact", "found") else "at most"
        share = f"{self.value:.2%}, " if bound == "at least" else ""
        shown = f"{self.wanted:.1%}" if share else f"{self.wanted:g}"
        return f"{said} ({share}{bound} {shown} wanted)"


def reached(figures: Figures) -> list[Reached]:
    """Of one run, or of a sweep (add_up)."""
    goals = figures.get("goals")
    assert isinstance(goals, dict)
    lookups = sum(_number(figures, name) for name in _LOOKUPS)
    exact = sum(_number(figures, f"{name} exact") for name in _LOOKUPS)
    sums = {
        "exact": (exact, lookups),
        "found": (_number(figures, "reads found"), _number(figures, "reads")),
        "calls": (_number(figures, "calls"), lookups),
        "memory_kib": (_number(figures, "memory_kib"), _number(figures, "runs") or 1.0),
    }
    return [Reached(name, *sums[name], _number(goals, name)) for name in goals]


def missed_in_a_run(figures: Figures) -> tuple[Complaint, ...]:
    return tuple(
        [
            Complaint(
                "spec/dht.md 7: A lookup is over when each path has asked the nearest", str(each)
            )
            for each in reached(figures)
            if not each.met(alone=True)
        ]
    )


def add_up(sums: dict[str, JsonValue], figures: Figures) -> None:
    """Those of one more run. What is called the most stays that."""
    for name, value in {**figures, "runs": 1}.items():
        if isinstance(value, int | float):
            before = _number(sums, name)
            most = name.endswith("_most")
            sums[name] = max(before, value) if most else round(before + value, 3)
        else:
            sums.setdefault(name, value)


def _number(figures: Figures, name: str) -> float:
    value = figures.get(name, 0)
    return value if isinstance(value, int | float) else 0.0
