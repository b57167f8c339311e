"""What the HTTP interface asks of the node: requests in parsed form, answers as people see them.

Answers carry ids in their printed form; field names are those of docs/http-api.md.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from qbix_node.http.content_api import ContentApi
from qbix_node.http.dht_api import DhtApi, DhtRow
from qbix_node.http.domain_api import DomainApi
from qbix_node.http.fork_api import ForkApi, ForkRow
from qbix_node.http.stream_api import DoubtRow, StreamApi
from qbix_node.machines import PeerId
from qbix_node.net.address import Address
from qbix_node.wire.references import BlobId, FeedId
from qbix_node.wire.v8json import JsonValue


@dataclass(frozen=True, slots=True)
class PeerRow:
    id: str
    address: str
    state: Literal["connected", "disconnected", "blocked"]
    outgoing: bool | None  # who dialled; None while there is no connection


@dataclass(frozen=True, slots=True)
class FeedRow:
    feed: str
    sequence: int  # of the newest message here
    own: bool
    following: bool
    forked: bool
    claimed: int  # of the newest message that a connected peer says it has


@dataclass(frozen=True, slots=True)
class StoreRow:
    bytes: int
    degraded: str | None  # why nothing can be written at present


@dataclass(frozen=True, slots=True)
class BlobRow:
    blob: str
    bytes: int


@dataclass(frozen=True, slots=True)
class BlobRemoval:
    """What was done, at least one of both."""

    blob: str
    removed: bool  # the file
    unwanted: bool  # peers are asked for it no longer


@dataclass(frozen=True, slots=True)
class BlobsRow:
    count: int
    bytes: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Status:
    node_id: str
    address: str
    version: str
    uptime_s: float
    health: list[str]  # what does not work, in sentences; empty: all well
    peers: list[PeerRow]
    streams: int
    feeds: int
    entries: int
    following: int
    forks: list[ForkRow]
    doubts: list[DoubtRow]
    blobs: BlobsRow
    store: StoreRow
    dht: DhtRow | None  # None: switched off
    epoch: int | None
    status_page: str | None


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of /metrics. Labels have few, fixed values: never ids."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A message as Scuttlebutt prints it."""

    key: str
    value: JsonValue
    opened: JsonValue = None  # the content, when it was addressed to us in private


class Api(Protocol):
    """Methods raise LocalError for what can't be done."""

    @property
    def streams(self) -> StreamApi: ...

    @property
    def contents(self) -> ContentApi: ...

    @property
    def forks(self) -> ForkApi: ...

    @property
    def dht(self) -> DhtApi: ...

    @property
    def domains(self) -> DomainApi: ...

    async def status(self) -> Status: ...

    async def health(self) -> list[str]:
        """What does not work, tried out; empty: all well."""
        ...

    async def metrics(self) -> list[Metric]: ...

    def peers(self) -> list[PeerRow]: ...

    async def add_peer(self, address: Address) -> None: ...

    async def add_key(self, peer: PeerId) -> None:
        """Of a peer whose address the DHT will tell."""
        ...

    async def remove_peer(self, peer: PeerId) -> None: ...

    async def block(self, peer: PeerId) -> None: ...

    async def unblock(self, peer: PeerId) -> None: ...

    def feeds(self) -> list[FeedRow]: ...

    def following(self) -> list[str]: ...

    async def follow(self, feed: FeedId) -> None: ...

    async def unfollow(self, feed: FeedId) -> None: ...

    async def publish(self, content: JsonValue, recipients: Sequence[FeedId]) -> Entry: ...

    def resume(self, sequence: int) -> None:
        """An identity that was used elsewhere may publish after this message of its feed."""
        ...

    def log(self, feed: FeedId, first: int, limit: int, *, private: bool) -> list[Entry]: ...

    async def wait_beyond(self, feed: FeedId, sequence: int) -> None:
        """Return once the feed has a message after `sequence`."""
        ...

    def blobs(self) -> list[BlobRow]: ...

    async def add_blob(self, pieces: AsyncIterator[bytes]) -> BlobRow: ...

    async def remove_blob(self, blob: BlobId) -> BlobRemoval:
        """Raises LocalError when it is neither here nor wanted."""
        ...

    async def want_blob(self, blob: BlobId, patience_s: float) -> None:
        """Return once it is here; Temporary when it did not come."""
        ...

    async def read_blob(self, blob: BlobId) -> tuple[int, AsyncIterator[bytes]]:
        """Its size and its bytes. Raises LocalError when it is not here."""
        ...
