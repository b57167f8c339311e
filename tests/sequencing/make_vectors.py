"""Write spec/vectors/sequencing-messages.json anew: `python -m tests.sequencing.make_vectors`.

As with those of streams: all of it follows from fixed seeds, and what is invalid breaks the one
rule that it names.
"""

from hashlib import sha256
from typing import Any

from qbix_node.sequencing import messages as q
from qbix_node.sequencing import packets
from qbix_node.streams.authoring import sign_resolve
from qbix_node.streams.forks import encode_fork, fork_id
from qbix_node.streams.messages import Head, Header, Resolve, intent_body
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.tree import Hash, bag, grow, leaf_hash
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import format_stream
from tests.streams import long_hex
from tests.streams.forking import log_of_two, proof_a, proof_b, proof_r
from tests.streams.logs import Log
from tests.streams.make_vectors import FOLDER, text_of
from tests.streams.vectors_of_bytes import ALICE, BOB, GENESES, changed, forms

NAME = "sequencing-messages.json"
NUMBER = 7
NUMBER_MAX = 2**53 - 1
STAMP_MS = 1_700_000_000_000
CONTENT = b"what bob wants to say"

Invalid = list[tuple[str, bytes]]
Valid = list[tuple[str, q.Message]]

GENESIS = GENESES["several"]
STREAM = GENESIS.stream
ROOT = leaf_hash(GENESIS.encoded)


def intent(seq: int, content: bytes, **change: object) -> Header:
    """Bob's, who has seen the genesis."""
    size, named = len(content), sha256(content).digest()
    seen = seq, 1, ROOT, STAMP_MS + seq
    header = Header(1, STREAM, 1, BOB.public, *seen, "post", size, named, None)  # type: ignore[arg-type]  # a key
    header = header._replace(**change)  # type: ignore[arg-type]  # of any field
    return header._replace(author_sig=BOB.sign(intent_body(header)))


def proposal(*headers: Header) -> q.Propose:
    leaves = tuple([each._replace(place=at).encoded for at, each in enumerate(headers, 1)])
    peaks, _ = grow((ROOT,), 1, [leaf_hash(leaf) for leaf in leaves])
    return q.Propose(1, leaves, Head(STREAM, 1 + len(leaves), bag(peaks), STAMP_MS))


ONE = q.Intent(NUMBER, intent(1, CONTENT), CONTENT)
RUN = proposal(intent(1, CONTENT), intent(2, b""))
BEGINNING = q.Propose(0, (GENESIS.encoded,), Head(STREAM, 1, ROOT, STAMP_MS))
BY_BOB = GENESIS.owners.index(BOB.public) or 0
SIGNED = q.Signature(*RUN.head.identity, BY_BOB, BOB.sign(RUN.head.body))
VOTE = q.Vote(RUN.first, RUN.leaves, RUN.head, BY_BOB, SIGNED.signature)


def valid() -> Valid:
    full = bytes(64 * 1024)
    apart = intent(1, b"", content_size=2**20, content_hash=sha256(b"a blob").digest())
    crowd = [intent(seq, b"") for seq in range(1, q.LEAVES_MAX + 1)]
    return [
        ("an entry", ONE),
        ("an entry without a byte", q.Intent(0, intent(1, b""), b"")),
        ("an entry of 64 KiB", q.Intent(NUMBER_MAX, intent(1, full), full)),
        ("an entry whose content is a blob", q.Intent(NUMBER, apart, None)),
        ("placed", q.Placed(NUMBER, 1)),
        ("declined for good", q.Declined(NUMBER, "no writer")),
        ("declined for now", q.Declined(NUMBER, "zu viel wartet für heute", later=True)),
        ("declined without a reason", q.Declined(NUMBER, "")),
        ("the beginning of a stream", BEGINNING),
        ("two entries", RUN),
        ("64 entries", proposal(*crowd)),
        ("a signature", SIGNED),
        ("a signature of the sequencer itself", _by_alice()),
        ("refused", q.Refused(*RUN.head.identity, "it does not continue what was signed")),
        ("what have you signed?", q.Recall(STREAM)),
        ("nothing that is not in the log", q.Votes(STREAM, ())),
        ("one vote with its leaves", q.Votes(STREAM, (VOTE,))),
        ("that of somebody else, without", q.Votes(STREAM, (VOTE, _vote_of_alice()))),
        ("a choice about a fork of form a", choice(*forked(), 4)),
        ("a choice about one of form b", choice(*forked(), 5)),
    ]


