"""`qbix-node demo`: tell the story in temporary homes, and tidy up whatever happens."""

import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import trio

from qbix_node.cli.demo.children import Node, StepFailedError, free_ports
from qbix_node.cli.demo.jspeer import why_absent
from qbix_node.cli.demo.story import Step, Story
from qbix_node.cli.frame import Command, Context
from qbix_node.cli.output import Output
from qbix_node.crypto.entropy import random_bytes
from qbix_node.daemon.home import Home
from qbix_node.errors import ExitCode, QbixError
from qbix_node.wire.references import encode_base64
from qbix_node.wire.v8json import JsonValue

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan")
INTERRUPTED = 130


@click.command(cls=Command)
@click.option("--nodes", type=click.IntRange(2, len(NAMES)), default=3, show_default=True)
@click.option("--js-peer", metavar="DIR", help="Installed JavaScript peers: tests/interop/peers.")
@click.option("--keep", is_flag=True, help="Leave the nodes running, to look at them.")
@click.pass_obj
def demo(context: Context, /, *, nodes: int, js_peer: str | None, keep: bool) -> int:
    """Real nodes replicate on this machine. Ends with 0 only if every step was verified."""
    scripts = Path(js_peer).absolute() if js_peer else None
    absent = why_absent(scripts)
    folder = Path(tempfile.mkdtemp(prefix="qbix-demo-"))
    cast = [
        Node(name, Home(folder / name), folder / f"{name}.log", port)
        for name, port in zip(NAMES, free_ports(nodes), strict=False)
    ]
    network_key = encode_base64(random_bytes(32))
    story = Story(cast, folder, network_key)
    js_scripts = None if absent else scripts
    telling = Telling(
        context.out, story, story.steps(js_scripts=js_scripts, stop=not keep), keep, absent
    )
    return trio.run(telling.run)


@dataclass(slots=True)
class Telling:
    """Prints what happens: as it does, or in one piece with --json."""

    out: Output
    story: Story
    steps: dict[str, Step]
    keep: bool
    absent: str | None  # why there is no JavaScript peer
    taken: list[JsonValue] = field(default_factory=list)
    failure: str | None = None
    begun: float = field(default_factory=time.perf_counter)

    async def run(self) -> int:
        """The exit code."""
        interrupted = True
        try:
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_cancel_on, signals, nursery.cancel_scope)
                    await self._tell()
                    interrupted = False
                    nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await self._tidy_up(everything=interrupted or not self._kept)
        self._conclude(interrupted=interrupted)
        if interrupted:
            return INTERRUPTED
        return ExitCode.REFUSED if self.failure else ExitCode.DONE

    @property
    def _kept(self) -> bool:
        return self.keep and self.failure is None

    async def _tell(self) -> None:
        self._say(f"{len(self.story.nodes)} nodes on this machine, in {self.story.folder}")
        if self.absent:
            self._say(f"(no JavaScript peer: {self.absent})")
        for name, step in self.steps.items():
            await self._take(name, step)
            if self.failure:
                return

    async def _take(self, name: str, step: Step) -> None:
        begun = time.perf_counter()
        try:
            told = await step()
        except (StepFailedError, QbixError, ExceptionGroup) as error:
            self.failure = f"{name}: {_reason(error)}"
            self.taken.append({"step": name, "ok": False, "reason": _reason(error)})
            return
        ms = round(1000 * (time.perf_counter() - begun))
        text: list[JsonValue] = [*told.sentences]
        self.taken.append(
            {"step": name, "ok": True, "ms": ms, "figures": told.figures, "text": text}
        )
        first, *rest = told.sentences
        self._say(f"{self.out.paint(f'{name:<10}', 'green')} {first}")
        for line in rest:
            self._say(f"{'':<10} {line}")

    async def _tidy_up(self, *, everything: bool) -> None:
        if self.story.js:
            await self.story.js.end()
        for node in self.story.nodes:
            if everything:
                await node.end()
            await node.close()

    def _conclude(self, *, interrupted: bool) -> None:
        folder, seconds = self.story.folder, time.perf_counter() - self.begun
        if interrupted:
            self.failure = "interrupted"
        if self.failure is None and not self.keep:
            shutil.rmtree(folder)
        if self.failure:
            self._say(f"{self.out.paint('FAILED', 'red')} {self.failure}")
            self._say(f"the logs of all nodes are in {folder}")
        elif self.keep:
            for line in self._how_to_look():
                self._say(line)
        outcome = "failed" if self.failure else "ok"
        document: JsonValue = {
            "ok": self.failure is None,
            "seconds": round(seconds, 3),
            "failure": self.failure,
            "javascript_peer": self.absent is None,
            "folder": str(folder) if self.failure or self.keep else None,
            "nodes": [_row(node) for node in self.story.nodes],
            "steps": self.taken,
        }
        self.out.show(document, f"demo: {outcome} ({seconds:.1f} s)")

    def _how_to_look(self) -> Iterator[str]:
        yield "The nodes are still running:"
        for node in self.story.nodes:
            yield f"  {node.name:<6} {node.page}   qbix-node --home {node.home.root} status"
        processes = [node.process.pid for node in self.story.nodes if node.process]
        yield f"End them: kill {' '.join(map(str, processes))}; then: rm -r {self.story.folder}"

    def _say(self, line: str) -> None:
        if not self.out.json:
            self.out.text(line)


def _row(node: Node) -> JsonValue:
    return {
        "name": node.name,
        "node_id": node.id,
        "address": node.address,
        "status_page": node.page,
        "home": str(node.home.root),
        "pid": node.process.pid if node.process else None,
    }


async def _cancel_on(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()


def _reason(error: Exception) -> str:
    """The first sentence in a group of them."""
    if isinstance(error, ExceptionGroup):
        return _reason(error.exceptions[0])
    if isinstance(error, StepFailedError | QbixError):
        return str(error)
    raise error
