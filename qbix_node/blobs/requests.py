"""The arguments of blobs.get, getSlice, has and size, as peers write them (spec/blobs.md 3)."""

from dataclasses import dataclass

from qbix_node.errors import Malformed, RemoteError
from qbix_node.wire.references import BlobId, format_blob, parse_blob
from qbix_node.wire.v8json import JsonValue

_NAMES = ("id", "key", "hash")  # of the blob id among options, in the order in which they count


@dataclass(frozen=True, slots=True)
class BlobRange:
    """The bytes from `start` to before `end`, if the whole blob has the size that is expected."""

    blob: BlobId
    start: int = 0
    end: int | None = None
    size: int | None = None
    size_max: int | None = None

    def within(self, size: int) -> range:
        """Which bytes of a blob of this size. Raises RemoteError: it is not what was expected."""
        if self.size not in (None, size):
            raise RemoteError(f"{format_blob(self.blob)} has {size} bytes, not {self.size}")
        if self.size_max is not None and size > self.size_max:
            raise RemoteError(
                f"{format_blob(self.blob)} has {size} bytes, more than {self.size_max}"
            )
        return range(self.start, size if self.end is None else min(size, self.end))


def read_get(args: list[JsonValue]) -> BlobRange:
    """A blob id, or options. Raises Malformed."""
    wish = _only(args, "blobs.get")
    if isinstance(wish, str):
        return BlobRange(parse_blob(wish))
    return BlobRange(
        _blob(wish, "blobs.get"),
        size=_count(wish, "size", "blobs.get"),
        size_max=_count(wish, "max", "blobs.get"),
    )


def read_slice(args: list[JsonValue]) -> BlobRange:
    """Options. Raises Malformed."""
    wish = _only(args, "blobs.getSlice")
    return BlobRange(
        _blob(wish, "blobs.getSlice"),
        _count(wish, "start", "blobs.getSlice") or 0,
        _count(wish, "end", "blobs.getSlice"),
        size=_count(wish, "size", "blobs.getSlice"),
        size_max=_count(wish, "max", "blobs.getSlice"),
    )


def read_names(args: list[JsonValue], method: str) -> BlobId | list[BlobId]:
    """One blob id or an array of them. Raises Malformed."""
    names = _only(args, method)
    if isinstance(names, list):
        return [_parse(name, method) for name in names]
    return _parse(names, method)


def _only(args: list[JsonValue], method: str) -> JsonValue:
    if not args:
        raise Malformed(f"{method}: a blob id is expected")
    return args[0]


def _blob(wish: JsonValue, method: str) -> BlobId:
    if not isinstance(wish, dict):
        raise Malformed(f"{method}: options with a blob id are expected")
    return _parse(next((wish[name] for name in _NAMES if wish.get(name)), None), method)


def _count(wish: JsonValue, name: str, method: str) -> int | None:
    value = wish.get(name) if isinstance(wish, dict) else None
    if value is not None and (type(value) is not int or value < 0):
        raise Malformed(f"{method}: {name} is no number of bytes")
    return value


def _parse(name: JsonValue, method: str) -> BlobId:
    if not isinstance(name, str):
        raise Malformed(f"{method}: a blob id is expected")
    return parse_blob(name)
