"""Write spec/vectors/gossip-messages.json anew: `python -m tests.gossip.make_vectors`.

As with those of streams: all of it follows from fixed seeds, and what is invalid breaks the one
rule that it names.
"""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from qbix_node.gossip import messages as g
from qbix_node.streams.forks import (
    Resolved,
    ShownHead,
    encode_fork,
    equal_fork,
    two_resolves,
)
from qbix_node.streams.genesis import read_genesis
from qbix_node.streams.tree import Prefix
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import format_stream
from tests.streams import long_hex
from tests.streams.branches import Branch, signing
from tests.streams.make_vectors import FOLDER, text_of
from tests.streams.vectors_of_bytes import changed, forms
from tests.streams.vectors_of_forks import (
    ALICE,
    BOB,
    BY_ALICE,
    BY_BOB,
    SEVERAL,
    branches,
    of_unequal,
    resolve_of,
    several,
    succession,
)

NAME = "gossip-messages.json"
NUMBER = 7
NUMBER_MAX = 2**53 - 1

Invalid = list[tuple[str, bytes]]
Valid = list[tuple[str, g.Message]]

SHORT, LONG = branches(5, 7, 12)  # logs that have 5 leaves in common
HEAD = LONG.shown(BY_ALICE)
BY_TWO = several()[0].shown(signing(SEVERAL, ALICE, BOB))
PASSED_ON = succession()[0].shown(BY_BOB, None, 2, 4)
QUESTION = g.Compare(NUMBER, LONG.shown(BY_ALICE, 7), LONG.prefix(6, 7))
BARE = g.Compare(NUMBER, QUESTION.shown, Prefix(7, (), ()))
STREAMS = LONG.genesis.stream, several()[0].genesis.stream, succession()[0].genesis.stream


def fork_of_equal() -> bytes:
    one, other = branches(3, 5, 5)
    fork = equal_fork(one.genesis, one.shown(BY_ALICE), other.shown(BY_ALICE))
    return encode_fork(fork)


def proofs() -> tuple[bytes, ...]:
    return fork_of_equal(), encode_fork(of_unequal(SHORT, LONG))


def valid() -> Valid:
    theirs = QUESTION.shown
    return [
        ("no Heads", g.Heads(())),
        ("a Head", g.Heads((HEAD,))),
        ("Heads of three streams", g.Heads((HEAD, BY_TWO, PASSED_ON))),
        ("64 Heads", g.Heads((HEAD,) * 64)),
        ("a question", QUESTION),
        ("a question of number 0", g.Compare(0, BY_TWO, several()[0].prefix(4))),
        ("a question with a chain", g.Compare(NUMBER_MAX, PASSED_ON, succession()[0].prefix(7))),
        ("a question that shows a root alone", g.Compare(1, HEAD, Prefix(12, (), ()))),
        ("our log is longer", g.Continues(NUMBER, HEAD, LONG.frontier(6))),
        ("our Head is the same", g.Continues(NUMBER, theirs, LONG.frontier(6, 7))),
        (
            "our log is longer, and all of it is here",
            g.Continues(NUMBER, HEAD, LONG.frontier(6), end=LONG.peaks(12)),
        ),
        (
            "the question showed a root alone",
            g.Continues(NUMBER, HEAD, LONG.frontier(7), LONG.peaks(7), LONG.peaks(12)),
        ),
        ("our log is shorter", g.Shorter(NUMBER, HEAD, LONG.prefix(5))),
        ("no such stream", g.Unknown(NUMBER)),
        ("no proofs", g.Proofs(())),
        ("proofs of forms a and b", g.Proofs(proofs())),
        ("eight proofs", g.Proofs((fork_of_equal(),) * 8)),
        ("nothing to listen to", g.Listen((), ())),
        ("streams to listen to, and one no longer", g.Listen(STREAMS[:2], STREAMS[2:])),
        ("1024 streams", g.Listen(STREAMS[:1] * 1024, ())),
        ("no geneses", g.Geneses(())),
        ("geneses", g.Geneses((LONG.genesis.encoded, several()[0].genesis.encoded))),
        *[(f"a Resolve: {what}", resolve) for what, resolve in counting()],
    ]


