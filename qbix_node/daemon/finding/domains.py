"""Whose a domain's name is, and which nodes speak for it: the settings, the DHT, DNS
(spec/dht.md 12).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from qbix_node.crypto.keys import curve_public
from qbix_node.dht.records import NODES_MAX, DomainContent, Record, domain_key, is_domain
from qbix_node.dht.service import DhtService
from qbix_node.errors import BadInput, DamagedStore, LocalError, Malformed
from qbix_node.machines import PeerId
from qbix_node.net.address import Address, parse_address
from qbix_node.ports import Delete, Put, Rows, Store
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import decode_base64

LABEL = "_qbix"  # before the name, in DNS
MARK = "qbix1"  # begins what is said there
PUBLISHED_MAX = 64  # domains, by one node

_PUBLISHED = b"n/d"

Texts = Callable[[str], Awaitable[list[str]]]  # TXT records of a name
Known = Literal["settings", "dns"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that speaks for a name, as far as its own record says."""

    key: PeerId
    nodes: tuple[PeerId, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """`key`: None where nobody, or more than one, claims the name. `confirmed_by`: who says that
    the name belongs to the key; None: nobody but whoever has the key.
    """

    name: str
    key: PeerId | None
    confirmed_by: Known | None
    nodes: tuple[PeerId, ...]
    addresses: tuple[Address, ...]  # of nodes, as DNS names them
    claims: tuple[Claim, ...]  # all that are in the DHT


@dataclass(frozen=True, slots=True)
class Said:
    """By DNS."""

    key: PeerId
    addresses: tuple[Address, ...]


def read_name(text: str) -> str:
    """Raises BadInput."""
    name = text.lower().removesuffix(".")
    if not is_domain(name):
        raise BadInput(
            f"{text[:80]!r} is no name of a domain",
            hint="as example.org; one with other letters in its ASCII form, xn--...",
        )
    return name


async def resolve_domain(
    name: str, pinned: Mapping[str, PeerId], dht: DhtService | None, texts: Texts
) -> Domain:
    """SPEC dht 12: the settings, then the DHT, then DNS. `dht`: None where it is switched off."""
    key = pinned.get(name)
    records = [] if dht is None else (await dht.get(domain_key(name), key)).records
    claims = _claims(records)
    if key is not None:
        return Domain(name, key, "settings", _nodes(claims, key), (), claims)
    said = read_texts(await texts(f"{LABEL}.{name}."))
    if said is not None:
        nodes = _nodes(claims, said.key) or tuple([each.key for each in said.addresses])
        return Domain(name, said.key, "dns", nodes, said.addresses, claims)
    only = claims[0] if len(claims) == 1 else None
    if only is None:
        return Domain(name, None, None, (), (), claims)
    return Domain(name, only.key, None, only.nodes, (), claims)


def _claims(records: Iterable[Record]) -> tuple[Claim, ...]:
    found = [
        Claim(record.signer, record.content.nodes)
        for record in records
        if isinstance(record.content, DomainContent)
    ]
    return tuple(sorted(found, key=lambda claim: claim.key))


def _nodes(claims: Iterable[Claim], key: PeerId) -> tuple[PeerId, ...]:
    named = [claim.nodes for claim in claims if claim.key == key]
    return named[0] if named else ()


def read_texts(texts: Iterable[str]) -> Said | None:
    """`qbix1 key=BASE64 [node=ADDRESS]...`; None: nothing, or different keys."""
    found = [said for text in texts if (said := _read_text(text)) is not None]
    if len({said.key for said in found}) != 1:
        return None
    addresses = dict.fromkeys([address for said in found for address in said.addresses])
    return Said(found[0].key, tuple(addresses)[:NODES_MAX])


def _read_text(text: str) -> Said | None:
    mark, *words = text.split()[: 2 + NODES_MAX] or [""]
    keys = [decode_base64(word.removeprefix("key="), 32) for word in words if word[:4] == "key="]
    if mark != MARK or len(keys) != 1 or keys[0] is None or curve_public(keys[0]) is None:
        return None
    addresses = []
    for word in words:
        if word.startswith("node="):
            try:
                addresses.append(parse_address(word.removeprefix("node=")))
            except Malformed:
                continue  # another node may be named rightly
    return Said(PeerId(keys[0]), tuple(addresses))


class DomainShelf:
    """The names that this node speaks for, by its own key: b"n/d" + name -> keys of nodes."""

    def __init__(self, own: PeerId, store: Store, dht: DhtService) -> None:
        self._own, self._store, self._dht = own, store, dht
        self.published = read_published(store)

    def start(self) -> None:
        for name, nodes in self.published.items():
            self._dht.publish(DomainContent(name, nodes))

    async def publish(self, name: str, nodes: Iterable[PeerId]) -> tuple[PeerId, ...]:
        """Returns once that is durable. Raises LocalError."""
        chosen = tuple(sorted(set(nodes) or {self._own}))
        if len(chosen) > NODES_MAX:
            raise BadInput(f"{len(chosen)} nodes are too many for a domain: {NODES_MAX} at most")
        if name not in self.published and len(self.published) >= PUBLISHED_MAX:
            raise LocalError(
                f"{PUBLISHED_MAX} domains are published by this node already",
                hint="withdraw one: qbix-node domain withdraw NAME",
            )
        self.published[name] = chosen
        await self._store.write([Put(_PUBLISHED + name.encode(), pack(list(chosen)))])
        if self.published.get(name) == chosen:  # else somebody changed it meanwhile
            self._dht.publish(DomainContent(name, chosen))
        return chosen

    async def withdraw(self, name: str) -> None:
        """Copies end within the hour. Raises LocalError."""
        if self.published.pop(name, None) is None:
            raise LocalError(
                f"this node publishes nothing about {name}", hint="qbix-node domain list tells what"
            )
        self._dht.withdraw(domain_key(name), DomainContent.kind)
        await self._store.write([Delete(_PUBLISHED + name.encode())])


def read_published(rows: Rows) -> dict[str, tuple[PeerId, ...]]:
    """Raises DamagedStore."""
    found = rows.scan(_PUBLISHED, _PUBLISHED + b"\xff", limit=PUBLISHED_MAX)
    try:
        return {
            key.removeprefix(_PUBLISHED).decode(): tuple(
                [
                    PeerId(each)
                    for each in fields.hashes(unpack(value, "domain"), "domain", most=NODES_MAX)
                ]
            )
            for key, value in found
        }
    except (Malformed, UnicodeDecodeError) as error:
        raise DamagedStore(f"a domain in the store can't be read: {error}") from error
