"""The peers among themselves: what the other tests of this folder rest on."""

from pathlib import Path

import pytest

from tests.interop.jspeer import Engine, PeerFailedError, needs_js_peers, open_js_peer

pytestmark = [pytest.mark.interop, needs_js_peers]


@pytest.mark.parametrize("engine", ["db2", "db"])
async def test_a_peer_copies_another_ones_edge_feed(engine: Engine, tmp_path: Path) -> None:
    async with (
        open_js_peer("db2", tmp_path / "a", seed="alice", messages=60, content="edge") as alice,
        open_js_peer(engine, tmp_path / "b", replicate=alice.id, connect=alice.address) as bob,
    ):
        await bob.reach(alice.id, 60)
        assert await bob.log() == await alice.log()


async def test_waiting_for_what_does_not_come_ends_at_the_deadline(tmp_path: Path) -> None:
    async with open_js_peer("db2", tmp_path / "a") as peer:
        with pytest.raises(PeerFailedError, match=r"no linked .* 0\.1 s went by"):
            await peer.wait_for("linked", within_s=0.1)


async def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    async with open_js_peer("db2", tmp_path / "a") as peer:
        with pytest.raises(PeerFailedError, match="history: no link to nobody"):
            await peer.tell("history", id="alice", of="nobody")


async def test_a_peer_ends_with_its_driver(tmp_path: Path) -> None:
    async with open_js_peer("db2", tmp_path / "a") as peer:
        assert peer.process.stdin is not None
        await peer.process.stdin.aclose()
        assert (await peer.wait_for("end"))["code"] == 0
        assert await peer.process.wait() == 0
