"""createHistoryStream, which every Scuttlebutt peer speaks, in both directions."""

from pathlib import Path

import pytest

from tests.interop.jspeer import Engine, needs_js_peers, open_js_peer
from tests.interop.node import make_home, open_node

LENGTH = 60

pytestmark = [pytest.mark.interop, needs_js_peers]


@pytest.mark.parametrize("engine", ["db2", "db"])
async def test_node_copies_a_feed_from_a_peer_without_ebt(engine: Engine, tmp_path: Path) -> None:
    await make_home(tmp_path / "n")
    async with (
        open_js_peer(
            engine, tmp_path / "a", mode="history", seed="alice", messages=LENGTH, content="edge"
        ) as alice,
        open_node(tmp_path / "n") as node,
    ):
        await node.follow(alice.id)
        await node.dial(alice.address)
        await node.reach(alice.id, LENGTH)
        await alice.tell("publish")
        await node.reach(alice.id, LENGTH + 1)
        assert await node.log(alice.id) == await alice.log()


async def test_node_sorts_what_ssb_db2_shuffles(tmp_path: Path) -> None:
    """Messages of one claimed time come from ssb-db2 in any order."""
    await make_home(tmp_path / "n")
    async with (
        open_js_peer(
            "db2", tmp_path / "a", mode="history", seed="alice", messages=LENGTH, same_time=True
        ) as alice,
        open_node(tmp_path / "n") as node,
    ):
        await node.follow(alice.id)
        await node.dial(alice.address)
        await node.reach(alice.id, LENGTH)


@pytest.mark.parametrize("engine", ["db2", "db"])
async def test_peer_copies_a_feed_from_the_node(engine: Engine, tmp_path: Path) -> None:
    await make_home(tmp_path / "n")
    async with (
        open_js_peer("db2", tmp_path / "a", seed="alice", messages=LENGTH, content="edge") as alice,
        open_node(tmp_path / "n") as node,
        open_js_peer(engine, tmp_path / "b", mode="history", connect=node.address) as bob,
    ):
        await node.follow(alice.id)
        await node.dial(alice.address)
        await node.reach(alice.id, LENGTH)
        await bob.wait_for("linked")

        some = await bob.tell("history", id=alice.id, of=node.id, options={"limit": 20})
        rest = await bob.tell("history", id=alice.id, of=node.id, options={"seq": 21})
        assert (some["added"], some["refused"], some["sequence"]) == (20, [], 20)
        assert (rest["added"], rest["refused"], rest["sequence"]) == (LENGTH - 20, [], LENGTH)
        assert await bob.log() == await alice.log()