def counting() -> list[tuple[str, g.Resolve]]:
    one, other = branches(3, 5, 5)
    roots = sorted((one, other), key=lambda log: log.root())
    unequal, shorter = encode_fork(of_unequal(SHORT, LONG)), SHORT.length
    equal = fork_of_equal()
    return [
        ("the smaller root of form a", g.Resolve(resolve_of(roots[0], 5), equal)),
        ("the greater root of form a", g.Resolve(resolve_of(roots[1], 5), equal)),
        ("the shorter log of form b", g.Resolve(resolve_of(SHORT, shorter), unequal)),
        ("the longer log of form b", g.Resolve(resolve_of(LONG, shorter), unequal)),
        (
            "before both Heads",
            g.Resolve(resolve_of(LONG, 6), encode_fork(of_unequal(SHORT, LONG, at=6))),
        ),
    ]


def uncounted() -> list[tuple[str, g.Resolve]]:
    """Well-formed, and yet nothing follows from them."""
    signed, equal = resolve_of(LONG, 6), fork_of_equal()
    proof, length = encode_fork(of_unequal(SHORT, LONG, at=6)), SHORT.length
    again = replace(of_unequal(SHORT, LONG), resolved=after_choice(SHORT, LONG, 5))
    stranger = replace(of_unequal(SHORT, LONG, at=6), other=LONG.shown(BY_BOB))
    two = [resolve_of(SHORT, n) for n in (6, 7)]
    return [
        ("another length than that of the proof", g.Resolve(resolve_of(LONG, length), proof)),
        ("a root of neither branch", g.Resolve(resolve_of(branches(2, 7, 8)[0], 6), proof)),
        ("of another stream", g.Resolve(resolve_of(several()[0], 4), proof)),
        ("signed by somebody else", g.Resolve(resolve_of(LONG, 6, BY_BOB), proof)),
        ("signed by nobody", g.Resolve(resolve_of(LONG, 6, ()), proof)),
        ("the proof is of form c or none", g.Resolve(signed, pack([1, "c", "", ""]))),
        ("the proof is empty", g.Resolve(signed, b"")),
        (
            "the proof is of form r",
            g.Resolve(two[0], encode_fork(two_resolves(SHORT.genesis, *two))),
        ),
        ("the proof is of a second fork", g.Resolve(resolve_of(LONG, 7), encode_fork(again))),
        ("the proof proves nothing", g.Resolve(signed, encode_fork(stranger))),
        ("the proof is about another fork", g.Resolve(signed, equal)),
    ]


def after_choice(one: Branch, other: Branch, length: int) -> Resolved:
    frontiers = one.frontier(length), other.frontier(length)
    return Resolved(resolve_of(one, length), one.peaks(length), frontiers)


# ---- malformed ----


def row_of(message: g.Message) -> Any:  # noqa: ANN401  (msgpack)
    return unpack(g.encode(message), "message")


def invalid() -> Invalid:
    kinds: list[g.Message] = [
        g.Heads((HEAD,)),
        QUESTION,
        g.Continues(NUMBER, HEAD, LONG.frontier(6), end=LONG.peaks(12)),
        g.Shorter(NUMBER, HEAD, LONG.prefix(5)),
        g.Unknown(NUMBER),
        g.Proofs(proofs()[:1]),
        counting()[0][1],
        g.Listen(STREAMS[:1], STREAMS[1:]),
        g.Geneses((LONG.genesis.encoded,)),
    ]
    rows = [row_of(message) for message in kinds]
    found = [(f"{row[1]}: {rule}", data) for row in rows for rule, data in forms(list(row))]
    found += [(f"{row[1]}: {rule}", pack(bad)) for row in rows for rule, bad in wrong_fields(row)]
    found += [(f"heads: {rule}", pack([1, "heads", [bad]])) for rule, bad in wrong_heads()]
    found += [
        (f"compare: {rule}", pack(changed(rows[1], (3, bad)))) for rule, bad in wrong_heads()[:3]
    ]
    half = (bytes(64 * 1024),) * 2
    return [
        *found,
        ("there is no such kind", pack([1, "head", []])),
        ("the kind is bytes", pack([1, b"heads", []])),
        ("there is no kind", pack([1])),
        ("nothing at all", pack([])),
        ("heads: 65 Heads", pack([1, "heads", (HEAD.packable(),) * 65])),
        ("proofs: 9 proofs", pack([1, "proofs", (fork_of_equal(),) * 9])),
        ("proofs: a proof of more than 64 KiB", pack([1, "proofs", [bytes(64 * 1024 + 1)]])),
        ("more than 128 KiB", pack([1, "proofs", half])),
        ("listen: 1025 streams", pack([1, "listen", STREAMS[:1] * 1025, ()])),
        ("listen: 1025 streams no longer", pack([1, "listen", (), STREAMS[:1] * 1025])),
        ("geneses: 65 of them", pack([1, "geneses", (b"",) * 65])),
        ("geneses: one of more than 16 KiB", pack([1, "geneses", (bytes(16 * 1024 + 1),)])),
    ]


