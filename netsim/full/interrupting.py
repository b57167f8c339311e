"""Ctrl-C ends a run between two of its steps: in the middle of one, trio could not bear it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from netsim.full.clock import LoopClock


@contextmanager
def interruptible(clock: LoopClock) -> Iterator[None]:
    """Raises KeyboardInterrupt in the end. The second one does so at once, wherever it is."""
    default = signal.default_int_handler
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not default:
        yield  # somebody else is told
        return

    def interrupt(number: int, frame: object) -> None:
        clock.interrupted = True
        signal.signal(signal.SIGINT, default)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, default)
    if clock.interrupted:
        raise KeyboardInterrupt
