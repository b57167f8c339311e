"""The steps of the demo with streams: one that is checked as a whole, and two that are forked."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import trio

from qbix_node.cli.demo.children import COMMAND, Node, StepFailedError
from qbix_node.cli.demo.forger import Forger
from qbix_node.cli.demo.stage import POLL_S, WAIT_S, Query, Stage, Told, listed, stopwatch
from qbix_node.cli.output import size_text
from qbix_node.wire.v8json import JsonValue

LINES = 200
COMMON = ("the house is for sale", "price: 100")
EQUAL = (*COMMON, "sold to bob"), (*COMMON, "sold to carol")
UNEQUAL = (*COMMON, "sold to bob"), (*COMMON, "sold to carol", "the money is here", "moved out")


async def share(stage: Stage) -> Told:
    """Everybody gets a stream, and a file of it is checked without any node."""
    source, target = stage.nodes[0], stage.nodes[-1]
    row = await source.post("/streams/create", {"kind": "log", "uniqueness": "gossip"})
    stream = str(_mapping(row)["stream"])
    lines = b"".join([b"line %d\n" % number for number in range(LINES)])
    await source.upload("/streams/append", lines, {"stream": stream, "kind": "line", "lines": 1})
    with stopwatch() as ms:
        for node in stage.nodes[1:]:
            await node.post("/follow", {"feed": stream})
        for node in stage.nodes[1:]:
            await _until_has(node, stream, LINES)
    roots = [_mapping(await node.get("/streams/show", {"stream": stream})) for node in stage.nodes]
    if len({str(row["root"]) for row in roots}) != 1:
        raise StepFailedError(f"the roots of {stream} differ: {roots}")
    file = stage.folder / "stream.qbix"
    file.write_bytes(await target.raw("/streams/export", {"stream": stream}))
    await _expect(0, "stream", "verify", "--file", str(file))
    return Told(
        [
            f"{source.name} made a stream of {LINES} lines under one signature; all have it"
            f" ({ms()} ms), {target.name} {stage.through(source, target)}".rstrip()
            + ";",
            f"its file ({size_text(file.stat().st_size)}), exported by {target.name}, is right:"
            " checked without a node.",
        ],
        {"stream": stream, "lines": LINES, "ms": ms()},
    )


async def fork(stage: Stage, what: str, branches: Sequence[Sequence[str]]) -> Told:
    """`branches`: one for the first node, the other for the last; then the forger is gone."""
    forger, shown = Forger(), (stage.nodes[0], stage.nodes[-1])
    for node in stage.nodes:
        await node.post("/follow", {"feed": forger.stream})
    with stopwatch() as ms:
        await shown[0].upload("/streams/import", forger.write(branches[0]))
        with suppress(StepFailedError):  # it may know the first one already
            await shown[1].upload("/streams/import", forger.write(branches[1]))
        for node in stage.nodes:
            await _until_red(node, forger.stream)
    file = stage.folder / f"{what}.fork"
    for node in stage.nodes:
        proof = await _proof(node, forger.stream)
        file.write_bytes(proof)
        await _expect(0, "fork", "verify", str(file))
    spoiled = stage.folder / "spoiled.fork"
    spoiled.write_bytes(proof[:-1] + bytes([proof[-1] ^ 1]))
    code = await _verify(spoiled)
    if code == 0:
        raise StepFailedError(f"a proof with another last byte, {spoiled}, was accepted")
    lengths = listed([str(len(branch)) for branch in branches])
    return Told(
        [
            f"Somebody signed two histories of one stream, of {lengths} entries, showed one to"
            f" {shown[0].name} and one to {shown[1].name}, and left.",
            f"All {len(stage.nodes)} show it red {ms()} ms later; the proof ({file.stat().st_size}"
            " bytes) holds without a node, and with a bit changed it does not.",
        ],
        {"stream": forger.stream, "convicted": forger.name, "ms": ms(), "proof_bytes": len(proof)},
    )


async def _until_has(node: Node, stream: str, index: int) -> None:
    query: Query = {"stream": stream, "from": index, "limit": 1, "follow": 1}
    with trio.move_on_after(WAIT_S):
        await node.raw("/streams/log", query)
        return
    raise StepFailedError(f"{node.name} has no entry {index} of {stream} after {WAIT_S:.0f} s")


async def _until_red(node: Node, stream: str) -> None:
    for _ in range(round(WAIT_S / POLL_S)):
        row = _mapping(await node.get("/streams/show", {"stream": stream}))
        if row["forked"]:
            return
        await trio.sleep(POLL_S)
    raise StepFailedError(f"{node.name} does not know that {stream} is forked: {row}")


async def _proof(node: Node, stream: str) -> bytes:
    rows = await node.get("/forks")
    for row in rows if isinstance(rows, list) else []:
        found = _mapping(row)
        if found["log"] == stream:
            return await node.raw("/forks/proof", {"id": str(found["id"])})
    raise StepFailedError(f"{node.name} holds no proof about {stream}, but {rows}")


async def _expect(code: int, *arguments: str) -> None:
    if (found := await _run(*arguments)) != code:
        raise StepFailedError(f"qbix-node {' '.join(arguments)} ended with {found}, not {code}")


async def _verify(file: Path) -> int:
    return await _run("fork", "verify", str(file))


async def _run(*arguments: str) -> int:
    done = await trio.run_process(
        [*COMMAND, *arguments], capture_stdout=True, capture_stderr=True, check=False
    )
    return done.returncode


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    if not isinstance(value, dict):
        raise StepFailedError(f"expected an object, not {value}")
    return value
