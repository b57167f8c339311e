"""Chance that repeats: every purpose draws from a sequence of its own, counted from its start.

The nth draw is a function of (seed, purpose, n) alone, so that taking away one fault leaves the
draws of everything else where they were. The generator is SplitMix64 (Steele, Lea, Flood: Fast
Splittable Pseudorandom Number Generators, 2014), started at a BLAKE2b of seed and purpose.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")

_GAMMA = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF
_UNIT = 2.0**-53


class Draws:
    """One sequence of draws; it is a `qbix_node.ports.Rng`."""

    __slots__ = ("_state",)

    def __init__(self, key: int) -> None:
        self._state = key

    def bits(self) -> int:
        """64 of them."""
        self._state = z = (self._state + _GAMMA) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def random(self) -> float:
        # As bits(), written out: a run asks for this more often than for anything else.
        self._state = z = (self._state + _GAMMA) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) >> 11) * _UNIT

    def randbytes(self, n: int, /) -> bytes:
        words = [self.bits().to_bytes(8, "little") for _ in range(-(-n // 8))]
        return b"".join(words)[:n]

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.random()

    def below(self, count: int) -> int:
        """One of 0 … count-1."""
        return int(self.random() * count)

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def pick(self, among: Sequence[T]) -> T:
        return among[self.below(len(among))]

    def sample(self, among: Sequence[T], count: int) -> list[T]:
        """So many different ones, in the order in which they were drawn."""
        left = list(among)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]


class Chance:
    """All chance of one run."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def draws(self, purpose: str, *who: int) -> Draws:
        """A new sequence, from its start: keep it as long as its purpose lasts."""
        name = f"{self.seed}/{purpose}/{'/'.join(map(str, who))}"
        return Draws(int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little"))
