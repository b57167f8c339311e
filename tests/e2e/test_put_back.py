"""Homes that are put back from an older copy, or run twice: nobody forks a stream of its own."""

import shutil
from pathlib import Path

import pytest
import trio

from tests.e2e.test_commands import Person
from tests.e2e.test_streams import come
from tests.interop.node import Node, make_home, open_node


class Town:
    """Alice owns a stream, and Bob, who calls her, keeps it. She doesn't know where he is."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.alices, self.bobs, self.carols = path / "alice", path / "bob", path / "carol"
        self.copy = path / "copy"
        self.alice = Person(self.alices, capsys)
        self.entry = path / "entry"
        self.entry.write_text("hello")
        self.stream = ""

    async def begin(self, alice: Node, bob: Node) -> None:
        self.stream = (await alice.tell("/streams/create", kind="log", uniqueness="gossip"))[
            "stream"
        ]
        await bob.follow(self.stream)
        await bob.dial(alice.address)
        await self.append(alice, bob, 1)

    async def append(self, alice: Node, bob: Node, *indexes: int) -> None:
        """Bob gets it."""
        for index in indexes:
            assert await self.appended(alice) == index
            await come(bob, self.stream, index)

    async def appended(self, alice: Node) -> int:
        query = {"stream": self.stream}
        answer = await alice.control.post("/streams/append", content=b"next", params=query)
        assert answer.is_success, answer.text
        return int(answer.json()["first"])

    async def appended_once_called(self, alice: Node, by: Node) -> int:
        """What she wants to append waits for that, and nobody proves a fork."""
        places: list[int] = []

        async def append() -> None:
            places.append(await self.appended(alice))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(append)
            assert (await alice.ask("/streams/show", stream=self.stream))["doubt"] is not None
            assert places == []
            await by.dial(alice.address)
            await come(alice, self.stream, 4)
            await come(by, self.stream, 4)
            rows = [await node.ask("/streams/show", stream=self.stream) for node in (alice, by)]
            assert [(row["length"], row["doubt"]) for row in rows] == [(5, None)] * 2
            assert rows[0]["root"] == rows[1]["root"]
            assert [await node.ask("/forks") for node in (alice, by)] == [[], []]
        return places[0]

    def keep_copy(self) -> None:
        shutil.copytree(self.alices, self.copy, ignore=shutil.ignore_patterns("control.sock"))

    def put_back(self) -> None:
        shutil.rmtree(self.alices)
        self.copy.rename(self.alices)


async def kill(node: Node) -> None:
    node.process.kill()
    await node.process.wait()


@pytest.fixture
async def town(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Town:
    made = Town(tmp_path, capsys)
    for home in (made.alices, made.bobs, made.carols):
        await make_home(home)
    return made


async def test_who_is_put_back_to_a_clean_copy_gets_its_entries_back_before_it_appends(
    town: Town,
) -> None:
    async with open_node(town.bobs) as bob:
        async with open_node(town.alices) as alice:
            await town.begin(alice, bob)
        town.keep_copy()
        async with open_node(town.alices) as alice:
            await bob.dial(alice.address)
            await town.append(alice, bob, 2, 3)
        town.put_back()
        async with open_node(town.alices) as alice:
            assert await town.appended_once_called(alice, by=bob) == 4


async def test_who_is_put_back_to_a_copy_of_a_running_node_gets_its_entries_back_too(
    town: Town,
) -> None:
    async with open_node(town.bobs) as bob:
        async with open_node(town.alices) as alice:
            await town.begin(alice, bob)
            town.keep_copy()
            await town.append(alice, bob, 2, 3)
            await kill(alice)
        town.put_back()
        async with open_node(town.alices) as alice:
            assert await town.appended_once_called(alice, by=bob) == 4


async def test_of_two_nodes_with_one_key_the_second_sees_it_before_it_appends(
    town: Town,
) -> None:
    async with open_node(town.bobs) as bob, open_node(town.carols) as carol:
        async with open_node(town.alices) as alice:
            await town.begin(alice, bob)
        town.keep_copy()
        await carol.follow(town.stream)
        await carol.dial(bob.address)
        async with open_node(town.alices) as alice:
            await bob.dial(alice.address)
            await town.append(alice, bob, 2, 3)
            await come(carol, town.stream, 3)
            async with open_node(town.copy) as clone:
                assert await town.appended_once_called(clone, by=carol) == 4
                await come(alice, town.stream, 4)
                assert await town.appended(alice) == 5


async def test_without_anybody_who_answers_it_is_up_to_a_person(town: Town) -> None:
    with (town.alices / "node.toml").open("a") as settings:
        settings.write("own_streams_wait = 1\n")  # she is told as soon
    async with open_node(town.bobs) as bob, open_node(town.alices) as alice:
        await town.begin(alice, bob)
        await kill(alice)
    async with open_node(town.alices):
        pass  # a clean stop now does not make it a clean one then
    async with open_node(town.alices) as alice:
        told = await town.alice.is_refused(
            "stream", "append", town.stream, str(town.entry), code=75
        )
        assert "cut off or put back" in told
        assert f"qbix-node stream resume {town.stream} 2" in told
        assert "WAITS: the home" in await town.alice.types("stream", "show", town.stream)
        assert f"{town.stream} waits: the home" in await town.alice.types("status")
        told = await town.alice.is_refused("stream", "resume", town.stream, "3", code=1)
        assert "length 2 here, not 3" in told
        await town.alice.types("stream", "resume", town.stream, "2")
        assert await town.appended(alice) == 2
        assert (await alice.ask("/status"))["doubts"] == []


async def test_who_has_just_begun_or_knows_nobody_appends_at_once(town: Town) -> None:
    async with open_node(town.alices) as alice:
        made = await alice.tell("/streams/create", kind="log", uniqueness="gossip")
        town.stream = made["stream"]
        assert made["doubt"] is None
        assert await town.appended(alice) == 1
    async with open_node(town.alices) as alice:
        assert (await alice.ask("/streams/show", stream=town.stream))["doubt"] is None
        assert await town.appended(alice) == 2
