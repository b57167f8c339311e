"""Two JavaScript peers serve two branches of one feed; neither notices, the node keeps evidence."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from qbix_node.crypto.keys import KeyPair
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.forks import check_classic_fork, read_classic_fork
from qbix_node.feeds.messages import Head
from qbix_node.wire.references import format_message
from tests.interop.jspeer import Engine, needs_js_peers, open_js_peer
from tests.interop.node import make_home, open_node

COMMON, SHORT, LONG = 5, 8, 12

pytestmark = [pytest.mark.interop, needs_js_peers]


def branch(name: str, length: int) -> list[Any]:
    """A feed by mallory; branches are the same up to COMMON."""
    keys = KeyPair.from_seed(hashlib.sha256(b"mallory").digest())
    head: Head | None = None
    values = []
    for sequence in range(1, length + 1):
        text = f"{'common' if sequence <= COMMON else name} {sequence}"
        message = make_message(keys, head, {"type": "post", "text": text}, 1700000000000 + sequence)
        head = message.head
        values.append(json.loads(message.encoded))
    return values


@pytest.mark.parametrize("engine", ["db2", "db"])
async def test_a_fork_served_by_two_peers_ends_as_evidence(engine: Engine, tmp_path: Path) -> None:
    await make_home(tmp_path / "n")
    async with (
        open_js_peer(engine, tmp_path / "x", seed="x", replicate="mallory") as x,
        open_js_peer(engine, tmp_path / "y", seed="y", replicate="mallory") as y,
        open_node(tmp_path / "n") as node,
    ):
        mallory = branch("x", 1)[0]["author"]
        assert (await x.tell("add", values=branch("x", SHORT)))["refused"] == []
        assert (await y.tell("add", values=branch("y", LONG)))["refused"] == []
        await node.follow(mallory)
        await node.dial(x.address)
        await node.reach(mallory, SHORT)
        await node.dial(y.address)

        forks = await node.until("/status", lambda status: status["forks"])
        kept = await node.log(mallory)
        (fork,) = forks
        assert (fork["log"], fork["form"], fork["convicted"]) == (mallory, "c", [mallory])
        assert COMMON < fork["length"] <= SHORT
        proof = (await node.control.get("/forks/proof", params={"id": fork["id"]})).content
        check_classic_fork(proven := read_classic_fork(proof))
        x_log, y_log, place = await x.log(), await y.log(), (mallory, fork["length"])
        both = {format_message(each.id) for each in (proven.message, proven.other)}
        assert both == {x_log[place].key, y_log[place].key}
        assert kept == x_log, "nothing of the second branch may get into the feed"


async def test_what_ssb_db2_corrupts_is_refused_and_harms_nobody(tmp_path: Path) -> None:
    await make_home(tmp_path / "n")
    async with (
        open_js_peer(
            "db2", tmp_path / "m", seed="mallory", messages=1, content="poison"
        ) as mallory,
        open_js_peer("db2", tmp_path / "a", seed="alice", messages=3) as alice,
        open_node(tmp_path / "n") as node,
    ):
        await node.follow(mallory.id, alice.id)
        await node.dial(mallory.address, alice.address)
        await mallory.wait_for("linked")
        await node.reach(alice.id, 3)
        rows = {row["feed"]: row["sequence"] for row in await node.ask("/feeds")}
        assert rows.get(mallory.id, 0) == 0
