"""Who is known, in buckets by distance (spec/dht.md 6). Only what answered us gets in.

On the kademlia package's RoutingTable, KBucket and Node. Its own search is not exact, it reads a
clock and pings by itself; all of that is replaced here.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from kademlia.node import Node
from kademlia.routing import KBucket, RoutingTable

from qbix_node.dht.endpoints import Endpoint, Scope, scope_of, subnet_of
from qbix_node.dht.ids import ID_BITS, Identity, NodeId
from qbix_node.machines import PeerId

MISSES_MAX = 3  # calls without an answer, one after another, that cost a contact its place
REPLACEMENTS_MAX = 8  # of a bucket
PER_SUBNET_AND_BUCKET_MAX = 2
PER_SUBNET_MAX = 10
MOVED_S = 60.0  # since a contact answered, after which it is asked because it seems to be elsewhere


# The package has no types: for mypy its classes are Any, here and nowhere else.
class Contact(Node):  # type: ignore[misc]
    """A node and where it is reached, with what we know of it."""

    id: NodeId
    long_id: int
    ip: bytes
    port: int

    def __init__(self, who: Identity, endpoint: Endpoint) -> None:
        self.key: PeerId = who.key
        self.id = who.id
        self.long_id = who.number
        self.ip, self.port = endpoint
        self.scope = scope_of(endpoint.ip)
        self.since = 0.0  # first answer
        self.seen_at = 0.0  # last answer
        self.misses = 0  # calls without an answer since
        self.missed_at = 0.0  # the first of them

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.ip, self.port)

    def is_at(self, ip: bytes, port: int) -> bool:
        return self.ip == ip and self.port == port


class Span(NamedTuple):
    """Ids from low to high, both included: a power of two of them that begin alike."""

    low: int
    high: int


class Bucket(KBucket):  # type: ignore[misc]
    nodes: dict[NodeId, Contact]  # the longest known first
    replacement_nodes: dict[NodeId, Contact]  # that answered, too, when there was no room
    range: Span

    def __init__(self, span: Span, size: int) -> None:
        self.range = span
        self.nodes = {}
        self.replacement_nodes = {}
        self.ksize = size
        self.max_replacement_nodes = REPLACEMENTS_MAX
        self.last_updated = 0.0
        self._prefix = ~(span.high - span.low)  # masks off what differs within

    def nearest(self, target: int) -> int:
        """The least distance that an id in here can have."""
        return (self.range.low ^ target) & self._prefix

    def room_for(self, subnet: bytes | None) -> bool:
        if subnet is None:
            return True
        return _of_subnet(self.nodes, subnet) < PER_SUBNET_AND_BUCKET_MAX

    def keep_aside(self, contact: Contact) -> None:
        self.replacement_nodes.pop(contact.id, None)
        subnet = subnet_of(contact.ip)
        if subnet and _of_subnet(self.replacement_nodes, subnet) >= PER_SUBNET_AND_BUCKET_MAX:
            return
        self.replacement_nodes[contact.id] = contact
        if len(self.replacement_nodes) > self.max_replacement_nodes:
            del self.replacement_nodes[next(iter(self.replacement_nodes))]

    def split(self) -> tuple["Bucket", "Bucket"]:
        low, high = self.range
        middle = (low + high) // 2
        one, two = Bucket(Span(low, middle), self.ksize), Bucket(Span(middle + 1, high), self.ksize)
        for contact in self.nodes.values():
            (one if contact.long_id <= middle else two).nodes[contact.id] = contact
        for contact in self.replacement_nodes.values():
            (one if contact.long_id <= middle else two).keep_aside(contact)
        one.last_updated = two.last_updated = self.last_updated
        return one, two


def _of_subnet(nodes: dict[NodeId, Contact], subnet: bytes) -> int:
    return sum(subnet_of(each.ip) == subnet for each in nodes.values())


class Table(RoutingTable):  # type: ignore[misc]
    buckets: list[Bucket]  # by range
    ksize: int

    def __init__(self, own: Identity, size: int) -> None:
        self._own = own
        self._subnets: dict[bytes, int] = {}
        super().__init__(None, size, Contact(own, Endpoint(bytes(4), 0)))

    def flush(self) -> None:
        self.buckets = [Bucket(Span(0, 2**ID_BITS - 1), self.ksize)]
        self._highs = [2**ID_BITS - 1]  # of the buckets
        self._subnets.clear()

    def split_bucket(self, index: int) -> None:
        self.buckets[index : index + 1] = self.buckets[index].split()
        self._highs.insert(index, self.buckets[index].range.high)

    def __len__(self) -> int:
        return sum(map(len, self.buckets))

    def __iter__(self) -> Iterator[Contact]:
        for bucket in self.buckets:
            yield from bucket.nodes.values()

    def get(self, named: NodeId) -> Contact | None:
        return self.bucket_of(int.from_bytes(named)).nodes.get(named)

    def get_bucket_for(self, node: Contact) -> int:
        return self._place_of(node.long_id)

    def bucket_of(self, number: int) -> Bucket:
        return self.buckets[self._place_of(number)]

    def _place_of(self, number: int) -> int:
        return bisect_left(self._highs, number)

    # ---- search ----

    def closest(
        self, target: int, count: int, *, least: Scope = Scope.LOOPBACK, sure: bool = False
    ) -> list[Contact]:
        """The `count` nearest contacts, exactly, nearest first; `sure`: without those that missed.

        Buckets are whole subtrees of ids, so all of one are nearer than all of another.
        """
        found: list[Contact] = []
        for bucket in sorted(self.buckets, key=lambda each: each.nearest(target)):
            inside = [
                each
                for each in bucket.nodes.values()
                if each.scope >= least and not (sure and each.misses)
            ]
            inside.sort(key=lambda each: each.long_id ^ target)
            found += inside
            if len(found) >= count:
                break
        return found[:count]

    def find_neighbors(
        self, node: Contact, k: int | None = None, exclude: Contact | None = None
    ) -> list[Contact]:
        """As the package names it."""
        count = k or self.ksize
        found = self.closest(node.long_id, count + 2)
        others = [each for each in found if each.id != node.id and each is not exclude]
        return others[:count]

    # ---- what becomes of contacts ----

    def answered(self, contact: Contact, now: float) -> bool:
        """It answered a request of ours at this endpoint. Whether it has a place here then."""
        if contact.id == self._own.id:
            return False
        known = self.get(contact.id)
        if known is not None and known.is_at(contact.ip, contact.port):
            known.seen_at, known.misses = now, 0
            return True
        if known is not None:
            if not known.misses:  # it is there, too; this may be one who passes datagrams on
                return True
            self._remove(known)
        contact.since, contact.seen_at, contact.misses = now, now, 0
        return self._add(contact)

    def missed(self, contact: Contact, now: float = 0.0, heard_at: float = math.inf) -> None:
        """A call to it, at this endpoint, was not answered. `heard_at`: when anybody answered; if
        nobody did since its first miss, it may be us who are cut off, or flooded.
        """
        known = self.get(contact.id)
        if known is None or not known.is_at(contact.ip, contact.port):
            return
        if not known.misses:
            known.missed_at = now
        known.misses += 1
        if known.misses >= MISSES_MAX and heard_at > known.missed_at:
            self._remove(known)
            self._promote(self.bucket_of(known.long_id))

    def wants(self, who: Identity, endpoint: Endpoint, now: float) -> Contact | None:
        """Whom it would help to ask, as who is at that endpoint has asked us: it, for a place
        here, or a spare one; or where it was, if that is another endpoint.
        """
        bucket = self.bucket_of(who.number)
        known = bucket.nodes.get(who.id)
        if known is None:
            return Contact(who, endpoint) if self._may_take(bucket, who, endpoint) else None
        if known.is_at(*endpoint):
            return None
        if known.misses:
            return Contact(who, endpoint)
        return known if now - known.seen_at > MOVED_S else None

    def _may_take(self, bucket: Bucket, who: Identity, endpoint: Endpoint) -> bool:
        if who.id in bucket.replacement_nodes:
            return False
        if len(bucket) < bucket.ksize or bucket.has_in_range(self.node):
            return self._fits(bucket, endpoint.ip)
        return len(bucket.replacement_nodes) < bucket.max_replacement_nodes

    def _add(self, contact: Contact) -> bool:
        while True:
            place = self._place_of(contact.long_id)
            bucket = self.buckets[place]
            if len(bucket) < bucket.ksize:
                break
            if not bucket.has_in_range(self.node):
                bucket.keep_aside(contact)  # who is known longer stays
                return False
            self.split_bucket(place)
        if not self._fits(bucket, contact.ip):
            return False
        bucket.replacement_nodes.pop(contact.id, None)
        bucket.nodes[contact.id] = contact
        if subnet := subnet_of(contact.ip):
            self._subnets[subnet] = self._subnets.get(subnet, 0) + 1
        return True

    def _fits(self, bucket: Bucket, ip: bytes) -> bool:
        subnet = subnet_of(ip)
        if subnet is not None and self._subnets.get(subnet, 0) >= PER_SUBNET_MAX:
            return False
        return bucket.room_for(subnet)

    def _promote(self, bucket: Bucket) -> None:
        for contact in reversed(bucket.replacement_nodes.values()):
            if self._fits(bucket, contact.ip):
                del bucket.replacement_nodes[contact.id]
                self._add(contact)
                return

    def _remove(self, contact: Contact) -> None:
        del self.bucket_of(contact.long_id).nodes[contact.id]
        if subnet := subnet_of(contact.ip):
            self._subnets[subnet] -= 1
            if not self._subnets[subnet]:
                del self._subnets[subnet]
