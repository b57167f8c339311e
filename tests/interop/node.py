"""Drive our own daemon as programs do: as a process of its own, by its control socket.

It says itself when it is ready (sd_notify), so nothing is polled; only the process that was
started here is ever ended.
"""

import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import trio

from qbix_node.daemon import node as daemon
from qbix_node.daemon import setup
from qbix_node.daemon.config import load_config
from qbix_node.daemon.edges import real_edges
from qbix_node.daemon.home import Home
from qbix_node.feeds.messages import Readers
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.wire import v8json
from tests.interop.jspeer import PATIENCE_S, PEERS, Log, end_process, read_dump

PUBLISHING_AT_ONCE = 64
LOOK_AGAIN_S = 0.05


class NodeFailedError(Exception):
    """The daemon ended, or did not say in time what it should have said."""


async def make_home(home: Path, *, secret: Path | None = None) -> None:
    """As `qbix-node init` does it."""
    settings = {"listen": "127.0.0.1:0"}
    await trio.to_thread.run_sync(lambda: setup.make_home(Home(home), settings, secret=secret))


async def write_feed(home: Path, contents: Iterable[bytes], readers: Readers | None = None) -> None:
    """Publish these contents (JSON) by the node's own service; no request for each of so many."""
    waiting = iter(contents)
    config = load_config(home / "node.toml")
    async with (
        LevelDbStore.open(home / "store") as store,
        daemon.open_node(await real_edges(Home(home), store), config) as node,
    ):

        async def publish() -> None:
            for content in waiting:
                await node.replication.publish(v8json.parse(content, "a content"), readers)

        async with trio.open_nursery() as nursery:
            for _ in range(PUBLISHING_AT_ONCE):
                nursery.start_soon(publish)


@dataclass(eq=False)
class Node:
    home: Path
    process: trio.Process
    control: httpx.AsyncClient
    id: str
    address: str

    async def ask(self, path: str, **query: str | int) -> Any:  # noqa: ANN401  (JSON)
        answer = await self.control.get(path, params=query)
        assert answer.is_success, answer.text
        return answer.json()

    async def tell(self, path: str, **body: object) -> Any:  # noqa: ANN401  (JSON)
        answer = await self.control.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def ask_lines(self, path: str, **query: str | int) -> list[Any]:
        answer = await self.control.get(path, params=query)
        assert answer.is_success, answer.text
        return [json.loads(line) for line in answer.content.splitlines()]

    async def until(self, path: str, wanted: Callable[[Any], object]) -> Any:  # noqa: ANN401
        """Look again and again, for what cannot be waited for in another way."""
        with trio.move_on_after(PATIENCE_S):
            while not (found := wanted(await self.ask(path))):  # noqa: ASYNC110  (a process)
                await trio.sleep(LOOK_AGAIN_S)
            return found
        raise NodeFailedError(f"{path} stayed as it is: {await self.ask(path)}")

    async def follow(self, *feeds: str) -> None:
        for feed in feeds:
            await self.tell("/follow", feed=feed)

    async def dial(self, *addresses: str) -> None:
        for address in addresses:
            await self.tell("/peers", address=address)

    async def reach(self, feed: str, sequence: int, *, within_s: float = PATIENCE_S) -> None:
        """Wait until the node has that feed at least up to `sequence`."""
        query: dict[str, str | int] = {"feed": feed, "from": sequence, "limit": 1, "follow": 1}
        with trio.move_on_after(within_s):
            assert (await self.control.get("/feeds/log", params=query)).is_success
            return
        raise NodeFailedError(f"{feed} did not reach {sequence}: {await self.ask('/feeds')}")

    async def log(self, *feeds: str) -> Log:
        """The stored messages of these feeds, encoded anew by JavaScript."""
        lines = b""
        for feed in feeds:
            answer = await self.control.get("/feeds/log", params={"feed": feed})
            assert answer.is_success, answer.text
            lines += answer.content
        run = await trio.run_process(
            ["node", PEERS / "reencode.cjs"], stdin=lines, capture_stdout=True
        )
        return read_dump(run.stdout)


@asynccontextmanager
async def open_node(home: Path, *, stderr: BinaryIO | None = None) -> AsyncIterator[Node]:
    """Our daemon on that home, ready. Its log goes beside the home, if nothing else is said."""
    name = f"qbix-node-test-{uuid.uuid4()}"
    notices = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_DGRAM)
    await notices.bind("\0" + name)
    command = [sys.executable, "-m", "qbix_node", "--home", str(home), "run"]
    with notices, home.with_suffix(".stderr").open("ab") as errors:
        process = await trio.lowlevel.open_process(
            command, stderr=stderr or errors, env={**os.environ, "NOTIFY_SOCKET": "@" + name}
        )
        try:
            await _wait_until_ready(notices, process, home)
            async with _control(home) as control:
                status = (await control.get("/status")).json()
                yield Node(home, process, control, status["node_id"], status["address"])
        finally:
            await end_process(process)


async def _wait_until_ready(
    notices: trio.socket.SocketType, process: trio.Process, home: Path
) -> None:
    async def give_up_when_it_ends(scope: trio.CancelScope) -> None:
        await process.wait()
        scope.cancel()

    ready = False
    with trio.move_on_after(PATIENCE_S) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(give_up_when_it_ends, scope)
            while not ready:
                ready = b"READY=1" in (await notices.recv(4096)).splitlines()
            nursery.cancel_scope.cancel()
    if not ready:
        raise NodeFailedError(home.with_suffix(".stderr").read_text())


def _control(home: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(home / "control.sock"))
    return httpx.AsyncClient(transport=transport, base_url="http://node", timeout=2 * PATIENCE_S)