def forked() -> tuple[Log, Log]:
    """Of two owners, the same up to length 2."""
    log = log_of_two()
    log.write("same")
    twin = log.twin(2)
    for text in ("x", "xx", "xxx"):
        twin.write(text)
    return log.write_many(2), twin


def choice(log: Log, twin: Log, longer: int) -> q.Choice:
    """Of the first owner, who chooses `log`."""
    fork = proof_a(log, twin, 4) if longer == 4 else proof_b(log, 4, twin, longer, at=3)
    length = fork.compared_length
    resolve = sign_resolve(Resolve(log.stream, length, log.root(length)), log.signers[0])
    return q.Choice(Resolution(resolve, fork))


def _vote_of_alice() -> q.Vote:
    signed = _by_alice()
    return q.Vote(1, (), BEGINNING.head, signed.owner, signed.signature)


def _by_alice() -> q.Signature:
    owner = GENESIS.owners.index(ALICE.public) or 0
    return q.Signature(*BEGINNING.head.identity, owner, ALICE.sign(BEGINNING.head.body))


# ---- malformed ----


def row_of(message: q.Message) -> Any:  # noqa: ANN401  (msgpack)
    return unpack(packets.encode(message), "message")


def invalid() -> Invalid:
    kinds: list[q.Message] = [ONE, q.Placed(NUMBER, 1), q.Declined(NUMBER, "no"), RUN, SIGNED]
    kinds.append(q.Refused(*RUN.head.identity, "no"))
    kinds += [q.Recall(STREAM), q.Votes(STREAM, (VOTE, _vote_of_alice())), choice(*forked(), 5)]
    rows = [row_of(message) for message in kinds]
    found = [(f"{row[1]}: {rule}", data) for row in rows for rule, data in forms(list(row))]
    wrong = [wrong_intents(rows[0]), wrong_answers(rows[1], rows[2]), wrong_proposals(rows[3])]
    wrong.append(wrong_signatures(rows[4], rows[5]))
    wrong += [wrong_votes(rows[6], rows[7]), wrong_choices(rows[8])]
    found += [(rule, pack(bad)) for part in wrong for rule, bad in part]
    return [
        *found,
        ("there is no such kind", pack([1, "intend", NUMBER])),
        ("the kind is bytes", pack([1, b"placed", NUMBER, 1])),
        ("there is no kind", pack([1])),
        ("nothing at all", pack([])),
        ("more than 128 KiB", pack([1, "declined", NUMBER, False, "a" * 128 * 1024])),
    ]


