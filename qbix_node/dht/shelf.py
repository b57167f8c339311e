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
    subnet: bytes | None  # from which it came first


class Shelf:
    def __init__(self, records_max: int, per_key_max: int) -> None:
        self._most, self._per_key_max = records_max, per_key_max
        self._by_key: dict[NodeId, dict[Name, _Kept]] = {}
        # Who takes how much room: publishers' networks, and signers. Oldest first.
        self._groups: dict[bytes, dict[Name, None]] = {}
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
        name = _name(record)
        here = self._by_key.setdefault(record.key, {})
        if known := here.get(name):
            if record.newer_than(known.record):
                known.record = record
            return known.record.encoded == record.encoded
        self._keep(name, _Kept(record, subnet_of(source)))
        if len(here) > self._per_key_max:
            self._make_room(among=here)
        if self._count > self._most:
            self._make_room(among=None)
        return name in self._by_key.get(record.key, {})

    def sweep(self, unix_s: float) -> int:
        """Forget what is over. How many that were."""
        over = [_name(each) for each in self if not each.timely(unix_s)]
        for name in over:
            self._drop(name)
        return len(over)

    def _keep(self, name: Name, kept: _Kept) -> None:
        self._by_key[name[0]][name] = kept
        self._count += 1
        for group in _groups_of(kept):
            self._groups.setdefault(group, {})[name] = None

    def _make_room(self, among: dict[Name, _Kept] | None) -> None:
        """SPEC dht 9: of whoever takes most of the room, what lies here longest."""
        if among is None:
            largest = max(self._groups.values(), key=len)
        else:
            groups: dict[bytes, dict[Name, None]] = {}
            for name, kept in among.items():
                for group in _groups_of(kept):
                    groups.setdefault(group, {})[name] = None
            largest = max(groups.values(), key=len)
        self._drop(next(iter(largest)))

    def _drop(self, name: Name) -> None:
        kept = self._by_key[name[0]].pop(name)
        self._count -= 1
        if not self._by_key[name[0]]:
            del self._by_key[name[0]]
        for group in _groups_of(kept):
            del self._groups[group][name]
            if not self._groups[group]:
                del self._groups[group]


def _name(record: Record) -> Name:
    return record.key, record.content.kind, record.signer


def _groups_of(kept: _Kept) -> list[bytes]:
    signer = kept.record.signer
    return [signer] if kept.subnet is None else [signer, kept.subnet]