def wrong_fields(row: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  (msgpack)
    """Behind version and kind."""
    if row[1] == "listen":
        return [
            ("nil in the place of streams", changed(row, (2, None))),
            ("a stream of 31 bytes", changed(row, (2, (STREAMS[0][:31],)))),
            ("a stream that is text", changed(row, (2, ("a" * 32,)))),
            ("nil in the place of those no longer", changed(row, (3, None))),
            ("a stream no longer, of 33 bytes", changed(row, (3, (STREAMS[0] + b"a",)))),
        ]
    if row[1] in ("heads", "proofs", "geneses"):
        return [
            ("nil in the place of the array", changed(row, (2, None))),
            ("a nil in the array", changed(row, (2, [None]))),
            ("a number in the array", changed(row, (2, [1]))),
        ]
    if row[1] == "resolve":
        return wrong_resolve(row)
    wrong: list[tuple[str, Any]] = [
        ("the number is negative", changed(row, (2, -1))),
        ("the number is 2⁵³", changed(row, (2, 2**53))),
        ("the number is text", changed(row, (2, "7"))),
        ("the number is true", changed(row, (2, True))),
    ]
    if row[1] == "unknown":
        return wrong
    wrong.append(("the Head is nil", changed(row, (3, None))))
    if row[1] == "continues":
        wrong += [("the peaks are nil", changed(row, (5, None)))]
        return wrong + wrong_hashes(row, 4, "frontier") + wrong_hashes(row, 6, "end")
    wrong += [
        ("a length of 0", changed(row, (4, 0), (5, ()))),
        ("a length of 2³⁰", changed(row, (4, 2**30), (5, row[5][:1]))),
        ("a length that is nil", changed(row, (4, None))),
        ("a peak too many", changed(row, (5, (*row[5], row[5][0])))),
        ("a peak is missing", changed(row, (5, row[5][:-1]))),
    ]
    wrong += wrong_hashes(row, 5, "peaks") + wrong_hashes(row, 6, "frontier")
    return wrong


def wrong_resolve(row: Any) -> list[tuple[str, Any]]:  # noqa: ANN401  (msgpack)
    body, signatures = row[2]
    (index, signature), *_ = signatures
    return [
        ("the Resolve is nil", changed(row, (2, None))),
        ("a Resolve of version 2", changed(row, (2, [changed(body, (0, 2)), signatures]))),
        ("a Resolve without its root", changed(row, (2, [body[:3], signatures]))),
        ("a fork_length of 0", changed(row, (2, [changed(body, (2, 0)), signatures]))),
        ("a signature of 63 bytes", changed(row, (2, [body, [[index, signature[:63]]]]))),
        ("the proof is text", changed(row, (3, "proof"))),
        ("the proof is nil", changed(row, (3, None))),
        ("a proof of more than 64 KiB", changed(row, (3, bytes(64 * 1024 + 1)))),
    ]


def wrong_hashes(row: Any, place: int, name: str) -> list[tuple[str, Any]]:  # noqa: ANN401
    hashes = row[place]
    return [
        (f"the {name} is nil", changed(row, (place, None))),
        (f"the {name} is bytes", changed(row, (place, b"".join(hashes)))),
        (
            f"a hash of the {name} has 31 bytes",
            changed(row, (place, (hashes[0][:31], *hashes[1:]))),
        ),
        (f"a hash of the {name} is text", changed(row, (place, ("a" * 32, *hashes[1:])))),
    ]


def wrong_heads() -> list[tuple[str, Any]]:
    """Shown Heads."""
    shown: Any = row_of(g.Heads((HEAD,)))[2][0]
    (body, signatures), chain = shown
    (index, signature), by_two = signatures[0], row_of(g.Heads((BY_TWO,)))[2][0]
    (link, _) = row_of(g.Heads((PASSED_ON,)))[2][0][1]

    def head(*change: tuple[int, Any]) -> Any:  # noqa: ANN401  (msgpack)
        return [[changed(body, *change), signatures], chain]

    def signed(*rows: Any) -> Any:  # noqa: ANN401  (msgpack)
        return [[body, list(rows)], chain]

    return [
        ("a Head has no chain", shown[:1]),
        ("a Head has three fields", [*shown, None]),
        ("a Head has a chain that is nil", [shown[0], None]),
        ("a Head of version 2", head((0, 2))),
        ("a Head of four fields", [[body[:4], signatures], chain]),
        ("a stream of 31 bytes", head((1, body[1][:31]))),
        ("a length of 0", head((2, 0))),
        ("a length of 2³⁰", head((2, 2**30))),
        ("a root of 33 bytes", head((3, body[3] + b"\0"))),
        ("a root that is nil", head((3, None))),
        ("a timestamp before 1970", head((4, -1))),
        ("a timestamp of 2⁵³", head((4, 2**53))),
        ("signatures that are nil", [[body, None], chain]),
        ("a signature without its owner", signed([signature])),
        ("a signature of 63 bytes", signed([index, signature[:63]])),
        ("the signature of owner 64", signed([64, signature])),
        ("two signatures of one owner", signed(*signatures, *signatures)),
        ("signatures that don't ascend", [[by_two[0][0], by_two[0][1][::-1]], []]),
        ("a chain of nine changes", [shown[0], [link] * 9]),
        ("a change of two fields", [shown[0], [link[:2]]]),
        ("a change without its content", [shown[0], [(link[0], None, link[2])]]),
        ("a change whose path has a hash of 31 bytes", [shown[0], [(*link[:2], [bytes(31)])]]),
    ]


# ---- the file ----


def told(shown: ShownHead) -> dict[str, Any]:
    head, signatures = shown.head, shown.signed.signatures
    return {
        "stream": format_stream(head.stream),
        "length": head.length,
        "root": head.root.hex(),
        "timestamp": head.timestamp_ms,
        "signed_by": [index for index, _ in signatures],
        "changes": len(shown.chain),
    }


def fields_of(message: g.Message) -> dict[str, Any]:
    match message:
        case g.Heads(heads):
            return {"kind": "heads", "heads": [told(shown) for shown in heads]}
        case g.Compare(number, shown, prefix):
            return {
                "kind": "compare",
                "number": number,
                "head": told(shown),
                **first_leaves(prefix),
            }
        case g.Continues(number, shown, frontier, peaks, end):
            said = {"kind": "continues", "number": number, "head": told(shown)}
            rows = {"frontier": frontier, "peaks": peaks, "end": end}
            return said | {name: [each.hex() for each in row] for name, row in rows.items()}
        case g.Shorter(number, shown, prefix):
            return {
                "kind": "shorter",
                "number": number,
                "head": told(shown),
                **first_leaves(prefix),
            }
        case g.Unknown(number):
            return {"kind": "unknown", "number": number}
        case g.Proofs(encoded):
            return {"kind": "proofs", "ids": [sha256(each).hexdigest() for each in encoded]}
        case g.Listen(begun, ended):
            named = [[format_stream(each) for each in streams] for streams in (begun, ended)]
            return {"kind": "listen", "begun": named[0], "ended": named[1]}
        case g.Geneses(encoded):
            streams = [format_stream(read_genesis(each).stream) for each in encoded]
            return {"kind": "geneses", "streams": streams}
        case g.Resolve(signed, proof):
            return {
                "kind": "resolve",
                "stream": format_stream(signed.resolve.stream),
                "length": signed.resolve.fork_length,
                "root": signed.resolve.chosen_root.hex(),
                "signed_by": [index for index, _ in signed.signatures],
                "proof": sha256(proof).hexdigest(),
            }


def first_leaves(prefix: Prefix) -> dict[str, Any]:
    return {
        "length": prefix.length,
        "peaks": [each.hex() for each in prefix.peaks],
        "frontier": [each.hex() for each in prefix.frontier],
    }


def vector_of(what: str, message: g.Message) -> dict[str, Any]:
    vector = {"what": what, "message": fields_of(message)}
    if isinstance(message, g.Continues):
        vector["asked"] = fields_of(BARE if message.peaks else QUESTION)
    return {**vector, "hex": long_hex.write(g.encode(message))}


def make() -> dict[str, str]:
    found = {
        "hex": long_hex.NOTE,
        "arguments": {
            "valid": [[{"version": 1}]],
            "invalid": [[], [{}], [{"version": 2}], [{"version": "1"}], [1], [None], ["1"]],
        },
        "valid": [vector_of(what, message) for what, message in valid()],
        "uncounted": [
            {"what": what, "hex": long_hex.write(g.encode(message))}
            for what, message in uncounted()
        ],
        "invalid": [{"rule": rule, "hex": long_hex.write(data)} for rule, data in invalid()],
    }
    return {NAME: text_of(found)}


if __name__ == "__main__":
    for name, text in make().items():
        (FOLDER / name).write_text(text)
