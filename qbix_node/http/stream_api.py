"""What the HTTP interface asks of the node about streams, and the answers (docs/http-api.md)."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from qbix_node.wire.references import FeedId, StreamId


@dataclass(frozen=True, slots=True)
class StreamRow:
    """What the genesis says is None while nothing of the stream is here."""

    stream: str
    kind: str | None
    uniqueness: str | None
    owners: list[str]
    readers: list[str] | None  # besides the owners; None: everybody
    own: bool
    following: bool
    headers_only: bool  # followed without contents
    length: int  # of the log here, the genesis included
    head_length: int  # of the newest Head here: entries up to there may be missing
    root: str | None  # of that Head
    timestamp: int | None  # of that Head, as the owners claim
    claimed: int  # the greatest length that a connected peer claims
    stopped: str | None  # why it takes no entries any more
    forked: bool  # that is because its owners forked it
    closed: bool  # and again, after they had chosen a branch
    resolved_length: int | None  # where they chose a branch
    resolved_root: str | None  # of that, there
    doubt: str | None  # why nothing is appended to an own stream for now
    weights: list[int] = field(default_factory=list)  # of the owners, in their order
    threshold: int | None = None  # the weight that decides
    sequencer: str | None = None  # who puts entries in order, where others than it may write
    writers: list[str] | None = None  # besides the owners; []: all readers; None: nobody
    heads_only: bool = False  # nothing but its newest Head is kept


@dataclass(frozen=True, slots=True)
class BranchRow:
    """One side of a fork proof that a Resolve may be about."""

    proof: str  # the id
    length: int  # where it is compared with the other
    root: str  # there
    head_length: int  # up to where the owners signed it, at least
    here: bool  # the log here is of this branch
    chosen_by: list[str] = field(default_factory=list)  # of several owners, those known here


@dataclass(frozen=True, slots=True)
class DoubtRow:
    """An own stream to which nothing is appended until somebody or something ends that."""

    stream: str
    length: int
    reason: str


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """Entries that this node has put together and that are not signed by enough owners yet."""

    first: int
    stop: int
    signed: list[str]
    waiting_for: list[str]  # owners who have not signed
    refused: dict[str, str]  # those of them who said why


@dataclass(frozen=True, slots=True)
class StreamDetails:
    """One stream, looked through."""

    row: StreamRow
    contents_missing: int  # those that were dropped not counted
    contents_dropped: int
    branches: list[BranchRow]
    signs: bool = False  # whether this node signs what the sequencer proposes
    signed_length: int | None = None  # of the newest Head that it signed with others
    proposal: ProposalRow | None = None  # of this node, if it is the sequencer


@dataclass(frozen=True, slots=True)
class NewOwner:
    key: FeedId
    weight: int


@dataclass(frozen=True, slots=True)
class NewStream:
    """`owners`: besides this node, or with it where it is to have another weight than 1."""

    kind: str
    uniqueness: str
    readers: Sequence[FeedId] = ()
    owners: Sequence[NewOwner] = ()
    threshold: int | None = None  # None: more than half of all weight
    writers: Sequence[FeedId] = ()
    anybody_writes: bool = False


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """`text` or `base64` is the content; neither: it is not here."""

    index: int
    kind: str
    author: str
    timestamp: int
    bytes: int
    content_hash: str
    text: str | None = None
    base64: str | None = None


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """Where entries stand: from index `first` to before `stop`, others' among them."""

    stream: str
    first: int
    stop: int
    entries: int  # that were appended


@dataclass(frozen=True, slots=True)
class StreamImport:
    stream: str
    added: int  # entries that were not here before
    length: int
    contents: int  # that were missing here, of entries that were not
    proofs: int  # of forks, in the file; checked, and kept as gossip keeps them
    resolved: bool  # it says which branch goes on


class StreamApi(Protocol):
    """Methods raise LocalError for what can't be done."""

    def streams(self) -> list[StreamRow]: ...

    async def show(self, stream: StreamId) -> StreamDetails: ...

    def following(self) -> list[str]: ...

    async def follow(self, stream: StreamId, *, headers_only: bool = False) -> None: ...

    async def hear_of(self, stream: StreamId) -> None: ...

    async def unfollow(self, stream: StreamId) -> None: ...

    async def create(self, wish: NewStream) -> StreamDetails: ...

    async def append(
        self, stream: StreamId, kind: str, contents: Sequence[bytes]
    ) -> StreamPlace: ...

    async def resolve(self, stream: StreamId, root: bytes | None) -> StreamRow:
        """Of a fork; the branch with that root goes on, or the one that is here: once enough owners
        have chosen it, if there are several.
        """
        ...

    async def set_owners(
        self, stream: StreamId, owners: Sequence[NewOwner], threshold: int | None
    ) -> StreamRow:
        """From the next entry on; so far this node is the only one."""
        ...

    async def resume(self, stream: StreamId, length: int) -> None:
        """The person who runs the node says that an own stream of this length is here whole."""
        ...

    def log(self, stream: StreamId, first: int, limit: int) -> list[StreamEntry]: ...

    async def wait_for(self, stream: StreamId, index: int) -> None:
        """Return once that entry is here."""
        ...

    def prove(self, stream: StreamId, index: int) -> bytes: ...

    def export(self, stream: StreamId) -> Iterator[bytes]:
        """Raises at once, not while it is iterated over."""
        ...

    async def import_(self, pieces: AsyncIterator[bytes]) -> StreamImport: ...
