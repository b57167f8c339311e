"""Structures of streams, each by itself (spec/streams.md 1 to 3, 5 to 8)."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from qbix_node.crypto import domains
from qbix_node.crypto.keys import KeyPair
from qbix_node.streams import chunks
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import Header, intent_body
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.tree import LENGTH_MAX, Hash, leaf_hash
from qbix_node.wire.packing import pack
from qbix_node.wire.references import format_stream
from tests.streams import long_hex, vectors_of_logs
from tests.streams.branches import Signers, genesis_of, keys_of, owned_by, signing

ALICE, BOB, CAROL, DAVE = [keys_of(name) for name in ("alice", "bob", "carol", "dave")]
ONE = owned_by((ALICE, 1))
SEVERAL = owned_by((ALICE, 2), (BOB, 1), (CAROL, 1), threshold=3)
SEQUENCER = ("sequencer", ALICE.public)
NUMBER_MAX = 2**53 - 1

Row = list[Any]


def digest(data: bytes) -> bytes:
    return sha256(data).digest()


def fields(names: str, row: Sequence[object]) -> dict[str, object]:
    return dict(zip(names.split(), map(plain, row), strict=True))


def plain(value: object) -> object:
    """Bytes as hex, and all else as it is."""
    if isinstance(value, bytes):
        return long_hex.write(value)
    return [plain(each) for each in value] if isinstance(value, (tuple, list)) else value


def changed(row: Sequence[Any], *changes: tuple[int, Any]) -> Row:
    found = list(row)
    for place, value in changes:
        found[place] = value
    return found


def refused(rule: str, data: bytes, **more: object) -> dict[str, Any]:
    return {"rule": rule, **more, "hex": long_hex.write(data)}


def forms(row: Row) -> list[tuple[str, bytes]]:
    """How any structure can be malformed."""
    encoded = pack(row)
    assert encoded[1] == 1  # the version
    return [
        ("the version is not 1", pack([2, *row[1:]])),
        ("the version is no number", pack([True, *row[1:]])),
        ("the last field is missing", pack(row[:-1])),
        ("a field is too many", pack([*row, None])),
        ("something follows", encoded + b"\0"),
        ("it is cut off", encoded[:-1]),
        ("a number is not in its shortest form", encoded[:1] + b"\xcc\x01" + encoded[2:]),
        ("it is no array", pack(encoded)),
    ]


# ---- 1: geneses ----

GENESIS = "version owners threshold kind uniqueness params salt network epoch"


def row_of(genesis: Genesis) -> Row:
    weights, threshold = genesis.owners.packable()
    said = genesis.kind, genesis.uniqueness.value, genesis.params
    return [1, weights, threshold, *said, genesis.salt, genesis.network, genesis.epoch]


NETWORK = Genesis(Owners((), 0), "network", Uniqueness.WATCHED, (), bytes(16))
FREE = owned_by((ALICE, 1), (BOB, 1), threshold=1)
READERS = pack(tuple(sorted([BOB.public, CAROL.public])))
MANY = owned_by(*[(keys_of(f"owner {n}"), 2**32 - 1) for n in range(64)], threshold=2**37 + 1)
GENESES = {
    "one": genesis_of(ONE),
    "several": genesis_of(SEVERAL, Uniqueness.GOSSIP, SEQUENCER),
    "free": genesis_of(ONE, Uniqueness.NONE),
    "free of two": genesis_of(FREE, Uniqueness.NONE),
    "network": NETWORK,
    "watched": genesis_of(ONE, Uniqueness.WATCHED, network=NETWORK.stream),
    "readers": genesis_of(ONE, Uniqueness.GOSSIP, ("readers", READERS)),
    "no readers": genesis_of(ONE, Uniqueness.GOSSIP, ("readers", pack(()))),
    "writers": genesis_of(SEVERAL, Uniqueness.GOSSIP, SEQUENCER, ("writers", READERS)),
    "anybody writes": genesis_of(ONE, Uniqueness.NONE, ("writers", pack(()))),
    "other params": genesis_of(ONE, Uniqueness.NONE, ("a", b""), ("a.b_c-1", bytes(4096))),
    "64 owners": genesis_of(MANY, Uniqueness.NONE),
}


def large_genesis(size: int) -> bytes:
    params = [(name, bytes(4096)) for name in ("a", "b", "c")]
    spare = size - len(pack(changed(row_of(GENESES["one"]), (5, [*params, ("d", bytes(256))]))))
    return pack(changed(row_of(GENESES["one"]), (5, [*params, ("d", bytes(256 + spare))])))


def edges() -> list[tuple[str, Row]]:
    """The greatest and the smallest of what is allowed."""
    base, watched = row_of(GENESES["one"]), row_of(GENESES["watched"])
    return [
        ("a kind of one letter", changed(base, (3, "a"))),
        ("a kind of 64", changed(base, (3, "z" + "0._-9a" * 10 + "abc"))),
        ("a kind network that is not watched", changed(base, (3, "network"))),
        ("32 params", changed(base, (5, [(f"p{n:02}", b"") for n in range(32)]))),
        ("the last epoch", changed(watched, (8, 2**32 - 1))),
        ("the heaviest owner", changed(base, (1, [(ALICE.public, 2**32 - 1)]), (2, 2**32 - 1))),
        ("half of the weight", changed(row_of(GENESES["free of two"]), (2, 1))),
    ]


def geneses() -> dict[str, Any]:
    rows = {name: row_of(genesis) for name, genesis in GENESES.items()} | dict(edges())
    valid = {name: pack(row) for name, row in rows.items()}
    found: list[dict[str, Any]] = []
    for name, encoded in valid.items():
        row = rows[name]
        ids = {
            "id": format_stream(domains.hashed(domains.STREAM, encoded)),
            "owners_hash": digest(domains.OWNERS + pack((row[1], row[2]))).hex(),
        }
        shown = {"fields": fields(GENESIS, row)} if len(encoded) < 500 else {}
        found.append({"what": name, **ids, "hex": long_hex.write(encoded), **shown})
    full = large_genesis(16 * 1024)
    named = format_stream(domains.hashed(domains.STREAM, full))
    found.append({"what": "16 KiB", "id": named, "hex": long_hex.write(full)})
    return {"valid": found, "invalid": [refused(*each) for each in wrong_geneses()]}


Changes = list[tuple[str, Row, list[tuple[int, Any]]]]  # the rule, a genesis, what is changed


def wrong_owners() -> Changes:
    one, several = row_of(GENESES["one"]), row_of(GENESES["several"])
    watched = row_of(GENESES["watched"])
    a, b, c = SEVERAL.weights
    crowd = [(keys_of(f"owner {n}").public, 1) for n in range(65)]
    return [
        ("owners: not ascending", several, [(1, [b, a, c])]),
        ("owners: a key twice", several, [(1, [a, a, b, c])]),
        (
            "owners: more than 64",
            one,
            [(1, sorted(crowd)), (2, 33), (5, [("sequencer", crowd[0][0])])],
        ),
        ("owners: a key of 31 bytes", one, [(1, [(ALICE.public[:31], 1)])]),
        ("owners: a key of 33 bytes", one, [(1, [(ALICE.public + b"\0", 1)])]),
        ("owners: a key is text", one, [(1, [("a" * 32, 1)])]),
        ("owners: one without a weight", one, [(1, [(ALICE.public,)])]),
        ("owners: one with three fields", one, [(1, [(ALICE.public, 1, None)])]),
        ("owners: no array", one, [(1, None)]),
        ("owners: a weight of 0", several, [(1, [a, b, (c[0], 0)])]),
        ("owners: a weight of 2^32", one, [(1, [(ALICE.public, 2**32)]), (2, 2**32)]),
        ("owners: a weight below 0", several, [(1, [a, b, (c[0], -1)]), (2, 2)]),
        ("owners: a weight is no number", one, [(1, [(ALICE.public, True)])]),
        ("owners: there is none", one, [(1, []), (2, 0)]),
        ("owners: none in a watched stream", watched, [(1, []), (2, 0)]),
        ("threshold: 0", row_of(GENESES["free"]), [(2, 0)]),
        ("threshold: above the sum of the weights", one, [(2, 2)]),
        ("threshold: no number", one, [(2, None)]),
        ("threshold: half of the weight, gossip", several, [(2, 2)]),
        ("threshold: half of the weight, watched", watched, [(1, SEVERAL.weights), (2, 2)]),
    ]


def wrong_names() -> Changes:
    one = row_of(GENESES["one"])
    return [
        ("kind: empty", one, [(3, "")]),
        ("kind: of 65", one, [(3, "a" * 65)]),
        ("kind: a capital letter", one, [(3, "Posts")]),
        ("kind: begins with a digit", one, [(3, "1posts")]),
        ("kind: begins with a dot", one, [(3, ".posts")]),
        ("kind: a space", one, [(3, "my posts")]),
        ("kind: a line feed at its end", one, [(3, "posts\n")]),
        ("kind: a letter beyond ASCII", one, [(3, "p\u00f6sts")]),
        ("kind: bytes", one, [(3, b"posts")]),
        ("uniqueness: none of the three", one, [(4, "all")]),
        ("uniqueness: nil", one, [(4, None)]),
        ("uniqueness: bytes", one, [(4, b"gossip")]),
        ("params: no array", one, [(5, None)]),
        ("params: not ascending", one, [(5, [("b", b""), ("a", b"")])]),
        ("params: one name twice", one, [(5, [("a", b"1"), ("a", b"2")])]),
        ("params: more than 32", one, [(5, [(f"p{n:02}", b"") for n in range(33)])]),
        ("params: a value of 4097 bytes", one, [(5, [("a", bytes(4097))])]),
        ("params: a value is text", one, [(5, [("a", "text")])]),
        ("params: no name", one, [(5, [("A", b"")])]),
        ("params: one with three fields", one, [(5, [("a", b"", None)])]),
        ("salt: 15 bytes", one, [(6, bytes(15))]),
        ("salt: 17 bytes", one, [(6, bytes(17))]),
        ("salt: nil", one, [(6, None)]),
    ]


def wrong_networks() -> Changes:
    one, several = row_of(GENESES["one"]), row_of(GENESES["several"])
    watched, network = row_of(GENESES["watched"]), row_of(GENESES["network"])
    return [
        ("network: of a gossip stream", one, [(7, NETWORK.stream), (8, 0)]),
        (
            "network: of a stream of uniqueness none",
            one,
            [(4, "none"), (7, NETWORK.stream), (8, 0)],
        ),
        ("network: none in a watched stream", watched, [(7, None), (8, None)]),
        ("network: 31 bytes", watched, [(7, NETWORK.stream[:31])]),
        ("network: without an epoch", watched, [(8, None)]),
        ("network: an epoch without it", watched, [(7, None)]),
        ("network: an epoch in a gossip stream", one, [(8, 0)]),
        ("epoch: 2^32", watched, [(8, 2**32)]),
        ("epoch: below 0", watched, [(8, -1)]),
        ("a network has owners", network, [(1, [(ALICE.public, 1)]), (2, 1)]),
        ("a network has a threshold", network, [(2, 1)]),
        ("a network is watched", network, [(4, "gossip")]),
        ("a network has another kind", network, [(3, "posts")]),
        ("a network names a network", network, [(7, NETWORK.stream), (8, 0)]),
        ("a network has an epoch", network, [(8, 0)]),
        ("sequencer: no owner", several, [(5, [("sequencer", DAVE.public)])]),
        ("sequencer: no key", several, [(5, [("sequencer", b"")])]),
        ("sequencer: no owner, of uniqueness none", one, [(4, "none"), (5, [("sequencer", b"")])]),
        ("sequencer: missing", several, [(5, [])]),
        *[
            (f"{name}: {what}", one, [(5, [(name, given)])])
            for name in ("readers", "writers")
            for what, given in wrong_keys()
        ],
    ]


def wrong_geneses() -> list[tuple[str, bytes]]:
    one, changes = row_of(GENESES["one"]), wrong_owners() + wrong_names() + wrong_networks()
    found = [(rule, pack(changed(row, *edits))) for rule, row, edits in changes]
    found += forms(one)
    found.append(("more than 16 KiB", large_genesis(16 * 1024 + 1)))
    found.append(("it holds a map", b"\x99" + pack(one[:7])[1:] + b"\x80\xc0"))
    return found


def wrong_keys() -> list[tuple[str, bytes]]:
    keys = sorted([BOB.public, CAROL.public])
    crowd = sorted([keys_of(f"reader {n}").public for n in range(101)])
    return [
        ("not ascending", pack(tuple(keys[::-1]))),
        ("one twice", pack([keys[0], keys[0]])),
        ("more than 100", pack(tuple(crowd))),
        ("a key of 31 bytes", pack([keys[0][:31]])),
        ("no array", pack(keys[0])),
        ("no msgpack", b"\xc1"),
        ("empty", b""),
        ("something follows", pack(tuple(keys)) + b"\0"),
    ]


# ---- 2: headers ----

HEADER = (
    "version stream index author author_seq base_length base_root timestamp kind content_size"
    " content_hash author_sig"
)
STREAM = GENESES["one"].stream
OWNED = Header(
    1, STREAM, 7, AuthorId(ALICE.public), 7, 7, None, 99, "post", 5, digest(b"hello"), None
)
UNSIGNED = OWNED._replace(
    author=AuthorId(BOB.public), author_seq=3, base_length=6, base_root=Hash(digest(b"root"))
)


def signed_by(keys: KeyPair, header: Header, domain: bytes = domains.INTENT) -> Header:
    body = intent_body(header).removeprefix(domains.INTENT)
    return header._replace(author_sig=keys.sign(domain + body))


def edited(header: Header, edits: dict[str, object]) -> Header:
    """Any values, as they might come."""
    return Header._make((header._asdict() | edits).values())


def owned(**edits: object) -> Header:
    return edited(OWNED, edits)


def intent(**edits: object) -> Header:
    return signed_by(BOB, edited(UNSIGNED, edits))


def headers() -> dict[str, Any]:
    last = LENGTH_MAX - 1
    valid = [
        ("of the only owner", OWNED),
        ("the first", OWNED._replace(place=1, author_seq=1, base_length=1)),
        ("the last", OWNED._replace(place=last, author_seq=last, base_length=last)),
        (
            "numbers at their greatest",
            OWNED._replace(timestamp_ms=NUMBER_MAX, content_size=NUMBER_MAX),
        ),
        ("numbers at their smallest", OWNED._replace(timestamp_ms=0, content_size=0)),
        ("an intent", signed_by(BOB, UNSIGNED)),
        ("an intent that had seen all", signed_by(BOB, UNSIGNED._replace(base_length=7))),
        ("an intent that had seen the genesis", signed_by(BOB, UNSIGNED._replace(base_length=1))),
        ("an intent with a great number", signed_by(BOB, UNSIGNED._replace(author_seq=NUMBER_MAX))),
    ]
    found = [
        {
            "what": what,
            "leaf_hash": leaf_hash(header.encoded).hex(),
            "hex": long_hex.write(header.encoded),
            "fields": fields(HEADER, header),
        }
        for what, header in valid
    ]
    return {"valid": found, "invalid": [refused(*each) for each in wrong_headers()]}


def wrong_headers() -> list[tuple[str, bytes]]:
    sig = signed_by(BOB, UNSIGNED).author_sig
    rows: list[tuple[str, Any]] = [
        ("stream: 31 bytes", owned(stream=STREAM[:31])),
        ("index: 0", owned(place=0, author_seq=0, base_length=0)),
        ("index: 0, of an intent", intent(place=0, base_length=1)),
        ("index: 2^30 - 1", owned(place=LENGTH_MAX, author_seq=LENGTH_MAX, base_length=LENGTH_MAX)),
        ("index: no number", owned(place=None)),
        ("author: 33 bytes", owned(author=ALICE.public + b"\0")),
        ("author: text", owned(author="a" * 32)),
        ("author_seq: not the index", owned(author_seq=6)),
        ("author_seq: 0", intent(author_seq=0)),
        ("author_seq: 2^53", intent(author_seq=2**53)),
        ("base_length: not the index", owned(base_length=6)),
        ("base_length: 0", intent(base_length=0)),
        ("base_length: above the index", intent(base_length=8)),
        ("base_root: without author_sig", owned(base_root=digest(b"root"))),
        ("base_root: missing in an intent", intent(base_root=None)),
        ("base_root: 31 bytes", intent(base_root=bytes(31))),
        (
            "base_root: missing, and author_seq and base_length are the index",
            intent(base_root=None, author_seq=7, base_length=7),
        ),
        ("timestamp: below 0", owned(timestamp_ms=-1)),
        ("timestamp: 2^53", owned(timestamp_ms=2**53)),
        ("timestamp: 2^53, of an intent", intent(timestamp_ms=2**53)),
        ("timestamp: no number", owned(timestamp_ms=False)),
        ("kind: no name", owned(kind="Post")),
        ("kind: no name, of an intent", intent(kind="")),
        ("kind: bytes", owned(kind=b"post")),
        ("content_size: below 0", owned(content_size=-1)),
        ("content_size: 2^53", owned(content_size=2**53)),
        ("content_hash: 31 bytes", owned(content_hash=bytes(31))),
        ("content_hash: nil", owned(content_hash=None)),
        ("author_sig: 63 bytes", UNSIGNED._replace(author_sig=bytes(63))),
        ("author_sig: missing", UNSIGNED),
        ("author_sig: of somebody else", signed_by(CAROL, UNSIGNED)),
        ("author_sig: of another body", UNSIGNED._replace(author_sig=sig, timestamp_ms=100)),
        ("author_sig: in another domain", signed_by(BOB, UNSIGNED, domains.HEAD)),
    ]
    return [(rule, pack(list(row))) for rule, row in rows] + forms(list(OWNED))


# ---- 5, 6.1, 7: what owners sign ----


def sign_row(domain: bytes, body: Sequence[Any], signers: Signers) -> Row:
    return [(index, keys.sign(domain + pack(tuple(body)))) for index, keys in signers]


def wrong_signers(domain: bytes, body: Row) -> list[tuple[str, Any]]:
    """Of the stream of several owners: alice weighs 2, bob and carol 1, and 3 decide."""
    a, b, c = [sign_row(domain, body, signing(SEVERAL, who))[0] for who in (ALICE, BOB, CAROL)]
    right, other = sorted([a, b]), b"qbix/other/1\0"
    everybody = sorted([a, b, c])
    swapped = [(right[0][0], right[1][1]), (right[1][0], right[0][1])]
    unsigned = sign_row(other, body, signing(SEVERAL, ALICE, BOB))
    return [
        ("nobody signed", []),
        ("not enough signed", [a]),
        ("not enough signed, though they are two", sorted([b, c])),
        ("more than enough signed", everybody),
        ("the signatures are not ascending", right[::-1]),
        ("an owner signed twice", sorted([b, b, c])),
        ("there is no such owner", [*right[:1], (3, right[1][1])]),
        ("an index below 0", [(-1, right[0][1]), right[1]]),
        ("a signature of 63 bytes", [right[0], (right[1][0], right[1][1][:63])]),
        ("a signature without an index", [right[0], (right[1][1],)]),
        ("a signature with three fields", [right[0], (*right[1], None)]),
        ("the signatures are exchanged", swapped),
        ("signed in another domain", unsigned),
        ("the signatures are nil", None),
    ]


def heads() -> dict[str, Any]:
    def head(name: str, *who: KeyPair, edits: Sequence[tuple[int, Any]] = ()) -> Row:
        genesis = GENESES[name]
        body = changed([1, genesis.stream, 8, digest(b"root"), 1_700_000_000_000], *edits)
        return [body, sign_row(domains.HEAD, body, signing(genesis.owners, *who))]

    good = [
        ("of the only owner", "one", head("one", ALICE)),
        ("of the genesis", "one", head("one", ALICE, edits=[(2, 1), (4, 0)])),
        ("of the longest log", "one", head("one", ALICE, edits=[(2, LENGTH_MAX), (4, NUMBER_MAX)])),
        ("of two of three", "several", head("several", ALICE, BOB)),
        ("of two others", "several", head("several", ALICE, CAROL)),
        ("of uniqueness none", "free of two", head("free of two", BOB)),
    ]
    bodies: list[tuple[str, str, list[tuple[int, Any]]]] = [
        ("of another stream", "one", [(1, GENESES["free"].stream)]),
        ("stream: 31 bytes", "one", [(1, STREAM[:31])]),
        ("length: 0", "one", [(2, 0)]),
        ("length: 2^30", "one", [(2, 2**30)]),
        ("length: no number", "one", [(2, None)]),
        ("root: 31 bytes", "one", [(3, bytes(31))]),
        ("root: text", "one", [(3, "a" * 32)]),
        ("timestamp: below 0", "one", [(4, -1)]),
        ("timestamp: 2^53", "one", [(4, 2**53)]),
        ("of a watched stream", "watched", []),
    ]
    bad = [(rule, name, head(name, ALICE, edits=edits)) for rule, name, edits in bodies]
    body = head("several")[0]
    bad += [(rule, "several", [body, row]) for rule, row in wrong_signers(domains.HEAD, body)]
    names = "version stream length root timestamp"
    return signed_things(head("one", ALICE), domains.HEAD, names, good, bad)


Things = list[tuple[str, str, Row]]  # what, genesis, row


def signed_things(
    right: Row, domain: bytes, names: str, good: Things, bad: Things
) -> dict[str, Any]:
    """A body beside its signatures: Heads and Resolves. `right`: one of the stream "one"."""
    name = "one"
    signers = signing(GENESES[name].owners, ALICE)
    body = right[0]
    for rule, malformed in [
        ("the version is not 1", changed(body, (0, 2))),
        ("a field of the body is missing", body[:-1]),
        ("the body has a field too many", [*body, None]),
    ]:
        bad.append((rule, name, [malformed, sign_row(domain, malformed, signers)]))
    bad += [
        ("the signatures are missing", name, [body]),
        ("a field is too many", name, [*right, None]),
        ("the body is nil", name, [None, right[1]]),
    ]
    valid = [
        {
            "what": what,
            "genesis": owned,
            "hex": long_hex.write(pack(row)),
            "fields": {**fields(names, row[0]), "signatures": plain(row[1])},
        }
        for what, owned, row in good
    ]
    invalid = [refused(rule, pack(row), genesis=owned) for rule, owned, row in bad]
    invalid.append(refused("something follows", pack(right) + b"\0", genesis=name))
    return {"valid": valid, "invalid": invalid}


def resolves() -> dict[str, Any]:
    def resolve(name: str, *who: KeyPair, edits: Sequence[tuple[int, Any]] = ()) -> Row:
        genesis = GENESES[name]
        body = changed([1, genesis.stream, 8, digest(b"root")], *edits)
        return [body, sign_row(domains.RESOLVE, body, signing(genesis.owners, *who))]

    good = [
        ("of the only owner", "one", resolve("one", ALICE)),
        ("of two of three", "several", resolve("several", ALICE, CAROL)),
        ("at the genesis", "one", resolve("one", ALICE, edits=[(2, 1)])),
    ]
    bodies: list[tuple[str, str, list[tuple[int, Any]]]] = [
        ("of another stream", "one", [(1, GENESES["readers"].stream)]),
        ("fork_length: 0", "one", [(2, 0)]),
        ("fork_length: 2^30", "one", [(2, 2**30)]),
        ("chosen_root: 33 bytes", "one", [(3, bytes(33))]),
        ("of a stream of uniqueness none", "free", []),
        ("of a watched stream", "watched", []),
    ]
    bad = [(rule, name, resolve(name, ALICE, edits=edits)) for rule, name, edits in bodies]
    body = resolve("several")[0]
    bad += [(rule, "several", [body, row]) for rule, row in wrong_signers(domains.RESOLVE, body)]
    names = "version stream fork_length chosen_root"
    return signed_things(resolve("one", ALICE), domains.RESOLVE, names, good, bad)


def owners_sets() -> dict[str, Any]:
    """Contents of `owners.set`, with the owners before."""
    stream, after = GENESES["free"].stream, owned_by((BOB, 1), (CAROL, 1), threshold=1)

    def content(signers: Signers, *edits: tuple[int, Any]) -> Row:
        body = changed([1, stream, 4, *after.packable()], *edits)
        return [*body, sign_row(domains.OWNERS_SET, body, signers)]

    alone, together = signing(ONE, ALICE), signing(SEVERAL, ALICE, BOB)
    good = [("by the only owner", ONE, content(alone)), ("by two", SEVERAL, content(together))]
    good.append(("at the end", ONE, content(alone, (2, LENGTH_MAX - 1))))
    edits: list[tuple[str, list[tuple[int, Any]]]] = [
        ("the version is not 1", [(0, 2)]),
        ("stream: 31 bytes", [(1, stream[:31])]),
        ("index: 0", [(2, 0)]),
        ("index: 2^30 - 1", [(2, LENGTH_MAX)]),
        ("owners: there is none", [(3, []), (4, 0)]),
        ("owners: not ascending", [(3, after.weights[::-1])]),
        ("owners: a weight of 0", [(3, [(BOB.public, 0)])]),
        ("threshold: 0", [(4, 0)]),
        ("threshold: above the sum of the weights", [(4, 3)]),
    ]
    bad = [(rule, ONE, content(alone, *each)) for rule, each in edits]
    body = content(alone)[:5]
    signed = wrong_signers(domains.OWNERS_SET, body)
    bad += [(rule, SEVERAL, [*body, row]) for rule, row in signed]
    bad.append(("signed by an owner after it", ONE, content([(0, BOB)])))
    bad.append(("a field is too many", ONE, [*content(alone), None]))
    names = "version stream index owners threshold signatures"
    return {
        "valid": [
            {
                "what": what,
                "before": plain(before.packable()),
                "owners_hash": digest(domains.OWNERS + pack(row[3:5])).hex(),
                "hex": long_hex.write(pack(row)),
                "fields": fields(names, row),
            }
            for what, before, row in good
        ],
        "invalid": [
            refused(rule, pack(row), before=plain(before.packable())) for rule, before, row in bad
        ],
    }


# ---- 3: contents ----

MIB = chunks.CHUNK_BYTES


def made_up_chunk(number: int) -> bytes:
    return digest(b"chunk %d" % number)


def tree_of(size: int) -> list[chunks.ChunkNode]:
    count = -(-size // MIB)
    sizes = [MIB] * (count - 1) + [size - (count - 1) * MIB]
    return list(chunks.chunk_tree([(made_up_chunk(n), each) for n, each in enumerate(sizes)]))


def contents() -> dict[str, Any]:
    small, sizes = (
        bytes(5 * MIB),
        (5 * MIB + 1, 4096 * MIB, 4096 * MIB + 1, 8192 * MIB, 8193 * MIB - 7),
    )
    cutter = chunks.Cutter()
    blobs = [*cutter.take(bytes(5 * MIB + 1)), *cutter.end()]
    return {
        "zeros": [
            {"size": 0, "content_hash": digest(b"").hex()},
            {"size": 5 * MIB, "content_hash": digest(small).hex()},
            {
                "size": 5 * MIB + 1,
                "content_hash": digest(blobs[-1]).hex(),
                "root": long_hex.write(blobs[-1]),
            },
        ],
        "made_up": [
            {
                "size": size,
                "nodes": [[node.level, node.size, digest(node.encoded).hex()] for node in made],
            }
            for size, made in [(size, tree_of(size)) for size in sizes]
        ],
    }


def chunk_nodes() -> dict[str, Any]:
    """Roots, with the size of their content."""
    few, (*_, many) = tree_of(5 * MIB + 1)[0], tree_of(4097 * MIB)
    few_row: Row = [1, 0, few.size, few.hashes]
    many_row: Row = [1, 1, many.size, many.hashes]
    h = made_up_chunk(0)
    most = 2**53 - 1
    top: Row = [1, 2, most, [h] * 512]
    bad: list[tuple[str, int, Row]] = [
        ("level: below 0", few.size, changed(few_row, (1, -1))),
        ("level: 3", most, [1, 3, most, [h]]),
        ("level: no number", few.size, changed(few_row, (1, None))),
        ("size: 2^53", most + 1, [1, 2, most + 1, [h] * 512]),
        ("size: 0", 0, [1, 0, 0, []]),
        ("size: another than of the content", few.size + 1, few_row),
        ("size: of a content that has no node", 5 * MIB, [1, 0, 5 * MIB, few.hashes[:5]]),
        ("hashes: one is missing", few.size, changed(few_row, (3, few.hashes[:5]))),
        ("hashes: one too many", few.size, changed(few_row, (3, [*few.hashes, h]))),
        ("hashes: one of 31 bytes", few.size, changed(few_row, (3, [*few.hashes[:5], h[:31]]))),
        ("hashes: none", few.size, changed(few_row, (3, []))),
        ("hashes: more than 4096", 4097 * MIB, [1, 0, 4097 * MIB, [bytes(32)] * 4097]),
        ("the level below has one node only", few.size, [1, 1, few.size, [digest(few.encoded)]]),
        *[(rule, few.size, row) for rule, row in few_forms(few_row)],
    ]
    names = "version level size hashes"
    good = [("six chunks", few_row), ("two nodes", many_row)]
    largest = {"what": "the largest content", "size": most, "hash": digest(pack(top)).hex()}
    return {
        "valid": [
            {**largest, "hex": long_hex.write(pack(top))},
            *[
                {
                    "what": what,
                    "size": row[2],
                    "hash": digest(pack(row)).hex(),
                    "hex": long_hex.write(pack(row)),
                    "fields": fields(names, row),
                }
                for what, row in good
            ],
        ],
        "invalid": [refused(rule, pack(row), size=size) for rule, size, row in bad],
    }


def few_forms(row: Row) -> list[tuple[str, Row]]:
    return [
        ("the version is not 1", changed(row, (0, 2))),
        ("a field is too many", [*row, None]),
        ("a field is missing", row[:-1]),
    ]


def children() -> dict[str, Any]:
    """What belongs in a place below a node: `chunk` or `node`."""
    chunk, last = bytes(MIB), b"the last"
    node = chunks.ChunkNode(0, 5 * MIB + 8, (*[digest(chunk)] * 5, digest(last)))
    end = chunks.ChunkNode(0, MIB + 1, (made_up_chunk(0), made_up_chunk(1)))
    wide = chunks.ChunkNode(0, 4096 * MIB, (bytes(32),) * 4096)
    high = chunks.ChunkNode(1, 1, (made_up_chunk(0),))

    def above(size: int, *below: bytes) -> chunks.ChunkNode:
        return chunks.ChunkNode(1, size, tuple([digest(each) for each in below]))

    total, row = 4096 * MIB + end.size, [1, 0, end.size, end.hashes]
    root = above(total, wide.encoded, end.encoded)
    longer, short = pack(changed(row, (3, [*end.hashes, bytes(32)]))), digest(chunk[1:])
    smaller = chunks.ChunkNode(0, end.size - 2, end.hashes[:1])

    def child(over: chunks.ChunkNode, place: int, kind: str, data: bytes) -> dict[str, Any]:
        return {"parent": long_hex.write(over.encoded), "place": place, kind: long_hex.write(data)}

    cut_short = chunks.ChunkNode(0, node.size, (short, *node.hashes[1:]))
    low, other = (
        above(4096 * MIB + 8, wide.encoded, last),
        above(total, wide.encoded, smaller.encoded),
    )
    first, same = above(4096 * MIB + 1, end.encoded, last), above(4096 * MIB + 1, b"", high.encoded)
    odd = above(total, wide.encoded, longer)
    good = [
        ("a chunk", child(node, 0, "chunk", chunk)),
        ("the last chunk", child(node, 5, "chunk", last)),
        ("the last node", child(root, 1, "node", end.encoded)),
    ]
    bad = [
        ("a chunk of another place", child(node, 5, "chunk", chunk)),
        ("another chunk", child(node, 0, "chunk", b"\1" * MIB)),
        ("a chunk that is too short", child(cut_short, 0, "chunk", chunk[1:])),
        ("a chunk below a node of level 1", child(low, 1, "chunk", last)),
        ("a node of another place", child(root, 0, "node", end.encoded)),
        ("a node of another size", child(other, 1, "node", smaller.encoded)),
        ("a node that is not full", child(first, 0, "node", end.encoded)),
        ("a node of the same level", child(same, 1, "node", high.encoded)),
        ("a node with another number of hashes", child(odd, 1, "node", longer)),
    ]
    return {
        "valid": [{"what": what, **each} for what, each in good],
        "invalid": [{"rule": rule, **each} for rule, each in bad],
    }


def make() -> dict[str, Any]:
    return {
        "hex": long_hex.NOTE,
        "geneses": geneses(),
        "headers": headers(),
        "heads": heads(),
        "resolves": resolves(),
        "owners_sets": owners_sets(),
        "contents": contents(),
        "chunk_nodes": chunk_nodes(),
        "children": children(),
        "logs": vectors_of_logs.make(),
    }
