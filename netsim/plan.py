"""Everything that one run will do, as data: who is there, what is asked of whom, what goes wrong.

A plan is drawn from a scenario and a seed (netsim.scenario), or written out in full. Single draws
(how long this packet takes) are left to netsim.chance. Times are seconds since the run began.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from netsim.dhtplan import DhtPlan


class Fault(StrEnum):
    """What can go wrong. `nodes` and `amount` of a PlannedFault mean what is said here; without
    nodes it concerns all.
    """

    # Links. They concern every path that touches one of the nodes.
    LATENCY = "latency"  # so many seconds more each way
    JITTER = "jitter"  # up to so many seconds more, drawn for each packet
    LOSS = "loss"  # share of packets; streams send them again, datagrams are gone
    DUPLICATE = "duplicate"  # share of packets; streams pass a copy over, datagrams arrive twice
    REORDER = "reorder"  # share of packets that are late; streams wait for them, datagrams don't
    BANDWIDTH = "bandwidth"  # bytes a second
    CUT = "cut"  # all connections of the nodes are reset once
    PARTITION = "partition"  # nothing passes between the nodes and all others
    ONE_WAY = "one_way"  # nothing passes from the nodes to all others: connections are half-open
    HOLD = "hold"  # packets between the nodes and all others wait until the end
    # Nodes.
    CRASH = "crash"  # the process is killed, and started again at the end
    # The same, and the database and all connections lose what is under way. A blob is under way for
    # no time: it is there, or not.
    POWER_CUT = "power_cut"
    RESTART = "restart"  # a clean stop, and a start at the end
    # Disks.
    SLOW_DISK = "slow_disk"  # so many seconds more for a sync
    FULL_DISK = "full_disk"  # nothing can be written
    TORN_BATCH = "torn_batch"  # power is cut in the middle of the next batch
    # Power is cut at the end: what was synced in the last `amount` seconds (0: all since the
    # beginning of the fault) is lost as well, or some of it.
    LYING_DISK = "lying_disk"
    # Stopped; at the end started on the database of `amount` seconds before the beginning.
    ROLL_BACK = "roll_back"
    RESTORE = "restore"  # the same, with all of the folder, blobs too: nobody can tell
    # Clocks.
    SKEW = "skew"  # the wall clock is off by so many seconds, until the end
    DRIFT = "drift"  # the node's time runs faster by this share, until the end


class Do(StrEnum):
    """What a person asks of a node."""

    PUBLISH = "publish"  # a message of about `size` bytes; with a `target`, private for that node
    FOLLOW = "follow"
    UNFOLLOW = "unfollow"
    BLOCK = "block"
    UNBLOCK = "unblock"
    ADD_PEER = "add_peer"
    REMOVE_PEER = "remove_peer"
    ADD_BLOB = "add_blob"  # the blob `number` of this node, of `size` bytes (blob_bytes)
    WANT_BLOB = "want_blob"  # the blob `number` of `target`
    UNWANT_BLOB = "unwant_blob"
    REMOVE_BLOB = "remove_blob"
    # The stream `number` of this node (netsim.streams). With a `target` it is private: who may read
    # it are its owner and the nodes whose number is odd, or even, as that of the target. With
    # `owners` and `writers` this node puts in order what all of them write (spec/sequencing.md).
    CREATE_STREAM = "create_stream"
    # To the stream `number` of `target`, or of this node: `entries` of about `size` bytes each.
    APPEND_STREAM = "append_stream"
    FOLLOW_STREAM = "follow_stream"  # the stream `number` of `target`
    UNFOLLOW_STREAM = "unfollow_stream"
    ACT = "act"  # asks a byzantine role for its deed `number` (netsim.roles)
    # Traces keep the places of those above; new ones go to the end.
    RESOLVE_STREAM = "resolve_stream"  # of its forked stream `number` the branch here goes on
    FOLLOW_HEADERS = "follow_headers"  # the stream `number` of `target`, without contents
    # Of the stream `number` of `target`, or of this node: all that are here; all that are missing.
    DROP_CONTENTS = "drop_contents"
    FETCH_CONTENTS = "fetch_contents"


@dataclass(frozen=True, slots=True)
class Range:
    """One value is drawn from it for each path."""

    low: float
    high: float


_SHARE, _PAUSE_S, _PAST_S = Range(0, 1), Range(0, 3600), Range(0, 1e7)
# What `amount` may be. Kinds that are not here have none.
ALLOWED: Mapping[Fault, Range] = {
    Fault.LATENCY: _PAUSE_S,
    Fault.JITTER: _PAUSE_S,
    Fault.LOSS: _SHARE,
    Fault.DUPLICATE: _SHARE,
    Fault.REORDER: _SHARE,
    Fault.BANDWIDTH: Range(1, 1e12),
    Fault.SLOW_DISK: _PAUSE_S,
    Fault.LYING_DISK: _PAST_S,
    Fault.ROLL_BACK: _PAST_S,
    Fault.RESTORE: _PAST_S,
    Fault.SKEW: Range(-1e9, 1e9),  # the run begins in 2027: from 1995 to 2058
    Fault.DRIFT: Range(-0.99, 10),
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """How good links and disks are while nothing is wrong."""

    latency_s: Range = Range(0.01, 0.08)
    jitter_s: float = 0.005
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    bandwidth_bytes_s: float = 1e7
    sync_s: Range = Range(0.0005, 0.008)


@dataclass(frozen=True, slots=True)
class PlannedFault:
    at_s: float
    for_s: float
    fault: Fault
    nodes: tuple[int, ...] = ()
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Operation:
    at_s: float
    node: int
    do: Do
    target: int | None = None  # a node
    number: int = 0
    size: int = 0
    entries: int = 1  # that are appended to a stream together
    owners: tuple[int, ...] = ()  # of a stream that is created, besides this node
    threshold: int = 0  # so many owners sign a Head; 0: more than half of them
    writers: tuple[int, ...] = ()  # who write into it and do not own it


@dataclass(frozen=True, slots=True)
class NodePlan:
    number: int
    role: str = "honest"  # or the name of a program in netsim.roles
    amount: float = 0.0  # means what the role says
    knows: tuple[int, ...] = ()  # whose addresses a person gave it
    follows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    scenario: str
    seed: int
    nodes: tuple[NodePlan, ...]
    duration_s: float  # operations and faults happen in it; then all faults end
    settle_s: float  # the most that may pass until everything is as it should be
    conditions: Conditions = Conditions()
    lan: bool = False  # nodes find each other by broadcast
    operations: tuple[Operation, ...] = ()
    faults: tuple[PlannedFault, ...] = ()
    sometimes: tuple[str, ...] = ()  # events that are to happen (netsim.checks.sometimes)
    settings: Mapping[str, float] = field(default_factory=dict)  # limits that differ, by name
    dht: DhtPlan | None = None  # the nodes are machines of the hash table, and nothing else


def blob_bytes(owner: int, number: int, size: int) -> bytes:
    """The content of a blob that a plan speaks of."""
    pattern = f"blob {number} of node {owner}\n".encode()
    return (pattern * (size // len(pattern) + 1))[:size]
