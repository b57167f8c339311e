"""Strict msgpack (spec/encoding.md): arrays, minimal integers, bin, UTF-8 str, nil, booleans.

What decodes but would encode otherwise is Malformed, so a value has exactly one byte string and
a signature covers a value.
"""

from typing import Any

import msgpack

from qbix_node.errors import Malformed

DEPTH_MAX = 32

Packable = None | bool | int | bytes | str | tuple["Packable", ...] | list["Packable"]


def pack(value: Packable) -> bytes:
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def unpack(data: bytes, what: str) -> Any:
    """The value of `data`, arrays as tuples; `what` names the thing in errors. Raises Malformed.

    Its caller parses the result into a dataclass at once.
    """
    try:
        value = msgpack.unpackb(data, raw=False, use_list=False, strict_map_key=True)
    except (
        Exception
    ) as error:  # the decoder raises many types; all of them say: not what we asked for
        raise Malformed(f"{what}: not valid msgpack ({type(error).__name__})") from error
    if not _allowed(value) or pack(value) != data:
        raise Malformed(f"{what}: msgpack that is not in its only allowed form")
    return value


def _allowed(value: object, depth: int = 0) -> bool:
    if type(value) is tuple:  # not its subclass msgpack.ExtType
        return depth < DEPTH_MAX and all(_allowed(item, depth + 1) for item in value)
    return value is None or isinstance(value, bool | int | bytes | str)
