"""Write spec/vectors/dht-*.json anew: `python -m tests.dht.make_vectors`.

All of it follows from fixed seeds, and what is invalid breaks the one rule that it names.
"""

from typing import Any

from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.keys import KeyPair
from qbix_node.dht import messages as d
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId, closest, node_id
from qbix_node.dht.records import (
    Content,
    DomainContent,
    NodeContent,
    ProviderContent,
    Record,
    make_record,
)
from qbix_node.dht.wire import ANSWER, COOKIE, NUMBER_MAX, VERSION, Header, Sealing
from qbix_node.machines import PeerId
from qbix_node.wire.packing import pack
from tests.streams.make_vectors import FOLDER, text_of
from tests.streams.vectors_of_bytes import changed

DATAGRAMS, RECORDS = "dht-datagrams.json", "dht-records.json"

Invalid = list[tuple[str, bytes]]

ALICE, BOB = KeyPair.from_seed(b"a" * 32), KeyPair.from_seed(b"b" * 32)
SHARED = Sealing(ALICE).agree(PeerId(BOB.public))
assert SHARED is not None
V4, V6 = bytes((8, 8, 4, 4)), bytes.fromhex("20010db8") + bytes(11) + b"\x01"
COOKIE_GIVEN = b"a cookie of Bob!"
TARGET = NodeId(sha256(b"target"))
EXPIRES_S = 1_800_003_600


def key(number: int) -> PeerId:
    return PeerId(sha256(b"key", number.to_bytes(4)))


def header(kind: int, number: int = 7) -> Header:
    """Alice asks Bob, and answers him."""
    to, cookie, salt = node_id(PeerId(BOB.public)), COOKIE_GIVEN, b"saltsalt"
    return Header(VERSION, kind, number, PeerId(ALICE.public), to, cookie, salt)


def sealed(kind: int, body: bytes, number: int = 7) -> bytes:
    assert SHARED is not None
    return Sealing(ALICE).seal(header(kind, number).encode(), body, SHARED)


def record(content: Content, sequence: int = 1) -> Record:
    return make_record(ALICE, content, sequence, EXPIRES_S)


PROVIDER = ProviderContent("stream", TARGET, (Endpoint(V4, 8008),))


def messages() -> list[tuple[str, d.Message]]:
    few = (d.Told(key(1), V4, 1), d.Told(key(2), V6, 65535))
    many = tuple([d.Told(key(number), V6, 40_000) for number in range(d.CONTACTS_MAX)])
    provided = record(PROVIDER).encoded
    return [
        ("a ping", d.Ping()),
        ("its answer", d.Pong(Endpoint(V4, 40_000))),
        ("its answer, over IPv6", d.Pong(Endpoint(V6, 1))),
        ("its answer, on one machine", d.Pong(Endpoint(bytes(15) + b"\x01", 1))),
        ("find node", d.FindNode(TARGET)),
        ("no contacts", d.Nodes(())),
        ("contacts", d.Nodes(few)),
        ("twenty contacts", d.Nodes(many)),
        ("get record", d.GetRecord(TARGET, None)),
        ("get record of one signer", d.GetRecord(TARGET, key(3))),
        ("no records", d.Records((), few)),
        ("two records", d.Records((provided, provided), few)),
        ("put record", d.PutRecord(provided)),
        ("kept", d.Stored(d.KEPT)),
        ("not kept", d.Stored(d.NOT_KEPT)),
        ("an upper layer asks", d.Talk(0x10, b"question")),
        ("an upper layer answers", d.Talk(0x7E | ANSWER, b"")),
        ("refused", d.Refused()),
    ]


