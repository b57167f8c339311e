"""Private messages: sealed by one implementation, opened by the other."""

from pathlib import Path

import pytest

from tests.interop.jspeer import Engine, needs_js_peers, open_js_peer
from tests.interop.node import make_home, open_node

pytestmark = [pytest.mark.interop, needs_js_peers]


@pytest.mark.parametrize(("engine", "encryption"), [("db2", "box"), ("db2", "box2"), ("db", "box")])
async def test_private_messages_are_opened_by_their_recipient(
    engine: Engine, encryption: str, tmp_path: Path
) -> None:
    await make_home(tmp_path / "n")
    async with (
        open_js_peer(engine, tmp_path / "a", seed="alice") as alice,
        open_node(tmp_path / "n") as node,
    ):
        await node.follow(alice.id)
        await node.dial(alice.address)
        await alice.tell("replicate", id=node.id)

        letter = {"type": "post", "text": "für dich \U0001f600", "recps": [alice.id, node.id]}
        await alice.tell("publish", content=letter, encryption=encryption)
        await node.reach(alice.id, 1)
        (arrived,) = await node.ask_lines("/feeds/log", feed=alice.id, private=1)
        assert arrived["value"]["content"].endswith("." + encryption)
        assert arrived["opened"] == letter

        answer = {"type": "post", "text": "danke", "recps": [node.id, alice.id]}
        sent = await node.tell("/feeds/publish", content=answer, to=[alice.id, node.id])
        assert sent["value"]["content"].endswith(("." + encryption, ".box"))
        await alice.reach(node.id, 1)
        assert (await alice.tell("read", key=sent["key"]))["content"] == answer


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
