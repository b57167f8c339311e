"""What the disks of honest nodes were seen to hold of each feed: the memory of the checks.

A log is looked at when a node says that it has grown, and all of them at every start and at the
end. Rows are read as spec/classic-feeds.md 6 lays them out, not with the product's own readers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from netsim import facts
from qbix_node.feeds.messages import Appended, Published
from qbix_node.ports import Rows
from qbix_node.wire.references import FeedId

_ALL = 1 << 30


@dataclass(frozen=True, slots=True)
class Stored:
    """A message is on the disk, for the first time as far as it was looked."""

    feed: FeedId
    sequence: int
    id: bytes
    before: bytes | None  # the id of the message before it in the same log
    text: bytes


@dataclass(frozen=True, slots=True)
class Changed:
    """Another message stands in the place of one that was there, or at a place of its own."""

    feed: FeedId
    sequence: int
    how: str


@dataclass(frozen=True, slots=True)
class Undurable:
    """The node said that this message is durable, and it is not on the disk."""

    feed: FeedId
    sequence: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Messages after this one were on the disk, and are not there after a start."""

    feed: FeedId
    sequence: int


@dataclass(frozen=True, slots=True)
class Uneven:
    """Head and messages do not fit, as if a batch had been written in part."""

    feed: FeedId
    how: str


Seen = Stored | Changed | Undurable | Lost | Uneven


class Logs:
    def __init__(self, disks: Mapping[int, Rows]) -> None:
        self._disks = disks
        self._ids: dict[int, dict[FeedId, list[bytes]]] = {}  # by node
        self._put_back: set[int] = set()  # rolled back, and not looked at since
        self._rolled_back: set[int] = set()

    def feeds_of(self, node: int) -> Iterable[FeedId]:
        """Of which the node was seen to hold something."""
        return self._ids.get(node, {})

    def length(self, node: int, feed: FeedId) -> int:
        return len(self._ids.get(node, {}).get(feed, ()))

    def id_at(self, node: int, feed: FeedId, sequence: int) -> bytes | None:
        ids = self._ids.get(node, {}).get(feed, [])
        return ids[sequence - 1] if 0 < sequence <= len(ids) else None

    def was_rolled_back(self, node: int) -> bool:
        """At any time so far."""
        return node in self._rolled_back

    def handle(self, node: int, fact: object) -> list[Seen]:
        match fact:
            case Appended(feed, first, last):
                return list(self._grown(node, feed, first, last))
            case Published(message=message):
                if self._disks[node].get(_key(message.author, message.sequence)) is None:
                    return [Undurable(message.author, message.sequence)]
            case facts.RolledBack():
                self._put_back.add(node)
                self._rolled_back.add(node)
            case facts.Started():
                return list(self.look(node))
            case _:
                pass
        return []

    def _grown(self, node: int, feed: FeedId, first: int, last: int) -> Iterator[Seen]:
        rows = self._disks[node]
        for sequence in range(first, last + 1):
            record = rows.get(_key(feed, sequence))
            if record is None:
                yield Undurable(feed, sequence)
                return
            yield from self._put(node, feed, sequence, record)
        head = rows.get(b"f/h" + feed)
        if head is None or int.from_bytes(head[:8], "big") < last:
            yield Undurable(feed, last)

    def _put(self, node: int, feed: FeedId, sequence: int, record: bytes) -> Iterator[Seen]:
        ids = self._ids.setdefault(node, {}).setdefault(feed, [])
        found = record[:32]
        if node in self._put_back and ids[sequence - 1 : sequence] not in ([], [found]):
            del ids[sequence - 1 :]  # the copy is of a time when it had another branch
        if sequence <= len(ids):
            if ids[sequence - 1] != found:
                yield Changed(feed, sequence, "another message stands in its place")
        elif sequence == len(ids) + 1:
            before = ids[-1] if ids else None
            ids.append(found)
            yield Stored(feed, sequence, found, before, record[40:])
        else:
            yield Changed(feed, sequence, f"there is a gap after {len(ids)}")

    def look(self, node: int) -> Iterator[Seen]:
        """At all that is on the disk of this node."""
        rows = self._disks[node]
        heads = dict(_records(rows, b"f/h"))
        counts: dict[FeedId, int] = {}
        for key, record in _records(rows, b"f/m"):
            feed, sequence = FeedId(key[:32]), int.from_bytes(key[32:], "big")
            counts[feed] = counts.get(feed, 0) + 1
            if sequence != counts[feed]:
                yield Uneven(feed, f"message {sequence} follows message {counts[feed] - 1}")
                counts[feed] = sequence
            yield from self._put(node, feed, sequence, record)
        yield from self._compare(node, heads, counts)
        self._put_back.discard(node)

    def _compare(
        self, node: int, heads: dict[bytes, bytes], counts: dict[FeedId, int]
    ) -> Iterator[Seen]:
        known = self._ids.get(node, {})
        for feed in dict.fromkeys([*map(FeedId, heads), *known]):
            count, head = counts.get(feed, 0), heads.get(feed)
            ids = known.get(feed, [])
            headed = int.from_bytes(head[:8], "big") if head else 0
            if headed != count:
                yield Uneven(feed, f"its head is {headed}, and its last message {count}")
            elif head and count <= len(ids) and head[8:] != ids[count - 1]:
                yield Uneven(feed, f"its head names another message {headed}")
            if count < len(ids):
                if node not in self._put_back:
                    yield Lost(feed, count)
                del ids[count:]


def _key(feed: FeedId, sequence: int) -> bytes:
    return b"f/m" + feed + sequence.to_bytes(8, "big")


def _records(rows: Rows, prefix: bytes) -> list[tuple[bytes, bytes]]:
    """Without the prefix."""
    stop = prefix[:-1] + bytes([prefix[-1] + 1])
    return [(key[len(prefix) :], record) for key, record in rows.scan(prefix, stop, limit=_ALL)]
