"""Reads the values of a TOML document strictly: each one has a type and a range, and what nobody
asked for is an error. Every error names the file, the key and what is allowed there.
"""

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from typing import TypeGuard

from netsim.plan import Range
from qbix_node.errors import BadInput


class Table:
    """One table. Whoever has read all of it says `done`, so that other keys are refused."""

    def __init__(self, source: str, place: str, values: Mapping[str, object]) -> None:
        self.source = source
        self._place = place
        self._values = values
        self._asked: list[str] = []
        self._inner: list[Table] = []

    def __contains__(self, key: str) -> bool:
        """Asking makes it a key that is known."""
        self._know(key)
        return key in self._values

    @property
    def empty(self) -> bool:
        return not self._values

    def holds(self, key: str, kind: type) -> bool:
        return isinstance(self._values.get(key), kind)

    def is_text(self, key: str, text: str) -> bool:
        """Asking makes it a key that is known."""
        return key in self and self._values[key] == text

    def wrong(self, key: str, allowed: str) -> BadInput:
        value = self._values.get(key)
        shown = f", not {value!r}" if key in self._values else ""
        return BadInput(f"{self.source}: {self._path(key)}: {allowed}{shown}")

    def number(
        self,
        key: str,
        default: float | None = None,
        *,
        low: float = -math.inf,
        high: float = math.inf,
    ) -> float:
        """Without a default it must be there; so it is with the others."""
        value = self._get(key, default)
        if not _is_number(value) or not low <= value <= high:
            raise self.wrong(key, f"a number{_between(low, high)} is expected")
        return float(value)

    def count(
        self, key: str, default: int | None = None, *, low: int = 0, high: int = 10**9
    ) -> int:
        value = self._get(key, default)
        if not _is_whole(value) or not low <= value <= high:
            raise self.wrong(key, f"a whole number{_between(low, high)} is expected")
        return value

    def span(
        self,
        key: str,
        default: Range | None = None,
        *,
        low: float = -math.inf,
        high: float = math.inf,
    ) -> Range:
        """A number, or two: the bounds between which it is drawn."""
        value = self._get(key, default)
        if isinstance(value, Range):
            return value
        bounds = value if isinstance(value, list) else [value, value]
        numbers = [float(each) for each in bounds if _is_number(each)]
        if len(numbers) != len(bounds) or len(numbers) != 2 or numbers[0] > numbers[1]:
            raise self.wrong(key, "a number, or two ascending ones in brackets, are expected")
        if not low <= numbers[0] or not numbers[1] <= high:
            raise self.wrong(key, f"numbers{_between(low, high)} are expected")
        return Range(*numbers)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "a text in quotes is expected")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false is expected")
        return value

    def choice(self, key: str, among: Collection[str], default: str | None = None) -> str:
        value = self._get(key, default)
        if not isinstance(value, str) or value not in among:
            raise self.wrong(key, f"one of {', '.join(among)} is expected")
        return value

    def texts(
        self, key: str, default: Sequence[str] = (), *, among: Collection[str] | None = None
    ) -> tuple[str, ...]:
        value = self._get(key, list(default))
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(key, "a list of texts is expected")
        if among is not None and any(each not in among for each in value):
            raise self.wrong(key, f"a list of these is expected: {', '.join(among)}")
        return tuple(value)

    def counts(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        value = self._get(key, None)
        if not isinstance(value, list) or not all(_is_whole(each) and each >= 0 for each in value):
            raise self.wrong(key, "a list of whole numbers from 0 on is expected")
        return tuple(value)

    def table(self, key: str) -> "Table":
        """Empty, if it is not there."""
        value = self._get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "a table is expected")
        return self._keep(Table(self.source, self._path(key), value))

    def tables(self, key: str) -> "list[Table]":
        value = self._get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.wrong(key, "a list of tables is expected")
        path = self._path(key)
        return [
            self._keep(Table(self.source, f"{path}.{place}", each))
            for place, each in enumerate(value)
        ]

    def names(self, among: Collection[str]) -> list[str]:
        """Of a table with names of one kind as keys."""
        self._asked += among
        self._refuse_others()
        return list(self._values)

    def done(self) -> None:
        """All keys were read, here and in the tables within."""
        self._refuse_others()
        for table in self._inner:
            table.done()

    def _refuse_others(self) -> None:
        for key in self._values:
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, 1)
                meant = f" (is {near[0]} meant?)" if near else ""
                allowed = ", ".join(self._asked) or "nothing"
                raise BadInput(
                    f"{self.source}: {self._path(key)}: unknown key{meant}; allowed: {allowed}"
                )

    def _keep(self, table: "Table") -> "Table":
        self._inner.append(table)
        return table

    def _get(self, key: str, default: object) -> object:
        self._know(key)
        value = self._values.get(key, default)
        if value is None:
            raise BadInput(f"{self.source}: {self._path(key)}: is missing")
        return value

    def _know(self, key: str) -> None:
        if key not in self._asked:
            self._asked.append(key)

    def _path(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key


def read_nodes(
    table: Table, key: str, nodes: Sequence[int], *, empty: bool = True
) -> tuple[int, ...] | None:
    """None: nothing is said. Raises BadInput: there is no such node, or it is named twice; none is
    named, where `empty` does not allow it.
    """
    if key not in table:
        return None
    numbers = table.counts(key)
    if not numbers and not empty:
        raise table.wrong(key, "one node at least is expected")
    if len(set(numbers)) < len(numbers):
        raise table.wrong(key, "each node is expected once")
    if any(number not in nodes for number in numbers):
        raise table.wrong(key, f"nodes that there are ({shown(nodes)}) are expected")
    return numbers


def shown(nodes: Sequence[int]) -> str:
    if list(nodes) == list(range(len(nodes))):
        return f"0 to {len(nodes) - 1}"
    return ", ".join(map(str, nodes[:20])) + (" …" if len(nodes) > 20 else "")


def _is_number(value: object) -> TypeGuard[int | float]:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_whole(value: object) -> TypeGuard[int]:
    """Not larger than what TOML promises to carry."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _between(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f" from {low:g} to {high:g}"
    if math.isfinite(low):
        return f" from {low:g} on"
    return f" up to {high:g}" if math.isfinite(high) else ""
