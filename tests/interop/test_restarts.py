"""Either side stops, is killed, or loses everything; the feeds become whole by themselves."""

import shutil
from pathlib import Path

import pytest

from tests.interop.jspeer import Engine, needs_js_peers, open_js_peer
from tests.interop.node import make_home, open_node

LENGTH = 40

pytestmark = [pytest.mark.interop, needs_js_peers]
ENGINES = pytest.mark.parametrize("engine", ["db2", "db"])


@ENGINES
async def test_both_sides_restart_and_go_on(engine: Engine, tmp_path: Path) -> None:
    await make_home(tmp_path / "n")
    async with open_node(tmp_path / "n") as node:
        async with open_js_peer(
            engine, tmp_path / "a", seed="alice", messages=LENGTH, replicate=node.id
        ) as alice:
            await node.follow(alice.id)
            await node.dial(alice.address)
            await node.reach(alice.id, LENGTH)
            await node.tell("/feeds/publish", content={"type": "test", "number": 1})
            await alice.reach(node.id, 1)
        await node.tell("/feeds/publish", content={"type": "test", "number": 2})
        async with open_js_peer(
            engine, tmp_path / "a", seed="alice", replicate=node.id, connect=node.address
        ) as alice:
            await alice.reach(node.id, 2)
            await alice.tell("publish", count=LENGTH)
            await node.reach(alice.id, 2 * LENGTH)
            node.process.kill()
            await node.process.wait()
            await alice.tell("publish", count=LENGTH)
            async with open_node(tmp_path / "n") as node_again:
                await node_again.dial(alice.address)
                await node_again.reach(alice.id, 3 * LENGTH)
                assert await node_again.log(alice.id, node.id) == await alice.log()


@ENGINES
async def test_node_that_lost_its_store_gets_everything_again(
    engine: Engine, tmp_path: Path
) -> None:
    """Its own feed too, before it may write again: else it would fork itself."""
    await make_home(tmp_path / "n")
    async with open_js_peer(engine, tmp_path / "a", seed="alice", messages=LENGTH) as alice:
        async with open_node(tmp_path / "n") as node:
            await alice.tell("replicate", id=node.id)
            await node.follow(alice.id)
            await node.dial(alice.address)
            for number in range(3):
                await node.tell("/feeds/publish", content={"type": "test", "number": number})
            await node.reach(alice.id, LENGTH)
            await alice.reach(node.id, 3)
        await make_home(tmp_path / "n2", secret=tmp_path / "n" / "secret")
        async with open_node(tmp_path / "n2") as node_again:
            assert node_again.id == node.id
            await node_again.follow(alice.id)
            await node_again.dial(alice.address)
            await node_again.reach(alice.id, LENGTH)
            await node_again.reach(node.id, 3)
            assert await node_again.log(alice.id, node.id) == await alice.log()


@ENGINES
async def test_peer_that_lost_its_database_gets_everything_again(
    engine: Engine, tmp_path: Path
) -> None:
    await make_home(tmp_path / "n")
    async with open_node(tmp_path / "n") as node:
        async with open_js_peer(
            engine, tmp_path / "a", seed="alice", messages=LENGTH, replicate=node.id
        ) as alice:
            await node.follow(alice.id)
            await node.dial(alice.address)
            await node.tell("/feeds/publish", content={"type": "test"})
            await node.reach(alice.id, LENGTH)
            await alice.reach(node.id, 1)
            before = await alice.log()
        shutil.rmtree(tmp_path / "a")
        async with open_js_peer(
            engine, tmp_path / "a", seed="alice", replicate=node.id, connect=node.address
        ) as alice:
            await alice.reach(node.id, 1)
            await alice.reach(alice.id, LENGTH)
            assert await alice.log() == before
