"""Names, notes and calls of the conversation about streams, as spec/vectors/streams-notes.json pins
them.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from qbix_node.errors import Malformed
from qbix_node.net.link import Body, BodyKind
from qbix_node.replication.messages import REFUSED, asks, make_note, sequence_of
from qbix_node.replication.streams.messages import (
    Format,
    format_arguments,
    format_stream_notes,
    parse_format,
    parse_stream_notes,
)
from qbix_node.replication.streams.remote.service import METHOD
from qbix_node.wire.references import StreamId, format_stream, parse_stream
from qbix_node.wire.v8json import parse
from tests.replication.streams.holders import Holder, peer_of, running

VECTORS = json.loads(Path("spec/vectors/streams-notes.json").read_text())
ARGUMENTS = VECTORS["arguments"]


@pytest.mark.parametrize("vector", VECTORS["names"]["valid"], ids=lambda vector: str(vector["id"]))
def test_names_of_streams(vector: dict[str, Any]) -> None:
    stream = StreamId(bytes.fromhex(vector["id"]))
    assert format_stream(stream) == vector["uri"]
    assert parse_stream(vector["uri"]) == stream


@pytest.mark.parametrize("vector", VECTORS["names"]["invalid"], ids=lambda each: str(each["rule"]))
def test_what_names_no_stream(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_stream(vector["uri"])


def meaning(note: int) -> dict[str, Any] | None:
    if note == REFUSED:
        return None
    return {"length": sequence_of(note), "receive": asks(note)}


@pytest.mark.parametrize("vector", VECTORS["read"], ids=lambda vector: str(vector["what"]))
def test_notes_are_read(vector: dict[str, Any]) -> None:
    value = parse(vector["json"].encode(), "notes")
    assert isinstance(value, dict)
    notes = parse_stream_notes(value)
    assert {format_stream(each): meaning(note) for each, note in notes.items()} == vector["notes"]


@pytest.mark.parametrize("vector", VECTORS["written"], ids=lambda vector: str(vector["json"]))
def test_notes_are_written(vector: dict[str, Any]) -> None:
    length = vector["length"]
    note = REFUSED if length is None else make_note(length, receive=vector["receive"])
    encoded = format_stream_notes({parse_stream(vector["uri"]): note})
    assert encoded.decode() == vector["json"]


@pytest.mark.parametrize("text", VECTORS["malformed"])
async def test_what_is_no_object_ends_the_link(
    text: str, autojump_clock: trio.testing.MockClock
) -> None:
    alice = Holder("alice")
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        talk = await peer.open(METHOD, format_arguments(Format.ENTRIES), "duplex")
        await talk.send([Body(BodyKind.JSON, text.encode())])
        await trio.sleep(2)
        assert peer.closed_because is not None


@pytest.mark.parametrize("vector", ARGUMENTS["valid"], ids=lambda vector: str(vector["format"]))
def test_calls(vector: dict[str, Any]) -> None:
    assert parse_format(vector["args"]) == vector["format"]
    assert format_arguments(Format(vector["format"])) == vector["args"]


@pytest.mark.parametrize("vector", ARGUMENTS["refused"], ids=lambda vector: str(vector["rule"]))
def test_calls_that_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_format(vector["args"])
    assert str(refusal.value) == vector.get("error", str(refusal.value))
