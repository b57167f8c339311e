"""Choosing with the chance that a machine is given."""

from collections.abc import Sequence
from typing import TypeVar

from qbix_node.machines import Rng

T = TypeVar("T")


def below(rng: Rng, count: int) -> int:
    """One of 0 … count-1."""
    return int(rng.random() * count)


def pick(rng: Rng, among: Sequence[T]) -> T:
    return among[below(rng, len(among))]


def sample(rng: Rng, among: Sequence[T], count: int) -> list[T]:
    """So many different ones, or all, in the order in which they were drawn."""
    left = list(among)
    return [left.pop(below(rng, len(left))) for _ in range(min(count, len(left)))]
