"""What the HTTP interface asks of the node about the DHT, and what it answers."""

from dataclasses import dataclass
from typing import Protocol

from qbix_node.wire.references import FeedId, StreamId


@dataclass(frozen=True, slots=True)
class DhtRow:
    listening: list[str]  # HOST:PORT, of UDP
    seen_at: str | None  # where others see it
    contacts: int
    records: int  # kept for others and for itself
    offered: int  # feeds and streams that it says it holds
    searches: int  # for what is followed and found nowhere, and for peers without a connection


@dataclass(frozen=True, slots=True)
class ContactRow:
    node: str
    address: str  # HOST:PORT, of UDP
    bucket: int  # bits that its id has in common with the node's own
    known_s: float
    silent_s: float
    misses: int  # calls without an answer since


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A record of somebody who says where it takes connections."""

    node: str
    addresses: list[str]  # as `peer add` takes them
    capabilities: list[str]  # none of a provider's
    expires: int  # Unix time in seconds


@dataclass(frozen=True, slots=True)
class LookupRow:
    """`node`: its own record, of an id that is a key; `providers`: who says that it holds it."""

    id: str
    node: PlaceRow | None
    providers: list[PlaceRow]
    asked: int
    answered: int
    seconds: float


class DhtApi(Protocol):
    """Methods raise LocalError for what can't be done."""

    def table(self) -> list[ContactRow]: ...

    async def lookup_feed(self, feed: FeedId) -> LookupRow: ...

    async def lookup_stream(self, stream: StreamId) -> LookupRow: ...
