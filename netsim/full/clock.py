"""Virtual time for trio: the loop's.

Trio asks its clock how long to sleep exactly when no task can run. That is the moment at which the
next thing happens, or time jumps to the next deadline; then trio need not sleep at all.
"""

import math
from collections.abc import Callable

import trio

from netsim.full import switches
from netsim.loop import Loop

# Trio itself waits for the system now and then when a run ends, with nothing of ours to come.
IDLE_S = 0.001
IDLE_MAX = 200

_NEVER = 1e300


class DeadlockError(Exception):
    """Nothing will ever happen again, but the run is not over."""


class LoopClock(trio.abc.Clock):
    """`over`: whether nothing of the loop is to happen any more. `ended` is set then, and when
    something failed that belongs to no task: trio would not survive it here.
    """

    def __init__(self, loop: Loop, over: Callable[[], bool]) -> None:
        self._loop = loop
        self._over = over
        self._idle = 0
        self.ended = trio.Event()
        self.failure: Exception | None = None
        self.interrupted = False  # by a person: whoever sets it ends the run

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self._loop.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        loop = self._loop
        if deadline <= loop.now:
            return 0
        while not self.ended.is_set() and loop.next_at() <= min(deadline, _NEVER):
            self._step()
            if switches.anybody_can_run():
                self._idle = 0
                return 0
        if deadline < math.inf:
            self._idle = 0
            loop.now = deadline
            return 0
        self._idle += 1
        if self._idle > IDLE_MAX:
            self._give_up()
        return IDLE_S

    def _step(self) -> None:
        try:
            self._loop.step()
        except Exception as error:  # noqa: BLE001  (who started the run raises it)
            self.failure = error
        if self._over() or self.failure is not None or self.interrupted:
            self.ended.set()

    def _give_up(self) -> None:
        failure = DeadlockError(f"nothing happens after {self._loop.now:.3f} s")
        if self.ended.is_set():
            raise failure  # nobody is left whom it could be told
        self.failure, self._idle = failure, 0
        self.ended.set()
