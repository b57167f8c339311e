"""Daemons that hold nothing of a stream find forks of it, and hand on proofs."""

from pathlib import Path
from typing import Any

import pytest
import trio

from qbix_node.gossip.messages import LISTENED_MAX
from qbix_node.streams.genesis import Uniqueness
from qbix_node.wire.references import StreamId, format_stream
from tests.e2e.test_commands import Person
from tests.e2e.test_forked_stream import archive_of, connect, import_into, wait_for_proofs
from tests.gossip.gossips import Author
from tests.interop.node import Node, make_home, open_node

X = [["same"], ["x", "y"]]
OTHER = [["same"], ["other"], ["and", "more"]]
WITHIN_S = 60.0
LOOK_AGAIN_S = 0.1


async def shown(node: Node, stream: str) -> Any:  # noqa: ANN401  (JSON)
    return await node.ask("/streams/show", stream=stream)


async def keeps_one(node: Node) -> bool:
    """Of a stream that it does not have."""
    return "\nqbix_proofs_elsewhere 1\n" in (await node.control.get("/metrics")).text


async def test_a_fork_between_two_that_never_meet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    author = Author()
    stream = format_stream(author.stream)
    homes = [tmp_path / name for name in ("a", "b", "c")]
    for home in homes:
        await make_home(home)
    person = Person(homes[1], capsys)
    async with open_node(homes[0]) as holder, open_node(homes[1]) as hearer:
        await import_into(holder, author.write(*X))
        assert await person.types("follow", stream, "--heads-only") == (
            f"following {stream}, heads only\n"
        )
        await connect([holder, hearer], [(1, 0)])
        with trio.fail_after(WITHIN_S):
            while (await shown(hearer, stream))["head_length"] != 4:  # noqa: ASYNC110  (another process)
                await trio.sleep(LOOK_AGAIN_S)
        row = await shown(hearer, stream)
        assert (row["length"], row["heads_only"], row["kind"]) == (0, True, "test")
        assert await person.types("following") == f"{stream}, heads only\n"
        told = await person.types("stream", "show", stream)
        assert "head        length 4, root " in told
        assert "followed, heads only" in told
        assert "entries" not in told
    # Who had that branch is gone; the node was restarted.
    async with open_node(homes[1]) as hearer, open_node(homes[2]) as other:
        assert (await shown(hearer, stream))["head_length"] == 4
        answer = await other.control.post(
            "/streams/import", content=archive_of(author.write(*OTHER))
        )
        assert answer.is_success
        await connect([hearer, other], [(1, 0)])
        with trio.fail_after(WITHIN_S):
            for node in (hearer, other):
                await wait_for_proofs(node, {stream})
        told = await person.types("stream", "show", stream)
        assert "FORKED" in told
        assert (await shown(hearer, stream))["length"] == 0
        forks = await person.asks("fork", "list")  # each side may have made one
        assert {fork["log"] for fork in forks} == {stream}
        assert "streams   1, 1 forked" in await person.types("status")
        await person.types("unfollow", stream)
        assert await person.types("following") == "following nobody\n"
        kept = await person.asks("fork", "list")
        assert all(fork in kept for fork in forks)


async def test_a_proof_waits_at_a_neighbour_for_who_follows_later(tmp_path: Path) -> None:
    """Who proved the fork is gone; the daemon in between never followed the stream."""
    author = Author()
    stream = format_stream(author.stream)
    homes = [tmp_path / name for name in ("a", "b", "c")]
    for home in homes:
        await make_home(home)
    async with open_node(homes[1]) as between:
        async with open_node(homes[0]) as prover:
            await connect([prover, between], [(0, 1)])
            await import_into(prover, author.write(*X))
            answer = await prover.control.post(
                "/streams/import", content=archive_of(author.write(*OTHER))
            )
            assert answer.is_error  # it is another history
            await wait_for_proofs(prover, {stream})
            while not await keeps_one(between):  # noqa: ASYNC110  (another process)
                await trio.sleep(LOOK_AGAIN_S)
        assert await between.ask("/forks") == []
        async with open_node(homes[2]) as later:
            await import_into(later, author.write(*X))
            await connect([between, later], [(1, 0)])
            with trio.fail_after(WITHIN_S):
                await wait_for_proofs(later, {stream})


async def test_what_is_refused_leaves_the_stream_as_it_is_followed(tmp_path: Path) -> None:
    alone, many = Author(uniqueness=Uniqueness.NONE), Author()
    names = [format_stream(each.stream) for each in (alone, many)]
    await make_home(tmp_path / "a")
    async with open_node(tmp_path / "a") as node:
        for author in (alone, many):
            await import_into(node, author.write(*X))
        for number in range(LISTENED_MAX):
            other = format_stream(StreamId(number.to_bytes(32, "big")))
            await node.control.post("/follow", json={"feed": other, "heads_only": True})
        for name, why in zip(names, ("uniqueness is none", "unfollow some first"), strict=True):
            body = {"feed": name, "heads_only": True}
            answer = await node.control.post("/follow", json=body)
            assert why in answer.text
            row = await shown(node, name)
            assert (row["following"], row["heads_only"]) == (True, False)
