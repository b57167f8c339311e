"""What happens in the demo, step by step. A step tells what it saw, or raises StepFailedError.

The nodes stand in a line and each calls the one before it, so what the ends exchange goes through
the nodes between them.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import trio

from qbix_node.cli.demo.children import Node, StepFailedError
from qbix_node.cli.demo.jspeer import JsPeer
from qbix_node.cli.demo.logs import FeedLog, read_js_logs, read_log
from qbix_node.cli.output import size_text
from qbix_node.wire.references import format_blob
from qbix_node.wire.v8json import JsonValue

MESSAGES = 100
JS_MESSAGES = 60
BLOB_BYTES = 300_000
WHISPER = "for your eyes only"
AT_ONCE = 16  # publishing requests in flight
WAIT_S = 20.0
POLL_S = 0.02

Figures = dict[str, JsonValue]


@dataclass(slots=True)
class Told:
    """One step as it went: sentences for people, figures for programs."""

    sentences: list[str]
    figures: Figures = field(default_factory=dict)


Step = Callable[[], Awaitable[Told]]


@dataclass(slots=True)
class Story:
    nodes: list[Node]
    folder: Path
    network_key: str
    js_scripts: Path | None = None  # None: there is no JavaScript peer
    js: JsPeer | None = None
    published: dict[str, int] = field(default_factory=dict)  # acknowledged, by feed

    def steps(self, *, stop: bool) -> dict[str, Step]:
        steps: dict[str, Step] = {
            "start": self.start,
            "connect": self.connect,
            "publish": self.publish,
            "answer": self.answer,
            "blob": self.blob,
            "private": self.private,
            "kill": self.kill,
        }
        if self.js_scripts:
            steps["javascript"] = self.javascript
        steps["compare"] = self.compare
        if stop:
            steps["stop"] = self.stop
        return steps

    # ---- the steps ----

    async def start(self) -> Told:
        with _stopwatch() as ms:
            async with trio.open_nursery() as nursery:
                for node in self.nodes:
                    nursery.start_soon(self._begin, node)
        names = _list([node.name for node in self.nodes])
        return Told(
            [f"{names} run, each a process with its own key and LevelDB store ({ms()} ms)."],
            {"nodes": len(self.nodes), "ms": ms()},
        )

    async def connect(self) -> Told:
        with _stopwatch() as ms:
            for node in self.nodes:
                for other in self.nodes:
                    if other is not node:
                        await node.post("/follow", {"feed": other.id})
            for called, caller in pairwise(self.nodes):
                await caller.post("/peers", {"address": called.address})
                await self._until_connected(caller, called)
        calls = _list(
            [f"{caller.name} called {called.name}" for called, caller in pairwise(self.nodes)]
        )
        return Told([f"{calls}; all follow each other ({ms()} ms)."], {"ms": ms()})

    async def publish(self) -> Told:
        return await self._exchange(self.nodes[0], self.nodes[-1])

    async def answer(self) -> Told:
        return await self._exchange(self.nodes[-1], self.nodes[0])

    async def blob(self) -> Told:
        source, target = self.nodes[0], self.nodes[-1]
        data = hashlib.shake_256(b"a picture").digest(BLOB_BYTES)
        name = format_blob(hashlib.sha256(data).digest())
        match await source.upload("/blobs", data):
            case {"blob": found} if found == name:
                pass
            case other:
                raise StepFailedError(f"{source.name} calls {name} another name: {other}")
        with _stopwatch() as ms:
            got = await target.raw("/blobs/content", {"blob": name, "wait_s": int(WAIT_S)})
        if got != data:
            raise StepFailedError(f"{target.name} got other bytes than {source.name} added")
        return Told(
            [
                f"{source.name} added a blob of {size_text(BLOB_BYTES)};",
                f"{target.name} fetched it {self._through()}in {ms()} ms, and its hash is right.",
            ],
            {"blob": name, "bytes": BLOB_BYTES, "ms": ms()},
        )

    async def private(self) -> Told:
        source, target = self.nodes[0], self.nodes[-1]
        content: JsonValue = {"type": "post", "text": WHISPER}
        await source.post("/feeds/publish", {"content": content, "to": [target.id]})
        sequence = self._count(source)
        for node in self.nodes[1:]:
            await self._until_has(node, source.id, sequence)
            stored, opened = await self._private(node, source.id, sequence)
            if WHISPER in stored:
                raise StepFailedError("the private message was published in the open")
            if (opened == WHISPER) != (node is target):
                raise StepFailedError(f"{node.name} read {opened!r} in the private message")
        others = [node.name for node in self.nodes[1:-1]]
        kept = f"; {_list(others)} carried it and can't" if others else ""
        return Told(
            [f"{source.name} wrote in private to {target.name}, who can read it{kept}."],
            {"sequence": sequence, "readable_by": [target.id]},
        )

    async def kill(self) -> Told:
        victim = self.nodes[len(self.nodes) // 2]
        writer, ends = self.nodes[0], [victim, self.nodes[-1]]
        await self._publish_many(victim, MESSAGES // 10)
        kept = self.published[victim.id]
        await self._until_has(victim, writer.id, self.published[writer.id])
        await victim.kill()
        await self._publish_many(writer, MESSAGES)
        with _stopwatch() as ms:
            await victim.start()
            started = ms()
            for node in ends:
                await self._until_has(node, writer.id, self.published[writer.id])
        own = len((await read_log(victim, victim.id)).encoded)
        if own != kept:
            raise StepFailedError(f"{victim.name} kept {own} of its {kept} messages")
        if (appended := await _appended(victim)) != MESSAGES:
            raise StepFailedError(f"{victim.name} needed {appended} messages, not {MESSAGES}")
        return Told(
            [
                f"{victim.name} was killed (SIGKILL); {writer.name} published {MESSAGES} more.",
                f"Started again, it served after {started} ms and had caught up after {ms()} ms;",
                f"of what it had confirmed nothing is lost, and it needed just those {MESSAGES}.",
            ],
            {"killed": victim.name, "missed": MESSAGES, "ms": ms(), "start_ms": started},
        )

    async def javascript(self) -> Told:
        assert self.js_scripts
        near, far = self.nodes[0], self.nodes[-1]
        feeds = [option for node in self.nodes for option in ("--replicate", node.id)]
        options = ["--caps", self.network_key, "--connect", near.address, *feeds]
        options += ["--messages", str(JS_MESSAGES), "--content", "edge"]
        with _stopwatch() as ms:
            self.js = await JsPeer.start(self.js_scripts, self.folder / "javascript", options)
            await self.js.wait_until_ready()
        with _stopwatch() as replicated:
            for node in self.nodes:
                await node.post("/follow", {"feed": self.js.id})
            for node in self.nodes:
                await self._until_has(node, self.js.id, JS_MESSAGES)
            for node in self.nodes:
                await self.js.reach(node.id, self.published[node.id])
        self.published[self.js.id] = JS_MESSAGES
        theirs = sum([count for feed, count in self.published.items() if feed != self.js.id])
        return Told(
            [
                f"A JavaScript peer (ssb-db2) called {near.name} and got {theirs} messages;",
                f"its own {JS_MESSAGES}, with all contents that are hard to encode, reached"
                f" {far.name} {self._through()}({replicated()} ms both ways).",
            ],
            {"sent": theirs, "received": JS_MESSAGES, "ms": replicated(), "start_ms": ms()},
        )

    async def compare(self) -> Told:
        """Every message of every feed, checked again and compared with every other place."""
        messages = bytes_ = 0
        fingerprints: Figures = {}
        js_logs = await read_js_logs(self.js, self.folder / "javascript.dump") if self.js else {}
        with _stopwatch() as ms:
            for feed, count in self.published.items():
                places = {node.name: await read_log(node, feed) for node in self.nodes}
                if self.js:
                    places["the JavaScript peer"] = js_logs.get(feed, FeedLog())
                fingerprints[feed] = _one_fingerprint(feed, count, places)
                messages += count
                bytes_ += sum([log.bytes for log in places.values()])
        holders = len(self.nodes) + (self.js is not None)
        return Told(
            [
                f"All {holders} hold the same {messages} messages of {len(self.published)} feeds;",
                f"{size_text(bytes_)} compared byte for byte, each signature and link checked again"
                f" ({ms()} ms):",
                *[f"  {feed[:12]}  sha256 {print_!s:.16}" for feed, print_ in fingerprints.items()],
            ],
            {"messages": messages, "bytes": bytes_, "ms": ms(), "fingerprints": fingerprints},
        )

    async def stop(self) -> Told:
        with _stopwatch() as ms:
            for node in self.nodes:
                if code := await node.stop():
                    raise StepFailedError(f"{node.name} ended with {code}")
        return Told(
            [f"All ended cleanly on SIGTERM, one after the other in {ms()} ms."], {"ms": ms()}
        )

    # ---- parts of steps ----

    async def _begin(self, node: Node) -> None:
        await node.init(self.network_key)
        await node.start()

    async def _exchange(self, source: Node, target: Node) -> Told:
        with _stopwatch() as ms:
            await self._publish_many(source, MESSAGES)
            published = ms()
            await self._until_has(target, source.id, self.published[source.id])
        size = (await read_log(source, source.id)).bytes
        return Told(
            [
                f"{source.name} published {MESSAGES} messages ({size_text(size)}) in {published}"
                " ms, each on disk before it was confirmed;",
                f"{target.name} had the last one {self._through()}{ms() - published} ms later.",
            ],
            {"messages": MESSAGES, "bytes": size, "publish_ms": published, "ms": ms()},
        )

    async def _publish_many(self, node: Node, count: int) -> None:
        numbers = iter(range(count))

        async def publish() -> None:
            for number in numbers:
                text = f"{node.name} says {number}"
                await node.post("/feeds/publish", {"content": {"type": "post", "text": text}})
                self._count(node)

        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(publish)

    def _count(self, node: Node) -> int:
        self.published[node.id] = self.published.get(node.id, 0) + 1
        return self.published[node.id]

    async def _until_has(self, node: Node, feed: str, sequence: int) -> None:
        query: dict[str, str | int] = {"feed": feed, "from": sequence, "limit": 1, "follow": 1}
        with trio.move_on_after(WAIT_S):
            await node.raw("/feeds/log", query)
            return
        here = await node.get("/feeds")
        raise StepFailedError(
            f"{node.name} has no message {sequence} of {feed} after {WAIT_S:.0f} s, but {here}"
        )

    async def _until_connected(self, node: Node, other: Node) -> None:
        for _ in range(round(WAIT_S / POLL_S)):
            if _is_connected(await node.get("/peers"), other.id):
                return
            await trio.sleep(POLL_S)
        raise StepFailedError(f"{node.name} could not connect to {other.name}")

    async def _private(self, node: Node, feed: str, sequence: int) -> tuple[str, str | None]:
        """The message as it is stored, and the text in it if the node can open it."""
        query: dict[str, str | int] = {"feed": feed, "from": sequence, "limit": 1, "private": 1}
        match await node.get("/feeds/log", query):
            case {"value": value, "opened": {"text": str(text)}}:
                return str(value), text
            case {"value": value}:
                return str(value), None
            case other:
                raise StepFailedError(f"{node.name} has no message {sequence}, but {other}")

    def _through(self) -> str:
        between = [node.name for node in self.nodes[1:-1]]
        return f"through {_list(between)} " if between else ""


def _is_connected(rows: JsonValue, peer: str) -> bool:
    wanted: Figures = {"id": peer, "state": "connected"}
    return isinstance(rows, list) and any(
        isinstance(row, dict) and wanted.items() <= row.items() for row in rows
    )


async def _appended(node: Node) -> int:
    """How many messages it added to feeds since its start."""
    for line in (await node.raw("/metrics", {})).splitlines():
        if line.startswith(b"qbix_messages_appended_total "):
            return int(line.split()[1])
    raise StepFailedError(f"{node.name} does not count what it appends")


def _one_fingerprint(feed: str, count: int, places: dict[str, FeedLog]) -> str:
    found = {name: log.fingerprint() for name, log in places.items()}
    for name, log in places.items():
        if len(log.encoded) != count:
            raise StepFailedError(f"{name} has {len(log.encoded)} of {count} messages of {feed}")
    if len(set(found.values())) > 1:
        raise StepFailedError(f"{feed} differs: {found}")
    return next(iter(found.values()))


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


@contextmanager
def _stopwatch() -> Iterator[Callable[[], int]]:
    """Milliseconds since the block began, or between its ends once it has ended."""
    begun, ended = time.perf_counter(), None

    def took() -> int:
        return round(1000 * ((ended or time.perf_counter()) - begun))

    yield took
    ended = time.perf_counter()
