"""Streams of several owners and of further writers, by the commands of real daemons."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from qbix_node.crypto.keys import KeyPair
from qbix_node.wire.references import format_feed
from tests.e2e.test_commands import Person
from tests.e2e.test_streams import come
from tests.interop.jspeer import PATIENCE_S
from tests.interop.node import LOOK_AGAIN_S, Node, make_home, open_node


async def people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *names: str
) -> list[tuple[Path, Person]]:
    for name in names:
        await make_home(tmp_path / name)
    return [(tmp_path / name, Person(tmp_path / name, capsys)) for name in names]


async def append(person: Person, folder: Path, stream: str, text: str) -> dict[str, object]:
    file = folder / "entry"
    file.write_text(text)
    done: dict[str, object] = await person.asks("stream", "append", stream, str(file))
    return done


async def texts(person: Person, stream: str) -> list[tuple[str, str]]:
    lines = await person.lists("stream", "log", stream)
    return [(line["author"], line["text"]) for line in lines]


async def test_three_owners_and_a_follower(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (a, alice), (b, bob), (c, carol), (d, dave) = await people(
        tmp_path, capsys, "alice", "bob", "carol", "dave"
    )
    async with (
        open_node(a) as one,
        open_node(b) as two,
        open_node(c) as three,
        open_node(d) as four,
    ):
        made = await alice.asks(
            *("stream", "create", "--owner", two.id, "--owner", three.id, "--threshold", "2")
        )
        stream = made["stream"]
        assert set(made["proposal"]["waiting_for"]) == {two.id, three.id}
        for person, node in ((bob, two), (carol, three), (dave, four)):
            said = await person.types("follow", stream)
            assert "if this node is an owner, it signs" in said
            await node.dial(one.address)
        for node in (one, two, three, four):
            await begun(node, stream)
        for person, folder, name in ((bob, b, "bob"), (alice, a, "alice"), (carol, c, "carol")):
            done = await append(person, folder, stream, f"from {name}")
            assert done["entries"] == 1
        for node in (one, two, three, four):
            await come(node, stream, 3)
        expected = [(two.id, "from bob"), (one.id, "from alice"), (three.id, "from carol")]
        assert await texts(dave, stream) == expected
        assert (await dave.asks("stream", "verify", stream))["verified"] == 3
        refusal = await dave.is_refused("stream", "append", stream, str(b / "entry"), code=1)
        assert "neither an owner nor among the writers" in refusal
        shown = await bob.asks("stream", "show", stream)
        assert (shown["signs"], shown["sequencer"], shown["threshold"]) == (True, one.id, 2)
        assert "from now on it signs" in await bob.types("follow", stream)
        assert await dave.types("follow", stream) == f"following {stream}\n"
        assert "this node signs for it" in await bob.types("stream", "show", stream)


async def alone(node: Node) -> None:
    """Nobody is connected."""
    await node.until("/peers", lambda rows: all(row["state"] != "connected" for row in rows))


async def proposing(node: Node, stream: str) -> Any:  # noqa: ANN401  (JSON)
    """How the stream is, once something of it waits for signatures."""
    with trio.fail_after(PATIENCE_S):
        while True:
            shown = await node.ask("/streams/show", stream=stream)
            if shown["proposal"]:
                return shown
            await trio.sleep(LOOK_AGAIN_S)


async def begun(node: Node, stream: str) -> None:
    def is_here(rows: list[dict[str, object]]) -> bool:
        return any(row["stream"] == stream and row["length"] for row in rows)

    await node.until("/streams", is_here)


async def test_a_sequencer_that_is_killed_goes_on_with_what_it_proposed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (a, alice), (b, bob) = await people(tmp_path, capsys, "alice", "bob")
    async with open_node(b) as two:
        async with open_node(a) as one:
            stream = (await one.tell("/streams/create", **wish(two.id)))["stream"]
            await two.follow(stream)
            await two.dial(one.address)
            await begun(two, stream)
            await two.tell("/peers/remove", peer=one.id)
            await alone(one)
            async with trio.open_nursery() as nursery:

                async def append() -> None:
                    with suppress(httpx.TransportError):
                        path = "/streams/append"
                        await one.control.post(path, params={"stream": stream}, content=b"kept")

                nursery.start_soon(append)
                shown = await proposing(one, stream)
                assert (shown["length"], shown["proposal"]["stop"]) == (1, 2)
                one.process.kill()
                await one.process.wait()
        async with open_node(a) as one:
            again = await one.ask("/streams/show", stream=stream)
            assert again["proposal"] == shown["proposal"]
            assert "waiting for" in await alice.types("stream", "show", stream)
            await two.dial(one.address)
            await come(two, stream, 1)
            assert await texts(bob, stream) == await texts(alice, stream) == [(one.id, "kept")]
            assert (await one.ask("/streams/show", stream=stream))["proposal"] is None


def wish(*owners: str) -> dict[str, object]:
    named = [{"key": key, "weight": 1} for key in owners]
    return {"kind": "log", "uniqueness": "gossip", "owners": named, "threshold": len(owners) + 1}


async def test_a_writer_who_owns_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (a, alice), (b, bob), (c, carol) = await people(tmp_path, capsys, "alice", "bob", "carol")
    async with open_node(a) as one, open_node(b) as two, open_node(c) as three:
        stream = (await alice.types("stream", "create", "--writer", two.id)).strip()
        lines = tmp_path / "lines"
        lines.write_text("".join([f"line {number}\n" for number in range(100)]))
        for person in (bob, carol):
            await person.types("follow", stream)
        early = await bob.is_refused("stream", "append", stream, str(lines), code=1)
        assert "not here" in early
        await two.dial(one.address)
        await three.dial(two.address)  # which carries it
        for node in (two, three):
            await begun(node, stream)
        done = await bob.asks("stream", "append", stream, str(lines), "--lines")
        assert (done["entries"], done["first"], done["stop"]) == (100, 1, 101)
        assert "appended entry 101" in await alice.types("stream", "append", stream, str(lines))
        await come(three, stream, 101)
        told = await texts(carol, stream)
        assert [author for author, _ in told] == [two.id] * 100 + [one.id]
        assert [text for _, text in told[:100]] == [f"line {number}" for number in range(100)]
        refusal = await carol.is_refused("stream", "append", stream, str(lines), code=1)
        assert "nor among the writers" in refusal
        assert f"writers     {two.id}" in await carol.types("stream", "show", stream)
        await two.tell("/peers/remove", peer=one.id)
        await alone(one)
        refusal = await bob.is_refused("stream", "append", stream, str(lines), code=75)
        assert "is not connected" in refusal
        assert "qbix-node peer add" in refusal


async def test_a_stream_that_would_not_do_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ((a, alice),) = await people(tmp_path, capsys, "alice")
    keys = [format_feed(KeyPair.from_seed(bytes([n]) * 32).public) for n in range(1, 4)]
    async with open_node(a) as one:
        wanted = ["stream", "create", "--owner", keys[0], "--owner", f"{keys[1]}:2"]
        low = await alice.is_refused(*wanted, "--threshold", "2", code=65)
        assert "not above half" in low
        assert "--threshold 3" in low
        assert "never reached" in await alice.is_refused(*wanted, "--threshold", "5", code=65)
        twice = await alice.is_refused(*wanted, "--owner", keys[0], code=65)
        assert "named twice" in twice
        both = await alice.is_refused(*wanted, "--writer", keys[2], "--anybody-writes", code=65)
        assert "either some" in both
        assert await alice.asks("following") == []
        out, err = await alice.both(*wanted)
        stream = out.strip()
        assert keys[0] in err
        assert f"qbix-node follow {stream}" in err
        row = await alice.asks("stream", "show", stream)
        assert sorted(zip(row["owners"], row["weights"], strict=True)) == sorted(
            [(keys[0], 1), (keys[1], 2), (one.id, 1)]
        )
        assert (row["threshold"], row["length"], row["proposal"]["stop"]) == (3, 0, 1)
        assert "sequencer" in await alice.types("stream", "show", stream)
        entry = tmp_path / "entry"
        entry.write_text("too early")
        early = await alice.is_refused("stream", "append", stream, str(entry), code=75)
        assert "has not begun" in early
        assert keys[0] in early


@pytest.mark.parametrize("killed", [False, True], ids=["a clean copy", "a copy of a running node"])
@pytest.mark.parametrize("who", ["alice", "bob"], ids=["the sequencer", "another owner"])
async def test_an_owner_that_is_put_back_forks_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], who: str, killed: bool
) -> None:
    homes = [home for home, _ in await people(tmp_path, capsys, "alice", "bob", "carol")]
    lost, copy = tmp_path / who, tmp_path / "copy"
    stays = [home for home in homes if home != lost]

    def keep_copy() -> None:
        shutil.copytree(lost, copy, ignore=shutil.ignore_patterns("control.sock"))

    async with open_node(stays[0]) as one, open_node(stays[1]) as other:
        async with open_node(lost) as node:
            nodes = {each.home.name: each for each in (one, other, node)}
            alice = nodes.pop("alice")
            wanted = wish(*[each.id for each in nodes.values()])
            stream = (await alice.tell("/streams/create", **{**wanted, "threshold": 2}))["stream"]
            for each in nodes.values():
                await each.follow(stream)
            await mesh(node, one, other)
            for each in (alice, *nodes.values()):
                await begun(each, stream)
            assert await placed(alice, stream) == 1
            if killed:
                await come(node, stream, 1)
                keep_copy()
            for index in (2, 3):
                assert await placed(alice if killed else node, stream) == index
            if killed:
                node.process.kill()
                await node.process.wait()
        if not killed:
            keep_copy()
            async with open_node(lost) as node:
                await mesh(node, one, other)
                assert await placed(node, stream) == 4
        shutil.rmtree(lost)
        copy.rename(lost)
        async with open_node(lost) as node:
            place = await placed(node, stream)  # it calls the others by itself
            assert place == (4 if killed else 5)
            for each in (one, other, node):
                await come(each, stream, place)
            rows = [await each.ask("/streams/show", stream=stream) for each in (one, other, node)]
            assert len({row["root"] for row in rows}) == 1
            assert [await each.ask("/forks") for each in (one, other, node)] == [[], [], []]


async def mesh(node: Node, one: Node, other: Node) -> None:
    await node.dial(one.address)
    await node.dial(other.address)
    await one.dial(other.address)


async def placed(node: Node, stream: str) -> int:
    """Append an entry: where it stands."""
    for _ in range(3):  # who has just come may not be connected yet
        answer = await node.control.post(
            "/streams/append", params={"stream": stream}, content=b"next"
        )
        if answer.is_success:
            return int(answer.json()["first"])
        await trio.sleep(0.5)
    raise AssertionError(answer.text)


async def test_an_owner_that_nobody_answers_is_resumed_by_its_operator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (a, alice), (b, _) = await people(tmp_path, capsys, "alice", "bob")
    async with open_node(b) as two, open_node(a) as one:
        stream = (await one.tell("/streams/create", **wish(two.id)))["stream"]
        await two.follow(stream)
        await two.dial(one.address)
        await begun(two, stream)
        await begun(one, stream)
        one.process.kill()
        await one.process.wait()
    async with open_node(a):
        assert "cut off or put back" in await alice.types("stream", "show", stream)
        wrong = await alice.is_refused("stream", "resume", stream, "2", code=1)
        assert "length 1 here" in wrong
        await alice.types("stream", "resume", stream, "1")
        assert (await alice.asks("stream", "show", stream))["doubt"] is None
