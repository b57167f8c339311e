"""Virtual time: what happens when. Things of one moment happen in the order of their setting."""

import math
from collections.abc import Callable
from heapq import heappop, heappush

_Entry = tuple[float, int, Callable[..., object], tuple[object, ...]]


class Loop:
    """Both drivers take what happens from here; nothing else makes time pass."""

    __slots__ = ("_heap", "_set_so_far", "happened", "now")

    def __init__(self) -> None:
        self.now = 0.0  # seconds since the run began
        self.happened = 0
        self._heap: list[_Entry] = []
        self._set_so_far = 0

    def at(self, when: float, action: Callable[..., object], *arguments: object) -> None:
        """There is no taking back: an action that comes too late must be harmless."""
        self._set_so_far += 1
        heappush(self._heap, (max(when, self.now), self._set_so_far, action, arguments))

    def after(self, delay_s: float, action: Callable[..., object], *arguments: object) -> None:
        self.at(self.now + delay_s, action, *arguments)

    def next_at(self) -> float:
        return self._heap[0][0] if self._heap else math.inf

    def step(self) -> None:
        """Let the next thing happen."""
        self.now, _, action, arguments = heappop(self._heap)
        self.happened += 1
        action(*arguments)
