"""Wrong decisions about streams, their Heads and proofs of forks."""

from dataclasses import dataclass, replace

from netsim import facts
from netsim.checks.proofs import NoFalseProof, NothingAfterProof, ProofsStand
from netsim.checks.streams import (
    HonestOwners,
    OwnersSigned,
    StreamsDurable,
    StreamsGrow,
    StreamsSurvive,
)
from netsim.checks.streamspeech import HeadsBacked, OnlyFollowedStreams, ReadersOnly
from netsim.defects import streamplans as plans
from netsim.defects.planting import EVENTUALLY, Defect, planting
from netsim.disks import SimulatedDisk
from netsim.lean import streaming
from netsim.lean.streaming import Streaming
from qbix_node import machines as m
from qbix_node.gossip import accusing
from qbix_node.gossip.accusing import Accuser
from qbix_node.gossip.machine import Gossiper
from qbix_node.ports import Delete, Put, Rows
from qbix_node.replication.streams.choice import StreamChoice
from qbix_node.replication.streams.machine import StreamReplicator
from qbix_node.streams import messages as s
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.growth import Growth
from qbix_node.streams.line import Line
from qbix_node.streams.machine import StreamBook
from qbix_node.streams.tree import Hash, bag, frontier_of, grow, leaf_hash
from qbix_node.wire.references import StreamId

_checked = StreamBook._checked
_create = StreamBook._create
_keep = StreamBook._keep
_crash = SimulatedDisk.crash


@dataclass(frozen=True, slots=True)
class _NewLeaves:
    """The part of a tree that a frontier to them needs."""

    first: int
    leaves: tuple[bytes, ...]

    def node(self, level: int, index: int) -> Hash:
        return self.cut(level, index, (index + 1) << level)

    def cut(self, level: int, index: int, total: int) -> Hash:
        start, stop = index << level, min((index + 1) << level, total)
        run = self.leaves[start - self.first : stop - self.first]
        return bag(grow((), 0, [leaf_hash(leaf) for leaf in run])[0])


def _believe(
    book: StreamBook, stream: StreamId, line: Line, oks: tuple[bool, ...], effects: list[m.Effect]
) -> None:
    _checked(book, stream, line, (True,) * len(oks), effects)


def _create_anew(book: StreamBook, wish: s.Create, effects: list[m.Effect]) -> None:
    stream = wish.genesis.stream
    genesis = book.geneses.pop(stream, None)
    log = book.logs.pop(stream, None)
    _create(book, wish, effects)
    assert genesis is None or log is not None


def _no_streams(rows: Rows) -> dict[StreamId, Genesis]:
    return {}


def _say_at_once(
    book: StreamBook, stream: StreamId, line: Line, growth: Growth, effects: list[m.Effect]
) -> None:
    _keep(book, stream, line, growth, effects)
    stop = growth.state.length
    effects.append(m.Emit(s.Grown(stream, stop - len(growth.leaves), stop, None)))


def _count_early(
    book: StreamBook, stream: StreamId, line: Line, growth: Growth, effects: list[m.Effect]
) -> None:
    """Of the entries no one hears yet."""
    _keep(book, stream, line, growth, effects)
    before = book.logs.get(stream)
    if before is not None and not before.frontier and line.offer is None:
        head = growth.state.signed.head
        nodes = _NewLeaves(before.length, growth.leaves)
        frontier = frontier_of(nodes, before.length, head.length)
        book.logs[stream] = replace(before, signed=growth.state.signed, frontier=frontier)


def _forget_streams(disk: SimulatedDisk, *, power: bool) -> facts.Crashed:
    """Of each stream is gone that it was there."""
    crashed = _crash(disk, power=power)
    found = [*disk.scan(b"s/g", b"s/h", limit=1000), *disk.scan(b"s/l", b"s/m", limit=1000)]
    disk._apply([Delete(key) for key, _ in found])
    return crashed


def _put_nowhere(stream: StreamId, encoded: bytes) -> Put:
    return Put(b"s/z" + stream, encoded)


