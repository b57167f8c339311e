"""The clocks of nodes, which run wrong."""

from hypothesis import given
from hypothesis import strategies as st

from netsim.clocks import EPOCH_S, WallClock
from netsim.loop import Loop


def test_a_clock_shows_the_time_since_1970() -> None:
    loop = Loop()
    clock = WallClock(loop)
    loop.now = 5.0
    assert clock.wall() == EPOCH_S + 5.0
    assert clock.local() == 5.0


def test_a_skewed_clock_is_off_and_its_own_time_is_not() -> None:
    clock = WallClock(Loop())
    clock.skew_s = -3600.0
    assert clock.wall() == EPOCH_S - 3600.0
    assert clock.local() == 0.0


def test_a_drifting_clock_runs_faster_from_now_on() -> None:
    loop = Loop()
    clock = WallClock(loop)
    loop.now = 10.0
    clock.rate = 1.5
    loop.now = 20.0
    assert clock.local() == 25.0
    clock.rate = 1.0
    loop.now = 30.0
    assert clock.local() == 35.0


def test_a_timer_of_a_fast_clock_is_due_earlier() -> None:
    clock = WallClock(Loop())
    clock.rate = 2.0
    assert clock.delay_s(10.0) == 5.0
    assert clock.delay_s(-1.0) == 0.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.01, 10)), max_size=10))
def test_time_never_runs_backwards(changes: list[tuple[float, float]]) -> None:
    loop = Loop()
    clock = WallClock(loop)
    before = clock.local()
    for passed_s, rate in changes:
        loop.now += passed_s
        clock.rate = rate
        assert clock.local() >= before
        before = clock.local()
