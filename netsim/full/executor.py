"""Work that the daemon gives to threads, in virtual time: it takes a while, and a crash may come
before it is done, or after that and before anybody knows.
"""

from collections.abc import Callable
from typing import TypeVar

import trio

from netsim.chance import Draws

THREADS = 2
WORK_S = 0.002  # at most, before what is done shows, and again until that is known

T = TypeVar("T")


class SlowExecutor:
    """Work that has begun is not broken off by cancellation, as in a thread; `kill` ends it."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self._threads = trio.CapacityLimiter(THREADS)
        self._at_work: dict[trio.CancelScope, None] = {}
        self._killed = False

    async def run(self, work: Callable[[], T]) -> T:
        async with self._threads:
            await self._pass_time()
            result = work()
            await self._pass_time()
            return result

    def kill(self) -> None:
        """The process is gone: nothing that has not been done yet will be."""
        self._killed = True
        for scope in self._at_work:
            scope.cancel()

    async def _pass_time(self) -> None:
        with trio.CancelScope(shield=True) as scope:
            self._at_work[scope] = None
            await trio.sleep(self._draws.between(0, WORK_S))
        del self._at_work[scope]
        if self._killed:
            await trio.sleep_forever()  # until it is cancelled with all of the process
