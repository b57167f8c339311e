"""Notes, and whole conversations with ssb-ebt, as spec/vectors pin them."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import Malformed
from qbix_node.feeds.messages import ClassicMessage
from qbix_node.feeds.records import put_head, put_message
from qbix_node.feeds.validation import read_message
from qbix_node.net.link import Body, BodyKind, Link, Stream
from qbix_node.net.methods import Method
from qbix_node.replication.messages import (
    EBT_ARGUMENTS,
    REFUSED,
    asks,
    make_note,
    parse_notes,
    sequence_of,
)
from qbix_node.replication.remote.service import sort_bodies
from qbix_node.store.memory import MemoryStore
from qbix_node.wire.references import format_feed, parse_feed
from qbix_node.wire.v8json import JsonValue, parse
from tests.net.links import linked
from tests.replication.sites import Site, attending, running

VECTORS = Path("spec/vectors")
NOTES = json.loads((VECTORS / "ebt-notes.json").read_text())
TRANSCRIPTS = json.loads((VECTORS / "ebt-transcripts.json").read_text())


def meaning(note: int) -> dict[str, Any] | None:
    if note == REFUSED:
        return None
    return {"sequence": sequence_of(note), "receive": asks(note)}


@pytest.mark.parametrize("vector", NOTES["read"], ids=lambda vector: vector["what"])
def test_notes_are_read(vector: dict[str, Any]) -> None:
    value = parse(vector["json"].encode(), "notes")
    assert isinstance(value, dict)
    read = {format_feed(feed): meaning(note) for feed, note in parse_notes(value).items()}
    assert read == vector["notes"]


@pytest.mark.parametrize("text", NOTES["malformed"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        sort_bodies([Body(BodyKind.JSON, text.encode())])


@pytest.mark.parametrize("vector", NOTES["written"], ids=lambda vector: str(vector["note"]))
def test_notes_are_written(vector: dict[str, Any]) -> None:
    assert make_note(vector["sequence"], receive=vector["receive"]) == vector["note"]


def keys_of_seed(seed: str) -> KeyPair:
    return KeyPair.from_seed(bytes.fromhex(seed))


async def store_with(texts: list[str]) -> MemoryStore:
    store = MemoryStore()
    for text in texts:
        message = read_message(parse(text.encode(), "message"))
        assert isinstance(message, ClassicMessage)
        await store.write([put_message(message, 0), put_head(message.author, message.head)])
    return store


async def replay(packets: list[dict[str, str]], stream: Stream) -> None:
    """Say what the peer said, and demand of the node what it said then."""
    unread: list[Body] = []
    for packet in packets:
        body = Body(BodyKind.JSON, packet["json"].encode())
        if packet["from"] == "peer":
            await stream.send([body])
            await trio.sleep(1)
        else:
            while not unread:
                unread += await stream.receive_many()
            assert unread.pop(0) == body
    with trio.move_on_after(10):
        unread += await stream.receive_many()
    assert not unread


async def talk(site: Site, keys: KeyPair, conversation: dict[str, Any]) -> None:
    packets = conversation["packets"]
    replayed = trio.Event()

    async def handle(link: Link, arguments: list[JsonValue], stream: Stream | None) -> JsonValue:
        assert stream is not None
        assert arguments == EBT_ARGUMENTS
        await replay(packets, stream)
        replayed.set()
        await trio.sleep_forever()
        return None

    ours = site.replication.methods()
    if conversation["caller"] == "peer":
        async with (
            linked({}, ours, keys_a=keys, keys_b=site.keys) as (peer, link),
            attending(site, link),
        ):
            await replay(packets, await peer.open("ebt.replicate", EBT_ARGUMENTS, "duplex"))
    else:
        theirs = {"ebt.replicate": Method("duplex", handle)}
        async with (
            linked(ours, theirs, keys_a=site.keys, keys_b=keys) as (link, _),
            attending(site, link),
        ):
            await replayed.wait()


@pytest.mark.parametrize("transcript", TRANSCRIPTS["transcripts"], ids=lambda each: each["what"])
async def test_node_says_again_what_it_said_to_ssb_ebt(
    transcript: dict[str, Any], autojump_clock: trio.testing.MockClock
) -> None:
    keys = keys_of_seed(TRANSCRIPTS["node_seed"])
    site = Site("node", await store_with(transcript["node_has"]), keys=keys)
    async with running(site):
        for feed in transcript["node_follows"]:
            await site.replication.follow(parse_feed(feed))
        for conversation in transcript["conversations"]:
            await talk(site, keys_of_seed(transcript["peer_seed"]), conversation)
            await trio.sleep(1)
