"""Whose a domain's name is: what the settings, the DHT and DNS say, and who lies."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.finding.domains import (
    PUBLISHED_MAX,
    Claim,
    Domain,
    DomainShelf,
    read_name,
    read_published,
    read_texts,
    resolve_domain,
)
from qbix_node.dht.messages import Told
from qbix_node.dht.records import NODES_MAX, DomainContent
from qbix_node.dht.service import DhtService
from qbix_node.errors import BadInput, DamagedStore, LocalError
from qbix_node.machines import PeerId
from qbix_node.net.address import Address
from qbix_node.ports import Put
from qbix_node.store.memory import MemoryStore
from qbix_node.wire.references import encode_base64
from tests.dht.network import keys_of

NAME = "example.org"
OWNER, LIAR, NODE = [PeerId(keys_of(number).public) for number in (1, 2, 3)]
ADDRESS = Address("node.example.org", 8008, NODE)


def text(key: PeerId = OWNER, *addresses: Address) -> str:
    return " ".join(["qbix1", f"key={encode_base64(key)}", *[f"node={each}" for each in addresses]])


class Dns:
    def __init__(self, *texts: str) -> None:
        self._texts = texts
        self.asked: list[str] = []

    async def texts(self, name: str) -> list[str]:
        self.asked.append(name)
        return list(self._texts)


def service(keys: KeyPair) -> DhtService:
    return DhtService(keys, [("127.0.0.1", 0)], MemoryStore(), rng=random.Random(1))


@asynccontextmanager
async def network(*claims: tuple[int, tuple[PeerId, ...]]) -> AsyncIterator[DhtService]:
    """A node of the DHT, after others, by their numbers, claimed the name."""
    asker = service(keys_of(9))
    (endpoint,) = asker.endpoints
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(asker.run)
            for number, nodes in claims:
                other = service(keys_of(number))
                await nursery.start(other.run)
                other.bootstrap([Told(PeerId(keys_of(9).public), *endpoint)])
                while not other.contacts():  # noqa: ASYNC110  (datagrams have to travel)
                    await trio.sleep(0.01)
                other.publish(DomainContent(NAME, nodes))
            while asker.figures()["records"] < len(claims):  # noqa: ASYNC110  (the same)
                await trio.sleep(0.01)
            yield asker
            nursery.cancel_scope.cancel()


async def test_the_settings_decide_and_the_owners_record_says_which_nodes() -> None:
    dns = Dns(text(LIAR))
    async with network((1, (NODE,)), (2, (LIAR,))) as dht:
        found = await resolve_domain(NAME, {NAME: OWNER}, dht, dns.texts)
    assert (found.key, found.confirmed_by, found.nodes) == (OWNER, "settings", (NODE,))
    assert dns.asked == []


async def test_dns_decides_between_those_that_claim_a_name() -> None:
    dns = Dns("v=spf1 -all", text())
    async with network((1, (NODE,)), (2, (LIAR,))) as dht:
        found = await resolve_domain(NAME, {}, dht, dns.texts)
    assert (found.key, found.confirmed_by, found.nodes) == (OWNER, "dns", (NODE,))
    assert found.claims == tuple(
        sorted([Claim(OWNER, (NODE,)), Claim(LIAR, (LIAR,))], key=lambda claim: claim.key)
    )
    assert dns.asked == ["_qbix.example.org."]


async def test_a_key_that_alone_claims_a_name_is_unconfirmed() -> None:
    async with network((2, (LIAR,))) as dht:
        found = await resolve_domain(NAME, {}, dht, Dns().texts)
    assert (found.key, found.confirmed_by, found.nodes) == (LIAR, None, (LIAR,))


async def test_of_several_keys_that_claim_a_name_none_is_chosen() -> None:
    async with network((1, (NODE,)), (2, (LIAR,))) as dht:
        found = await resolve_domain(NAME, {}, dht, Dns().texts)
    assert (found.key, found.confirmed_by, found.nodes) == (None, None, ())
    assert len(found.claims) == 2


async def test_a_liars_record_is_not_taken_for_the_nodes_of_whom_dns_names() -> None:
    async with network((2, (LIAR,))) as dht:
        found = await resolve_domain(NAME, {}, dht, Dns(text(OWNER, ADDRESS)).texts)
    assert (found.key, found.confirmed_by) == (OWNER, "dns")
    assert (found.nodes, found.addresses) == ((NODE,), (ADDRESS,))


async def test_without_the_dht_dns_is_enough() -> None:
    found = await resolve_domain(NAME, {}, None, Dns(text(OWNER, ADDRESS)).texts)
    assert found == Domain(NAME, OWNER, "dns", (NODE,), (ADDRESS,), ())


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["v=spf1 -all"],
        [text().replace("qbix1", "qbix2")],
        ["qbix1"],
        ["qbix1 key="],
        [text().replace("key=", "KEY=")],
        [text()[:-4]],
        [f"{text()} key={encode_base64(LIAR)}"],
        [text(OWNER), text(LIAR)],
        [f"qbix1 key={encode_base64(bytes(32))}"],
    ],
)
def test_what_dns_says_wrongly_is_nothing(texts: list[str]) -> None:
    assert read_texts(texts) is None


def test_of_addresses_in_dns_the_right_ones_count_and_a_few() -> None:
    said = read_texts([f"{text()} node=nowhere node={ADDRESS}"])
    assert said
    assert said.addresses == (ADDRESS,)
    many = [Address("node.example.org", port, NODE) for port in range(1, 100)]
    said = read_texts([text(OWNER, *many)])
    assert said
    assert 0 < len(said.addresses) <= NODES_MAX


@pytest.mark.parametrize(
    ("typed", "name"), [("Example.ORG.", NAME), (NAME, NAME), ("xn--bcher-kva.example", None)]
)
def test_names_are_taken_as_people_type_them(typed: str, name: str | None) -> None:
    assert read_name(typed) == (name or typed)


@pytest.mark.parametrize(
    "typed", ["", ".", "-a.org", "a..org", "a b", "b\xfccher.example", "a" * 64, "a." * 127 + "aa"]
)
def test_what_is_no_name_is_refused(typed: str) -> None:
    with pytest.raises(BadInput, match="no name of a domain"):
        read_name(typed)


async def test_what_is_published_survives_a_restart_until_it_is_withdrawn() -> None:
    store, dht = MemoryStore(), service(keys_of(1))
    shelf = DomainShelf(OWNER, store, dht)
    assert await shelf.publish(NAME, []) == (OWNER,)
    both = tuple(sorted([NODE, LIAR]))
    assert await shelf.publish("www.example.org", [NODE, LIAR, NODE]) == both
    again = DomainShelf(OWNER, store, dht)
    assert again.published == {NAME: (OWNER,), "www.example.org": both}
    await again.withdraw(NAME)
    assert list(read_published(store)) == ["www.example.org"]
    with pytest.raises(LocalError, match="publishes nothing about"):
        await again.withdraw(NAME)
    dht.close()


async def test_what_is_withdrawn_while_it_is_written_is_not_published() -> None:
    store, dht = MemoryStore(), service(keys_of(1))
    shelf = DomainShelf(OWNER, store, dht)

    async def withdraw() -> None:
        while NAME not in shelf.published:
            await trio.lowlevel.checkpoint()
        await shelf.withdraw(NAME)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shelf.publish, NAME, [])
        nursery.start_soon(withdraw)
    assert read_published(store) == {}
    assert dht.figures()["own records"] == 0
    dht.close()


async def test_the_domains_of_a_node_and_the_nodes_of_a_domain_are_bounded() -> None:
    dht = service(keys_of(1))
    shelf = DomainShelf(OWNER, MemoryStore(), dht)
    nodes = [PeerId(keys_of(number).public) for number in range(NODES_MAX + 1)]
    with pytest.raises(BadInput, match="8 at most"):
        await shelf.publish(NAME, nodes)
    for number in range(PUBLISHED_MAX):
        await shelf.publish(f"n{number}.example.org", nodes[1:])
    with pytest.raises(LocalError, match="64 domains"):
        await shelf.publish(NAME, [])
    await shelf.publish("n0.example.org", [])
    dht.close()


@pytest.mark.parametrize(
    ("key", "value"), [(b"n/da", b""), (b"n/da", b"\x91\x01"), (b"n/d\xfe", b"\x90")]
)
async def test_damage_is_noticed(key: bytes, value: bytes) -> None:
    store = MemoryStore()
    await store.write([Put(key, value)])
    with pytest.raises(DamagedStore):
        read_published(store)
