"""What comes into the DHT's machine and goes out of it beside timers: datagrams, what the node
wants, and what came of it.
"""

from dataclasses import dataclass
from typing import NamedTuple

from qbix_node import machines as m
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId
from qbix_node.dht.messages import Told
from qbix_node.dht.records import Content, Record


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


@dataclass(frozen=True, slots=True)
class ClockSet:
    """Unix time is `now` and so many seconds. Before all others, and whenever that changed."""

    ahead_s: float


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Nodes to ask when nobody is known: from the configuration, the contact cache, links."""

    contacts: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Find:
    """The nodes nearest to a target; answered by Found. `paths`: None, as many as usual."""

    number: int
    target: NodeId
    paths: int | None = None


@dataclass(frozen=True, slots=True)
class Get:
    """Records of a key, of one signer or all; answered by Got."""

    number: int
    key: NodeId
    signer: m.PeerId | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """Put a record where its key lies; answered by Placed."""

    number: int
    record: Record


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of an upper layer to one node; answered by Told back."""

    number: int
    contact: Told
    rpc: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Publish:
    """Keep a record of this content, signed by the node, in the network until it is withdrawn."""

    content: Content


@dataclass(frozen=True, slots=True)
class PublishSigned:
    """Keep this record in the network until it is over."""

    record: Record


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Publish no more what is under this key and of this kind. Copies end by themselves."""

    key: NodeId
    kind: str


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
