"""Drive a JavaScript Scuttlebutt peer (tests/interop/peers) as a process of its own.

Events are kept in the order in which they came, so that nothing is missed between two waits;
every wait has a deadline, and only the process that was started here is ever ended. One task at a
time waits for a peer.
"""

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import trio

PEERS = Path(__file__).parent / "peers"
PATIENCE_S = 60.0

Engine = Literal["db2", "db"]
Event = dict[str, Any]

ANSWERS = {
    "publish": "published",
    "add": "added",
    "head": "head",
    "expect": "expecting",
    "clock": "clock",
    "status": "status",
    "replicate": "replicating",
    "block": "blocking",
    "connect": "dialling",
    "disconnect": "disconnected",
    "history": "history",
    "read": "read",
    "dump": "dumped",
    "blob": "blob",
    "stats": "stats",
}


def why_no_js_peers() -> str | None:
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if not (PEERS / "node_modules").is_dir():
        return "the JavaScript peers are not installed (make peers)"
    return None


needs_js_peers = pytest.mark.skipif(why_no_js_peers() is not None, reason=str(why_no_js_peers()))


class PeerFailedError(Exception):
    """The peer ended, answered with an error, or did not say in time what it should have said."""


@dataclass(frozen=True, slots=True)
class DumpedMessage:
    key: str
    value: dict[str, Any]
    encoded: str  # the text that was hashed and signed, as the peer's JSON.stringify writes it


Log = dict[tuple[str, int], DumpedMessage]  # by author and sequence


def read_dump(lines: bytes) -> Log:
    messages = (DumpedMessage(**json.loads(line)) for line in lines.splitlines())
    return {(each.value["author"], each.value["sequence"]): each for each in messages}


@dataclass(eq=False)
class JsPeer:
    process: trio.Process
    folder: Path
    events: list[Event] = field(default_factory=list)
    _rest: bytes = b""  # of a line that has not come whole
    _ended: bool = False

    @property
    def ready(self) -> Event:
        return next(event for event in self.events if event["event"] == "ready")

    @property
    def id(self) -> str:
        return str(self.ready["id"])

    @property
    def address(self) -> str:
        return str(self.ready["address"])

    async def wait_for(
        self, name: str, *, since: int = 0, within_s: float = PATIENCE_S, **fields: object
    ) -> Event:
        """The first event with that name and those fields, from event number `since` on."""

        def wanted(event: Event) -> bool:
            return event["event"] == name and fields.items() <= event.items()

        return await self._find(wanted, {"start", "expect"}, f"{name} {fields}", since, within_s)

    async def tell(
        self, command: str, *, within_s: float = PATIENCE_S, **arguments: object
    ) -> Event:
        """Have a command carried out; its answer."""
        assert self.process.stdin is not None
        since = len(self.events)
        line = json.dumps({"command": command, **arguments}) + "\n"
        await self.process.stdin.send_all(line.encode())

        def answers(event: Event) -> bool:
            return bool(event["event"] == ANSWERS[command])

        return await self._find(answers, {command}, f"{command} answered", since, within_s)

    async def reach(self, feed: str, sequence: int, *, within_s: float = PATIENCE_S) -> Event:
        """Wait until the peer has that feed at least up to `sequence`."""
        since = len(self.events)
        await self.tell("expect", id=feed, sequence=sequence)
        return await self.wait_for("reached", since=since, within_s=within_s, id=feed)

    async def log(self) -> Log:
        """Everything that the peer has stored."""
        file = self.folder.with_suffix(".dump")
        await self.tell("dump", file=str(file))
        return read_dump(file.read_bytes())

    async def _find(
        self,
        wanted: Callable[[Event], bool],
        fatal: set[str],
        what: str,
        since: int,
        within_s: float,
    ) -> Event:
        with trio.move_on_after(within_s):
            while True:
                for event in self.events[since:]:
                    since += 1
                    if wanted(event):
                        return event
                    if event["event"] == "error" and event["where"] in fatal:
                        raise PeerFailedError(f"{event['where']}: {event['message']}")
                if self._ended:
                    break
                await self._read_events()
        why = "it ended" if self._ended else f"{within_s} s went by"
        errors = self.folder.with_suffix(".stderr").read_text()
        raise PeerFailedError(f"no {what}, {why}: {self.events[-5:]} {errors}")

    async def _read_events(self) -> None:
        assert self.process.stdout is not None
        piece = await self.process.stdout.receive_some()
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self.events += [json.loads(line) for line in lines]
        self._ended = not piece


def _flags(options: dict[str, object]) -> list[str]:
    """{"content": "edge", "replicate": [a, b], "blobs": True} as command-line flags."""
    flags: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            flags.append(flag)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            flags += [part for each in value for part in (flag, str(each))]
        else:
            flags += [flag, str(value)]
    return flags


@asynccontextmanager
async def open_js_peer(engine: Engine, folder: Path, **options: object) -> AsyncIterator[JsPeer]:
    """A running peer, ready; `options` are the flags of tests/interop/peers/README.md."""
    command = ["node", str(PEERS / f"{engine}-peer.cjs"), "--dir", str(folder), *_flags(options)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".stderr").open("wb") as errors:
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        peer = JsPeer(process, folder)
        await peer.wait_for("ready")
        yield peer
    finally:
        await end_process(process)


async def end_process(process: trio.Process, *, patience_s: float = 10.0) -> None:
    """Ask the process to end, and kill it if it does not; whatever happens to the caller."""
    with trio.CancelScope(shield=True):
        if process.stdin is not None:
            await process.stdin.aclose()
        if process.poll() is None:
            process.terminate()
        with trio.move_on_after(patience_s):
            await process.wait()
        if process.poll() is None:
            process.kill()
            await process.wait()
        if process.stdout is not None:
            await process.stdout.aclose()