def invalid_datagrams() -> Invalid:
    ping = sealed(d.PING, pack([]))
    cookie = header(COOKIE).encode()
    of_others = Sealing(ALICE).seal(header(d.PING).encode(), pack([]), bytes(32))
    bodies = [
        (f"{what}: {rule}", sealed(message.type, bad))
        for what, message in messages()
        if what in ("find node", "contacts", "get record", "put record", "kept")
        for rule, bad in malformed(message)
    ]
    wrong = [(f"{rule}", sealed(kind, pack(bad))) for rule, kind, bad in wrong_bodies()]
    flipped = [
        (f"another byte {place}", ping[:place] + bytes([ping[place] ^ 1]) + ping[place + 1 :])
        for place in (0, 2, 10, 42, 74, 90, 98, len(ping) - 1)
    ]
    return [
        ("nothing", b""),
        ("a header that ends early", ping[:97]),
        ("a request without a box", ping[:98]),
        ("a box without a body", ping[:114]),
        ("a cookie with something behind it", cookie + b"\0"),
        ("1281 bytes", sealed(0x10, bytes(1281 - 114))),
        ("a box of other nodes", of_others),
        ("there is no type 5", sealed(5, pack([]))),
        ("there is no type 0", sealed(0, pack([]))),
        ("there is no type 127", sealed(127, pack([b""]))),
        *flipped,
        *bodies,
        *wrong,
    ]


def malformed(message: d.Message) -> Invalid:
    encoded = d.encode(message)
    (first, *rest) = _fields(message)
    return [
        ("a field is missing", pack(rest)),
        ("a field is too many", pack([first, *rest, None])),
        ("something follows", encoded + b"\0"),
        ("it is cut off", encoded[:-1]),
        (
            "an array that is not in its shortest form",
            b"\xdc\0" + bytes([encoded[0] & 15]) + encoded[1:],
        ),
        ("it is no array", pack(encoded)),
    ]


def _fields(message: d.Message) -> Any:  # noqa: ANN401  (msgpack)
    return message.packable()


def wrong_bodies() -> list[tuple[str, int, Any]]:
    good = [key(1), V4, 1]
    find, get, put = d.FIND_NODE, d.GET_RECORD, d.PUT_RECORD
    contacts: list[tuple[str, Any]] = [
        ("a key of 31 bytes", changed(good, (0, key(1)[:31]))),
        ("an address of 5 bytes", changed(good, (1, bytes(5)))),
        ("an address that is text", changed(good, (1, "8.8.4.4"))),
        ("port 0", changed(good, (2, 0))),
        ("port 65536", changed(good, (2, 65536))),
        ("two fields", good[:2]),
        ("nil", None),
        *[(f"{why}, {ip.hex()}", changed(good, (1, ip))) for why, ip in unusable()],
    ]
    return [
        ("ping: something in it", d.PING, [None]),
        ("pong: no port", d.PING | ANSWER, [V4]),
        ("find node: a target of 31 bytes", find, [TARGET[:31]]),
        ("contacts: 21 of them", find | ANSWER, [[good] * 21]),
        *[(f"contacts: {rule}", find | ANSWER, [[bad]]) for rule, bad in contacts],
        ("get record: a signer of 33 bytes", get, [TARGET, bytes(33)]),
        ("get record: a key that is nil", get, [None, None]),
        ("records: 9 of them", get | ANSWER, [[b"r"] * 9, []]),
        ("records: one of 701 bytes", get | ANSWER, [[bytes(701)], []]),
        ("records: a record that is nil", get | ANSWER, [[None], []]),
        ("put record: 701 bytes", put, [bytes(701)]),
        ("kept: 2", put | ANSWER, [2]),
        ("kept: true", put | ANSWER, [True]),
        ("an upper layer: text", 0x10, ["text"]),
        ("an upper layer: nothing", 0x10, []),
        ("refused: something in it", 0xFF, [0]),
    ]


