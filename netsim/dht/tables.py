"""Looks into tables and shelves of honest nodes, now and then."""

import heapq
from collections import Counter

from netsim import facts
from netsim.dht.net import Net
from qbix_node.dht.endpoints import subnet_of
from qbix_node.dht.messages import CONTACTS_MAX
from qbix_node.dht.table import Contact, Table
from qbix_node.machines import PeerId

EVERY_S = 20.0
LOOKED_AT = 24  # nodes


class Tables:
    def __init__(self, net: Net) -> None:
        self._net = net
        self._before: dict[int, dict[PeerId, float]] = {}  # whom a node knew, and since when
        self._targets = net.world.chance.draws("dht/tables")
        self._last = 0.0

    def begin(self) -> None:
        self._net.world.loop.after(EVERY_S, self._look)

    def _look(self) -> None:
        honest = [each for each in self._net.faces if each.honest]
        for face in honest[:LOOKED_AT]:
            if self._net.members[face.number].up:
                self._look_at(face.number)
            else:
                self._before.pop(face.number, None)
        self._last = self._net.now
        self._net.world.loop.after(EVERY_S, self._look)

    def _look_at(self, number: int) -> None:
        dht = self._net.members[number].dht
        assert dht is not None
        in_bucket, in_all = _crowded(dht.table)
        dropped = tuple(
            [
                key
                for key, since in self._before.get(number, {}).items()
                if self._should_stay(number, key) and not _knows(dht.table, key, since)
            ]
        )
        told = facts.DhtTable(in_bucket, in_all, dropped, self._passed_over(dht.table))
        self._net.world.journal.tell(number, told)
        by_key = Counter([record.key for record in dht.shelf])
        shelf = facts.DhtShelf(len(dht.shelf), max(by_key.values(), default=0))
        self._net.world.journal.tell(number, shelf)
        self._before[number] = {each.key: each.since for each in dht.table if not each.misses}

    def _passed_over(self, table: Table) -> int:
        target = int.from_bytes(self._targets.randbytes(32))
        nearest = heapq.nsmallest(CONTACTS_MAX, table, key=lambda each: each.long_id ^ target)
        told = {each.id for each in table.closest(target, CONTACTS_MAX)}
        return sum(each.id not in told for each in nearest)

    def _should_stay(self, number: int, key: PeerId) -> bool:
        """It was there all the time, and would have answered."""
        face = self._net.faces.by_key.get(key)
        if face is None or self._net.last_split_at > self._last:
            return False
        if not self._net.same_side(number, face.number):
            return False
        asker = self._net.faces.by_number[number]
        return face.since <= self._last and face.answers(asker) and face.gone_at > self._net.now


def _knows(table: Table, key: PeerId, since: float) -> bool:
    return any(each.key == key and each.since == since for each in table)


def _crowded(table: Table) -> tuple[int, int]:
    """Of one network of addresses, the most in a bucket and in all."""

    def most(contacts: list[Contact]) -> int:
        networks = Counter([subnet_of(each.ip) for each in contacts])
        return max([count for name, count in networks.items() if name], default=0)

    buckets = [most(list(each.nodes.values())) for each in table.buckets]
    return max(buckets, default=0), most(list(table))
