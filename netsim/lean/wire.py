"""What lean nodes say to each other beside the product's messages and those of netsim.messages."""

from dataclasses import dataclass

from qbix_node.machines import PeerId
from qbix_node.replication.messages import HistoryRequest
from qbix_node.wire.v8json import JsonValue

# ---- the handshake (spec/transport.md 2) without its secrets: nobody claims a key of others ----


@dataclass(frozen=True, slots=True)
class Hello:
    """Of the side that dialled, answered by another one."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Who dials, and whom; who is somebody else can't read it, and hangs up."""

    key: PeerId
    to: PeerId


@dataclass(frozen=True, slots=True)
class Accept:
    pass


# ---- createHistoryStream; the numbers are of who calls, each used once on a connection ----


@dataclass(frozen=True, slots=True)
class HistoryCall:
    number: int
    request: HistoryRequest


@dataclass(frozen=True, slots=True)
class HistoryItems:
    number: int
    messages: tuple[JsonValue, ...]


@dataclass(frozen=True, slots=True)
class HistoryOver:
    """Nothing more comes (`called`: of what the sender of this called for), or is wanted."""

    number: int
    called: bool
    reason: str | None = None
