"""Reads fields of JSON that a stranger may have written.

What lacks, or is of another type than it should be, becomes the empty value of the right type: a
report shows it as unknown, and everything else still stands.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qbix_node.errors import BadInput

NUMBER_MAX = 1e15  # beyond it, neither a time nor a count means anything


@dataclass(frozen=True, slots=True)
class Fields:
    _fields: Mapping[str, object]

    def text(self, name: str) -> str:
        value = self._fields.get(name)
        if isinstance(value, str):
            return value
        # A seed has 64 bits, of which a number in JavaScript would keep 53.
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""

    def number(self, name: str) -> float | None:
        return as_number(self._fields.get(name))

    def whole(self, name: str) -> int | None:
        number = self.number(name)
        return None if number is None else int(number)

    def inner(self, name: str) -> "Fields":
        return fields_of(self._fields.get(name))

    def rows(self, name: str) -> list["Fields"]:
        """Of a list of objects."""
        return [fields_of(each) for each in self._list(name) if isinstance(each, dict)]

    def texts(self, name: str) -> list[str]:
        return [each for each in self._list(name) if isinstance(each, str)]

    def wholes(self, name: str) -> list[int]:
        numbers = [as_number(each) for each in self._list(name)]
        return [int(each) for each in numbers if each is not None]

    def counts(self) -> Iterator[tuple[str, float]]:
        """Of an object whose values are counts, or say yes or no."""
        for name, value in sorted(self._fields.items()):
            if isinstance(value, bool):
                yield name, float(value)
            elif (count := as_number(value)) is not None:
                yield name, count

    def named(self) -> Iterator[tuple[str, str]]:
        """Of an object whose values are texts."""
        for name, value in sorted(self._fields.items()):
            if isinstance(value, str):
                yield name, value

    def _list(self, name: str) -> list[object]:
        value = self._fields.get(name)
        return value if isinstance(value, list) else []


def as_number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    number = float(value) if abs(value) <= NUMBER_MAX else math.inf
    return number if math.isfinite(number) else None


def fields_of(value: object) -> Fields:
    return Fields({str(k): v for k, v in value.items()} if isinstance(value, dict) else {})


def parse(text: str | bytes, what: str) -> Fields:
    """`what` it is, for the sentence about what is wrong."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{what} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInput(f"{what} is no JSON object")
    return fields_of(value)
