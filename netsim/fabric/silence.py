"""Ends that can't hear the other side: what the heartbeats of links find (spec/transport.md 5).

Only ends that are in trouble have a timer.
"""

import math
from typing import Protocol

from netsim.fabric.stream import End
from netsim.loop import Loop


class Endings(Protocol):
    def arrive_reset(self, end: End, reason: str) -> None: ...

    def give_up(self, end: End, reason: str) -> None: ...


class Silence:
    """`patience_s`: None, if whoever holds the ends sees to it."""

    def __init__(
        self,
        loop: Loop,
        endings: Endings,
        down: dict[int, None],
        patience_s: float | None,
        heartbeat_s: float,
    ) -> None:
        self._loop = loop
        self._endings = endings
        self._down = down
        self._patience_s = patience_s
        self._heartbeat_s = heartbeat_s

    def watch(self, end: End) -> None:
        """Nothing can come from the other side."""
        if self._patience_s is None or end.over:
            return
        end.silent_since = min(end.silent_since, self._loop.now)
        if not end.watched:
            end.watched = True
            self._loop.after(min(self._heartbeat_s, self._patience_s), self._look, end)

    def over(self, end: End) -> None:
        """Its path is open again."""
        if end.peer is not None and not _is_alone(end):
            end.silent_since = math.inf

    def _look(self, end: End) -> None:
        other = end.peer
        if end.over or other is None:
            return
        assert self._patience_s is not None
        left_s = end.silent_since + self._patience_s - self._loop.now
        if _is_alone(end) and self._reach_each_other(end, other):  # a sign of life was asked for
            self._endings.arrive_reset(other, "reset: nobody there")
        elif left_s == math.inf:
            end.watched = False
        elif left_s < 1e-6:
            self._endings.give_up(end, f"silent for {self._patience_s:.0f} s")
        else:
            self._loop.after(min(self._heartbeat_s, left_s), self._look, end)

    def _reach_each_other(self, end: End, other: End) -> bool:
        return not (end.path.blocked or other.path.blocked or other.node in self._down)


def _is_alone(end: End) -> bool:
    """The other side is over, and this one will never hear of it."""
    return end.peer is not None and end.peer.over and not end.peer.told
