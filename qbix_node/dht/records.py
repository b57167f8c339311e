"""What is kept for others, signed by whom it is about (spec/dht.md 8). Pure."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.domains import DHT_DOMAIN, DHT_PROVIDER, DHT_RECORD, hashed
from qbix_node.crypto.keys import KeyPair
from qbix_node.dht.endpoints import Endpoint, read_endpoint
from qbix_node.dht.ids import NodeId, node_id
from qbix_node.dht.messages import RECORD_BYTES_MAX
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack, unpack

LIFETIME_S_MAX = 24 * 3600  # from now to the end that a record names
CLOCK_SPREAD_S = 300  # by which the publisher's clock may be ahead

ADDRESSES_MAX = 8
CAPABILITIES_MAX = 8
NODES_MAX = 8  # of a domain
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class NodeContent:
    """Where the signer takes connections (spec/transport.md), and what it can do."""

    addresses: tuple[Endpoint, ...]
    capabilities: tuple[str, ...]  # ascending
    kind: ClassVar[str] = "node"

    def key(self, signer: PeerId) -> NodeId:
        return node_id(signer)

    def packable(self) -> list[Packable]:
        return [[[*each] for each in self.addresses], list(self.capabilities)]


@dataclass(frozen=True, slots=True)
class ProviderContent:
    """The signer holds something, and gives it to who may have it."""

    what: str  # "stream", "feed"
    subject: bytes  # its id
    addresses: tuple[Endpoint, ...]
    kind: ClassVar[str] = "provider"

    def key(self, signer: PeerId) -> NodeId:
        return provider_key(self.what, self.subject)

    def packable(self) -> list[Packable]:
        return [self.what, self.subject, [[*each] for each in self.addresses]]


@dataclass(frozen=True, slots=True)
class DomainContent:
    """The signer, a key of a domain, names the nodes that speak for it."""

    name: str
    nodes: tuple[PeerId, ...]
    kind: ClassVar[str] = "domain"

    def key(self, signer: PeerId) -> NodeId:
        return domain_key(self.name)

    def packable(self) -> list[Packable]:
        return [self.name, list(self.nodes)]


Content = NodeContent | ProviderContent | DomainContent


def is_domain(name: str) -> bool:
    """Whether it is written as records have it."""
    return _DOMAIN.fullmatch(name) is not None


def provider_key(what: str, subject: bytes) -> NodeId:
    return NodeId(hashed(DHT_PROVIDER, pack([what, subject])))


def domain_key(name: str) -> NodeId:
    return NodeId(hashed(DHT_DOMAIN, pack([name])))


@dataclass(frozen=True)
class Record:
    signer: PeerId
    sequence: int
    expires_s: int  # Unix time
    content: Content
    signature: bytes

    @cached_property
    def body(self) -> bytes:
        content = self.content
        head: list[Packable] = [1, content.kind, self.signer, self.sequence, self.expires_s]
        return pack([*head, *content.packable()])

    @cached_property
    def encoded(self) -> bytes:
        return pack([self.body, self.signature])

    @cached_property
    def key(self) -> NodeId:
        return self.content.key(self.signer)

    @property
    def signed(self) -> bytes:
        return DHT_RECORD + self.body

    def newer_than(self, other: "Record") -> bool:
        """SPEC dht 8: of two with one sequence, the same one for everybody."""
        return (self.sequence, sha256(self.encoded)) > (other.sequence, sha256(other.encoded))

    def timely(self, unix_s: float) -> bool:
        """By our clock: not over, and not for longer than anybody may ask for."""
        return unix_s < self.expires_s <= unix_s + LIFETIME_S_MAX + CLOCK_SPREAD_S


def check_content(content: Content) -> None:
    """Raises Malformed if nobody would take it, whoever signs it, and whenever."""
    draft = Record(PeerId(bytes(32)), fields.NUMBER_MAX, fields.NUMBER_MAX, content, bytes(64))
    read_record(draft.encoded)


def make_record(keys: KeyPair, content: Content, sequence: int, expires_s: int) -> Record:
    """Raises Malformed if nobody would take it."""
    draft = Record(PeerId(keys.public), sequence, expires_s, content, b"")
    record = read_record(pack([draft.body, keys.sign(draft.signed)]))
    assert record.content == content
    return record


def read_record(encoded: bytes) -> Record:
    """Its form; signature and time are for the caller to check. Raises Malformed."""
    if len(encoded) > RECORD_BYTES_MAX:
        raise Malformed(f"record: {len(encoded)} bytes, {RECORD_BYTES_MAX} are allowed")
    body, signature = fields.array(unpack(encoded, "record"), "record", size=2)
    fields.data(signature, "record: signature", size=64)
    row = fields.array(unpack(fields.data(body, "record: body"), "record"), "record", most=8)
    if len(row) < 5 or type(row[0]) is not int or row[0] != 1:
        raise Malformed("record: its version is not known here")
    _, kind, signer, sequence, expires_s, *rest = row
    record = Record(
        PeerId(fields.data(signer, "record: signer", size=32)),
        fields.number(sequence, "record: sequence"),
        fields.number(expires_s, "record: expiry"),
        _read_content(kind, rest),
        signature,
    )
    record.__dict__["encoded"], record.__dict__["body"] = encoded, body  # the only form there is
    return record


def _read_content(kind: object, rest: list[object]) -> Content:
    match kind, rest:
        case "node", [addresses, capabilities]:
            return NodeContent(_read_addresses(addresses), _read_names(capabilities))
        case "provider", [what, subject, addresses]:
            held = fields.data(subject, "record: subject", size=32)
            name = fields.name(what, "record: what is held")
            return ProviderContent(name, held, _read_addresses(addresses))
        case "domain", [name, nodes]:
            if type(name) is not str or not is_domain(name):
                raise Malformed(
                    "record: expected a domain's name in lower case, without a last dot"
                )
            keys = fields.hashes(nodes, "record: nodes", most=NODES_MAX)
            if list(keys) != sorted(set(keys)):
                raise Malformed("record: the nodes of a domain ascend")
            return DomainContent(name, tuple([PeerId(each) for each in keys]))
        case _:
            raise Malformed("record: there is no such kind of record")


def _read_addresses(value: object) -> tuple[Endpoint, ...]:
    found = []
    for row in fields.array(value, "record: addresses", most=ADDRESSES_MAX):
        ip, port = fields.array(row, "record: address", size=2)
        found.append(read_endpoint(ip, port, "record: address"))
    return tuple(found)


def _read_names(value: object) -> tuple[str, ...]:
    rows = fields.array(value, "record: capabilities", most=CAPABILITIES_MAX)
    names = [fields.name(each, "record: capability") for each in rows]
    if names != sorted(set(names)):
        raise Malformed("record: capabilities ascend")
    return tuple(names)
