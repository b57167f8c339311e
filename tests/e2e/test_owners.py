"""A stream changes hands, by the commands of real daemons."""

from pathlib import Path

import pytest

from tests.e2e.test_commands import Person
from tests.e2e.test_streams import come
from tests.e2e.test_together import append, begun, people
from tests.interop.node import open_node


async def test_a_stream_changes_hands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (a, alice), (b, bob), (c, carol) = await people(tmp_path, capsys, "alice", "bob", "carol")
    async with open_node(b) as two, open_node(c) as three:
        async with open_node(a) as one:
            stream = (await alice.types("stream", "create", "--uniqueness", "none")).strip()
            await append(alice, a, stream, "hers")
            for person in (bob, carol):
                await person.types("follow", stream)
            await two.dial(one.address)
            await three.dial(one.address)
            await three.dial(two.address)
            for node in (two, three):
                await begun(node, stream)
            await refused(alice, bob, stream, one.id, two.id)

            told = await alice.types("stream", "owners", stream, "--owner", two.id)
            assert told == f"from entry 3 on, {two.id} signs\n"
            for node in (two, three):
                await come(node, stream, 2)
            late = await alice.is_refused("stream", "append", stream, str(a / "entry"), code=1)
            assert "not the only owner" in late
            done = await append(bob, b, stream, "his")
            assert done["first"] == 3
            for node in (one, three):
                await come(node, stream, 3)
        async with open_node(a) as one:
            await append(bob, b, stream, "later")
            await three.dial(one.address)
            await come(one, stream, 4)
            await come(three, stream, 4)
            log = await carol.lists("stream", "log", stream)
            assert [(line["author"], line.get("text")) for line in log] == [
                (one.id, "hers"),
                (one.id, None),
                (two.id, "his"),
                (two.id, "later"),
            ]
            assert log[1]["kind"] == "owners.set"
            shown = await alice.asks("stream", "show", stream)
            assert (shown["own"], shown["owners"]) == (False, [two.id])
            assert (await bob.asks("stream", "show", stream))["own"] is True
            assert (await carol.asks("stream", "verify", stream))["verified"] == 4
            assert await carol.types("stream", "prove", stream, "4", "-o", str(tmp_path / "proof"))


async def refused(alice: Person, bob: Person, stream: str, one: str, two: str) -> None:
    command = ["stream", "owners", stream, "--owner"]
    assert "not the only owner" in await bob.is_refused(*command, two, code=1)
    assert "has that owner already" in await alice.is_refused(*command, one, code=1)
    several = await alice.is_refused(*command, two, "--owner", one, code=65)
    assert "given to one" in several
    high = await alice.is_refused(*command, f"{two}:2", "--threshold", "3", code=65)
    assert "between 1 and all weight" in high
    weight = await alice.is_refused(*command, f"{two}:0", code=65)
    assert "whole number from 1" in weight
    gossip = (await alice.types("stream", "create")).strip()
    never = await alice.is_refused("stream", "owners", gossip, "--owner", two, code=1)
    assert "never change" in never
    free = ["stream", "create", "--uniqueness", "none", "--anybody-writes"]
    shared = (await alice.types(*free)).split()[0]
    given = await alice.is_refused("stream", "owners", shared, "--owner", two, code=1)
    assert "others write into" in given
