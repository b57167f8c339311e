"""Chance that repeats."""

from hypothesis import given
from hypothesis import strategies as st

from netsim.chance import Chance, Draws


def test_draws_follow_from_seed_and_purpose_alone() -> None:
    """The values are pinned: other ones would make every seed another run."""
    draws = Chance(1).draws("loss", 2, 3)
    assert [draws.bits() for _ in range(2)] == [6179234712193367646, 10242711284442623421]


def test_what_is_drawn_for_one_purpose_leaves_the_others() -> None:
    chance = Chance(1)
    used, other = chance.draws("loss", 1), chance.draws("loss", 2)
    for _ in range(100):
        used.random()
    assert other.random() == Chance(1).draws("loss", 2).random()


def test_seeds_purposes_and_numbers_differ() -> None:
    firsts = {
        draws.bits()
        for draws in (
            Chance(1).draws("loss"),
            Chance(2).draws("loss"),
            Chance(1).draws("late"),
            Chance(1).draws("loss", 1),
            Chance(1).draws("loss", 11),
            Chance(1).draws("loss", 1, 1),
        )
    }
    assert len(firsts) == 6


def test_the_generator_is_splitmix64() -> None:
    """Of the reference implementation with the state 1234567."""
    draws = Draws(1234567)
    assert [draws.bits() for _ in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


@given(st.integers(0, 2**64 - 1), st.integers(1, 1000))
def test_draws_stay_within_bounds(state: int, count: int) -> None:
    draws = Draws(state)
    assert 0 <= draws.random() < 1
    assert 0 <= draws.below(count) < count
    assert 2 <= draws.between(2, 3) <= 3
    assert len(draws.randbytes(count)) == count
    assert draws.pick(range(count)) in range(count)


def test_a_sample_has_no_doubles() -> None:
    sample = Chance(1).draws("sample").sample(range(20), 15)
    assert len(set(sample)) == 15
    assert sorted(Chance(1).draws("sample").sample(range(3), 15)) == [0, 1, 2]


def test_chance_is_as_likely_as_it_is_said_to_be() -> None:
    draws = Chance(1).draws("coin")
    assert 2800 < sum(draws.chance(0.3) for _ in range(10_000)) < 3200
