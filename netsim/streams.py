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
from qbix_node.wire.references import StreamId

READERS_BELOW = 64  # nodes with greater numbers read no private stream but their own


@dataclass(frozen=True)
class PlannedStream:
    """`parity`: of the numbers of those who may read it; None: everybody may."""

    owner: int
    number: int
    parity: int | None = None

    @cached_property
    def genesis(self) -> Genesis:
        return _genesis(self.owner, self.number, self.parity)

    @property
    def id(self) -> StreamId:
        return self.genesis.stream

    def may_read(self, node: int) -> bool:
        if self.parity is None or node == self.owner:
            return True
        return node < READERS_BELOW and node % 2 == self.parity


@cache
def _genesis(owner: int, number: int, parity: int | None) -> Genesis:
    salt = blake2b(b"netsim stream %d of node %d" % (number, owner), digest_size=16).digest()
    numbers = () if parity is None else range(parity, READERS_BELOW, 2)
    readers = [keys_of(node).public for node in numbers]
    return make_genesis(keys_of(owner), "test", Uniqueness.GOSSIP, salt=salt, readers=readers)


def created(operation: Operation) -> PlannedStream:
    """What a CREATE_STREAM is about."""
    parity = None if operation.target is None else operation.target % 2
    return PlannedStream(operation.node, operation.number, parity)


class Streams:
    """Those that a plan speaks of: who follows one that nobody creates waits for it in vain."""

    def __init__(self, plan: Plan) -> None:
        self._planned: dict[tuple[int, int], PlannedStream] = {}
        for each in plan.operations:
            if each.do is Do.CREATE_STREAM:
                self._planned.setdefault((each.node, each.number), created(each))
        for each in plan.operations:
            if each.do in (Do.FOLLOW_STREAM, Do.UNFOLLOW_STREAM) and each.target is not None:
                self.of(each.target, each.number)
        self.by_id: Mapping[StreamId, PlannedStream] = {
            stream.id: stream for stream in self._planned.values()
        }

    def of(self, owner: int, number: int) -> PlannedStream:
        place = owner, number
        return self._planned.setdefault(place, PlannedStream(*place))

    def about(self, operation: Operation) -> PlannedStream:
        """`target` is its owner, or else the node itself."""
        foreign = operation.do in (Do.FOLLOW_STREAM, Do.UNFOLLOW_STREAM)
        owner = operation.target if foreign else None
        return self.of(operation.node if owner is None else owner, operation.number)


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
