"""What nodes ask each other by datagrams, and the answers (spec/dht.md 5)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from qbix_node.dht.endpoints import Endpoint, read_endpoint
from qbix_node.dht.ids import ID_BYTES, NodeId
from qbix_node.dht.wire import ANSWER, BODY_BYTES_MAX, REFUSED
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack, unpack, unpack_fields

PING, FIND_NODE, GET_RECORD, PUT_RECORD = 1, 2, 3, 4
FIRST_OF_OTHERS, LAST_OF_OTHERS = 0x10, 0x7E  # requests of upper layers

CONTACTS_MAX = 20
RECORD_BYTES_MAX = 700
RECORDS_MAX = 8  # of an answer
TALK_BYTES_MAX = BODY_BYTES_MAX - 4  # the heads of an array and of bytes


class Told(NamedTuple):
    """A node, as another one tells of it."""

    key: PeerId
    ip: bytes
    port: int


@dataclass(frozen=True, slots=True)
class Ping:
    type = PING

    def packable(self) -> Packable:
        return []


@dataclass(frozen=True, slots=True)
class Pong:
    endpoint: Endpoint  # where the request came from
    type = PING | ANSWER

    def packable(self) -> Packable:
        return [*self.endpoint]


@dataclass(frozen=True, slots=True)
class FindNode:
    target: NodeId
    type = FIND_NODE

    def packable(self) -> Packable:
        return [self.target]


@dataclass(frozen=True, slots=True)
class Nodes:
    contacts: tuple[Told, ...]  # the nearest to the target that the sender has
    type = FIND_NODE | ANSWER

    def packable(self) -> Packable:
        return [self.contacts]


@dataclass(frozen=True, slots=True)
class GetRecord:
    key: NodeId
    signer: PeerId | None  # whose; None: anybody's
    type = GET_RECORD

    def packable(self) -> Packable:
        return [self.key, self.signer]


@dataclass(frozen=True, slots=True)
class Records:
    records: tuple[bytes, ...]
    contacts: tuple[Told, ...]
    type = GET_RECORD | ANSWER

    def packable(self) -> Packable:
        return [self.records, self.contacts]


@dataclass(frozen=True, slots=True)
class PutRecord:
    record: bytes
    type = PUT_RECORD

    def packable(self) -> Packable:
        return [self.record]


KEPT, NOT_KEPT = 0, 1


@dataclass(frozen=True, slots=True)
class Stored:
    verdict: int
    type = PUT_RECORD | ANSWER

    def packable(self) -> Packable:
        return [self.verdict]


@dataclass(frozen=True, slots=True)
class Talk:
    """A request of an upper layer, or its answer."""

    type: int
    data: bytes

    def packable(self) -> Packable:
        return [self.data]


@dataclass(frozen=True, slots=True)
class Refused:
    """There is no such request here."""

    type = REFUSED

    def packable(self) -> Packable:
        return []


Message = Ping | Pong | FindNode | Nodes | GetRecord | Records | PutRecord | Stored | Talk | Refused


def encode(message: Message) -> bytes:
    return pack(message.packable())


def read_message(kind: int, body: bytes) -> Message:
    """Raises Malformed."""
    reader = _READERS.get(kind)
    if reader is not None:
        nested = kind in (FIND_NODE | ANSWER, GET_RECORD | ANSWER)
        return reader(unpack(body, "body") if nested else unpack_fields(body, "body"))
    if FIRST_OF_OTHERS <= kind & ~ANSWER <= LAST_OF_OTHERS:
        (data,) = fields.array(unpack_fields(body, "body"), "talk", size=1)
        return Talk(kind, fields.data(data, "talk", most=TALK_BYTES_MAX))
    raise Malformed(f"datagram: type {kind} is not known here")


def _read_ping(value: object) -> Message:
    fields.array(value, "ping", size=0)
    return Ping()


def _read_pong(value: object) -> Message:
    ip, port = fields.array(value, "pong", size=2)
    return Pong(read_endpoint(ip, port, "pong"))


def _read_find(value: object) -> Message:
    (target,) = fields.array(value, "find", size=1)
    return FindNode(NodeId(fields.data(target, "find: target", size=ID_BYTES)))


def _read_nodes(value: object) -> Message:
    (contacts,) = fields.array(value, "nodes", size=1)
    return Nodes(read_contacts(contacts))


def _read_get(value: object) -> Message:
    key, signer = fields.array(value, "get", size=2)
    if signer is not None:
        signer = fields.data(signer, "get: signer", size=32)
    return GetRecord(NodeId(fields.data(key, "get: key", size=ID_BYTES)), signer)


def _read_records(value: object) -> Message:
    records, contacts = fields.array(value, "records", size=2)
    found = [
        fields.data(each, "record", most=RECORD_BYTES_MAX)
        for each in fields.array(records, "records", most=RECORDS_MAX)
    ]
    return Records(tuple(found), read_contacts(contacts))


def _read_put(value: object) -> Message:
    (record,) = fields.array(value, "put", size=1)
    return PutRecord(fields.data(record, "put", most=RECORD_BYTES_MAX))


def _read_stored(value: object) -> Message:
    (verdict,) = fields.array(value, "stored", size=1)
    return Stored(fields.number(verdict, "stored", KEPT, NOT_KEPT))


def _read_refused(value: object) -> Message:
    fields.array(value, "refused", size=0)
    return Refused()


def read_contacts(value: object) -> tuple[Told, ...]:
    told = []
    for row in fields.array(value, "contacts", most=CONTACTS_MAX):
        key, ip, port = fields.array(row, "contact", size=3)
        fields.data(key, "contact: key", size=32)
        told.append(Told(key, *read_endpoint(ip, port, "contact")))
    return tuple(told)


_READERS: dict[int, Callable[[Any], Message]] = {
    PING: _read_ping,
    PING | ANSWER: _read_pong,
    FIND_NODE: _read_find,
    FIND_NODE | ANSWER: _read_nodes,
    GET_RECORD: _read_get,
    GET_RECORD | ANSWER: _read_records,
    PUT_RECORD: _read_put,
    PUT_RECORD | ANSWER: _read_stored,
    REFUSED: _read_refused,
}
