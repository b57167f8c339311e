"""Records that are kept for others, and which makes room when there are too many (spec/dht.md 9).

Pure. What is put here was checked by the caller.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from qbix_node.dht.endpoints import subnet_of
from qbix_node.dht.ids import NodeId
from qbix_node.dht.records import Record
from qbix_node.machines import PeerId

Name = tuple[NodeId, str, PeerId]  # key, kind and signer: there is one record of each


@dataclass(slots=True)
class _Kept:
    record: Record
    network: bytes  # that brought it; of several, the one that takes least room

    @property
    def groups(self) -> tuple[bytes, bytes]:
        return self.record.signer, self.network


class _Groups:
    """Who takes how much room: signers, and networks. The largest are found at once."""

    def __init__(self) -> None:
        self._members: dict[bytes, dict[Name, None]] = {}  # as they came
        self._by_size: dict[int, dict[bytes, None]] = {}

    def size(self, group: bytes) -> int:
        return len(self._members.get(group, ()))

    def add(self, name: Name, kept: _Kept) -> None:
        for group in kept.groups:
            self._members.setdefault(group, {})[name] = None
            self._resized(group, self.size(group) - 1)

    def remove(self, name: Name, kept: _Kept) -> None:
        for group in kept.groups:
            del self._members[group][name]
            self._resized(group, self.size(group) + 1)
            if not self._members[group]:
                del self._members[group]

    def _resized(self, group: bytes, before: int) -> None:
        if before:
            del self._by_size[before][group]
            if not self._by_size[before]:
                del self._by_size[before]
        if now := self.size(group):
            self._by_size.setdefault(now, {})[group] = None

    def too_many(self, newcomer: Name, kept: _Kept) -> Name:
        """SPEC dht 9: of whoever takes most of the room, what came last; if that may be the
        newcomer, it is.
        """
        largest = self._by_size[max(self._by_size)]
        if any(group in largest for group in kept.groups):
            return newcomer
        return next(reversed(self._members[next(iter(largest))]))


class Shelf:
    def __init__(self, records_max: int, per_key_max: int) -> None:
        self._most, self._per_key_max = records_max, per_key_max
        self._by_key: dict[NodeId, dict[Name, _Kept]] = {}
        self._groups = _Groups()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Record]:
        for kept in self._by_key.values():
            for each in kept.values():
                yield each.record

    def get(self, key: NodeId, signer: PeerId | None = None) -> list[Record]:
        kept = self._by_key.get(key, {}).values()
        return [each.record for each in kept if signer is None or each.record.signer == signer]

    def put(self, record: Record, source: bytes) -> bool:
        """Whether it is kept now; the IP address `source` brought it."""
        name, network = _name(record), subnet_of(source) or source
        if known := self._by_key.get(record.key, {}).get(name):
            if record.newer_than(known.record):
                known.record = record
            self._bring(name, known, network)
            return known.record.encoded == record.encoded
        kept = _Kept(record, network)
        self._keep(name, kept)
        here = self._by_key[record.key]
        if len(here) > self._per_key_max:
            of_key = _Groups()
            for other, each in here.items():
                of_key.add(other, each)
            self._drop(of_key.too_many(name, kept))
        elif self._count > self._most:
            self._drop(self._groups.too_many(name, kept))
        return name in self._by_key.get(record.key, {})

    def sweep(self, unix_s: float) -> int:
        """Forget what is over. How many that were."""
        over = [_name(each) for each in self if not each.timely(unix_s)]
        for name in over:
            self._drop(name)
        return len(over)

    def _bring(self, name: Name, kept: _Kept, network: bytes) -> None:
        """Who brings what others publish, and fills its own share, does not take it along."""
        if self._groups.size(network) < self._groups.size(kept.network) - 1:
            self._groups.remove(name, kept)
            kept.network = network
            self._groups.add(name, kept)

    def _keep(self, name: Name, kept: _Kept) -> None:
        self._by_key.setdefault(name[0], {})[name] = kept
        self._groups.add(name, kept)
        self._count += 1

    def _drop(self, name: Name) -> None:
        kept = self._by_key[name[0]].pop(name)
        self._count -= 1
        if not self._by_key[name[0]]:
            del self._by_key[name[0]]
        self._groups.remove(name, kept)


def _name(record: Record) -> Name:
    return record.key, record.content.kind, record.signer
