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
    packed: bytes = msgpack.Packer(use_bin_type=True).pack(value)  # packb is slower
    return packed


def unpack(data: bytes, what: str) -> Any:
    """The value of `data`, arrays as tuples; `what` names the thing in errors. Raises Malformed.

    Its caller parses the result into a dataclass at once.
    """
    value = _decode(data, what)
    if not _allowed(value) or pack(value) != data:
        raise Malformed(f"{what}: msgpack that is not in its only allowed form")
    return value


def unpack_fields(data: bytes, what: str) -> Any:
    """The same for an array whose caller accepts no item that is not nil, bool, int, bytes or str:
    then the form of what is left is checked here. For what there is very much of.
    """
    value = _decode(data, what)
    if type(value) is not tuple or msgpack.Packer(use_bin_type=True).pack(value) != data:
        raise Malformed(f"{what}: msgpack that is not an array in its only allowed form")
    return value


def unpack_beginning(data: bytes, count: int, what: str) -> list[Any]:
    """The first items of an array. Of what follows, and of the form, nothing is known. Raises
    Malformed.
    """
    unpacker = msgpack.Unpacker(raw=False, use_list=False, max_buffer_size=len(data))
    try:
        unpacker.feed(data)
        size = unpacker.read_array_header()
        items = [unpacker.unpack() for _ in range(min(size, count))]
    except Exception as error:  # as below
        raise Malformed(f"{what}: not valid msgpack ({type(error).__name__})") from error
    if size < count:
        raise Malformed(f"{what}: expected an array of more items")
    return items


def _decode(data: bytes, what: str) -> Any:
    try:
        return msgpack.unpackb(data, raw=False, use_list=False, strict_map_key=True)
    except (
        Exception
    ) as error:  # the decoder raises many types; all of them say: not what we asked for
        raise Malformed(f"{what}: not valid msgpack ({type(error).__name__})") from error


_PLAIN = frozenset({type(None), bool, int, bytes, str})


def _allowed(value: object, depth: int = 0) -> bool:
    if type(value) is not tuple:  # nor its subclass msgpack.ExtType
        return type(value) in _PLAIN
    if depth >= DEPTH_MAX:
        return False
    for item in value:  # noqa: SIM110  (a generator would cost twice as much)
        if type(item) not in _PLAIN and not _allowed(item, depth + 1):
            return False
    return True
