"""What the steps of the demo are made of: publish, wait until it is there, look."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from qbix_node.cli.demo.children import Node, StepFailedError
from qbix_node.cli.demo.jspeer import JsPeer
from qbix_node.wire.v8json import JsonValue

AT_ONCE = 16  # publishing requests in flight
WAIT_S = 20.0
POLL_S = 0.02

Query = dict[str, str | int]


@dataclass(slots=True)
class Told:
    """One step as it went: sentences for people, figures for programs."""

    sentences: list[str]
    figures: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(slots=True)
class Stage:
    """The nodes stand in a line, and each calls the one before it."""

    nodes: list[Node]
    folder: Path
    network_key: str
    js: JsPeer | None = None
    published: dict[str, int] = field(default_factory=dict)  # acknowledged, by feed

    async def publish(self, node: Node, count: int) -> None:
        numbers = iter(range(count))

        async def publish_some() -> None:
            for number in numbers:
                text = f"{node.name} says {number}"
                await node.post("/feeds/publish", {"content": {"type": "post", "text": text}})
                self.count(node)

        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(publish_some)

    def count(self, node: Node) -> int:
        self.published[node.id] = self.published.get(node.id, 0) + 1
        return self.published[node.id]

    async def until_has(self, node: Node, feed: str) -> None:
        """All of the feed that was acknowledged so far."""
        sequence = self.published[feed]
        query: Query = {"feed": feed, "from": sequence, "limit": 1, "follow": 1}
        with trio.move_on_after(WAIT_S):
            await node.raw("/feeds/log", query)
            return
        here = await node.get("/feeds")
        raise StepFailedError(
            f"{node.name} has no message {sequence} of {feed} after {WAIT_S:.0f} s, but {here}"
        )

    async def until_connected(self, node: Node, other: Node) -> None:
        for _ in range(round(WAIT_S / POLL_S)):
            if is_connected(await node.get("/peers"), other.id):
                return
            await trio.sleep(POLL_S)
        raise StepFailedError(f"{node.name} could not connect to {other.name}")

    async def opened(self, node: Node, feed: str, sequence: int) -> tuple[str, str | None]:
        """A message as it is stored, and the text in it if the node can open it."""
        query: Query = {"feed": feed, "from": sequence, "limit": 1, "private": 1}
        match await node.get("/feeds/log", query):
            case {"value": value, "opened": {"text": str(text)}}:
                return str(value), text
            case {"value": value}:
                return str(value), None
            case other:
                raise StepFailedError(f"{node.name} has no message {sequence}, but {other}")

    def through(self, one: Node, other: Node) -> str:
        """By way of whom they exchange what they have."""
        first, last = sorted([self.nodes.index(one), self.nodes.index(other)])
        between = [node.name for node in self.nodes[first + 1 : last]]
        return f"through {listed(between)} " if between else ""


async def appended(node: Node) -> int:
    """How many messages it added to feeds since its start."""
    for line in (await node.raw("/metrics", {})).splitlines():
        if line.startswith(b"qbix_messages_appended_total "):
            return int(line.split()[1])
    raise StepFailedError(f"{node.name} does not count what it appends")


def is_connected(rows: JsonValue, peer: str) -> bool:
    wanted = {("id", peer), ("state", "connected")}
    return isinstance(rows, list) and any(
        isinstance(row, dict) and wanted <= row.items() for row in rows
    )


def listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


@contextmanager
def stopwatch() -> Iterator[Callable[[], int]]:
    """Milliseconds since the block began, or between its ends once it has ended."""
    begun, ended = time.perf_counter(), None

    def took() -> int:
        return round(1000 * ((ended or time.perf_counter()) - begun))

    yield took
    ended = time.perf_counter()
