"""Whole nodes of this process on real sockets of this machine, with a DHT and nothing else."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from qbix_node.blobs.memory import MemoryFiles
from qbix_node.crypto.entropy import random_bytes
from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon import node as node_module
from qbix_node.daemon.config import Config, DhtConfig, Endpoint
from qbix_node.daemon.dht_interface import DhtInterface
from qbix_node.daemon.edges import Edges
from qbix_node.daemon.finding import offers, service
from qbix_node.daemon.node import Node, open_node
from qbix_node.daemon.stream_interface import StreamInterface
from qbix_node.dht.cache import read_contacts
from qbix_node.dht.service import DhtService
from qbix_node.errors import LocalError, Temporary
from qbix_node.http.stream_api import NewStream
from qbix_node.machines import PeerId
from qbix_node.net.lan import UdpLan
from qbix_node.net.transport import TcpTransport
from qbix_node.runtime import InlineExecutor, verify_checks
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.wire.references import FeedId, parse_stream

PATIENCE_S = 60.0
LOOK_AGAIN_S = 0.02
WALL_S = 1_800_000_000.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LOOK_S", 0.05)
    monkeypatch.setattr(service, "PEER_PATIENCE_S", 0.5)


@asynccontextmanager
async def living(
    name: str,
    way_in: Node | None = None,
    *,
    disk: MemoryDisk | None = None,
    dht: DhtConfig | None = None,
    port: int = 0,
    lan_discovery: bool = False,
) -> AsyncIterator[Node]:
    rng = random.Random(name)
    edges = Edges(
        keys=KeyPair.from_seed(name.encode().ljust(32, b".")),
        store=MemoryStore(disk or MemoryDisk()),
        files=MemoryFiles(),
        transport=TcpTransport(),
        lan=UdpLan(port, list),
        rng=lambda machine: rng,
        executor=InlineExecutor(),
        entropy=random_bytes,
        wall_clock=lambda: WALL_S,
        verify=verify_checks,
        open_dht=lambda keys, listen, store, rng: DhtService(keys, listen, store, rng=rng),
    )
    bootstrap = () if way_in is None else (way_in.address,)
    config = Config(
        listen=Endpoint("127.0.0.1", port),
        lan_discovery=lan_discovery,
        dht=dht or DhtConfig(bootstrap=bootstrap),
    )
    async with open_node(edges, config) as node:
        yield node


async def until(happened: Callable[[], object]) -> None:
    with trio.fail_after(PATIENCE_S):
        while not happened():  # noqa: ASYNC110  (several parts of a node have to act)
            await trio.sleep(LOOK_AGAIN_S)


def key_of(node: Node) -> PeerId:
    return PeerId(node.keys.public)


def linked(node: Node, other: Node) -> bool:
    return node.network.link(key_of(other)) is not None


async def until_offered(node: Node, logs: int) -> None:
    await until(lambda: node.finder and node.finder.offers.logs == logs)
    await until(lambda: node.finder and not node.finder.dht.figures()["searches"])


async def make_stream(node: Node, *readers: FeedId) -> str:
    streams = StreamInterface(node)
    made = await streams.create(NewStream("post", "none", readers=readers))
    await streams.append(parse_stream(made.row.stream), "post", [b"one"])
    return made.row.stream


async def test_what_is_followed_is_found_and_offered_in_turn_until_it_is_unfollowed() -> None:
    async with living("first") as first, living("alice", first) as alice:
        stream = parse_stream(await make_stream(alice))
        await until_offered(alice, 1)
        async with living("bob", first) as bob:
            await bob.streams.follow(stream)
            with trio.fail_after(PATIENCE_S):
                await bob.streams.wait_beyond(stream, 1)
            await until_offered(bob, 1)
            assert not linked(first, alice)
            found = await DhtInterface(first).lookup_stream(stream)
            assert {each.node for each in found.providers} == {
                f"@{str(each.address).split('~shs:')[1]}.ed25519" for each in (alice, bob)
            }
            assert {one for each in found.providers for one in each.addresses} == {
                str(alice.address),
                str(bob.address),
            }
            await bob.streams.unfollow(stream)
            await until_offered(bob, 0)
            assert bob.finder
            assert bob.finder.dht.figures()["own records"] == 1  # of the node itself


async def test_a_feed_is_found_by_its_authors_node() -> None:
    async with living("first") as first, living("alice", first) as alice:
        await alice.replication.publish({"type": "post", "text": "hello"})
        await until_offered(alice, 1)
        async with living("bob", first) as bob:
            await bob.replication.follow(FeedId(alice.keys.public))
            with trio.fail_after(PATIENCE_S):
                await bob.replication.wait_beyond(FeedId(alice.keys.public), 0)
            found = await DhtInterface(first).lookup_feed(FeedId(alice.keys.public))
            assert found.node
            assert found.node.addresses == [str(alice.address)]
            assert found.node.capabilities == ["blobs", "feeds", "streams"]


async def test_who_holds_very_many_feeds_offers_its_streams_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offers, "OFFERS_MAX", 1)
    async with living("first") as first, living("alice", first) as alice:
        await alice.replication.publish({"type": "post", "text": "hello"})
        await until_offered(alice, 1)
        stream = parse_stream(await make_stream(alice))
        with trio.fail_after(PATIENCE_S):
            while not (await DhtInterface(first).lookup_stream(stream)).providers:  # noqa: ASYNC110  (datagrams have to travel)
                await trio.sleep(LOOK_AGAIN_S)
        await until_offered(alice, 1)


async def test_streams_with_readers_are_not_offered() -> None:
    async with living("first") as first, living("alice", first) as alice:
        hidden = parse_stream(await make_stream(alice, FeedId(first.keys.public)))
        shown = parse_stream(await make_stream(alice))
        await until_offered(alice, 1)
        assert (await DhtInterface(first).lookup_stream(shown)).providers
        assert not (await DhtInterface(first).lookup_stream(hidden)).providers


async def test_streams_without_contents_are_not_offered() -> None:
    async with living("first") as first, living("alice", first) as alice:
        stream = parse_stream(await make_stream(alice))
        await until_offered(alice, 1)
        async with living("bob", first) as bob:
            await bob.streams.follow(stream, headers_only=True)
            with trio.fail_after(PATIENCE_S):
                await bob.streams.wait_beyond(stream, 1)
            await bob.replication.publish({"type": "post", "text": "of something else"})
            await until_offered(bob, 1)
            found = await DhtInterface(first).lookup_stream(stream)
            assert len(found.providers) == 1


async def test_a_peer_is_found_by_its_key() -> None:
    async with (
        living("first") as first,
        living("alice", first) as alice,
        living("bob", first) as bob,
    ):
        await bob.network.add_key(key_of(alice))
        await until(lambda: linked(bob, alice))
        assert bob.keeper.known == {key_of(alice): None}


async def test_a_peer_is_found_again_after_its_address_changed() -> None:
    disk = MemoryDisk()
    async with living("first") as first, living("bob", first) as bob:
        async with living("alice", first, disk=disk) as alice:
            old = alice.address
            await bob.network.add_peer(old)
            await until(lambda: linked(bob, alice))
        async with living("alice", first, disk=disk) as alice:
            assert alice.address != old
            await until(lambda: linked(bob, alice))
            assert bob.keeper.known == {key_of(alice): old}


async def test_a_node_comes_back_by_the_contacts_of_its_last_run() -> None:
    disk = MemoryDisk()
    async with living("first") as first:
        async with living("bob", first, disk=disk) as bob:
            await until(lambda: bob.finder and bob.finder.dht.contacts())
        assert [each.key for each in read_contacts(MemoryStore(disk))] == [key_of(first)]
        async with living("bob", disk=disk) as bob:
            await until(lambda: bob.finder and bob.finder.dht.contacts())


async def test_known_peers_are_ways_in() -> None:
    async with living("first") as first, living("bob") as bob:
        await bob.network.add_peer(first.address)
        await until(lambda: bob.finder and bob.finder.dht.contacts())


async def test_beside_lan_discovery_on_the_same_port_the_next_one_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with living("first") as first:
        port = first.address.port
    monkeypatch.setattr(node_module, "UDP_PORT", port)
    async with living("bob", port=port, lan_discovery=True) as bob:
        assert bob.finder
        assert [each.port for each in bob.finder.dht.endpoints] == [port + 1]


async def test_without_the_dht_a_key_alone_is_refused() -> None:
    async with living("bob", dht=DhtConfig(enabled=False)) as bob:
        assert bob.finder is None
        with pytest.raises(LocalError, match="switched off"):
            DhtInterface(bob).table()


async def test_who_knows_nobody_is_told_what_to_do() -> None:
    async with living("bob") as bob:
        assert DhtInterface(bob).table() == []
        with pytest.raises(Temporary, match="no other node") as refused:
            await DhtInterface(bob).lookup_feed(FeedId(bob.keys.public))
        assert "bootstrap" in refused.value.hint


async def test_a_port_that_is_taken_ends_the_start_with_what_to_do() -> None:
    async with living("first") as first:
        assert first.finder
        (endpoint,) = first.finder.dht.endpoints
        taken = DhtConfig(listen=Endpoint("127.0.0.1", endpoint.port))
        with pytest.RaisesGroup(LocalError, flatten_subgroups=True, allow_unwrapped=True) as caught:
            async with living("bob", dht=taken):
                pass
        assert "UDP port" in repr(caught.value)