def _not_stopped(world: Streaming, *about: object) -> None:
    return None


def _anybody_may(replicator: StreamReplicator, peer: m.PeerId, stream: StreamId) -> bool:
    return True


def _replicate_all(choice: StreamChoice, log: StreamId) -> bool:
    return True


def _wait_for_nobody(book: StreamBook, stream: StreamId) -> None:
    return None


def _do_nothing(*_: object) -> None:
    return None


STREAM_DEFECTS = (
    Defect(
        "bad signature of a Head accepted",
        "whatever libsodium says, the owner has signed",
        OwnersSigned.name,
        plans.forged_heads,
        planting((StreamBook, "_checked", _believe)),
        seeds=(1, 2, 3),
    ),
    Defect(
        "stream made anew",
        "who makes a stream that is here begins it again",
        HonestOwners.name,
        plans.made_twice,
        planting((StreamBook, "_create", _create_anew)),
        tailored_only="nobody asks for a stream twice in the swarm",
    ),
    Defect(
        "appended on an old copy",
        "who has just started appends before any peer has said what it has of the stream",
        HonestOwners.name,
        plans.owner_restored,
        planting((StreamBook, "why_wait", _wait_for_nobody)),
    ),
    Defect(
        "streams forgotten at a start",
        "what is stored of streams is not read, and its owner begins again",
        StreamsGrow.name,
        plans.made_twice,
        planting((streaming, "read_streams", _no_streams)),
        tailored_only="nobody asks for a stream twice in the swarm",
    ),
    Defect(
        "an honest owner forks and is proven to",
        "who makes a stream that is here begins it again, and its followers hold the proof",
        NoFalseProof.name,
        plans.made_twice,
        planting((StreamBook, "_create", _create_anew), (StreamBook, "why_wait", _wait_for_nobody)),
        tailored_only="nobody asks for a stream twice in the swarm",
    ),
    Defect(
        "entries told before the sync",
        "a log counts as longer when entries were handed to the disk",
        StreamsDurable.name,
        plans.streams,
        planting((StreamBook, "_keep", _say_at_once)),
    ),
    Defect(
        "Head told before the sync",
        "a Head may be told as soon as its entries are handed to the disk",
        HeadsBacked.name,
        plans.streams_on_slow_disks,
        planting((StreamBook, "_keep", _count_early)),
    ),
    Defect(
        "streams forgotten in a cut of power",
        "a power cut takes streams that were acknowledged, and nothing tells",
        StreamsSurvive.name,
        plans.streams_and_power_cuts,
        planting((SimulatedDisk, "crash", _forget_streams)),
    ),
    Defect(
        "proof not stored",
        "a proof of a fork is not written",
        ProofsStand.name,
        plans.two_branches,
        planting((accusing, "put_proof", _put_nowhere)),
    ),
    Defect(
        "stopped stream goes on",
        "replication is not told of a proof",
        NothingAfterProof.name,
        plans.two_branches,
        planting((Streaming, "stop", _not_stopped)),
    ),
    Defect(
        "private stream told to a stranger",
        "nobody looks who may read",
        ReadersOnly.name,
        plans.private_streams,
        planting((StreamReplicator, "may_read", _anybody_may)),
    ),
    Defect(
        "all streams replicated",
        "what nobody follows is announced like the rest",
        OnlyFollowedStreams.name,
        plans.some_followed,
        planting((StreamChoice, "replicates", _replicate_all)),
    ),
    Defect(
        "Heads never compared",
        "what a peer shows is not held against the log here",
        EVENTUALLY,
        plans.two_branches,
        planting((Gossiper, "_judge", _do_nothing)),
    ),
    Defect(
        "proof kept to oneself",
        "no peer is sent a proof",
        EVENTUALLY,
        plans.two_branches_in_a_line,
        planting((Accuser, "tell", _do_nothing)),
    ),
    Defect(
        "contradiction ignored",
        "two Heads that contradict each other are no reason to do anything",
        EVENTUALLY,
        plans.two_branches,
        planting((Accuser, "accuse", _do_nothing)),
    ),
)
