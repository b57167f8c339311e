"""Virtual time."""

import math

from netsim.loop import Loop


def test_things_happen_in_the_order_of_their_times_and_then_of_their_setting() -> None:
    loop, happened = Loop(), list[str]()
    loop.at(2.0, happened.append, "last")
    loop.at(1.0, happened.append, "first")
    loop.after(1.0, happened.append, "second")
    while loop.next_at() < math.inf:
        loop.step()
    assert happened == ["first", "second", "last"]
    assert (loop.now, loop.happened) == (2.0, 3)


def test_nothing_happens_in_the_past() -> None:
    loop = Loop()
    loop.now = 5.0
    loop.at(1.0, lambda: None)
    loop.step()
    assert loop.now == 5.0


def test_what_happens_may_set_what_happens_next() -> None:
    loop, times = Loop(), list[float]()

    def tick() -> None:
        times.append(loop.now)
        if len(times) < 3:
            loop.after(0.5, tick)

    loop.after(0.5, tick)
    while loop.next_at() < math.inf:
        loop.step()
    assert times == [0.5, 1.0, 1.5]
