"""Daemons find each other, and who holds a stream, by the DHT alone."""

from pathlib import Path

import trio

from tests.interop.node import Node, make_home, open_node

LOOK_AGAIN_S = 0.2
PATIENCE_S = 60.0


async def make_node(home: Path, *bootstrap: str) -> None:
    await make_home(home)
    with (home / "node.toml").open("a") as settings:
        settings.write(f"[dht]\nbootstrap = {[*bootstrap]}\n")


async def create_stream(node: Node, text: str) -> str:
    stream: str = (await node.tell("/streams/create", kind="post", uniqueness="none"))["stream"]
    query = {"stream": stream, "kind": "post"}
    answer = await node.control.post("/streams/append", params=query, content=text)
    assert answer.is_success, answer.text
    return stream


async def length_of(node: Node, stream: str) -> int:
    rows: dict[str, int] = {row["stream"]: row["length"] for row in await node.ask("/streams")}
    return rows.get(stream, 0)


async def reach_stream(node: Node, stream: str, length: int) -> float:
    """How long it took."""
    began = trio.current_time()
    with trio.move_on_after(PATIENCE_S):
        while await length_of(node, stream) < length:  # noqa: ASYNC110  (another process)
            await trio.sleep(LOOK_AGAIN_S)
        return trio.current_time() - began
    raise AssertionError(f"{stream} did not come: {await node.ask('/status')}")


async def test_a_stream_is_followed_by_its_id_alone(tmp_path: Path) -> None:
    await make_node(tmp_path / "first")
    async with open_node(tmp_path / "first") as first:
        for name in ("alice", "bob"):
            await make_node(tmp_path / name, first.address)
        async with open_node(tmp_path / "alice") as alice, open_node(tmp_path / "bob") as bob:
            stream = await create_stream(alice, "hello")
            await bob.follow(stream)
            await reach_stream(bob, stream, 2)
            assert [row["id"] for row in await bob.ask("/peers")] == [alice.id]
            assert await first.ask("/peers") == []
