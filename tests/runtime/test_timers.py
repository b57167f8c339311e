import math

from hypothesis import given
from hypothesis import strategies as st

from qbix_node.runtime.timers import STALE_MAX, Timers


def test_a_timer_replaces_the_one_of_its_name() -> None:
    timers = Timers()
    timers.set("a", 1.0)
    timers.set("a", 5.0)
    assert timers.due(4.0) == []
    assert timers.due(5.0) == ["a"]
    assert timers.due(1e9) == []


def test_a_timer_at_infinity_is_taken_back() -> None:
    timers = Timers()
    timers.set("a", 1.0)
    timers.set("a", math.inf)
    assert timers.next_at() == math.inf
    assert timers.due(2.0) == []
    for i in range(10 * STALE_MAX):
        timers.set(f"timer {i}", math.inf)
    assert len(timers) == 0


def test_timers_of_one_moment_fire_in_the_order_in_which_they_were_set() -> None:
    timers = Timers()
    for name in ("c", "a", "b", "a"):
        timers.set(name, 1.0)
    assert timers.due(1.0) == ["c", "b", "a"]


def test_a_timer_that_is_set_again_and_again_takes_no_room() -> None:
    timers = Timers()
    for i in range(10 * STALE_MAX):
        timers.set("a", float(i))
    assert len(timers) <= STALE_MAX + 2
    assert timers.due(1e9) == ["a"]
    assert len(timers) == 0


MOMENT = st.sampled_from([0.0, 1.0, 2.0, 3.0, math.inf])


@given(st.lists(st.tuples(st.sampled_from("abcd"), MOMENT) | MOMENT, max_size=200))
def test_timers_are_as_a_plain_table_would_have_them(
    steps: list[tuple[str, float] | float],
) -> None:
    timers, table = Timers(), dict[str, float]()
    for step in steps:
        if isinstance(step, tuple):
            name, at = step
            timers.set(name, at)
            table.pop(name, None)
            table[name] = at
        elif step < math.inf:
            due = sorted((name for name in table if table[name] <= step), key=lambda n: table[n])
            assert timers.due(step) == due
            for name in due:
                del table[name]
        assert timers.next_at() == min(table.values(), default=math.inf)
