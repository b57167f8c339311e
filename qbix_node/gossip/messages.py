"""What peers say to each other about Heads, and what gossip finds (spec/gossip.md 1)."""

from dataclasses import dataclass
from typing import Any

from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.streams.forks import (
    PROOF_BYTES_MAX,
    ShownHead,
    StreamFork,
    read_shown_head,
)
from qbix_node.streams.genesis import GENESIS_BYTES_MAX
from qbix_node.streams.messages import (
    SignedHead,
    SignedResolve,
    read_hashes,
    read_prefix,
    read_signed_resolve,
)
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.tree import Hash, Prefix
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack, unpack
from qbix_node.wire.references import StreamId
from qbix_node.wire.v8json import JsonValue, compact

METHOD = "qbix.heads"
ARGUMENTS: list[JsonValue] = [{"version": 1}]
PACKET_BYTES_MAX = 128 * 1024
HEADS_MAX = 64  # in a packet
PROOFS_MAX = 8  # in a packet
LISTENED_MAX = 1024  # streams of which a node wants to hear without holding them
GENESES_MAX = 64  # in a packet


# ---- between peers ----


@dataclass(frozen=True, slots=True)
class Heads:
    heads: tuple[ShownHead, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    number: int
    shown: ShownHead
    prefix: Prefix


@dataclass(frozen=True, slots=True)
class Continues:
    """`peaks`: where the question showed none, those of the length that it asked about. `end`:
    those of the Head; none where not all of it is here.
    """

    number: int
    shown: ShownHead
    frontier: tuple[Hash, ...]
    peaks: tuple[Hash, ...] = ()
    end: tuple[Hash, ...] = ()


@dataclass(frozen=True, slots=True)
class Shorter:
    number: int
    shown: ShownHead
    prefix: Prefix


@dataclass(frozen=True, slots=True)
class Unknown:
    number: int


@dataclass(frozen=True, slots=True)
class Proofs:
    """Encoded; whether they are proofs is not known yet."""

    proofs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Resolve:
    """That the owners chose a branch of this fork. The proof is encoded; whether the two count is
    not known yet.
    """

    signed: SignedResolve
    proof: bytes


@dataclass(frozen=True, slots=True)
class Listen:
    """The sender holds none of `begun`, and wants to hear of their Heads; of `ended` no longer."""

    begun: tuple[StreamId, ...]
    ended: tuple[StreamId, ...]


@dataclass(frozen=True, slots=True)
class Geneses:
    """Encoded, of streams to which the receiver listens; the sender speaks of them, too."""

    geneses: tuple[bytes, ...]


Message = Heads | Compare | Continues | Shorter | Unknown | Proofs | Resolve | Listen | Geneses


# ---- told by the node itself ----


@dataclass(frozen=True, slots=True)
class Begun:
    """The conversation with a peer."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """The peer has shown entries that don't lead from our log to this Head of the owners."""

    peer: PeerId
    signed: SignedHead


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another Head covers the log now: that of `before` is not forgotten."""

    before: LogState


@dataclass(frozen=True, slots=True)
class Announced:
    """What the peer says to hold, or no longer: it may be told of these streams."""

    peer: PeerId
    streams: tuple[StreamId, ...]
    gone: tuple[StreamId, ...]


@dataclass(frozen=True, slots=True)
class HearOf:
    """Keep the Heads of this stream from now on, and nothing else of it; or no longer."""

    number: int  # names it in Settled
    stream: StreamId
    wanted: bool


@dataclass(frozen=True, slots=True)
class Submitted:
    """What did not come from a peer. `number` names it in Settled."""

    number: int
    given: StreamFork | Resolution


@dataclass(frozen=True, slots=True)
class Started:
    """`alone`: the node knows nobody whom it could ask."""

    alone: bool


@dataclass(frozen=True, slots=True)
class Came:
    """Others have sent the beginning of this stream."""

    stream: StreamId


@dataclass(frozen=True, slots=True)
class BranchChosen:
    """By the owners of the stream, of a fork."""

    stream: StreamId


@dataclass(frozen=True, slots=True)
class DoubtEnded:
    """The person who runs the node says that an own stream is here whole; or it takes no more."""

    stream: StreamId


# ---- found ----


@dataclass(frozen=True, slots=True)
class ForkProven:
    """The proof is durable. `source`: who sent it; None: made of what peers said, or submitted."""

    fork: StreamFork
    source: PeerId | None


@dataclass(frozen=True, slots=True)
class ForkResolved:
    """The owners' choice is durable. `source` as above."""

    resolution: Resolution
    source: PeerId | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What was submitted or asked for is durable, or passed over; `refused`: why it is not done."""

    number: int
    refused: str | None = None


# ---- bytes ----


def encode(message: Message) -> bytes:
    return pack(_packable(message))


def _packable(message: Message) -> Packable:
    match message:
        case Heads(heads):
            return 1, "heads", tuple([shown.packable() for shown in heads])
        case Compare(number, shown, prefix):
            return 1, "compare", number, shown.packable(), *prefix
        case Continues(number, shown, frontier, peaks, end):
            return 1, "continues", number, shown.packable(), frontier, peaks, end
        case Shorter(number, shown, prefix):
            return 1, "shorter", number, shown.packable(), *prefix
        case Unknown(number):
            return 1, "unknown", number
        case Proofs(proofs):
            return 1, "proofs", proofs
        case Resolve(signed, proof):
            return 1, "resolve", signed.packable(), proof
        case Listen(begun, ended):
            return 1, "listen", begun, ended
        case Geneses(geneses):
            return 1, "geneses", geneses


def read_message(data: bytes) -> Message:
    """Raises Malformed."""
    what = METHOD
    if len(data) > PACKET_BYTES_MAX:
        raise Malformed(f"{what}: {len(data)} bytes, {PACKET_BYTES_MAX} are allowed")
    row = fields.array(unpack(data, what), what)
    if not row or type(row[0]) is not int or row[0] != 1:
        raise Malformed(f"{what}: expected an array of version 1")
    match row[1:]:
        case ("heads", heads):
            rows = fields.array(heads, f"{what}: heads", most=HEADS_MAX)
            return Heads(tuple([read_shown_head(each) for each in rows]))
        case ("proofs", proofs):
            rows = fields.array(proofs, f"{what}: proofs", most=PROOFS_MAX)
            return Proofs(
                tuple([fields.data(each, f"{what}: proof", most=PROOF_BYTES_MAX) for each in rows])
            )
        case ("resolve", signed, proof):
            resolve = read_signed_resolve(signed)
            return Resolve(resolve, fields.data(proof, f"{what}: proof", most=PROOF_BYTES_MAX))
        case ("listen" | "geneses", *_):
            return _read_listening(row[1:])
        case _:
            return _read_comparing(row[1:])


def _read_comparing(row: tuple[Any, ...]) -> Compare | Continues | Shorter | Unknown:
    what = METHOD
    match row:
        case ("compare", number, shown, length, peaks, frontier):
            read = _read_number(number), read_shown_head(shown)
            return Compare(*read, read_prefix(length, peaks, frontier, what))
        case ("continues", number, shown, frontier, peaks, end):
            read = _read_number(number), read_shown_head(shown)
            leads = read_hashes(frontier, f"{what}: frontier"), read_hashes(peaks, f"{what}: peaks")
            return Continues(*read, *leads, read_hashes(end, f"{what}: end"))
        case ("shorter", number, shown, length, peaks, frontier):
            read = _read_number(number), read_shown_head(shown)
            return Shorter(*read, read_prefix(length, peaks, frontier, what))
        case ("unknown", number):
            return Unknown(_read_number(number))
        case _:
            raise Malformed(f"{what}: a message of no known kind")


def _read_listening(row: tuple[Any, ...]) -> Listen | Geneses:
    what = METHOD
    match row:
        case ("listen", begun, ended):
            named = [
                [
                    StreamId(fields.data(each, f"{what}: stream", size=32))
                    for each in fields.array(streams, f"{what}: listen", most=LISTENED_MAX)
                ]
                for streams in (begun, ended)
            ]
            return Listen(tuple(named[0]), tuple(named[1]))
        case ("geneses", geneses):
            rows = fields.array(geneses, f"{what}: geneses", most=GENESES_MAX)
            return Geneses(
                tuple(
                    [fields.data(each, f"{what}: genesis", most=GENESIS_BYTES_MAX) for each in rows]
                )
            )
        case _:
            raise Malformed(f"{what}: a message of no known kind")


def _read_number(value: object) -> int:
    return fields.number(value, f"{METHOD}: number")


def check_arguments(arguments: list[JsonValue]) -> None:
    """Raises Malformed."""
    if compact(arguments) != compact(ARGUMENTS):
        raise Malformed(f"{METHOD}: expected {{version: 1}}")
