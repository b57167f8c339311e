"""What writers, the sequencer and owners say to each other (spec/sequencing.md 1), and what is
asked of and found by a Sequencer.
"""

from dataclasses import dataclass
from hashlib import sha256

from qbix_node.errors import Malformed
from qbix_node.streams.genesis import GENESIS_BYTES_MAX, Genesis
from qbix_node.streams.messages import (
    CONTENT_BYTES_MAX,
    HEADER_BYTES_MAX,
    Head,
    Header,
    NewEntry,
    Segment,
    read_head,
    read_header,
)
from qbix_node.streams.owners import OWNERS_MAX
from qbix_node.streams.tree import LENGTH_MAX, Hash
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack, unpack
from qbix_node.wire.references import StreamId
from qbix_node.wire.v8json import JsonValue, compact

METHOD = "qbix.sequence"
ARGUMENTS: list[JsonValue] = [{"version": 1}]
PACKET_BYTES_MAX = 128 * 1024
LEAVES_MAX = 64  # in a proposal
REASON_BYTES_MAX = 200


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


Message = Intent | Placed | Declined | Propose | Signature | Refused


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


# ---- bytes ----


def encode(message: Message) -> bytes:
    return pack(_packable(message))


def _packable(message: Message) -> Packable:
    match message:
        case Intent(number, header, content):
            return 1, "intent", number, (header.stream, *header[3:]), content
        case Placed(number, place):
            return 1, "placed", number, place
        case Declined(number, reason, later):
            return 1, "declined", number, later, shortened(reason)
        case Propose(first, leaves, head):
            return 1, "propose", first, leaves, (1, *head)
        case Signature(stream, length, root, owner, signature):
            return 1, "signature", stream, length, root, owner, signature
        case Refused(stream, length, root, reason):
            return 1, "refused", stream, length, root, shortened(reason)


def shortened(reason: str) -> str:
    return reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")


def read_message(data: bytes) -> Message:
    """Raises Malformed."""
    what = METHOD
    if len(data) > PACKET_BYTES_MAX:
        raise Malformed(f"{what}: {len(data)} bytes, {PACKET_BYTES_MAX} are allowed")
    row = fields.array(unpack(data, what), what)
    if not row or type(row[0]) is not int or row[0] != 1:
        raise Malformed(f"{what}: expected an array of version 1")
    match row[1:]:
        case ("intent", number, said, content):
            return _read_intent(number, said, content)
        case ("placed", number, place):
            named = fields.number(place, f"{what}: index", 1, LENGTH_MAX - 1)
            return Placed(_number(number), named)
        case ("declined", number, bool() as later, reason):
            return Declined(_number(number), _reason(reason), later)
        case ("propose", first, leaves, body):
            return _read_propose(first, leaves, body)
        case ("signature", stream, length, root, owner, signature):
            return Signature(
                *_read_identity(stream, length, root),
                fields.number(owner, f"{what}: owner", 0, OWNERS_MAX - 1),
                fields.data(signature, f"{what}: signature", size=64),
            )
        case ("refused", stream, length, root, reason):
            return Refused(*_read_identity(stream, length, root), _reason(reason))
        case _:
            raise Malformed(f"{what}: a message of no known kind")


def _read_intent(number: object, said: object, content: object) -> Intent:
    what = f"{METHOD}: intent"
    stream, author, author_seq, base, *rest = fields.array(said, what, size=10)
    # The place is not decided: right after what the author had seen is one that it could have.
    header = read_header(pack((1, stream, base, author, author_seq, base, *rest)))
    if header.author_sig is None:
        raise Malformed(f"{what}: its author didn't sign it")
    given = None
    if content is not None:
        given = fields.data(content, f"{what}: content", most=CONTENT_BYTES_MAX)
        if (header.content_size, header.content_hash) != (len(given), sha256(given).digest()):
            raise Malformed(f"{what}: this is not its content")
    return Intent(_number(number), header, given)


def _read_propose(first: object, leaves: object, body: object) -> Propose:
    what = f"{METHOD}: propose"
    begins = fields.number(first, f"{what}: first", 0, LENGTH_MAX - 1)
    rows = fields.array(leaves, f"{what}: leaves", most=LEAVES_MAX)
    for place, leaf in enumerate(rows, begins):
        most = HEADER_BYTES_MAX if place else GENESIS_BYTES_MAX
        fields.data(leaf, f"{what}: leaf", most=most)
    head = read_head(body, what)
    if not rows or begins + len(rows) != head.length:
        raise Malformed(f"{what}: the Head does not end with the leaves")
    return Propose(begins, rows, head)


def _read_identity(stream: object, length: object, root: object) -> tuple[StreamId, int, Hash]:
    return (
        StreamId(fields.data(stream, f"{METHOD}: stream", size=32)),
        fields.number(length, f"{METHOD}: length", 1, LENGTH_MAX),
        Hash(fields.data(root, f"{METHOD}: root", size=32)),
    )


def _number(value: object) -> int:
    return fields.number(value, f"{METHOD}: number")


def _reason(value: object) -> str:
    return fields.text(value, f"{METHOD}: reason", most=REASON_BYTES_MAX)


def check_arguments(arguments: list[JsonValue]) -> None:
    """Raises Malformed."""
    if compact(arguments) != compact(ARGUMENTS):
        raise Malformed(f"{METHOD}: expected {{version: 1}}")
