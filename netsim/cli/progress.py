"""How far a run has come, on a terminal. The run itself does not know that it is watched."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from netsim.world import World
from qbix_node.cli.output import Output

PERIOD_S = 1.0


class Watch:
    """Given to a run, which says what world it is about."""

    def __init__(self) -> None:
        self._world: World | None = None

    def __call__(self, world: World) -> None:
        self._world = world

    def said(self) -> str:
        if self._world is None:
            return "a moment"
        now_s, plan = self._world.loop.now, self._world.plan
        if now_s < plan.duration_s:
            return f"{now_s:.1f} of {plan.duration_s:g} s virtual"
        return f"{now_s:.1f} s virtual; until it settles, at most {plan.settle_s:g} s"


@contextmanager
def shown(out: Output, what: str) -> Iterator[Watch]:
    """A line that changes each second."""
    watch, over = Watch(), threading.Event()

    def tell() -> None:
        while not over.wait(PERIOD_S):
            progress.at(watch.said())

    with out.progress(what) as progress:
        if not sys.stderr.isatty():
            yield watch
            return
        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield watch
        finally:
            over.set()
            teller.join()
