"""An author shows one branch each to two of twenty daemons and goes; soon all hold the proof."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from qbix_node.cli.main import run
from qbix_node.errors import Malformed
from qbix_node.gossip.proofs import check_proof, read_proof
from qbix_node.streams.archive import OPENING, frame
from qbix_node.streams.messages import Segment
from qbix_node.wire.references import format_feed, format_stream
from tests.e2e.test_commands import Person
from tests.gossip.gossips import Author
from tests.interop.node import Node, make_home, open_node

NODES = 20
DEGREE = 3
SEED = 3
WITHIN_S = 10.0
LOOK_AGAIN_S = 0.25

EQUAL = [["same"], ["x", "y"]], [["same"], ["x", "z"]]
UNEQUAL = [["same"], ["x"]], [["same"], ["other"], [f"entry {n}" for n in range(40)]]

Edges = list[tuple[int, int]]


def random_network(rng: random.Random) -> Edges:
    """Connected; each node has DEGREE neighbours."""
    while True:
        ends = [node for node in range(NODES) for _ in range(DEGREE)]
        rng.shuffle(ends)
        edges = {(min(pair), max(pair)) for pair in zip(ends[::2], ends[1::2], strict=True)}
        simple = len(edges) == NODES * DEGREE // 2 and all(a != b for a, b in edges)
        if simple and is_connected(sorted(edges)):
            return sorted(edges)


def is_connected(edges: Edges) -> bool:
    reached, left = {0}, [0]
    while left:
        node = left.pop()
        near = {b if a == node else a for a, b in edges if node in (a, b)}
        left += sorted(near - reached)
        reached |= near
    return len(reached) == NODES


@asynccontextmanager
async def open_nodes(homes: Sequence[Path]) -> AsyncIterator[list[Node]]:
    """Their daemons, started together."""
    nodes: dict[Path, Node] = {}
    done = trio.Event()

    async def keep(home: Path, *, task_status: trio.TaskStatus[None]) -> None:
        async with open_node(home) as node:
            nodes[home] = node
            task_status.started()
            await done.wait()

    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as starting:
            for home in homes:
                starting.start_soon(nursery.start, keep, home)
        yield [nodes[home] for home in homes]
        done.set()


def archive_of(segments: Sequence[Segment]) -> bytes:
    return OPENING + b"".join([frame(segment.encoded) for segment in segments])


async def import_into(node: Node, segments: Sequence[Segment]) -> None:
    answer = await node.control.post("/streams/import", content=archive_of(segments))
    assert answer.is_success, answer.text


async def wait_for_proofs(node: Node, logs: set[str]) -> float:
    """When it lists one about each."""
    while not logs <= {row["log"] for row in await node.ask("/forks")}:  # noqa: ASYNC110  (another process)
        await trio.sleep(LOOK_AGAIN_S)
    return trio.current_time()


async def connect(nodes: Sequence[Node], edges: Edges) -> None:
    async with trio.open_nursery() as nursery:
        for a, b in edges:
            nursery.start_soon(nodes[a].dial, nodes[b].address)


async def test_all_of_twenty_daemons_hold_the_proof_of_a_fork_within_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(SEED)
    edges = random_network(rng)
    authors = {Author("equal"): EQUAL, Author("unequal"): UNEQUAL}
    logs = {format_stream(author.stream): author for author in authors}
    homes = [tmp_path / f"n{number}" for number in range(NODES)]
    began = trio.current_time()
    for home in homes:
        await make_home(home)
    proofs: list[Path] = []
    async with open_nodes(homes) as nodes:
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(node.follow, *logs)
        for author, branches in authors.items():
            for node, branch in zip(rng.sample(nodes, 2), branches, strict=True):
                await import_into(node, author.write(*branch))
        started = trio.current_time()
        took: dict[int, float] = {}
        with trio.move_on_after(3 * WITHIN_S):
            await connect(nodes, edges)
            async with trio.open_nursery() as nursery:

                async def watch(number: int) -> None:
                    took[number] = await wait_for_proofs(nodes[number], {*logs}) - started

                for number in range(NODES):
                    nursery.start_soon(watch, number)
        measured = f"start {started - began:.1f} s, then {sorted(took.values())}"
        assert len(took) == NODES, measured
        assert max(took.values()) < WITHIN_S, measured
        for home in homes:
            proofs += await written(Person(home, capsys), home, logs)
    assert len(proofs) >= len(logs) * NODES
    for proof in {path.read_bytes(): path for path in proofs}.values():
        check_offline(proof, capsys)
    print(measured)


async def written(person: Person, home: Path, logs: dict[str, Author]) -> list[Path]:
    """By `fork show`, what `fork list` lists."""
    files = []
    rows = await person.asks("fork", "list")
    for number, row in enumerate(rows):
        files.append(home / f"proof-{number}")
        shown = await person.asks("fork", "show", row["id"], "-o", str(files[-1]))
        owner = format_feed(logs[row["log"]].keys.public)
        assert (shown["id"], shown["convicted"], row["convicted"]) == (row["id"], [owner], [owner])
        assert (shown["stream"], shown["forked_length"]) == (row["log"], row["length"])
    told = await person.types("stream", "list")
    assert told.count("FORKED") == len(logs)
    return files


def check_offline(proof: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fork", "verify", str(proof)]) == 0
    assert "signed both" in capsys.readouterr().out
    encoded = proof.read_bytes()
    for place in range(len(encoded)):
        with pytest.raises(Malformed):
            check_proof(read_proof(flipped(encoded, place)))
    proof.write_bytes(flipped(encoded, len(encoded) // 2))
    assert run(["fork", "verify", str(proof)]) in {1, 65}
    assert capsys.readouterr().err.startswith("error: ")


def flipped(encoded: bytes, place: int) -> bytes:
    return encoded[:place] + bytes([encoded[place] ^ 1]) + encoded[place + 1 :]