def wrong_intents(row: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  (msgpack)
    body = row[3]
    unsigned = changed(body, (9, None), (4, None), (3, 1))

    def said(*change: tuple[int, Any]) -> Any:  # noqa: ANN401  (msgpack)
        return changed(row, (3, changed(body, *change)))

    large = bytes(64 * 1024 + 1)
    return [
        ("intent: a negative number", changed(row, (2, -1))),
        ("intent: the number 2⁵³", changed(row, (2, 2**53))),
        ("intent: no author signed it", changed(row, (3, unsigned))),
        ("intent: nine fields", changed(row, (3, body[:9]))),
        ("intent: a place of its own", changed(row, (3, [*body, 1]))),
        ("intent: a stream of 31 bytes", said((0, body[0][:31]))),
        ("intent: an author of 33 bytes", said((1, body[1] + b"\0"))),
        ("intent: author_seq 0", said((2, 0))),
        ("intent: base_length 0", said((3, 0))),
        ("intent: the greatest base_length, after which nothing stands", said((3, 2**30 - 1))),
        ("intent: no base_root", said((4, None))),
        ("intent: a time before 1970", said((5, -1))),
        ("intent: a kind with a capital", said((6, "Post"))),
        ("intent: content_size in text", said((7, "1"))),
        ("intent: content_hash of 31 bytes", said((8, body[8][:31]))),
        ("intent: a signature of 63 bytes", said((9, body[9][:63]))),
        ("intent: another content", changed(row, (4, CONTENT[::-1]))),
        ("intent: another size", said((7, len(CONTENT) + 1))),
        ("intent: a content of text", changed(row, (4, CONTENT.decode()))),
        (
            "intent: a content of more than 64 KiB",
            changed(
                said((7, len(large)), (8, sha256(large).digest())),
                (4, large),
            ),
        ),
    ]


def wrong_answers(placed: Any, declined: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  (msgpack)
    return [
        ("placed: in the place of the genesis", changed(placed, (3, 0))),
        ("placed: index 2³⁰ less 1", changed(placed, (3, 2**30 - 1))),
        ("placed: the index is nil", changed(placed, (3, None))),
        ("declined: later is a number", changed(declined, (3, 1))),
        ("declined: the reason is bytes", changed(declined, (4, b"no"))),
        ("declined: a reason of 201 bytes", changed(declined, (4, "ä" * 100 + "a"))),
    ]


def wrong_proposals(row: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  (msgpack)
    leaves, body = row[3], row[4]
    crowd = row_of(proposal(*[intent(seq, b"") for seq in range(1, 65)]))
    more = [*crowd[3], crowd[3][0]]
    return [
        ("propose: no leaves", changed(row, (3, []), (4, changed(body, (2, 1))))),
        ("propose: 65 leaves", changed(crowd, (3, more), (4, changed(crowd[4], (2, 66))))),
        ("propose: a leaf of 513 bytes", changed(row, (3, [leaves[0], bytes(513)]))),
        ("propose: a genesis of more than 16 KiB", _large_genesis()),
        ("propose: a leaf that is nil", changed(row, (3, [leaves[0], None]))),
        ("propose: the Head ends after the leaves", changed(row, (4, changed(body, (2, 4))))),
        ("propose: the Head ends before them", changed(row, (4, changed(body, (2, 2))))),
        ("propose: first is negative", changed(row, (2, -1), (4, changed(body, (2, 1))))),
        ("propose: a Head of version 2", changed(row, (4, changed(body, (0, 2))))),
        ("propose: a root of 31 bytes", changed(row, (4, changed(body, (3, body[3][:31]))))),
        ("propose: the Head is signed", changed(row, (4, [body, []]))),
    ]


def _large_genesis() -> Any:  # noqa: ANN401  (msgpack)
    row = row_of(BEGINNING)
    return changed(row, (3, [bytes(16 * 1024 + 1)]))


def wrong_votes(recall: Any, row: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  (msgpack)
    one, other = row[3]

    def with_one(*change: tuple[int, Any]) -> Any:  # noqa: ANN401  (msgpack)
        return changed(row, (3, [changed(one, *change)]))

    return [
        ("recall: a stream of 31 bytes", changed(recall, (2, recall[2][:31]))),
        ("votes: a stream of 33 bytes", changed(row, (2, row[2] + b"\0"))),
        ("votes: of another stream", changed(row, (2, bytes(32)))),
        ("votes: three", changed(row, (3, [one, other, changed(one, (3, 2))]))),
        ("votes: two of one owner", changed(row, (3, [one, one]))),
        ("votes: a vote of four fields", changed(row, (3, [one[:4]]))),
        ("votes: the Head ends after the leaves", with_one((0, 0))),
        ("votes: without leaves, and begins before its Head", with_one((1, []))),
        ("votes: of owner 64", with_one((3, 64))),
        ("votes: a signature of 63 bytes", with_one((4, one[4][:63]))),
    ]


def wrong_choices(row: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  (msgpack)
    body, signatures = row[2]
    two = [signatures[0], [1, signatures[0][1]]]
    return [
        ("choice: two owners", changed(row, (2, [body, two]))),
        ("choice: no owner", changed(row, (2, [body, []]))),
        ("choice: a Resolve of version 2", changed(row, (2, [changed(body, (0, 2)), signatures]))),
        ("choice: fork_length 0", changed(row, (2, [changed(body, (2, 0)), signatures]))),
        ("choice: the proof is nil", changed(row, (3, None))),
        ("choice: the proof is of form r", changed(row, (3, encode_fork(proof_r(log_of_two()))))),
    ]


def wrong_signatures(signed: Any, refused: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  (msgpack)
    rows = [
        ("a stream of 31 bytes", (2, signed[2][:31])),
        ("length 0", (3, 0)),
        ("length 2³⁰", (3, 2**30)),
        ("a root of 33 bytes", (4, bytes(33))),
    ]
    found = [
        (f"{row[1]}: {rule}", changed(row, edit))
        for row in (signed, refused)
        for rule, edit in rows
    ]
    return [
        *found,
        ("signature: of owner 64", changed(signed, (5, 64))),
        ("signature: of 65 bytes", changed(signed, (6, bytes(65)))),
        ("refused: a reason of 201 bytes", changed(refused, (5, "a" * 201))),
    ]


# ---- the file ----


def fields_of(message: q.Message) -> dict[str, Any]:
    match message:
        case q.Intent(number, header, content):
            return {
                "kind": "intent",
                "number": number,
                "stream": format_stream(header.stream),
                "author": header.author.hex(),
                "author_seq": header.author_seq,
                "base_length": header.base_length,
                "base_root": _hex(header.base_root),
                "timestamp": header.timestamp_ms,
                "entry_kind": header.kind,
                "content_size": header.content_size,
                "content": content is not None,
            }
        case q.Placed(number, place):
            return {"kind": "placed", "number": number, "index": place}
        case q.Declined(number, reason, later):
            return {"kind": "declined", "number": number, "later": later, "reason": reason}
        case q.Propose(first, leaves, head):
            hashes = [leaf_hash(leaf).hex() for leaf in leaves]
            begun = {"kind": "propose", "first": first, "leaf_hashes": hashes}
            return {**begun, **_told(head.stream, head.length, head.root), "timestamp": head[3]}
        case q.Signature(stream, length, root, owner):
            return {"kind": "signature", **_told(stream, length, root), "owner": owner}
        case q.Refused(stream, length, root, reason):
            return {"kind": "refused", **_told(stream, length, root), "reason": reason}
        case q.Recall(stream):
            return {"kind": "recall", "stream": format_stream(stream)}
        case q.Choice(resolution):
            resolve = resolution.signed.resolve
            told = _told(*resolve)
            proof = fork_id(encode_fork(resolution.fork)).hex()
            return {"kind": "choice", **told, "owner": message.owner, "proof": proof}
        case q.Votes(stream, votes):
            said = [vote_fields(vote) for vote in votes]
            return {"kind": "votes", "stream": format_stream(stream), "votes": said}


def vote_fields(vote: q.Vote) -> dict[str, Any]:
    said = fields_of(q.Propose(vote.first, vote.leaves, vote.head))
    del said["kind"]
    return {**said, "owner": vote.owner}


def _told(stream: Any, length: int, root: Hash) -> dict[str, Any]:  # noqa: ANN401  (an id)
    return {"stream": format_stream(stream), "length": length, "root": root.hex()}


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def make() -> dict[str, str]:
    found = {
        "hex": long_hex.NOTE,
        "genesis": GENESIS.encoded.hex(),
        "arguments": {
            "valid": [[{"version": 1}]],
            "invalid": [[], [{}], [{"version": 2}], [{"version": "1"}], [1], [None], ["1"]],
        },
        "valid": [
            {"what": what, "message": fields_of(said), "hex": long_hex.write(packets.encode(said))}
            for what, said in valid()
        ],
        "invalid": [{"rule": rule, "hex": long_hex.write(data)} for rule, data in invalid()],
    }
    return {NAME: text_of(found)}


if __name__ == "__main__":
    for name, text in make().items():
        (FOLDER / name).write_text(text)
