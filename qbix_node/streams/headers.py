"""Read headers that follow each other (spec/streams.md 2).

Those of the only owner differ in little, and there are very many of them: what is encoded as the
one before it, but for its place, its time and its content, needs no decoder.
"""

from collections.abc import Iterable
from functools import lru_cache

from qbix_node.errors import Malformed
from qbix_node.streams.messages import Header, read_header
from qbix_node.streams.tree import LENGTH_MAX
from qbix_node.wire.fields import NUMBER_MAX, is_name
from qbix_node.wire.packing import pack, unpack

_HASH = b"\xc4\x20"  # msgpack: before 32 bytes
_NIL = b"\xc0"
_NIL_LONG = b"\xc0\xcf"  # the latter before a number in 8 bytes
_LONG_MIN = 1 << 32  # smaller ones have fewer


def read_in_a_row(leaves: Iterable[bytes]) -> list[Header]:
    """The same as `read_header` of each. Raises Malformed."""
    headers, model, place = list[Header](), None, 0
    for leaf in leaves:
        place += 1
        header = model.read(leaf, place) if model is not None else None
        if header is None:
            header = read_header(leaf)
            model, place = _Model(header), header.place
        headers.append(header)
    return headers


class _Model:
    """What headers of the only owner have in common with one of them."""

    __slots__ = ("_author", "_beginning", "_middle", "_stream")

    def __init__(self, header: Header) -> None:
        self._stream, self._author = header.stream, header.author
        self._beginning = b"\x9c\x01" + _HASH + header.stream
        self._middle = _HASH + header.author

    def read(self, leaf: bytes, place: int) -> Header | None:
        """None: it is another, or wrong."""
        number = _number(place)
        start = b"".join((self._beginning, number, self._middle, number, number, _NIL_LONG))
        if not (leaf.startswith(start) and leaf.endswith(_NIL)):
            return None
        at = len(start)
        stamp_ms = int.from_bytes(leaf[at : at + 8], "big")
        said = _read_kind_and_size(leaf[at + 8 : -33])
        if said is None or not _LONG_MIN <= stamp_ms <= NUMBER_MAX or place >= LENGTH_MAX:
            return None
        kind, size = said
        author, stream, named = self._author, self._stream, leaf[-33:-1]
        return Header._make(
            (1, stream, place, author, place, place, None, stamp_ms, kind, size, named, None)
        )


def _number(value: int) -> bytes:
    """As it is packed, and that faster."""
    if value < 1 << 8:
        return pack(value)
    if value < 1 << 16:
        return b"\xcd" + value.to_bytes(2, "big")
    return b"\xce" + value.to_bytes(4, "big")


@lru_cache(maxsize=1024)
def _read_kind_and_size(encoded: bytes) -> tuple[str, int] | None:
    """Up to the hash. There are few that come again and again."""
    if not encoded.endswith(_HASH):
        return None
    try:
        kind, size = unpack(b"\x92" + encoded[: -len(_HASH)], "kind and size")
    except Malformed:
        return None
    valid = type(kind) is str and is_name(kind) and type(size) is int and 0 <= size <= NUMBER_MAX
    return (kind, size) if valid else None
