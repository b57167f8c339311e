"""kill -9 at random moments of a daemon's life, while it publishes and receives.

Acknowledged is what a request was answered for, and what the daemon said that it has: to whoever
asked it, and to its peer in EBT notes. (What a power cut does, which takes the system's memory
along, is in test_power.py.)
"""

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from qbix_node.daemon.home import Home
from qbix_node.daemon.setup import make_home
from tests.interop.node import Node, open_node

KILLS = 52  # of two victims together
LIFE_S = 0.3  # at most, after the daemon is ready
WRITERS = 4
LOOK_AGAIN_S = 0.01
LOST = (httpx.TransportError, trio.BrokenResourceError)


@dataclass
class Victim:
    home: Path
    steady: Node  # of this victim alone: what its peers claim comes from the victim
    lives: random.Random
    numbers: Iterator[int] = field(default_factory=itertools.count)
    confirmed: dict[int, str] = field(default_factory=dict)  # own messages: sequence to id
    said: int = 0  # messages of the steady node that it said to have, when asked
    noted: Counter[str] = field(default_factory=Counter)  # of each feed, in its notes
    id: str = ""

    async def live(self) -> None:
        """One life, from its start to a kill in the middle of its work."""
        async with open_node(self.home) as node, trio.open_nursery() as nursery:
            await self.check(node)
            for _ in range(WRITERS):
                nursery.start_soon(self.write, node)
            nursery.start_soon(self.watch, node)
            nursery.start_soon(self.listen)
            await trio.sleep(self.lives.random() * LIFE_S)
            node.process.kill()
            await node.process.wait()
            nursery.cancel_scope.cancel()

    async def check(self, node: Node) -> None:
        heads = await sequences(node)
        assert heads[self.id] >= max(self.confirmed, default=0)
        assert heads[self.steady.id] >= self.said
        assert all(heads[feed] >= sequence for feed, sequence in self.noted.items())

    async def write(self, node: Node) -> None:
        for number in self.numbers:
            body = b'{"content": {"type": "test", "number": %d}}' % number
            try:
                answer = await node.control.post("/feeds/publish", content=body)
            except LOST:
                return
            assert answer.is_success, answer.text
            entry = answer.json()
            self.confirmed[entry["value"]["sequence"]] = entry["key"]

    async def watch(self, node: Node) -> None:
        while True:
            try:
                self.said = max(self.said, (await sequences(node))[self.steady.id])
            except LOST:
                return
            await trio.sleep(LOOK_AGAIN_S)

    async def listen(self) -> None:
        """What its peer heard from it; the peer outlives it."""
        while True:
            for row in await self.steady.ask("/feeds"):
                self.noted[row["feed"]] = max(self.noted[row["feed"]], row["claimed"])
            await trio.sleep(LOOK_AGAIN_S)


async def sequences(node: Node) -> dict[str, int]:
    return {row["feed"]: row["sequence"] for row in await node.ask("/feeds")}


async def entries(node: Node, feed: str) -> list[dict[str, Any]]:
    answer = await node.control.get("/feeds/log", params={"feed": feed})
    return [json.loads(line) for line in answer.content.splitlines()]


async def introduce(victim: Victim) -> None:
    """They follow each other, and the victim calls; both outlive every kill."""
    async with open_node(victim.home) as node:
        victim.id = node.id
        await node.follow(victim.steady.id)
        await victim.steady.follow(node.id)
        await node.dial(victim.steady.address)


# httpx leaves a request's generator to the garbage collector when the connection breaks in it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            nursery.start_soon(kill_often, tmp_path / name)


async def kill_often(folder: Path) -> None:
    homes = folder / "steady", folder / "victim"
    for home in homes:
        make_home(Home(home), {"listen": "127.0.0.1:0"})
    async with open_node(homes[0]) as steady:
        victim = Victim(homes[1], steady, random.Random(folder.name))
        await introduce(victim)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish_steadily, steady)
            for _ in range(KILLS // 2):
                await victim.live()
            nursery.cancel_scope.cancel()
        await compare(steady, victim)
        assert (await steady.ask("/status"))["forks"] == []


async def publish_steadily(node: Node) -> None:
    for number in itertools.count():
        await node.tell("/feeds/publish", content={"type": "test", "number": number})
        await trio.sleep(0.005)


async def compare(steady: Node, victim: Victim) -> None:
    """Nothing has to be fetched by hand: once the daemon runs again, both have everything."""
    async with open_node(victim.home) as node:
        own = await entries(node, victim.id)
        found = {entry["value"]["sequence"]: entry["key"] for entry in own}
        assert found.items() >= victim.confirmed.items()
        assert len(victim.confirmed) > KILLS
        assert min(victim.noted[victim.id], victim.noted[steady.id]) > KILLS
        await steady.reach(victim.id, len(own))
        await node.reach(steady.id, (await sequences(steady))[steady.id])
        for feed in (victim.id, steady.id):
            assert await entries(node, feed) == await entries(steady, feed)
        assert (await node.ask("/status"))["forks"] == []
