"""Ids of nodes and the distance between them (spec/dht.md 1). Pure."""

import heapq
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple, NewType

from qbix_node.crypto.boxes import sha256
from qbix_node.machines import PeerId

NodeId = NewType("NodeId", bytes)  # SHA-256 of a public key; keys of records share the space

ID_BYTES = 32
ID_BITS = 8 * ID_BYTES


class Identity(NamedTuple):
    key: PeerId
    id: NodeId
    number: int  # the id, big-endian


@lru_cache(maxsize=8192)
def identity(key: PeerId) -> Identity:
    """The same few nodes come again and again in answers."""
    named = sha256(key)
    return Identity(key, NodeId(named), int.from_bytes(named))


def node_id(key: PeerId) -> NodeId:
    return identity(key).id


def number_of(named: NodeId) -> int:
    return int.from_bytes(named)


def distance(one: NodeId, other: NodeId) -> int:
    return int.from_bytes(one) ^ int.from_bytes(other)


def closest(ids: Iterable[NodeId], target: NodeId, count: int) -> list[NodeId]:
    """By distance to the target, nearest first."""
    return heapq.nsmallest(count, ids, key=lambda each: distance(each, target))
