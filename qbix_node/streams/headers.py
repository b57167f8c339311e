"""Headers that follow each other (spec/streams.md 2).

Those of the only owner differ in little, and there are very many of them. So a run of them is read
field by field: its bytes are compared with what an encoder gives for such a run, and nothing is
made of each entry.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from qbix_node.errors import Malformed
from qbix_node.streams.messages import ENTRIES_MAX, HEADER_BYTES_MAX, Header, read_header
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.tree import LENGTH_MAX
from qbix_node.wire.fields import NUMBER_MAX, is_name
from qbix_node.wire.packing import unpack
from qbix_node.wire.references import StreamId

_HASH = b"\xc4\x20"  # msgpack: before 32 bytes
_NIL = b"\xc0"
_SHORT, _LONG, _LONGER = b"\xcd", b"\xce", b"\xcf"  # before a number in 2, 4, 8 bytes
_LONGER_MIN = 1 << 32  # smaller ones have fewer
_ENDING_BYTES = 33  # hash and nil
_ALIKE_MIN = 4  # of fewer, each is read for itself sooner


@dataclass(slots=True)
class Headers:
    """What they say, by their place after `first`."""

    first: int
    kinds: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # of contents
    hashes: list[bytes] = field(default_factory=list)  # of contents
    stamps_ms: list[int] = field(default_factory=list)
    owners: set[AuthorId] = field(default_factory=set)  # authors of those without author_sig
    intents: list[Header] = field(default_factory=list)  # those with it

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def stop(self) -> int:
        return self.first + len(self.kinds)

    def add(self, header: Header) -> None:
        self.kinds.append(header.kind)
        self.sizes.append(header.content_size)
        self.hashes.append(header.content_hash)
        self.stamps_ms.append(header.timestamp_ms)
        if header.author_sig is None:
            self.owners.add(header.author)
        else:
            self.intents.append(header)

    def add_alike(self, leaves: Sequence[bytes], model: Header) -> bool:
        """Those that are encoded as one of the only owner, but for place, time, kind and content.
        False, and nothing is added: some are not, or wrong.
        """
        found = _places_and_stamps(leaves, model, self.stop)
        if found is None or max(map(len, leaves)) > HEADER_BYTES_MAX:
            return False
        at, stamps_ms = found
        said = [*map(_read_kind_and_size, [leaf[at:-_ENDING_BYTES] for leaf in leaves])]
        if None in said or {leaf[-1:] for leaf in leaves} != {_NIL}:
            return False
        kinds, sizes = zip(*said, strict=True)
        self.kinds += kinds
        self.sizes += sizes
        self.hashes += [leaf[-_ENDING_BYTES:-1] for leaf in leaves]
        self.stamps_ms += stamps_ms
        return True


def collect(headers: Iterable[Header], first: int) -> Headers:
    found = Headers(first)
    for header in headers:
        found.add(header)
    return found


def read_in_a_row(leaves: Sequence[bytes], stream: StreamId, first: int) -> Headers:
    """What `read_header` says of each. Raises Malformed as it does, and if one is for another place
    than that from `first` on.
    """
    found, alone = Headers(first), 0
    while (at := len(found)) < len(leaves):
        header = read_header(leaves[at])
        if header.place != first + at or header.stream != stream:
            raise Malformed(f"entry {first + at}: its header is for another place")
        found.add(header)
        run = leaves[at + 1 : at + 1 + ENTRIES_MAX]
        if at >= alone and len(run) >= _ALIKE_MIN and header.author_sig is None:
            # If they are not alike, nothing of them is tried again.
            alone = at + 1 + len(run)
            found.add_alike(run, header)
    return found


def _places_and_stamps(
    leaves: Sequence[bytes], model: Header, first: int
) -> tuple[int, tuple[int, ...]] | None:
    """Where the kind begins in each, and the timestamps; None: they do not begin in this way."""
    count, stop = len(leaves), first + len(leaves)
    code, wide, format_ = (_SHORT, 2, "H") if stop <= 1 << 16 else (_LONG, 4, "I")
    if first >> 4 * wide == 0 or stop > LENGTH_MAX:  # the first number is shorter
        return None
    number = code + bytes(wide)
    author = _HASH + model.author
    parts = b"\x9c\x01" + _HASH + model.stream, number, author, number, number, _NIL + _LONGER
    like = b"".join((*parts, bytes(8)))
    size = len(like)
    given = b"".join([leaf[:size] for leaf in leaves])
    if len(given) != size * count:
        return None
    expected, stamps = bytearray(like * count), bytearray(8 * count)
    numbers = struct.pack(f">{count}{format_}", *range(first, stop))
    second = len(parts[0]) + len(number) + len(author)
    for start in (len(parts[0]), second, second + len(number)):
        for digit in range(wide):
            expected[start + 1 + digit :: size] = numbers[digit::wide]
    for digit in range(8):
        at = size - 8 + digit
        stamps[digit::8] = expected[at::size] = given[at::size]
    stamps_ms = struct.unpack(f">{count}Q", stamps)
    if given != expected or not _LONGER_MIN <= min(stamps_ms) <= max(stamps_ms) <= NUMBER_MAX:
        return None
    return size, stamps_ms


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
