"""The bytes of what writers, the sequencer and owners say (spec/sequencing.md 1)."""

from collections.abc import Sequence
from hashlib import sha256

from qbix_node.errors import Malformed
from qbix_node.sequencing.messages import (
    LEAVES_MAX,
    Choice,
    Declined,
    Intent,
    Message,
    Placed,
    Propose,
    Recall,
    Refused,
    Signature,
    Vote,
    Votes,
)
from qbix_node.streams.forks import PROOF_BYTES_MAX
from qbix_node.streams.genesis import GENESIS_BYTES_MAX
from qbix_node.streams.messages import (
    CONTENT_BYTES_MAX,
    HEADER_BYTES_MAX,
    Head,
    read_head,
    read_header,
    read_signed_resolve,
)
from qbix_node.streams.owners import OWNERS_MAX
from qbix_node.streams.resolution import resolution_of
from qbix_node.streams.tree import LENGTH_MAX, Hash
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack, unpack
from qbix_node.wire.references import StreamId
from qbix_node.wire.v8json import JsonValue, compact

METHOD = "qbix.sequence"
ARGUMENTS: list[JsonValue] = [{"version": 1}]
PACKET_BYTES_MAX = 128 * 1024
REASON_BYTES_MAX = 200
VOTES_MAX = 2  # in one message


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
        case Recall(stream):
            return 1, "recall", stream
        case Choice():
            return 1, "choice", *message.packable()
        case Votes(stream, votes):
            return 1, "votes", stream, tuple([vote.packable() for vote in votes])


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
        case (str() as kind, *rest):
            return _read_of_owners(kind, rest)
        case _:
            raise Malformed(f"{what}: a message of no known kind")


def _read_of_owners(kind: str, rest: Sequence[object]) -> Message:
    what = METHOD
    match kind, *rest:
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
        case ("recall", stream):
            return Recall(_stream(stream))
        case ("votes", stream, votes):
            return _read_votes(stream, votes)
        case ("choice", signed, proof):
            return read_choice(signed, proof)
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
    begins, rows, head = _read_run(first, leaves, body, what)
    if not rows:
        raise Malformed(f"{what}: it has no leaves")
    return Propose(begins, rows, head)


def _read_run(
    first: object, leaves: object, body: object, what: str
) -> tuple[int, tuple[bytes, ...], Head]:
    begins = fields.number(first, f"{what}: first", 0, LENGTH_MAX)
    rows = fields.array(leaves, f"{what}: leaves", most=LEAVES_MAX)
    for place, leaf in enumerate(rows, begins):
        most = HEADER_BYTES_MAX if place else GENESIS_BYTES_MAX
        fields.data(leaf, f"{what}: leaf", most=most)
    head = read_head(body, what)
    if begins + len(rows) != head.length:
        raise Malformed(f"{what}: the Head does not end with the leaves")
    return begins, rows, head


def read_vote(value: object, what: str) -> Vote:
    """Raises Malformed."""
    first, leaves, body, owner, signature = fields.array(value, what, size=5)
    return Vote(
        *_read_run(first, leaves, body, what),
        fields.number(owner, f"{what}: owner", 0, OWNERS_MAX - 1),
        fields.data(signature, f"{what}: signature", size=64),
    )


def _read_votes(stream: object, votes: object) -> Votes:
    what = f"{METHOD}: votes"
    rows = fields.array(votes, what, most=VOTES_MAX)
    read = Votes(_stream(stream), tuple([read_vote(row, what) for row in rows]))
    owners = [vote.owner for vote in read.votes]
    if len(set(owners)) < len(owners):
        raise Malformed(f"{what}: two of one owner")
    if any(vote.head.stream != read.stream for vote in read.votes):
        raise Malformed(f"{what}: one is of another stream")
    return read


def read_choice(signed: object, proof: object) -> Choice:
    """Raises Malformed."""
    what = f"{METHOD}: choice"
    given = fields.data(proof, f"{what}: proof", most=PROOF_BYTES_MAX)
    choice = Choice(resolution_of(read_signed_resolve(signed), given))
    if len(choice.resolution.signed.signatures) != 1:
        raise Malformed(f"{what}: it has the signature of one owner")
    return choice


def _stream(value: object) -> StreamId:
    return StreamId(fields.data(value, f"{METHOD}: stream", size=32))


def _read_identity(stream: object, length: object, root: object) -> tuple[StreamId, int, Hash]:
    return (
        _stream(stream),
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
