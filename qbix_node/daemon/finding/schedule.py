"""When which search is due: at once, then after ever longer waits (spec/dht.md 11). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from qbix_node.machines import Rng

AGAIN_S, AGAIN_S_MAX = 4.0, 600.0  # between two searches for the same, the first wait and the last
DOUBLINGS_MAX = 16

T = TypeVar("T")


@dataclass(slots=True)
class _Search:
    due: float
    failures: int = 0
    under_way: bool = False


class Schedule(Generic[T]):
    """Of searches for things that are wanted; what is wanted no longer is forgotten."""

    def __init__(self) -> None:
        self._searches: dict[T, _Search] = {}

    def __len__(self) -> int:
        return len(self._searches)

    def want(self, wanted: Iterable[tuple[T, float]], now: float) -> None:
        """All of them, each with the time for which it may come by itself first."""
        self._searches = {
            name: self._searches.get(name) or _Search(now + patience_s)
            for name, patience_s in wanted
        }

    def wants(self, name: T) -> bool:
        return name in self._searches

    def begin(self, now: float, most: int) -> list[T]:
        """Those that are due, the longest waiting first; each is under way until `end`."""
        found = [
            (search.due, place, name)
            for place, (name, search) in enumerate(self._searches.items())
            if search.due <= now and not search.under_way
        ]
        begun = [name for _, _, name in sorted(found, key=lambda each: each[:2])[:most]]
        for name in begun:
            self._searches[name].under_way = True
        return begun

    def end(self, name: T, now: float, rng: Rng) -> None:
        """Whatever came of it: if it is still wanted later, it is looked for again."""
        search = self._searches.get(name)
        if search is None:
            return
        wait_s = min(AGAIN_S_MAX, AGAIN_S * 2 ** min(search.failures, DOUBLINGS_MAX))
        search.failures += 1
        search.under_way = False
        search.due = now + wait_s * (0.75 + rng.random() / 2)
