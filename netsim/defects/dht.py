"""Defects of the hash table."""

import heapq

from netsim.defects import dhtplans
from netsim.defects.planting import EVENTUALLY, Defect, planting
from netsim.dht.faces import Swift
from qbix_node.dht.cookies import Cookies
from qbix_node.dht.endpoints import Scope
from qbix_node.dht.lookup import Lookup
from qbix_node.dht.messages import FindNode, GetRecord
from qbix_node.dht.records import Record
from qbix_node.dht.searches import Done, Searches
from qbix_node.dht.shelf import Shelf
from qbix_node.dht.state import Turn
from qbix_node.dht.table import Contact, Table

_NO_SWARM = "it is about the hash table, and the swarm has none"


def _closest_as_the_package_does(
    self: Table, target: int, count: int, *, least: Scope = Scope.LOOPBACK, sure: bool = False
) -> list[Contact]:
    """From bucket to bucket, left and right in turn, until there are enough."""
    place = self.buckets.index(self.bucket_of(target))
    left, right = list(range(place))[::-1], list(range(place + 1, len(self.buckets)))
    found = list(self.buckets[place].nodes.values())
    while (left or right) and len(found) < count:
        for side in (left, right):
            if side:
                found += self.buckets[side.pop(0)].nodes.values()
    usable = [each for each in found if each.scope >= least and not (sure and each.misses)]
    return heapq.nsmallest(count, usable[:count], key=lambda each: each.long_id ^ target)


_search = Searches.search


def _search_on_one_path(
    self: Searches,
    message: FindNode | GetRecord,
    done: Done,
    turn: Turn,
    *,
    paths: int | None = None,
) -> None:
    _search(self, message, done, turn, paths=1)


_add = Table._add


def _add_in_place_of_the_oldest(self: Table, contact: Contact) -> bool:
    bucket = self.bucket_of(contact.long_id)
    if len(bucket) >= bucket.ksize and not bucket.has_in_range(self.node):
        self._remove(next(iter(bucket.nodes.values())))
    return _add(self, contact)


def _all_that_it_heard_of(self: Lookup) -> list[Contact]:
    known = sorted(self._contacts.values(), key=lambda each: each.long_id ^ self._number)
    return known[: self._state.limits.bucket_size]


DHT_DEFECTS = (
    Defect(
        "the search of the kademlia package",
        "contacts are taken from bucket to bucket, until there are enough",
        "the nearest are told",
        dhtplans.lookups,
        planting((Table, "closest", _closest_as_the_package_does)),
        tailored_only=_NO_SWARM,
    ),
    Defect(
        "a single path",
        "a lookup has one path, which ends with those that a liar tells of",
        EVENTUALLY,
        dhtplans.colluders,
        planting((Searches, "search", _search_on_one_path)),
        tailored_only=_NO_SWARM,
    ),
    Defect(
        "no cookies",
        "a request is answered wherever it says to come from",
        "nothing for who proved no address",
        dhtplans.lookups,
        planting((Cookies, "given_ms", lambda self, cookie, source, sender: self.now_ms)),
        tailored_only=_NO_SWARM,
    ),
    Defect(
        "no caps of networks",
        "a table takes as many contacts of one network as come",
        "few contacts of a network",
        dhtplans.crowd,
        planting((Table, "_fits", lambda self, bucket, ip: True)),
        tailored_only=_NO_SWARM,
    ),
    Defect(
        "newcomers push out",
        "who is known longest makes room for a newcomer",
        "who is known longest stays",
        dhtplans.newcomers,
        planting((Table, "_add", _add_in_place_of_the_oldest)),
        tailored_only=_NO_SWARM,
    ),
    Defect(
        "found without an answer",
        "a lookup brings whoever it heard of",
        "who is found was there",
        dhtplans.inventors,
        planting((Lookup, "nodes", _all_that_it_heard_of)),
        tailored_only=_NO_SWARM,
    ),
    Defect(
        "signatures of records unchecked",
        "a record counts, whoever signed it",
        "records that come out count",
        dhtplans.forgers,
        planting((Swift, "verify", lambda self, key, body, signature: True)),
        tailored_only=_NO_SWARM,
    ),
    Defect(
        "records that are over",
        "a record counts for ever",
        "records that come out count",
        dhtplans.forgers,
        planting((Record, "timely", lambda self, unix_s: True)),
        tailored_only=_NO_SWARM,
    ),
    Defect(
        "the oldest record wins",
        "of two records of one signer the first is kept",
        EVENTUALLY,
        dhtplans.forgers,
        planting((Record, "newer_than", lambda self, other: self.sequence < other.sequence)),
        tailored_only=_NO_SWARM,
    ),
    Defect(
        "shelves without an end",
        "what is too much stays",
        "shelves are bounded",
        dhtplans.flood,
        planting((Shelf, "_drop", lambda self, name: None)),
        tailored_only=_NO_SWARM,
    ),
)
