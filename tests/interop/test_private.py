"""Private messages: sealed by one implementation, opened by the other."""

import json
from pathlib import Path
from typing import Literal

import pytest

from qbix_node.feeds.messages import Readers
from qbix_node.wire.references import parse_feed
from tests.interop.jspeer import Engine, needs_js_peers, open_js_peer
from tests.interop.node import make_home, open_node, write_feed

SUFFIXES = {"box1": ".box", "box2": ".box2"}

pytestmark = [pytest.mark.interop, needs_js_peers]


@pytest.mark.parametrize(("engine", "kind"), [("db2", "box1"), ("db2", "box2"), ("db", "box1")])
async def test_private_messages_are_opened_by_their_reader(
    engine: Engine, kind: Literal["box1", "box2"], tmp_path: Path
) -> None:
    letter = {"type": "post", "text": "f\u00fcr dich \U0001f600"}
    await make_home(tmp_path / "n")
    async with open_js_peer(engine, tmp_path / "a", seed="alice") as alice:
        reader = Readers((parse_feed(alice.id),), kind)
        await write_feed(tmp_path / "n", [json.dumps(letter).encode()], reader)
        async with open_node(tmp_path / "n") as node:
            await node.follow(alice.id)
            await node.dial(alice.address)
            await alice.tell("replicate", id=node.id)

            await alice.reach(node.id, 1)
            (sent,) = await node.ask_lines("/feeds/log", feed=node.id)
            assert sent["value"]["content"].endswith(SUFFIXES[kind])
            read = (await alice.tell("read", key=sent["key"]))["content"]
            assert read == {**letter, "recps": [alice.id, node.id]}

            await alice.tell("publish", content=read, encryption=SUFFIXES[kind][1:])
            await node.reach(alice.id, 1)
            (arrived,) = await node.ask_lines("/feeds/log", feed=alice.id, private=1)
            assert arrived["value"]["content"].endswith(SUFFIXES[kind])
            assert arrived["opened"] == read


async def test_private_messages_stay_closed_to_others(tmp_path: Path) -> None:
    await make_home(tmp_path / "n")
    async with (
        open_js_peer("db2", tmp_path / "a", seed="alice") as alice,
        open_js_peer("db2", tmp_path / "b", seed="bob", connect=alice.address) as bob,
        open_node(tmp_path / "n") as node,
    ):
        await node.follow(alice.id)
        await node.dial(alice.address)
        letter = {"type": "post", "text": "not for the node", "recps": [alice.id, bob.id]}
        for encryption in ("box", "box2"):
            await alice.tell("publish", content=letter, encryption=encryption)
        await node.reach(alice.id, 2)
        arrived = await node.ask_lines("/feeds/log", feed=alice.id, private=1)
        assert [message.get("opened") for message in arrived] == [None, None]
