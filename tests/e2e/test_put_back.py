"""Homes that are put back from an older copy, or run twice: nobody forks a stream of its own."""

import shutil
from pathlib import Path

import pytest
import trio

from tests.e2e.test_commands import Person
from tests.e2e.test_streams import come
from tests.interop.node import Node, make_home, open_node


class Town:
    """Alice owns a stream, and Bob, whom she calls, keeps it."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.alices, self.bobs = path / "alice", path / "bob"
        self.copy = path / "copy"
        self.alice, self.bob = Person(self.alices, capsys), Person(self.bobs, capsys)
        self.entry = path / "entry"
        self.entry.write_text("hello")
        self.stream = ""

    async def begin(self, alice: Node, bob: Node) -> None:
        self.stream = (await self.alice.types("stream", "create")).strip()
        await self.bob.types("follow", self.stream)
        await alice.dial(bob.address)
        await self.append(bob, 1)

    async def append(self, bob: Node, *indexes: int) -> None:
        """By Alice; Bob gets it."""
        for index in indexes:
            assert await self.appended(self.alice) == index
            await come(bob, self.stream, index)

    async def appended(self, person: Person) -> int:
        done = await person.asks("stream", "append", self.stream, str(self.entry))
        return int(done["first"])

    async def appended_once_bob_is_there(self, alice: Node) -> int:
        """What she wants to append meanwhile waits, and nobody proves a fork."""
        place: dict[str, int] = {}

        async def append() -> None:
            query = {"stream": self.stream}
            answer = await alice.control.post("/streams/append", content=b"next", params=query)
            assert answer.is_success, answer.text
            place.update(answer.json())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(append)
            async with open_node(self.bobs) as bob:
                assert place == {}
                await bob.dial(alice.address)
                await come(alice, self.stream, 4)
                await come(bob, self.stream, 4)
                shown = [
                    await node.ask("/streams/show", stream=self.stream) for node in (alice, bob)
                ]
                assert [row["length"] for row in shown] == [5, 5]
                assert shown[0]["root"] == shown[1]["root"]
                assert [await node.ask("/forks") for node in (alice, bob)] == [[], []]
        return place["first"]

    def keep_copy(self) -> None:
        shutil.copytree(self.alices, self.copy, ignore=shutil.ignore_patterns("control.sock"))

    def put_back(self) -> None:
        shutil.rmtree(self.alices)
        self.copy.rename(self.alices)


@pytest.fixture
async def town(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Town:
    made = Town(tmp_path, capsys)
    await make_home(made.alices)
    await make_home(made.bobs)
    return made


async def test_who_is_put_back_to_a_clean_copy_gets_its_entries_back_before_it_appends(
    town: Town,
) -> None:
    async with open_node(town.bobs) as bob:
        async with open_node(town.alices) as alice:
            await town.begin(alice, bob)
        town.keep_copy()
        async with open_node(town.alices):
            await town.append(bob, 2, 3)
    town.put_back()
    async with open_node(town.alices) as alice:
        assert await town.appended_once_bob_is_there(alice) == 4


async def test_who_is_put_back_to_a_copy_of_a_running_node_gets_its_entries_back_too(
    town: Town,
) -> None:
    async with open_node(town.bobs) as bob, open_node(town.alices) as alice:
        await town.begin(alice, bob)
        town.keep_copy()
        await town.append(bob, 2, 3)
        alice.process.kill()
        await alice.process.wait()
    town.put_back()
    async with open_node(town.alices) as alice:
        assert await town.appended_once_bob_is_there(alice) == 4


async def test_without_anybody_who_answers_it_is_up_to_a_person(town: Town) -> None:
    async with open_node(town.bobs) as bob, open_node(town.alices) as alice:
        await town.begin(alice, bob)
        append = "stream", "append", town.stream, str(town.entry)
        alice.process.kill()
        await alice.process.wait()
    async with open_node(town.alices):
        pass  # a clean stop now does not make it a clean one then
    async with open_node(town.alices):
        told = await town.alice.is_refused(*append, code=75)
        assert "cut off or put back" in told
        assert f"qbix-node stream resume {town.stream} 2" in told
        assert "WAITS: the home" in await town.alice.types("stream", "show", town.stream)
        assert f"{town.stream} waits: the home" in await town.alice.types("status")
        told = await town.alice.is_refused("stream", "resume", town.stream, "3", code=1)
        assert "length 2 here, not 3" in told
        await town.alice.types("stream", "resume", town.stream, "2")
        assert await town.appended(town.alice) == 2
        assert (await town.alice.asks("stream", "show", town.stream))["doubt"] is None
        assert (await town.alice.asks("status"))["doubts"] == []


async def test_of_two_nodes_with_one_key_the_second_sees_it_before_it_appends(
    town: Town,
) -> None:
    async with open_node(town.bobs) as bob, open_node(town.alices) as alice:
        await town.begin(alice, bob)
    town.keep_copy()
    async with open_node(town.alices) as alice:
        async with open_node(town.bobs) as bob:
            await bob.dial(alice.address)
            await town.append(bob, 2, 3)
            await bob.tell("/peers/remove", peer=alice.id)  # else he would call her, not the clone
        async with open_node(town.copy) as clone:
            assert await town.appended_once_bob_is_there(clone) == 4
