"""Two of three owners are cloned and fork their stream; its owners choose together, by commands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from tests.e2e.test_commands import Person
from tests.e2e.test_resolve import copied, exported, open_all, texts_of, until
from tests.e2e.test_streams import come
from tests.e2e.test_together import begun, mesh, people, placed, wish
from tests.interop.jspeer import PATIENCE_S
from tests.interop.node import LOOK_AGAIN_S, Node

NAMES = ("alice", "bob", "carol")


@dataclass
class Forked:
    """Alice, the sequencer, and bob are on `x`; carol is on `y`, which two clones signed."""

    stream: str
    nodes: tuple[Node, Node, Node]
    people: tuple[Person, Person, Person]


async def begin(one: Node, two: Node, three: Node) -> str:
    wanted = {**wish(two.id, three.id), "threshold": 2}
    stream: str = (await one.tell("/streams/create", **wanted))["stream"]
    for node in (two, three):
        await node.follow(stream)
    await mesh(one, two, three)
    for node in (one, two, three):
        await begun(node, stream)
    await placed(one, stream)
    for node in (one, two, three):
        await come(node, stream, 1)
    return stream


@asynccontextmanager
async def forked(path: Path, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Forked]:
    (a, alice), (b, bob), (c, carol) = await people(path, capsys, *NAMES)
    async with open_all(a, b, c) as (one, two, three):
        stream = await begin(one, two, three)
        for node, other in ((one, two), (one, three), (two, three), (two, one), (three, two)):
            await node.tell("/peers/remove", peer=other.id)
    clones = [path / "clone of alice", path / "clone of bob"]
    for home, clone in zip((a, b), clones, strict=True):
        await copied(home, clone)
    async with open_all(*clones) as (one, two):
        await one.dial(two.address)
        for _ in range(2):
            await placed(one, stream)
        lost = await exported(one, stream)
    async with open_all(a, b, c) as (one, two, three):
        await one.dial(two.address)
        await placed(one, stream)
        await come(two, stream, 2)
        answer = await three.control.post("/streams/import", content=lost)
        assert answer.is_success, answer.text
        await one.dial(three.address)
        await until([one, two, three], stream, forked=True, closed=False)
        yield Forked(stream, (one, two, three), (alice, bob, carol))


async def roots(person: Person, stream: str) -> dict[bool, str]:
    shown = await person.asks("stream", "show", stream)
    return {branch["here"]: branch["root"] for branch in shown["branches"]}


async def chosen(node: Node, stream: str, owner: str) -> None:
    """Once that owner's choice has come."""
    with trio.fail_after(PATIENCE_S):
        while True:
            rows = (await node.ask("/streams/show", stream=stream))["branches"]
            if [owner] in [row["chosen_by"] for row in rows]:
                return
            await trio.sleep(LOOK_AGAIN_S)


@pytest.mark.parametrize("other", [False, True], ids=["the sequencer's branch", "the other"])
async def test_two_of_three_choose_and_all_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], other: bool
) -> None:
    async with forked(tmp_path, capsys) as town:
        (one, two, three), (alice, bob, carol) = town.nodes, town.people
        stream = town.stream
        root = (await roots(alice, stream))[not other]
        command = ["stream", "resolve", stream, "--root", root]
        told = await alice.is_refused(*command, "--wait", "1", code=75)
        assert "signed and kept" in told
        assert "weight 1, and 2 are needed" in told
        assert two.id in told
        assert f"qbix-node stream resolve {stream} --root {root}" in told
        wrong = (await roots(alice, stream))[other]
        twice = await alice.is_refused("stream", "resolve", stream, "--root", wrong, code=1)
        assert "chooses once" in twice
        await chosen(two, stream, one.id)
        assert f"chosen by {one.id}" in await bob.types("stream", "show", stream)
        assert (await bob.asks("stream", "show", stream))["resolved_root"] is None

        said = await bob.types(*command)  # once alice's choice has come
        assert f"goes on with the branch at length 3, root {root}" in said
        assert "goes on" in await alice.types(*command)
        length = 4 if other else 3
        await until(town.nodes, stream, resolved_root=root, stopped=None, length=length)
        assert await placed(one, stream) == length
        assert await placed(three, stream) == length + 1
        for node in town.nodes:
            await come(node, stream, length + 1)
        assert len({tuple(await texts_of(node, stream)) for node in town.nodes}) == 1
        assert all(row["resolved"] for row in await one.ask("/forks"))
        assert "resolved" in await carol.types("stream", "show", stream)


async def test_who_waits_sees_the_others_choose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with forked(tmp_path, capsys) as town:
        (_, two, three), stream = town.nodes, town.stream
        root = (await roots(town.people[1], stream))[True]
        body = {"stream": stream, "root": root}
        assert (await two.tell("/streams/resolve", **body))["resolved_root"] is None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(town.people[0].types, "stream", "resolve", stream, "--root", root)
            await until(town.nodes, stream, resolved_root=root)
        assert (await three.tell("/streams/resolve", **body))["resolved_root"] == root


async def test_owners_who_choose_different_branches_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with forked(tmp_path, capsys) as town:
        (alice, bob, _), stream = town.people, town.stream
        both = await roots(alice, stream)
        first = ["stream", "resolve", stream, "--root", both[True], "--wait", "1"]
        await alice.is_refused(*first, code=75)
        other = ["stream", "resolve", stream, "--root", both[False], "--wait", "3"]
        told = await bob.is_refused(*other, code=75)
        assert "2 different branches" in told
        assert "--root ROOT" in told
