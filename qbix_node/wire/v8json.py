"""JSON exactly as V8 reads and writes it (spec/classic-feeds.md 2): Scuttlebutt signs that text.

orjson does the work where its result is the same; what it treats otherwise (lone surrogates, keys
that look like array indices, numbers beyond 2**53, most floats) goes a slower way of our own.
In a parsed value a whole number within 2**53 is an int, any other a float, whatever its spelling.
"""

import json
import math
import re
from json.encoder import encode_basestring as quote
from typing import NoReturn

import orjson

from qbix_node.errors import Malformed

DEPTH_MAX = 128  # arrays and objects inside each other; a classic message fits at most 62
SAFE_INTEGER = 2**53
INDEX_MAX = 2**32 - 2  # the largest array index of ECMAScript

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(data: bytes, what: str) -> JsonValue:
    """The value that `JSON.parse` makes of this UTF-8 text; `what` names it in errors.

    Raises Malformed. Duplicate keys: the last value stands at the place of the first.
    """
    try:
        value: JsonValue = orjson.loads(data)
    except orjson.JSONDecodeError:
        value = _parse_slowly(data, what)
    return _normal(value, what, 0)


def stringify(value: JsonValue) -> str:
    """`JSON.stringify(value, null, 2)`."""
    if _same_in_orjson(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        except orjson.JSONEncodeError:  # a lone surrogate
            pass
    return _write(value, "\n")


def compact(value: JsonValue) -> bytes:
    """`JSON.stringify(value)` in UTF-8."""
    if _same_in_orjson(value):
        try:
            return orjson.dumps(value)
        except orjson.JSONEncodeError:  # a lone surrogate
            pass
    return _write(value, "").encode()


def has_surrogate(text: str) -> bool:
    """Whether a UTF-16 half stands alone in it: such text has no UTF-8 form."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


# ---- reading ----


def _parse_slowly(data: bytes, what: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(
            data.decode(), parse_int=_integer, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise Malformed(f"{what}: not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        problem = f"{error.msg.removesuffix(' at')} at character {error.pos}"
        raise Malformed(f"{what}: not JSON: {problem}") from error
    except RecursionError as error:
        raise _too_deep(what) from error
    except ValueError as error:
        raise Malformed(f"{what}: not JSON: {error}") from error
    return value


def _integer(text: str) -> int | float:
    return int(text) if len(text) <= 16 else float(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _too_deep(what: str) -> Malformed:
    return Malformed(f"{what}: JSON nested more than {DEPTH_MAX} deep")


def _normal(value: JsonValue, what: str, depth: int) -> JsonValue:
    """The value with its numbers in their one form; containers are changed in place."""
    if type(value) is dict:
        if depth == DEPTH_MAX:
            raise _too_deep(what)
        for key, item in value.items():
            if type(item) is not str:
                value[key] = _normal(item, what, depth + 1)
    elif type(value) is list:
        if depth == DEPTH_MAX:
            raise _too_deep(what)
        value[:] = [_normal(item, what, depth + 1) for item in value]
    elif type(value) is int:
        return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else float(value)
    elif type(value) is float:
        whole = -SAFE_INTEGER <= value <= SAFE_INTEGER and value.is_integer()
        return int(value) if whole else value
    return value


# ---- writing ----


def _same_in_orjson(value: JsonValue) -> bool:
    """Whether orjson writes it as V8 does, lone surrogates apart (those it refuses)."""
    if type(value) is dict:
        for key, item in value.items():
            if "0" <= key < ":":  # perhaps an array index: V8 would put it first
                return False
            if type(item) is not str and not _same_in_orjson(item):
                return False
        return True
    if type(value) is int:
        return -SAFE_INTEGER <= value <= SAFE_INTEGER
    if type(value) is list:
        return all(map(_same_in_orjson, value))
    if type(value) is float:
        # Both write the shortest digits; in this range also in the same notation, unless whole.
        return 1e-5 <= abs(value) < 1e15 and not value.is_integer()
    return value is None or type(value) is str or type(value) is bool


def _write(value: JsonValue, newline: str) -> str:
    """`newline` is the line break with the indentation of this depth, or "" for compact text."""
    match value:
        case str():
            return _string(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _digits(value)
        case list():
            items = [_write(item, _deeper(newline)) for item in value]
            return _enclose("[]", items, newline)
        case dict():
            inner, colon = _deeper(newline), ": " if newline else ":"
            members = [_string(key) + colon + _write(value[key], inner) for key in _ordered(value)]
            return _enclose("{}", members, newline)


def _deeper(newline: str) -> str:
    return newline and newline + "  "


def _enclose(brackets: str, items: list[str], newline: str) -> str:
    if not items:
        return brackets
    inner = _deeper(newline)
    return brackets[0] + inner + f",{inner}".join(items) + newline + brackets[1]


def _string(text: str) -> str:
    if not has_surrogate(text):
        return quote(text)
    # Halves that stand side by side are a character to V8; those left alone are escaped.
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return _SURROGATE.sub(lambda half: f"\\u{ord(half.group()):04x}", quote(joined))


def _ordered(value: dict[str, JsonValue]) -> list[str]:
    """Array indices first, ascending; then the rest as inserted (ECMA-262 10.1.11.1)."""
    indices = [key for key in value if _is_index(key)]
    return sorted(indices, key=int) + [key for key in value if not _is_index(key)]


def _is_index(key: str) -> bool:
    if not key.isascii() or not key.isdigit() or len(key) > 10:
        return False
    return (key == "0" or key[0] != "0") and int(key) <= INDEX_MAX


def _digits(value: int | float) -> str:
    """Number::toString of ECMA-262 6.1.6.1.20; what is no finite number is null."""
    if isinstance(value, int):
        if -SAFE_INTEGER <= value <= SAFE_INTEGER:
            return str(value)
        try:
            value = float(value)
        except OverflowError:
            return "null"
    if not math.isfinite(value):
        return "null"
    mantissa, _, exponent = repr(abs(value)).partition("e")  # the shortest digits, as in V8
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return ("-" if value < 0 else "") + _notation(digits, point)


def _notation(digits: str, point: int) -> str:
    """0.`digits` times 10 ** `point`."""
    if not digits:
        return "0"
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    mantissa = digits if len(digits) == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{point - 1:+d}"
