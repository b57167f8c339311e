"""The demo's JavaScript peer: an ssb-db2 node under remote control (tests/interop/peers)."""

import json
import shutil
import subprocess
from pathlib import Path

import trio

from qbix_node.cli.demo.children import StepFailedError
from qbix_node.wire import v8json
from qbix_node.wire.v8json import JsonValue

SCRIPT = "db2-peer.cjs"
START_S = 30.0
ANSWER_S = 20.0

Event = dict[str, JsonValue]


def why_absent(folder: Path | None) -> str | None:
    """Why the demo goes without a JavaScript peer, or None."""
    if folder is None:
        return "none was named (--js-peer DIR)"
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if not (folder / SCRIPT).is_file() or not (folder / "node_modules").is_dir():
        return f"{folder} has no installed {SCRIPT} (make peers)"
    return None


class JsPeer:
    """Ends when its stdin closes, so it never outlives the demo."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._rest = b""
        self._events: list[Event] = []
        self.id = ""

    @classmethod
    async def start(cls, scripts: Path, folder: Path, options: list[str]) -> "JsPeer":
        with folder.with_suffix(".log").open("wb") as log:
            process = await trio.lowlevel.open_process(
                ["node", str(scripts / SCRIPT), "--dir", str(folder), *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        return cls(process)

    async def wait_until_ready(self) -> None:
        self.id = str((await self.event("ready", START_S))["id"])

    async def tell(self, command: str, answer: str, **arguments: JsonValue) -> Event:
        assert self._process.stdin
        line = json.dumps({"command": command, **arguments}) + "\n"
        await self._process.stdin.send_all(line.encode())
        return await self.event(answer)

    async def reach(self, feed: str, sequence: int) -> None:
        """Wait until the peer has that feed up to `sequence`."""
        await self.tell("expect", "expecting", id=feed, sequence=sequence)
        while (await self.event("reached"))["id"] != feed:
            pass

    async def event(self, name: str, patience_s: float = ANSWER_S) -> Event:
        """The next event of that name; those before it are passed over."""
        with trio.move_on_after(patience_s):
            while True:
                while self._events:
                    event = self._events.pop(0)
                    if event.get("event") == name:
                        return event
                    if event.get("event") == "error":
                        raise StepFailedError(f"the JavaScript peer: {event.get('message')}")
                await self._read()
        raise StepFailedError(f"the JavaScript peer did not say {name!r} in {patience_s:.0f} s")

    async def _read(self) -> None:
        assert self._process.stdout
        piece = await self._process.stdout.receive_some()
        if not piece:
            raise StepFailedError("the JavaScript peer ended")
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            event = v8json.parse(line, "an event of the JavaScript peer")
            if isinstance(event, dict):
                self._events.append(event)

    async def end(self) -> None:
        if self._process.stdin:
            await self._process.stdin.aclose()
        with trio.move_on_after(ANSWER_S):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._process.stdout:
            await self._process.stdout.aclose()
