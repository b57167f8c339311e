"""Daemons find each other, and who holds a stream, by the DHT alone."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from qbix_node.daemon.secret import read_secret
from qbix_node.wire.references import StreamId, format_feed, format_stream
from tests.e2e.test_commands import Person
from tests.interop.node import Node, make_home, open_node

LOOK_AGAIN_S = 0.2
PATIENCE_S = 60.0
NODES = 20
STARTS_AT_ONCE = 4


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


async def test_a_stream_a_peer_and_a_domain_are_found_by_their_names_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    homes = {name: tmp_path / name for name in ("first", "alice", "bob")}
    await make_node(homes["first"])
    async with open_node(homes["first"]) as first:
        await make_node(homes["alice"], first.address)
        await make_node(homes["bob"], first.address)
        owner = format_feed(read_secret(homes["alice"] / "secret").public)
        with (homes["bob"] / "node.toml").open("a") as settings:
            settings.write(f'[domains]\n"example.org" = "{owner}"\n')
        async with open_node(homes["alice"]) as alice, open_node(homes["bob"]) as bob:
            stream = await create_stream(alice, "hello")
            typing = Person(homes["bob"], capsys)
            await typing.types("follow", stream)
            await reach_stream(bob, stream, 2)
            assert [row["id"] for row in await bob.ask("/peers")] == [alice.id]
            assert await first.ask("/peers") == []

            told = await typing.types("dht", "lookup", stream)
            assert f"held by   {alice.id}  {alice.address}\n" in told
            told = await typing.types("dht", "lookup", alice.id)
            assert f"node      {alice.id}  {alice.address}\n" in told
            nobody = format_stream(StreamId(bytes(32)))
            assert f"nobody knows {nobody}" in await typing.types("dht", "lookup", nobody, code=1)
            assert alice.id in await typing.types("dht", "table")
            assert "2 nodes known" in await typing.types("status")

            assert await typing.types("peer", "add", first.id) == f"added {first.id}\n"
            await bob.until("/peers", lambda rows: len(rows) == 2 and connected(rows))

            publishing = Person(homes["alice"], capsys)
            told = await publishing.types("domain", "publish", "Example.org")
            assert f'_qbix.example.org. TXT "qbix1 key={owner[1:-8]}"' in told
            assert "example.org" in await publishing.types("domain", "list")
            with trio.fail_after(PATIENCE_S):
                asked = "domain", "lookup", "example.org"
                while not (await typing.asks(*asked))["addresses"]:  # noqa: ASYNC110  (as above)
                    await trio.sleep(LOOK_AGAIN_S)
            told = await typing.types("domain", "lookup", "example.org")
            assert f"key       {owner}  by the settings of this node\n" in told
            assert f"node      {owner}\naddress   {alice.address}\n" in told
            await publishing.types("domain", "withdraw", "example.org")
            assert await publishing.asks("domain", "list") == []


def connected(rows: list[dict[str, str]]) -> bool:
    return all(row["state"] == "connected" for row in rows)


class Town:
    """Daemons that come and go."""

    def __init__(self, nursery: trio.Nursery, folder: Path) -> None:
        self.nodes: dict[str, Node] = {}
        self._nursery, self._folder = nursery, folder

    async def start(self, names: Sequence[str], *bootstrap: str) -> None:
        """A few at a time, as each has to be ready in time."""
        for name in names:
            await make_node(self._folder / name, *bootstrap)
        few = trio.CapacityLimiter(STARTS_AT_ONCE)

        async def start(name: str) -> None:
            async with few:
                await self._nursery.start(self._keep, name)

        async with trio.open_nursery() as starting:
            for name in names:
                starting.start_soon(start, name)

    async def _keep(self, name: str, *, task_status: trio.TaskStatus[None]) -> None:
        async with open_node(self._folder / name) as node:
            self.nodes[name] = node
            task_status.started()
            await node.process.wait()

    async def kill(self, names: Sequence[str]) -> None:
        for name in names:
            node = self.nodes.pop(name)
            node.process.kill()
            await node.process.wait()

    async def know(self, contacts: int) -> None:
        """Until each knows so many."""
        async with trio.open_nursery() as nursery:
            for node in self.nodes.values():
                nursery.start_soon(knows, node, contacts)


async def knows(node: Node, contacts: int) -> None:
    await node.until("/status", lambda told: told["dht"]["contacts"] >= contacts)


@asynccontextmanager
async def open_town(folder: Path) -> AsyncIterator[Town]:
    async with trio.open_nursery() as nursery:
        yield Town(nursery, folder)
        nursery.cancel_scope.cancel()


async def test_twenty_daemons_lose_half_of_them_and_a_newcomer_finds_a_stream_by_its_id(
    tmp_path: Path,
) -> None:
    began = trio.current_time()
    names = [f"n{number}" for number in range(NODES)]
    lost, kept = names[: NODES // 2], names[NODES // 2 :]
    async with open_town(tmp_path) as town:
        await town.start(names[:1])
        await town.start(names[1:], town.nodes["n0"].address)
        started = trio.current_time()
        await town.know(NODES - 1)
        joined = trio.current_time()
        stream = await create_stream(town.nodes[lost[1]], "hello")
        for name in kept[:2]:
            await town.nodes[name].follow(stream)
        for name in kept[:2]:
            await reach_stream(town.nodes[name], stream, 2)
        found = trio.current_time()
        survivor = town.nodes[kept[-1]].address
        await town.kill(lost)
        await town.start([f"replacement{number}" for number in range(NODES // 2)], survivor)
        await town.start(["newcomer"], survivor)
        newcomer = town.nodes["newcomer"]
        await newcomer.follow(stream)
        took = await reach_stream(newcomer, stream, 2)
        print(
            f"started in {started - began:.1f} s, all known after {joined - started:.1f} s more,"
            f" the stream after {found - joined:.1f} s, by the newcomer after {took:.1f} s;"
            f" in all {trio.current_time() - began:.1f} s"
        )
        assert took < PATIENCE_S
