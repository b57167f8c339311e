"""What a run tells of itself, beside the findings of the product's machines.

A fact belongs to a node and a moment; netsim.journal passes both on to the trace and to the checks.
"""

from dataclasses import dataclass

from netsim.plan import Operation, PlannedFault
from qbix_node.machines import PeerId, SignatureCheck


@dataclass(frozen=True, slots=True)
class Started:
    clean: bool  # it had been stopped, not cut off


@dataclass(frozen=True, slots=True)
class Stopped:
    """Cleanly."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """`lost`: batches that were handed to the disk and are gone; `torn`: one was half written."""

    power: bool
    lost: int = 0
    torn: bool = False


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The disk is as it was earlier. `batches`: so many acknowledged ones are gone."""

    batches: int
    noticed: bool  # the store refused to open, and a person had it repaired


@dataclass(frozen=True, slots=True)
class DiskFull:
    pass


@dataclass(frozen=True, slots=True)
class LinkUp:
    peer: PeerId
    outgoing: bool


@dataclass(frozen=True, slots=True)
class LinkDown:
    peer: PeerId
    reason: str


@dataclass(frozen=True, slots=True)
class Said:
    """A machine's Send is carried out."""

    to: PeerId
    message: object


@dataclass(frozen=True, slots=True)
class SaidOfStreams:
    """The same of what is said about streams, by replication or by gossip."""

    to: PeerId
    message: object


@dataclass(frozen=True, slots=True)
class Checked:
    """A machine had signatures checked."""

    checks: tuple[SignatureCheck, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    operation: Operation


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What became of a stream of several owners that was to begin, or of what was to be put into
    one that several write into: `places` in the log; None: it was refused or given up, and may
    still get there.
    """

    operation: Operation
    places: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class FaultBegan:
    fault: PlannedFault


@dataclass(frozen=True, slots=True)
class FaultEnded:
    fault: PlannedFault


@dataclass(frozen=True, slots=True)
class Healed:
    """All faults are over: from now on everything has to come right."""


@dataclass(frozen=True, slots=True)
class Misdeed:
    """A byzantine role did what it is there for; `name` is one of netsim.roles."""

    name: str
    subject: PeerId | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """An exception escaped, or a log line at error level was written: a bug of the node."""

    what: str


@dataclass(frozen=True, slots=True)
class Violated:
    check: str
    what: str


# ---- of the hash table ----


@dataclass(frozen=True, slots=True)
class DhtFound:
    """A lookup is over. `strays`: of the nodes that it found, those who were not there."""

    nodes: int
    strays: int


@dataclass(frozen=True, slots=True)
class DhtGot:
    """A read is over. `false`: why a record that it brought should not have come out."""

    records: int
    false: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DhtUnproven:
    """A request came without a cookie: its size, that of all that was sent then, and how many keys
    were agreed on.
    """

    asked_bytes: int
    said_bytes: int
    agreements: int


@dataclass(frozen=True, slots=True)
class DhtTable:
    """What is in a table: the most of one network of addresses in a bucket and in all of it;
    whom it forgot although nothing was wrong with them; and how many of the nearest to some target
    its search passed over.
    """

    of_network_in_bucket: int
    of_network: int
    dropped: tuple[bytes, ...]
    passed_over: int


@dataclass(frozen=True, slots=True)
class DhtShelf:
    records: int
    of_key: int  # the most
