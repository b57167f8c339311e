"""Blobs exchanged with real JavaScript peers, in both roles and over others by sympathy."""

import hashlib
import random
from pathlib import Path

import pytest
import trio

from qbix_node.blobs.limits import Limits
from qbix_node.wire.references import format_blob
from tests.interop.jspeer import PATIENCE_S, JsPeer, needs_js_peers, open_js_peer
from tests.interop.node import Node, make_home, open_node

pytestmark = [pytest.mark.interop, needs_js_peers]

CAP = Limits().blob_bytes_max
SIZES = [1, 65_536, 65_537, CAP - 1]  # JavaScript peers take less than the cap, we take the cap


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def name_of(data: bytes) -> str:
    return format_blob(hashlib.sha256(data).digest())


def file_with(folder: Path, data: bytes) -> str:
    file = folder / f"{len(data)}.bytes"
    file.write_bytes(data)
    return str(file)


async def add(node: Node, data: bytes) -> None:
    answer = await node.control.post("/blobs", content=data)
    assert answer.json() == {"blob": name_of(data), "bytes": len(data)}


async def fetch(node: Node, blob: str, *, wait_s: int = int(PATIENCE_S)) -> bytes:
    answer = await node.control.get(
        "/blobs/content", params={"blob": blob, "wait_s": wait_s}, timeout=2 * PATIENCE_S
    )
    assert answer.is_success, answer.text
    return answer.content


async def link_up(node: Node, peer: JsPeer, dialler: str) -> None:
    if dialler == "node":
        await node.dial(peer.address)
    else:
        await peer.tell("connect", address=node.address)
    await peer.wait_for("linked", id=node.id)


@pytest.mark.parametrize("dialler", ["node", "peer"])
async def test_blobs_come_from_and_go_to_a_javascript_peer(tmp_path: Path, dialler: str) -> None:
    theirs = [some_bytes(size) for size in SIZES]
    ours = [data[::-1] + b"!" if len(data) < CAP - 1 else data[::-1] for data in theirs]
    files = [file_with(tmp_path, data) for data in theirs]
    await make_home(tmp_path / "node")
    async with (
        open_js_peer("db2", tmp_path / "peer", blobs=True, add_blob=files) as peer,
        open_node(tmp_path / "node") as node,
    ):
        await link_up(node, peer, dialler)
        for data in theirs:
            assert await fetch(node, name_of(data)) == data
        for data in ours:
            await add(node, data)
            got = await peer.tell("blob", id=name_of(data))
            assert got["size"] == len(data)


async def test_a_blob_travels_between_javascript_peers_over_the_node(tmp_path: Path) -> None:
    data = some_bytes(200_000)
    await make_home(tmp_path / "node")
    async with (
        open_js_peer(
            "db2", tmp_path / "bob", blobs=True, add_blob=[file_with(tmp_path, data)]
        ) as bob,
        open_js_peer("db", tmp_path / "carol", blobs=True) as carol,
        open_node(tmp_path / "node") as node,
    ):
        await link_up(node, bob, "node")
        await link_up(node, carol, "node")
        got = await carol.tell("blob", id=name_of(data))
        assert got["size"] == len(data)


async def test_a_blob_that_is_added_after_it_was_wanted_travels_over_a_javascript_peer(
    tmp_path: Path,
) -> None:
    data = some_bytes(200_000)
    for name in ("alice", "dave"):
        await make_home(tmp_path / name)
    async with (
        open_js_peer("db2", tmp_path / "peer", blobs=True) as peer,
        open_node(tmp_path / "alice") as alice,
        open_node(tmp_path / "dave") as dave,
        trio.open_nursery() as nursery,
    ):
        await link_up(alice, peer, "node")
        await link_up(dave, peer, "node")
        nursery.start_soon(fetch, alice, name_of(data))
        await alice.until("/status", lambda status: status["blobs"]["wanted"] == 1)
        await add(dave, data)
        assert await fetch(alice, name_of(data)) == data


async def test_a_peer_without_blobs_stays_linked(tmp_path: Path) -> None:
    await make_home(tmp_path / "node")
    async with (
        open_js_peer("db2", tmp_path / "peer") as peer,
        open_node(tmp_path / "node") as node,
    ):
        await link_up(node, peer, "node")
        with pytest.raises(AssertionError, match="no connected peer"):
            await fetch(node, name_of(b"nowhere"), wait_s=1)
        rows = (await node.ask("/status"))["peers"]
        assert [(row["id"], row["state"]) for row in rows] == [(peer.id, "connected")]
