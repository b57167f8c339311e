"""What comes into the DHT's machine and goes out of it beside timers: datagrams, what the node
wants, and what came of it.

What the node wants is checked where it is made, and raises Malformed there: not in the middle of
other work, where it would end the node, and not at others, who would only ignore it.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from qbix_node import machines as m
from qbix_node.dht.endpoints import Endpoint, read_endpoint
from qbix_node.dht.ids import ID_BYTES, NodeId
from qbix_node.dht.messages import FIRST_OF_OTHERS, LAST_OF_OTHERS, TALK_BYTES_MAX, Told
from qbix_node.dht.records import Content, Record, check_content, read_record
from qbix_node.wire import fields


class Heard(NamedTuple):
    """Event: a datagram came."""

    data: bytes
    source: Endpoint


class Say(NamedTuple):
    """Effect: send a datagram. It may be lost."""

    data: bytes
    to: Endpoint


Event = Heard | m.TimerFired | m.Requested
Effect = Say | m.SetTimer | m.Emit


# ---- what the node wants ----


@lru_cache(maxsize=4096)  # the same few, as upper layers ask again and again
def _check_contact(contact: Told) -> None:
    fields.data(contact.key, "contact: key", size=32)
    read_endpoint(contact.ip, contact.port, "contact")


@dataclass(frozen=True, slots=True)
class ClockSet:
    """Unix time is `now` and so many seconds. Before all others, and whenever that changed."""

    ahead_s: float


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Nodes to ask when nobody is known: from the configuration, the contact cache, links."""

    contacts: tuple[Told, ...]

    def __post_init__(self) -> None:
        for each in self.contacts:
            _check_contact(each)


@dataclass(frozen=True, slots=True)
class Find:
    """The nodes nearest to a target; answered by Found. `paths`: None, as many as usual."""

    number: int
    target: NodeId
    paths: int | None = None

    def __post_init__(self) -> None:
        fields.data(self.target, "target of a lookup", size=ID_BYTES)


@dataclass(frozen=True, slots=True)
class Get:
    """Records of a key, of one signer or all; answered by Got."""

    number: int
    key: NodeId
    signer: m.PeerId | None = None

    def __post_init__(self) -> None:
        fields.data(self.key, "key of a record", size=ID_BYTES)
        if self.signer is not None:
            fields.data(self.signer, "signer of a record", size=32)


@dataclass(frozen=True, slots=True)
class Store:
    """Put a record where its key lies; answered by Placed."""

    number: int
    record: Record

    def __post_init__(self) -> None:
        read_record(self.record.encoded)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of an upper layer to one node; answered by Replied."""

    number: int
    contact: Told
    rpc: int
    data: bytes

    def __post_init__(self) -> None:
        _check_contact(self.contact)
        fields.number(self.rpc, "type of a request", FIRST_OF_OTHERS, LAST_OF_OTHERS)
        fields.data(self.data, "request", most=TALK_BYTES_MAX)


@dataclass(frozen=True, slots=True)
class Publish:
    """Keep a record of this content, signed by the node, in the network until it is withdrawn."""

    content: Content

    def __post_init__(self) -> None:
        check_content(self.content)


@dataclass(frozen=True, slots=True)
class PublishSigned:
    """Keep this record in the network until it is over."""

    record: Record

    def __post_init__(self) -> None:
        read_record(self.record.encoded)


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Publish no more what is under this key and of this kind. Copies end by themselves."""

    key: NodeId
    kind: str

    def __post_init__(self) -> None:
        fields.data(self.key, "key of a record", size=ID_BYTES)


# ---- what came of it ----


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a lookup went."""

    asked: int
    answered: int
    depth: int  # answers, one leading to the next, until the last of the nearest was known
    seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    number: int
    target: NodeId
    nodes: tuple[Told, ...]  # that answered, nearest first
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Got:
    number: int
    key: NodeId
    records: tuple[Record, ...]  # the newest of each signer
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Placed:
    number: int
    kept_by: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Replied:
    number: int
    data: bytes | None  # None: no answer, or there is no such request there
