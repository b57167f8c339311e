"""All that the simulator uses of trio and trio does not promise to keep (trio issue 2675).

Trio shuffles the tasks that may run, by a generator of its own, and orders them before only if told
to. A trio that renames any of this is noticed by `check`, before a run could differ from another.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import trio

FLAG = "_ALLOW_DETERMINISTIC_SCHEDULING"


class TrioChangedError(Exception):
    """This trio keeps its switches elsewhere: netsim/full/switches.py has to follow it."""


def check() -> None:
    """Raises TrioChangedError."""
    core = getattr(getattr(trio, "_core", None), "_run", None)
    found = {
        "_core._run._r, a random.Random": isinstance(getattr(core, "_r", None), random.Random),
        f"_core._run.{FLAG}, a bool": isinstance(getattr(core, FLAG, None), bool),
        "_core._run.GLOBAL_RUN_CONTEXT": hasattr(core, "GLOBAL_RUN_CONTEXT"),
    }
    if missing := [name for name, there in found.items() if not there]:
        raise TrioChangedError(f"trio {trio.__version__} has no longer: {'; '.join(missing)}")


@contextmanager
def deterministic_scheduling(seed: int) -> Iterator[None]:
    """Inside, a run of trio repeats, if all else does. Everything is put back afterwards."""
    check()
    core = trio._core._run  # noqa: SLF001  (the only place)
    flag, state = core._ALLOW_DETERMINISTIC_SCHEDULING, core._r.getstate()  # noqa: SLF001
    setattr(core, FLAG, True)
    core._r.seed(seed)  # noqa: SLF001
    try:
        yield
    finally:
        core._r.setstate(state)  # noqa: SLF001
        setattr(core, FLAG, flag)


def anybody_can_run() -> bool:
    """Whether a task of the present run waits for nothing but its turn."""
    return bool(trio._core._run.GLOBAL_RUN_CONTEXT.runner.runq)  # noqa: SLF001
