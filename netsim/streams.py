"""The streams of a plan: which there are, whose, and who may read them.

Their geneses depend on nothing but who owns them, under which number, and who may read them. So the
same stream is the same in every run, and whoever knows the plan knows its id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import blake2b

from netsim.plan import Do, Operation, Plan
from netsim.site import keys_of
from qbix_node.streams.authoring import make_genesis
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import CONTENT_BYTES_MAX, NewEntry
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.wire.references import StreamId

READERS_BELOW = 64  # nodes with greater numbers read no private stream but their own
OF_STREAMS = (  # of the node that is their target, or of the node that is asked
    Do.APPEND_STREAM,
    Do.FOLLOW_STREAM,
    Do.FOLLOW_HEADERS,
    Do.UNFOLLOW_STREAM,
    Do.DROP_CONTENTS,
    Do.FETCH_CONTENTS,
)


@dataclass(frozen=True)
class PlannedStream:
    """`parity`: of the numbers of those who may read it; None: everybody may. `others`: who own it
    with the owner, who is its sequencer; `threshold`: so many of all sign.
    """

    owner: int
    number: int
    parity: int | None = None
    others: tuple[int, ...] = ()
    threshold: int = 1
    writers: tuple[int, ...] = ()

    @cached_property
    def genesis(self) -> Genesis:
        return _genesis(self)

    @property
    def id(self) -> StreamId:
        return self.genesis.stream

    @property
    def owners(self) -> tuple[int, ...]:
        return (self.owner, *self.others)

    @property
    def owner_key(self) -> bytes:
        return keys_of(self.owner).public

    @property
    def authors(self) -> tuple[int, ...]:
        """Who may write into it."""
        return (*self.owners, *self.writers)

    @property
    def sequenced(self) -> bool:
        return bool(self.others or self.writers)

    @property
    def liars_min(self) -> int:
        """So many owners have to lie for two branches: two sets that both sign have so many in
        common, all of them are among those who lie (spec/sequencing.md 4).
        """
        return 2 * self.threshold - len(self.owners)

    def may_read(self, node: int) -> bool:
        if self.parity is None or node in self.authors:
            return True
        return node < READERS_BELOW and node % 2 == self.parity


@cache
def _genesis(stream: PlannedStream) -> Genesis:
    place = stream.number, stream.owner
    salt = blake2b(b"netsim stream %d of node %d" % place, digest_size=16).digest()
    parity, keys = stream.parity, keys_of(stream.owner)
    numbers = () if parity is None else range(parity, READERS_BELOW, 2)
    weights = sorted([(AuthorId(keys_of(node).public), 1) for node in stream.owners])
    return make_genesis(
        keys,
        "test",
        Uniqueness.GOSSIP,
        salt=salt,
        owners=Owners(tuple(weights), stream.threshold),
        readers=[keys_of(node).public for node in numbers],
        writers=[keys_of(node).public for node in stream.writers] or None,
    )


def created(operation: Operation) -> PlannedStream:
    """What a CREATE_STREAM is about."""
    parity = None if operation.target is None else operation.target % 2
    others = tuple([node for node in dict.fromkeys(operation.owners) if node != operation.node])
    most = len(others) + 1
    threshold = min(max(operation.threshold, most // 2 + 1), most)
    owning = {operation.node, *others}
    writers = tuple([node for node in dict.fromkeys(operation.writers) if node not in owning])
    return PlannedStream(operation.node, operation.number, parity, others, threshold, writers)


class Streams:
    """Those that a plan speaks of: who follows one that nobody creates waits for it in vain."""

    def __init__(self, plan: Plan) -> None:
        self._planned: dict[tuple[int, int], PlannedStream] = {}
        for each in plan.operations:
            if each.do is Do.CREATE_STREAM:
                self._planned.setdefault((each.node, each.number), created(each))
        for each in plan.operations:
            if each.do in OF_STREAMS and each.target is not None:
                self.of(each.target, each.number)
        self.by_id: Mapping[StreamId, PlannedStream] = {
            stream.id: stream for stream in self._planned.values()
        }

    def of(self, owner: int, number: int) -> PlannedStream:
        place = owner, number
        return self._planned.setdefault(place, PlannedStream(*place))

    def about(self, operation: Operation) -> PlannedStream:
        """`target` is its owner, or else the node itself."""
        owner = operation.target if operation.do in OF_STREAMS else None
        return self.of(operation.node if owner is None else owner, operation.number)


def is_shared(operation: Operation, streams: Streams) -> bool:
    """Whether it goes to a sequencer, be it that of the node itself."""
    match operation.do:
        case Do.CREATE_STREAM:
            return bool(streams.about(operation).others)
        case Do.APPEND_STREAM:
            return streams.about(operation).sequenced
        case _:
            return False


def entries_of(append: Operation) -> tuple[NewEntry, ...]:
    """What is appended: not the same at any two moments."""
    said = f"stream {append.number} of node {append.node} at {append.at_s:.6f} s"
    size = min(append.size, CONTENT_BYTES_MAX)
    return tuple(
        [
            NewEntry("note", f"{place} of {said} ".ljust(size, ".")[: max(size, 64)].encode())
            for place in range(append.entries)
        ]
    )
