"""What happens in the demo. A step tells what it saw, or raises StepFailedError."""

import hashlib
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import trio

from qbix_node.cli.demo import streams
from qbix_node.cli.demo.children import Node, StepFailedError
from qbix_node.cli.demo.jspeer import JsPeer
from qbix_node.cli.demo.logs import FeedLog, read_js_logs, read_log
from qbix_node.cli.demo.stage import WAIT_S, Query, Stage, Told, appended, listed, stopwatch
from qbix_node.cli.output import size_text
from qbix_node.wire.references import format_blob
from qbix_node.wire.v8json import JsonValue

MESSAGES = 100
JS_MESSAGES = 60
BLOB_BYTES = 300_000
BLOB_REACH = 3  # hops over which nodes pass on what others want
WHISPER = "for your eyes only"


Step = Callable[[], Awaitable[Told]]


class Story(Stage):
    def steps(self, *, js_scripts: Path | None, stop: bool) -> dict[str, Step]:
        """By name. `js_scripts`: where the JavaScript peer is, if there is one."""
        steps: dict[str, Step] = {
            "start": self.start,
            "connect": self.connect,
            "publish": lambda: self.exchange(self.nodes[0], self.nodes[-1]),
            "answer": lambda: self.exchange(self.nodes[-1], self.nodes[0]),
            "blob": self.fetch_blob,
            "private": self.whisper,
            "stream": lambda: streams.share(self),
            "fork": lambda: streams.fork(self, "equal", streams.EQUAL),
            "fork again": lambda: streams.fork(self, "unequal", streams.UNEQUAL),
            "kill": self.kill,
        }
        if js_scripts is not None:
            steps["javascript"] = lambda: self.meet_javascript(js_scripts)
        steps["compare"] = self.compare
        if stop:
            steps["stop"] = self.stop
        return steps

    async def start(self) -> Told:
        async def begin(node: Node) -> None:
            await node.init(self.network_key)
            await node.start()

        with stopwatch() as ms:
            async with trio.open_nursery() as nursery:
                for node in self.nodes:
                    nursery.start_soon(begin, node)
        names = listed([node.name for node in self.nodes])
        return Told(
            [f"{names} run, each a process with its own key and LevelDB store ({ms()} ms)."],
            {"nodes": len(self.nodes), "ms": ms()},
        )

    async def connect(self) -> Told:
        with stopwatch() as ms:
            for node in self.nodes:
                for other in self.nodes:
                    if other is not node:
                        await node.post("/follow", {"feed": other.id})
            for called, caller in pairwise(self.nodes):
                await caller.post("/peers", {"address": called.address})
                await self.until_connected(caller, called)
        pairs = pairwise(self.nodes)
        calls = listed([f"{caller.name} called {called.name}" for called, caller in pairs])
        return Told([f"{calls}; all follow each other ({ms()} ms)."], {"ms": ms()})

    async def exchange(self, source: Node, target: Node) -> Told:
        with stopwatch() as ms:
            await self.publish(source, MESSAGES)
            published = ms()
            await self.until_has(target, source.id)
        size = (await read_log(source, source.id)).bytes
        through = self.through(source, target)
        return Told(
            [
                f"{source.name} published {MESSAGES} messages ({size_text(size)}) in {published}"
                " ms, each on disk before it was confirmed;",
                f"{target.name} had the last one {through}{ms() - published} ms later.",
            ],
            {"messages": MESSAGES, "bytes": size, "publish_ms": published, "ms": ms()},
        )

    async def fetch_blob(self) -> Told:
        source, target = self.nodes[-1 - BLOB_REACH :][0], self.nodes[-1]
        data = hashlib.shake_256(b"a picture").digest(BLOB_BYTES)
        name = format_blob(hashlib.sha256(data).digest())
        match await source.upload("/blobs", data):
            case {"blob": found} if found == name:
                pass
            case other:
                raise StepFailedError(f"{source.name} calls {name} another name: {other}")
        wanted: Query = {"blob": name, "wait_s": int(WAIT_S)}
        with stopwatch() as ms:
            if await target.raw("/blobs/content", wanted) != data:
                raise StepFailedError(f"{target.name} got other bytes than {source.name} added")
        through = self.through(source, target)
        return Told(
            [
                f"{source.name} added a blob of {size_text(BLOB_BYTES)};",
                f"{target.name} fetched it {through}in {ms()} ms, and its hash is right.",
            ],
            {"blob": name, "bytes": BLOB_BYTES, "ms": ms()},
        )

    async def whisper(self) -> Told:
        source, target = self.nodes[0], self.nodes[-1]
        content: JsonValue = {"type": "post", "text": WHISPER}
        await source.post("/feeds/publish", {"content": content, "to": [target.id]})
        sequence = self.count(source)
        for node in self.nodes[1:]:
            await self.until_has(node, source.id)
            stored, opened = await self.opened(node, source.id, sequence)
            if WHISPER in stored:
                raise StepFailedError("the private message was published in the open")
            if (opened == WHISPER) != (node is target):
                raise StepFailedError(f"{node.name} read {opened!r} in the private message")
        others = [node.name for node in self.nodes[1:-1]]
        kept = f"; {listed(others)} carried it and can't" if others else ""
        return Told(
            [f"{source.name} wrote in private to {target.name}, who can read it{kept}."],
            {"sequence": sequence, "readable_by": [target.id]},
        )

    async def kill(self) -> Told:
        writer, victim = self.nodes[0], self.nodes[len(self.nodes) // 2]
        await self.publish(victim, MESSAGES // 10)
        await self.until_has(victim, writer.id)
        await victim.kill()
        await self.publish(writer, MESSAGES)
        with stopwatch() as ms:
            await victim.start()
            started = ms()
            for node in (victim, self.nodes[-1]):
                await self.until_has(node, writer.id)
        own, confirmed = await read_log(victim, victim.id), self.published[victim.id]
        if len(own.encoded) != confirmed:
            raise StepFailedError(f"{victim.name} kept {len(own.encoded)} of {confirmed} messages")
        if (needed := await appended(victim)) != MESSAGES:
            raise StepFailedError(f"{victim.name} needed {needed} messages, not {MESSAGES}")
        return Told(
            [
                f"{victim.name} was killed (SIGKILL); {writer.name} published {MESSAGES} more.",
                f"Started again, it served after {started} ms and had caught up after {ms()} ms;",
                f"of what it had confirmed nothing is lost, and it needed just those {MESSAGES}.",
            ],
            {"killed": victim.name, "missed": MESSAGES, "ms": ms(), "start_ms": started},
        )

    async def meet_javascript(self, scripts: Path) -> Told:
        near, far = self.nodes[0], self.nodes[-1]
        feeds = [option for node in self.nodes for option in ("--replicate", node.id)]
        options = ["--caps", self.network_key, "--connect", near.address, *feeds]
        options += ["--messages", str(JS_MESSAGES), "--content", "edge"]
        self.js = await JsPeer.start(scripts, self.folder / "javascript", options)
        await self.js.wait_until_ready()
        theirs = dict(self.published)
        self.published[self.js.id] = JS_MESSAGES
        with stopwatch() as ms:
            for node in self.nodes:
                await node.post("/follow", {"feed": self.js.id})
            for node in self.nodes:
                await self.until_has(node, self.js.id)
            for feed, count in theirs.items():
                await self.js.reach(feed, count)
        sent = sum(theirs.values())
        return Told(
            [
                f"A JavaScript peer (ssb-db2) called {near.name} and got {sent} messages;",
                f"its own {JS_MESSAGES}, with all contents that are hard to encode, reached"
                f" {far.name} {self.through(near, far)}({ms()} ms both ways).",
            ],
            {"sent": sent, "received": JS_MESSAGES, "ms": ms()},
        )

    async def compare(self) -> Told:
        """Every message of every feed, checked again and compared with every other place."""
        bytes_, fingerprints = 0, dict[str, JsonValue]()
        js_logs = await read_js_logs(self.js, self.folder / "javascript.dump") if self.js else {}
        with stopwatch() as ms:
            for feed, count in self.published.items():
                places = {node.name: await read_log(node, feed) for node in self.nodes}
                if self.js:
                    places["the JavaScript peer"] = js_logs.get(feed, FeedLog())
                fingerprints[feed] = _one_fingerprint(feed, count, places)
                bytes_ += sum([log.bytes for log in places.values()])
        holders, messages = len(self.nodes) + bool(self.js), sum(self.published.values())
        return Told(
            [
                f"All {holders} hold the same {messages} messages of {len(self.published)} feeds;",
                f"{size_text(bytes_)} compared byte for byte, each signature and link checked again"
                f" ({ms()} ms):",
                *[f"  {feed[:12]}  sha256 {found!s:.16}" for feed, found in fingerprints.items()],
            ],
            {"messages": messages, "bytes": bytes_, "ms": ms(), "fingerprints": fingerprints},
        )

    async def stop(self) -> Told:
        with stopwatch() as ms:
            for node in self.nodes:
                if code := await node.stop():
                    raise StepFailedError(f"{node.name} ended with {code}")
        told = f"All ended cleanly on SIGTERM, one after the other in {ms()} ms."
        return Told([told], {"ms": ms()})


def _one_fingerprint(feed: str, count: int, places: dict[str, FeedLog]) -> str:
    for name, log in places.items():
        if len(log.encoded) != count:
            raise StepFailedError(f"{name} has {len(log.encoded)} of {count} messages of {feed}")
    found = {name: log.fingerprint() for name, log in places.items()}
    if len(set(found.values())) > 1:
        raise StepFailedError(f"{feed} differs: {found}")
    return next(iter(found.values()))