def unusable() -> list[tuple[str, bytes]]:
    mapped = bytes(10) + b"\xff\xff" + V4
    return [
        ("nobody's address", bytes(4)),
        ("this network", bytes((0, 1, 2, 3))),
        ("many hosts", bytes((224, 0, 0, 1))),
        ("all hosts", bytes((255, 255, 255, 255))),
        ("nobody's IPv6 address", bytes(16)),
        ("many hosts of IPv6", b"\xff\x02" + bytes(13) + b"\x01"),
        ("one link's address", bytes.fromhex("fe80") + bytes(13) + b"\x01"),
        ("IPv4 as IPv6", mapped),
        ("IPv4 as IPv6, compatible", bytes(12) + V4),
        ("IPv4 as IPv6, translated", bytes.fromhex("0064ff9b") + bytes(8) + V4),
        ("IPv4 as IPv6, 6to4", bytes.fromhex("2002") + V4 + bytes(9) + b"\x01"),
        ("IPv4 as IPv6, Teredo", bytes.fromhex("20010000") + bytes(8) + V4),
    ]


def datagrams() -> dict[str, Any]:
    assert SHARED is not None
    ids = [node_id(key(number)) for number in range(40)]
    valid = [
        {
            "what": what,
            "type": message.type,
            "number": str(number),
            "body": plain(_fields(message)),
            "hex": sealed(message.type, d.encode(message), number).hex(),
        }
        for number, (what, message) in enumerate(messages(), NUMBER_MAX - 20)
    ]
    return {
        "sender": {"seed": (b"a" * 32).hex(), "id": node_id(PeerId(ALICE.public)).hex()},
        "recipient": {"seed": (b"b" * 32).hex(), "id": node_id(PeerId(BOB.public)).hex()},
        "shared": SHARED.hex(),
        "cookie": COOKIE_GIVEN.hex(),
        "salt": b"saltsalt".hex(),
        "cookie_answer": header(COOKIE).encode().hex(),
        "valid": valid,
        "invalid": [{"rule": rule, "hex": data.hex()} for rule, data in invalid_datagrams()],
        "closest": {
            "target": TARGET.hex(),
            "keys": [key(number).hex() for number in range(40)],
            "ids": [each.hex() for each in closest(ids, TARGET, 20)],
        },
    }


# ---- records ----


def contents() -> list[tuple[str, Content]]:
    many = tuple([Endpoint(V6, number + 1) for number in range(8)])
    nodes = tuple(sorted([key(number) for number in range(8)]))
    return [
        ("a node", NodeContent((Endpoint(V4, 8008), Endpoint(V6, 8008)), ("dht", "streams"))),
        ("a node without addresses", NodeContent((), ())),
        ("a node with many addresses", NodeContent(many, ())),
        ("who holds a stream", PROVIDER),
        ("who holds a feed", ProviderContent("feed", key(4), ())),
        ("a domain", DomainContent("example.org", nodes[:2])),
        ("a domain with a long name", DomainContent(".".join(["a" * 49] * 5) + ".b1", nodes)),
    ]


def signed(body: bytes) -> bytes:
    return pack([body, ALICE.sign(b"qbix/dht-record/1\0" + body)])


def invalid_records() -> Invalid:
    node, provider, domain = (record(contents()[place][1]) for place in (0, 3, 5))
    rows = {"node": _body(node), "provider": _body(provider), "domain": _body(domain)}
    found = [
        (f"{kind}: {rule}", signed(pack(bad)))
        for kind, row in rows.items()
        for rule, bad in [*wrong_heads(row), *WRONG_CONTENTS[kind](row)]
    ]
    encoded = node.encoded
    return [
        *found,
        ("a signature of 63 bytes", pack([node.body, node.signature[:63]])),
        ("a signature of something else", pack([node.body, provider.signature])),
        ("signed without its domain", pack([node.body, ALICE.sign(node.body)])),
        ("no signature", pack([node.body])),
        ("something behind it", encoded + b"\0"),
        ("cut off", encoded[:-1]),
        ("a body that is no array", signed(pack(b"body"))),
        ("a body in another form", signed(b"\xdc\x00\x07" + node.body[1:])),
        ("701 bytes", signed(pack([*rows["node"][:6], ["a" * 64] * 6]))),
    ]


