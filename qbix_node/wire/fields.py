"""Fields of unpacked structures, checked one by one: type, size and range. All raise Malformed."""

import re
from functools import lru_cache
from typing import Any

from qbix_node.errors import Malformed

NUMBER_MAX = 2**53 - 1  # what JavaScript can count
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}")


def array(value: object, what: str, *, size: int | None = None, most: int | None = None) -> Any:
    """A tuple, of exactly `size` or at most `most` items, which its caller checks in turn."""
    if type(value) is not tuple:
        raise Malformed(f"{what}: expected an array")
    if size is not None and len(value) != size:
        raise Malformed(f"{what}: expected {size} fields, not {len(value)}")
    if most is not None and len(value) > most:
        raise Malformed(f"{what}: {len(value)} items, {most} are allowed")
    return value


def versioned(value: object, what: str, *, size: int) -> Any:
    """An array whose first field is the version of its form, 1."""
    fields = array(value, what, size=size)
    if type(fields[0]) is not int or fields[0] != 1:
        raise Malformed(f"{what}: version {fields[0]!r} is not known here")
    return fields


def data(value: object, what: str, *, size: int | None = None, most: int | None = None) -> bytes:
    if type(value) is not bytes:
        raise Malformed(f"{what}: expected bytes")
    if size is not None and len(value) != size:
        raise Malformed(f"{what}: expected {size} bytes, not {len(value)}")
    if most is not None and len(value) > most:
        raise Malformed(f"{what}: {len(value)} bytes, {most} are allowed")
    return value


def text(value: object, what: str, *, most: int) -> str:
    """Of at most so many bytes."""
    if type(value) is not str or len(value.encode()) > most:
        raise Malformed(f"{what}: expected text of at most {most} bytes")
    return value


def number(value: object, what: str, low: int = 0, high: int = NUMBER_MAX) -> int:
    if type(value) is not int or not low <= value <= high:
        raise Malformed(f"{what}: expected a whole number from {low} to {high}")
    return value


@lru_cache(maxsize=1024)
def is_name(text: str) -> bool:
    """There are few, and they come again and again."""
    return _NAME.fullmatch(text) is not None


def name(value: object, what: str) -> str:
    if type(value) is not str or not is_name(value):
        raise Malformed(f"{what}: expected 1 to 64 characters a-z, 0-9, '.', '_', '-'")
    return value


def hashes(value: object, what: str, *, most: int) -> tuple[bytes, ...]:
    """SHA-256 sums."""
    return tuple([data(each, what, size=32) for each in array(value, what, most=most)])
