"""Streams of several owners and of further writers, by the commands of real daemons."""

from pathlib import Path

import pytest

from tests.e2e.test_commands import Person
from tests.e2e.test_streams import come
from tests.interop.node import make_home, open_node


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
            await person.types("follow", stream)
            await node.dial(one.address)
        for node in (one, two, three, four):
            await node.until(
                "/streams", lambda rows: any(r["stream"] == stream and r["length"] for r in rows)
            )
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
        assert "this node signs for it" in await bob.types("stream", "show", stream)
