"""What writers, the sequencer and owners say to each other (spec/sequencing.md 1), and what is
asked of and found by a Sequencer. Their bytes: `packets.py`.
"""

from dataclasses import dataclass

from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.streams.forks import encode_fork
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import (
    Head,
    Header,
    NewEntry,
    Segment,
)
from qbix_node.streams.owners import Owners
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.tree import Hash
from qbix_node.wire.packing import Packable
from qbix_node.wire.references import StreamId

LEAVES_MAX = 64  # in a proposal


# ---- between peers ----


@dataclass(frozen=True, slots=True)
class Intent:
    """Please put this into the stream. `header`: its place is not decided and means nothing."""

    number: int  # of whoever asks; the answer has it
    header: Header
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Placed:
    """It stands there, durable under a Head."""

    number: int
    place: int


@dataclass(frozen=True, slots=True)
class Declined:
    """`later`: not as things are now, but it may be asked for again."""

    number: int
    reason: str
    later: bool = False


@dataclass(frozen=True, slots=True)
class Propose:
    """Please sign this Head over these leaves, of which the log before `first` has none."""

    first: int
    leaves: tuple[bytes, ...]
    head: Head


@dataclass(frozen=True, slots=True)
class Signature:
    """An owner's, of a Head that was proposed."""

    stream: StreamId
    length: int
    root: Hash
    owner: int  # its index
    signature: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """No: an owner does not sign this Head."""

    stream: StreamId
    length: int
    root: Hash
    reason: str

    @property
    def identity(self) -> tuple[StreamId, int, Hash]:
        return self.stream, self.length, self.root


@dataclass(frozen=True, slots=True)
class Vote:
    """An owner's signature under a Head, and the leaves from `first` to there, or none of them."""

    first: int
    leaves: tuple[bytes, ...]
    head: Head
    owner: int
    signature: bytes

    @property
    def bare(self) -> "Vote":
        return Vote(self.head.length, (), self.head, self.owner, self.signature)

    def check(self, owners: Owners) -> SignatureCheck:
        return SignatureCheck(owners.weights[self.owner][0], self.head.body, self.signature)

    def packable(self) -> Packable:
        return self.first, self.leaves, (1, *self.head), self.owner, self.signature


@dataclass(frozen=True, slots=True)
class Recall:
    """What have you signed of this stream, and what do you know that I have signed?"""

    stream: StreamId


@dataclass(frozen=True, slots=True)
class Votes:
    """The newest that is not in the log: of who says it and of who is told."""

    stream: StreamId
    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One owner's signature under a Resolve, with the proof that it is about."""

    resolution: Resolution

    @property
    def stream(self) -> StreamId:
        return self.resolution.stream

    @property
    def owner(self) -> int:
        return self.resolution.signed.signatures[0][0]

    @property
    def signature(self) -> bytes:
        return self.resolution.signed.signatures[0][1]

    def checks(self) -> tuple[SignatureCheck, ...]:
        """Raises Malformed."""
        fork = self.resolution.fork
        checks = fork.checks()
        if not self.resolution.fits or fork.genesis.uniqueness is not Uniqueness.GOSSIP:
            raise Malformed("a choice is not about the fork that its proof shows")
        body, key = self.resolution.signed.resolve.body, fork.genesis.owners.weights[self.owner][0]
        return (*checks, SignatureCheck(key, body, self.signature))

    def packable(self) -> tuple[Packable, bytes]:
        return self.resolution.signed.packable(), encode_fork(self.resolution.fork)


Message = Intent | Placed | Declined | Propose | Signature | Refused | Recall | Votes | Choice


# ---- asked by the node itself ----


@dataclass(frozen=True, slots=True)
class Start:
    """Go on with what was proposed before the last stop."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A stream of several owners that this node sequences, with its genesis as the first run."""

    request: int  # names it in Done or Failed
    genesis: Genesis


@dataclass(frozen=True, slots=True)
class Write:
    """Have these put into the stream, in this order; others' may come to stand between them."""

    request: int
    stream: StreamId
    entries: tuple[NewEntry, ...]


@dataclass(frozen=True, slots=True)
class Choose:
    """The people of this node choose a branch of a forked stream that several own."""

    request: int
    choice: Choice


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody waits for that request any more; what was handed over may still be placed."""

    request: int


@dataclass(frozen=True, slots=True)
class Grew:
    """Replication made entries durable, from `first` to before `stop`."""

    stream: StreamId
    first: int
    stop: int


# ---- found ----


@dataclass(frozen=True, slots=True)
class Done:
    """`places` of what was written, in its order, in the log here; of a new stream, none: its
    proposal is durable.
    """

    request: int
    places: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    request: int
    reason: str
    later: bool = False  # it may go another time
    placed: int = 0  # of its entries; these are in the log here
    hint: str = ""  # the next step


@dataclass(frozen=True, slots=True)
class Completed:
    """Exactly enough owners have signed: this is to go into the log."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class CoSigned:
    """This node has signed what the sequencer proposed; that it did is durable."""

    stream: StreamId
    length: int


@dataclass(frozen=True, slots=True)
class CoSigningRefused:
    stream: StreamId
    length: int
    reason: str


@dataclass(frozen=True, slots=True)
class OwnerChose:
    """An owner chose a branch; that it did is durable here."""

    stream: StreamId
    owner: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """Exactly enough owners chose one branch."""

    resolution: Resolution


@dataclass(frozen=True, slots=True)
class Recalled:
    """Another owner has shown that this node's key signed that, which was forgotten here."""

    stream: StreamId
    length: int