def _body(made: Record) -> list[Any]:
    head: list[Any] = [1, made.content.kind, made.signer, made.sequence, made.expires_s]
    return [*head, *made.content.packable()]


def wrong_heads(row: list[Any]) -> list[tuple[str, Any]]:
    return [
        ("version 2", changed(row, (0, 2))),
        ("version true", changed(row, (0, True))),
        ("no such kind", changed(row, (1, "nodes"))),
        ("a kind that is bytes", changed(row, (1, b"node"))),
        ("a sequence below 0", changed(row, (3, -1))),
        ("a sequence of 2⁵³", changed(row, (3, 2**53))),
        ("an end that is nil", changed(row, (4, None))),
        ("a field too many", [*row, None]),
        ("a field is missing", row[:-1]),
    ]


def wrong_nodes(row: list[Any]) -> list[tuple[str, Any]]:
    return [
        ("nine addresses", changed(row, (5, [[V4, 1]] * 9))),
        ("an address without a port", changed(row, (5, [[V4]]))),
        ("an address of many hosts", changed(row, (5, [[bytes((224, 0, 0, 1)), 1]]))),
        ("nine capabilities", changed(row, (6, [f"c{each}" for each in range(9)]))),
        ("capabilities that don't ascend", changed(row, (6, ["streams", "dht"]))),
        ("a capability twice", changed(row, (6, ["dht", "dht"]))),
        ("a capability that is no name", changed(row, (6, ["DHT"]))),
    ]


def wrong_providers(row: list[Any]) -> list[tuple[str, Any]]:
    return [
        ("what is held has no name", changed(row, (5, ""))),
        ("an id of 31 bytes", changed(row, (6, row[6][:31]))),
        ("addresses that are nil", changed(row, (7, None))),
    ]


def wrong_domains(row: list[Any]) -> list[tuple[str, Any]]:
    names = ["", "Example.org", "example.org.", "a..b", "-a.org", "a-.org", "a" * 64, "a_b.org"]
    return [
        *[(f"the name {name!r}", changed(row, (5, name))) for name in names],
        ("a name of 254 characters", changed(row, (5, ".".join(["a" * 49] * 5) + ".b234"))),
        ("a name that is bytes", changed(row, (5, b"example.org"))),
        ("nodes that don't ascend", changed(row, (6, row[6][::-1]))),
        ("a node twice", changed(row, (6, [row[6][0]] * 2))),
        ("a node of 31 bytes", changed(row, (6, [bytes(31)]))),
    ]


WRONG_CONTENTS = {"node": wrong_nodes, "provider": wrong_providers, "domain": wrong_domains}


def plain(value: Any) -> Any:  # noqa: ANN401  (JSON)
    if isinstance(value, bytes):
        return value.hex()
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def records() -> dict[str, Any]:
    made = [(what, record(content, 5)) for what, content in contents()]
    same = [record(NodeContent((), (name,)), 6) for name in ("a", "b")]
    older, newer = sorted(same, key=lambda each: sha256(each.encoded))
    return {
        "valid": [
            {
                "what": what,
                "fields": plain(_body(each)),
                "key": each.key.hex(),
                "hex": each.encoded.hex(),
            }
            for what, each in made
        ],
        "invalid": [{"rule": rule, "hex": data.hex()} for rule, data in invalid_records()],
        "newer": [
            {"older": made[0][1].encoded.hex(), "newer": same[0].encoded.hex()},
            {"older": older.encoded.hex(), "newer": newer.encoded.hex()},
        ],
    }


def make() -> dict[str, str]:
    return {DATAGRAMS: text_of(datagrams()), RECORDS: text_of(records())}


if __name__ == "__main__":
    for name, text in make().items():
        (FOLDER / name).write_text(text)
