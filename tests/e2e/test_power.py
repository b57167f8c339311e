"""The power of a node is cut while it publishes and receives; what it acknowledged is still there.

Acknowledged is a message whose publishing returned, and what an EBT note said that the node has.
The node runs on a disk of which every cut leaves only what was synced (tests/store/power.py).
"""

import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.config import MAIN_NETWORK_KEY
from qbix_node.daemon.home import Home
from qbix_node.daemon.secret import read_secret
from qbix_node.daemon.setup import make_home
from qbix_node.feeds.records import read_heads, read_log
from qbix_node.net.address import Address
from qbix_node.replication.service import Replication
from qbix_node.runtime import InlineExecutor
from qbix_node.store.memory import MemoryStore
from qbix_node.wire.references import FeedId, format_message
from tests.e2e.powered_node import open_store
from tests.replication.wired import open_wired
from tests.store import power

pytestmark = power.needed()

STARTS, CUTS_A_START = 6, 9
DISK_MIB = 64
PATIENCE_S = 30.0


@dataclass
class Steady:
    """A peer that never loses power, and hears what the node says that it has."""

    replication: Replication
    address: Address

    def heard_of_own(self) -> int:
        """The sequence in the last note about the steady peer's own feed."""
        return next(row.claimed for row in self.replication.feeds() if row.own)

    async def publish(self) -> None:
        while True:
            await self.replication.publish({"type": "test"})
            await trio.sleep(0.002)


@asynccontextmanager
async def steady_peer() -> AsyncIterator[Steady]:
    keys, executor = KeyPair.from_seed(b"steady".ljust(32)), InlineExecutor()
    async with (
        open_wired(keys, MemoryStore(), executor, network_key=MAIN_NETWORK_KEY) as wired,
        trio.open_nursery() as nursery,
    ):
        steady = Steady(wired.replication, wired.address)
        nursery.start_soon(steady.publish)
        yield steady
        nursery.cancel_scope.cancel()


@dataclass
class Acknowledged:
    published: dict[int, str] = field(default_factory=dict)  # sequence to id
    said: int = 0  # how much of the steady peer's feed the node said to have


@dataclass
class Powered:
    """The node's process."""

    process: trio.Process
    acknowledged: Acknowledged
    _rest: bytes = b""

    async def publish_until(self, count: int) -> None:
        """Until so many messages were acknowledged since the first start."""
        with trio.fail_after(PATIENCE_S):
            while len(self.acknowledged.published) < count:
                await self._read()

    async def note_all(self, steady: Steady) -> None:
        """What it said before it was paused."""
        with trio.move_on_after(0.05):
            while True:
                await self._read()
        self.acknowledged.said = max(self.acknowledged.said, steady.heard_of_own())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        piece = await self.process.stdout.receive_some()
        assert piece, "the node ended by itself"
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            sequence, _, key = line.decode().partition(" ")
            assert self.acknowledged.published.setdefault(int(sequence), key) == key


@asynccontextmanager
async def powered(
    home: Home, steady: Steady, acknowledged: Acknowledged, *, synced: bool = True
) -> AsyncIterator[Powered]:
    command = [sys.executable, "-m", "tests.e2e.powered_node", str(home.root), str(steady.address)]
    process = await trio.lowlevel.open_process(
        [*command, "synced" if synced else "unsynced"], stdout=subprocess.PIPE
    )
    try:
        yield Powered(process, acknowledged)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            assert process.stdout is not None
            await process.stdout.aclose()


async def lost_in(disk: Path, steady: Steady, acknowledged: Acknowledged) -> int:
    """How many messages that were acknowledged are not on this disk."""
    home, theirs = Home(disk / "home"), steady.replication.own
    own = FeedId(read_secret(home.secret).public)
    async with open_store(home) as store:
        heads = read_heads(store)
        stored = read_log(store, own, 1, 10**6)
        kept = {message.sequence: format_message(message.id) for message in stored}
        have = heads[theirs].sequence if theirs in heads else 0
        assert sorted(kept) == list(range(1, len(kept) + 1))
        assert len(read_log(store, theirs, 1, 10**6)) == have
    published = acknowledged.published.items() - kept.items()
    return len(published) + max(0, acknowledged.said - have)


async def test_no_acknowledged_message_is_lost_when_power_is_cut(ram_path: Path) -> None:
    chance, acknowledged = random.Random(1), Acknowledged()
    image: Path | None = None
    wanted = 0
    async with steady_peer() as steady:
        for start in range(STARTS):
            folder = ram_path / str(start)
            folder.mkdir()
            with power.disk(folder, image=image, size_mib=DISK_MIB) as disk:
                home = Home(disk.path / "home")
                if start == 0:
                    await steady.replication.follow(FeedId(make_home(home, {}).public))
                async with powered(home, steady, acknowledged) as node:
                    for _ in range(CUTS_A_START):
                        wanted += chance.randrange(1, 60)
                        await node.publish_until(wanted)
                        with power.paused(node.process.pid):
                            await node.note_all(steady)
                            with disk.cut() as left:
                                assert await lost_in(left, steady, acknowledged) == 0
                image = disk.copy_image(ram_path / f"image {start}")  # the next start goes on here
        assert image is not None
        await go_on(ram_path, image, steady, acknowledged)
    assert len(acknowledged.published) >= wanted
    assert acknowledged.said > STARTS * CUTS_A_START


async def go_on(folder: Path, image: Path, steady: Steady, acknowledged: Acknowledged) -> None:
    """Nothing has to be fetched by hand, and nobody sees a fork."""
    (folder / "last").mkdir()
    with power.disk(folder / "last", image=image) as disk:
        home = Home(disk.path / "home")
        async with powered(home, steady, acknowledged) as node:
            await node.publish_until(len(acknowledged.published) + 50)
            own = FeedId(read_secret(home.secret).public)
            with trio.fail_after(PATIENCE_S):
                await steady.replication.wait_beyond(own, max(acknowledged.published) - 1)
    found = {
        message.sequence: format_message(message.id)
        for message in steady.replication.log(own, 1, 10**6)
    }
    assert found.items() >= acknowledged.published.items()
    assert steady.replication.forked() == []


async def test_without_syncs_acknowledged_messages_are_lost(ram_path: Path) -> None:
    """So that the test above is known to be able to fail."""
    acknowledged = Acknowledged()
    async with steady_peer() as steady:
        with power.disk(ram_path, size_mib=DISK_MIB) as disk:
            home = Home(disk.path / "home")
            await steady.replication.follow(FeedId(make_home(home, {}).public))
            async with powered(home, steady, acknowledged, synced=False) as node:
                await node.publish_until(300)
                with power.paused(node.process.pid):
                    await node.note_all(steady)
                    with disk.cut() as left:
                        assert await lost_in(left, steady, acknowledged) > 0
