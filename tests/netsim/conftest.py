"""What several tests of the simulator's commands need."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def ctrl_c_counts() -> Iterator[None]:
    """A shell has what it starts in the background ignore SIGINT, with all that this starts: tests,
    too. Who has a handler passes on the default.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
