"""EBT with real JavaScript peers, in both roles: 200 hard-to-encode messages each way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from qbix_node.crypto.entropy import new_keypair
from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.config import MAIN_NETWORK_KEY
from qbix_node.net.address import parse_address
from qbix_node.net.service import Network
from qbix_node.replication.service import Replication
from qbix_node.runtime import ThreadExecutor
from qbix_node.store.memory import MemoryStore
from qbix_node.wire.references import format_feed, parse_feed
from tests.interop.jspeer import Engine, JsPeer, needs_js_peers, open_js_peer
from tests.replication.wired import open_wired

LENGTH = 200
PATIENCE_S = 30.0

pytestmark = [pytest.mark.interop, needs_js_peers]


@dataclass(eq=False)
class Site:
    """Replication and network of a node, in this process."""

    keys: KeyPair
    replication: Replication
    network: Network
    address: str

    @property
    def id(self) -> str:
        return format_feed(self.keys.public)

    async def reach(self, feed: str, sequence: int) -> None:
        with trio.fail_after(PATIENCE_S):
            await self.replication.wait_beyond(parse_feed(feed), sequence - 1)

    def log(self, feed: str) -> list[str]:
        return [each.encoded.decode() for each in self.replication.log(parse_feed(feed), 1, 10_000)]


@asynccontextmanager
async def open_site(
    store: MemoryStore, keys: KeyPair, *, clocks_valid: bool = True
) -> AsyncIterator[Site]:
    executor = ThreadExecutor()
    async with open_wired(
        keys, store, executor, network_key=MAIN_NETWORK_KEY, clocks_valid=clocks_valid
    ) as wired:
        yield Site(keys, wired.replication, wired.network, str(wired.address))


async def js_log(peer: JsPeer, feed: str) -> list[str]:
    log = await peer.log()
    return [log[place].encoded for place in sorted(log) if place[0] == feed]


async def dial(site: Site, peer: JsPeer, *, we_dial: bool) -> None:
    if we_dial:
        await site.network.add_peer(parse_address(peer.address))
    else:
        await peer.tell("connect", address=site.address)


@pytest.mark.parametrize("we_dial", [True, False])
@pytest.mark.parametrize("engine", ["db2", "db"])
async def test_feeds_travel_both_ways_byte_for_byte(
    engine: Engine, we_dial: bool, tmp_path: Path
) -> None:
    async with (
        open_js_peer(
            engine, tmp_path / "a", seed="alice", messages=LENGTH, content="edge"
        ) as alice,
        open_site(MemoryStore(), new_keypair()) as site,
    ):
        await site.replication.follow(parse_feed(alice.id))
        for n in range(LENGTH):
            await site.replication.publish(
                {"type": "test", "n": n / 8, "text": "\u2028 \U0001f600"}
            )
        await alice.tell("replicate", id=site.id)
        await dial(site, alice, we_dial=we_dial)
        await site.reach(alice.id, LENGTH)
        await alice.reach(site.id, LENGTH)

        await alice.tell("publish")
        await site.reach(alice.id, LENGTH + 1)
        await site.replication.publish({"type": "test"})
        await alice.reach(site.id, LENGTH + 1)

        for feed in (alice.id, site.id):
            assert site.log(feed) == await js_log(alice, feed)
        counters = site.replication.counters
        assert counters.messages_received == LENGTH + 1
        assert counters.messages_sent == LENGTH + 1


async def test_peer_that_lost_its_data_gets_it_again(tmp_path: Path) -> None:
    keys, store = new_keypair(), MemoryStore()
    async with open_site(store, keys) as site:
        for n in range(LENGTH):
            await site.replication.publish({"type": "test", "n": n})
        for life in ("first", "second"):
            async with open_js_peer("db2", tmp_path / life, seed="bob", replicate=[site.id]) as bob:
                await dial(site, bob, we_dial=False)
                await bob.reach(site.id, LENGTH)
                assert await js_log(bob, site.id) == site.log(site.id)


@pytest.mark.parametrize("kept", [0, 150])
async def test_node_that_lost_its_data_gets_it_again(kept: int, tmp_path: Path) -> None:
    """Its own feed too, from the peer that had it."""
    keys, store = new_keypair(), MemoryStore()
    async with open_js_peer("db2", tmp_path / "b", messages=LENGTH) as bob:
        async with open_site(store, keys) as site:
            await bob.tell("replicate", id=site.id)
            await site.replication.follow(parse_feed(bob.id))
            for n in range(LENGTH):
                if n == kept:
                    backup = store.disk.snapshot()
                await site.replication.publish({"type": "test", "n": n})
            await dial(site, bob, we_dial=True)
            await bob.reach(site.id, LENGTH)
            await site.reach(bob.id, LENGTH)
        store.disk.roll_back(backup)
        async with open_site(MemoryStore(store.disk), keys, clocks_valid=False) as site:
            assert len(site.log(site.id)) == kept
            await dial(site, bob, we_dial=True)
            await site.reach(site.id, LENGTH)
            await site.reach(bob.id, LENGTH)
            assert site.log(site.id) == await js_log(bob, site.id)
