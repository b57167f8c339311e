"""Feeds of 10,000 hard-to-encode messages reach, over EBT, peers that never met their author.

alice (JavaScript) - node - bob (JavaScript) - second node: alice's feed travels down this line,
and the node's own feed travels to both of its ends.
"""

import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from tests.interop.jspeer import PEERS, Engine, JsPeer, Log, needs_js_peers, open_js_peer
from tests.interop.node import make_home, open_node, write_feed

LENGTH = 10_000

pytestmark = [pytest.mark.interop, needs_js_peers]


@pytest.fixture(scope="module")
def written_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a stopped node that has published LENGTH messages."""
    home = tmp_path_factory.mktemp("author") / "home"
    script = ["node", str(PEERS / "write-contents.cjs"), "edge", "node", str(LENGTH)]
    contents = subprocess.run(script, check=True, capture_output=True).stdout

    async def write() -> None:
        await make_home(home)
        await write_feed(home, contents.splitlines())

    trio.run(write)
    return home


async def all_of(*readings: Callable[[], Awaitable[Log]]) -> list[Log]:
    logs: dict[int, Log] = {}

    async def read(place: int) -> None:
        logs[place] = await readings[place]()

    async with trio.open_nursery() as nursery:
        for place in range(len(readings)):
            nursery.start_soon(read, place)
    return [logs[place] for place in range(len(readings))]


def differences(one: Log, other: Log) -> list[tuple[str, int]]:
    """Where they differ: all of both would be too much to look at."""
    return [place for place in sorted({*one, *other}) if one.get(place) != other.get(place)][:5]


def met(peer: JsPeer) -> set[str]:
    return {event["id"] for event in peer.events if event["event"] == "linked"}


@pytest.mark.parametrize("engine", ["db2", "db"])
async def test_long_feeds_reach_peers_that_never_met_their_author(
    engine: Engine, written_home: Path, tmp_path: Path
) -> None:
    await make_home(tmp_path / "two")
    shutil.copytree(written_home, tmp_path / "one")
    async with (
        open_js_peer(
            engine, tmp_path / "a", seed="alice", messages=LENGTH, content="edge"
        ) as alice,
        open_node(tmp_path / "one") as one,
        open_js_peer(engine, tmp_path / "b", replicate=[alice.id, one.id]) as bob,
        open_node(tmp_path / "two") as two,
    ):
        await alice.tell("replicate", id=one.id)
        await one.follow(alice.id)
        await two.follow(alice.id, one.id)
        await bob.tell("connect", address=one.address)
        await one.dial(alice.address)
        await two.dial(bob.address)

        await alice.reach(one.id, LENGTH)
        await one.reach(alice.id, LENGTH)
        for feed in (alice.id, one.id):
            await bob.reach(feed, LENGTH)
            await two.reach(feed, LENGTH)

        assert met(bob) == {one.id, two.id}
        written, *copies = await all_of(
            alice.log,
            bob.log,
            lambda: one.log(alice.id, one.id),
            lambda: two.log(alice.id, one.id),
        )
        assert len(written) == 2 * LENGTH
        assert [differences(written, copy) for copy in copies] == [[], [], []]
