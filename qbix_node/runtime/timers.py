"""When which timer of a machine is due. Setting a timer replaces the one of its name."""

import heapq
import math
from dataclasses import dataclass, field

STALE_MAX = 64  # replaced entries that may lie in the heap beyond the live ones


@dataclass(slots=True)
class Timers:
    _live: dict[str, tuple[float, int]] = field(default_factory=dict)
    _heap: list[tuple[float, int, str]] = field(default_factory=list)
    _set_so_far: int = 0  # timers of one moment fire in the order in which they were set

    def __len__(self) -> int:
        """Entries held, stale ones among them."""
        return len(self._heap)

    def set(self, name: str, at: float) -> None:
        """A timer at infinity is a timer that is taken back."""
        self._live.pop(name, None)
        if at == math.inf:
            return
        self._set_so_far += 1
        self._live[name] = (at, self._set_so_far)
        heapq.heappush(self._heap, (at, self._set_so_far, name))
        if len(self._heap) > 2 * len(self._live) + STALE_MAX:
            self._heap = [(at, order, name) for name, (at, order) in self._live.items()]
            heapq.heapify(self._heap)

    def next_at(self) -> float:
        while self._heap and self._live.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)  # replaced, or taken back
        return self._heap[0][0] if self._heap else math.inf

    def due(self, now: float) -> list[str]:
        """Take the names of all timers at or before `now`, earliest first."""
        assert now < math.inf
        names = []
        while self.next_at() <= now:
            names.append(heapq.heappop(self._heap)[2])
            del self._live[names[-1]]
        return names
