"""Streams by the commands: real daemons on loopback, files that go from one to another."""

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

import pytest
import trio

from qbix_node.cli.main import run
from qbix_node.crypto.keys import KeyPair
from qbix_node.feeds.forks import encode_classic_fork, fork_of
from qbix_node.feeds.records import Evidence
from qbix_node.streams.authoring import make_genesis, sign_head
from qbix_node.streams.forks import ShownHead, encode_fork, equal_fork
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import Head
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import format_blob, format_feed, format_message, format_stream
from tests.e2e.test_commands import Person
from tests.feeds.authors import Author
from tests.interop.node import Node, make_home, open_node

ENTRIES = 500
CONTENTS = [f"reading {number}: {number * number}" for number in range(ENTRIES)]


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    await make_home(tmp_path / "alice")
    return tmp_path / "alice"


def _pipe() -> tuple[io.TextIOWrapper, BinaryIO]:
    reader, writer = os.pipe()
    return io.TextIOWrapper(os.fdopen(reader, "rb")), os.fdopen(writer, "wb")


@pytest.fixture
def alice(home: Path, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(home, capsys)


async def person_with_home(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> tuple[Path, Person]:
    await make_home(tmp_path / name)
    return tmp_path / name, Person(tmp_path / name, capsys)


async def come(node: Node, stream: str, index: int) -> None:
    """Wait until that entry is there."""
    query: dict[str, str | int] = {"stream": stream, "from": index, "limit": 1, "follow": 1}
    with trio.fail_after(30):
        assert (await node.control.get("/streams/log", params=query)).is_success


async def test_a_stream_travels_by_peers_and_by_file(
    tmp_path: Path, home: Path, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "readings").write_text("".join([line + "\n" for line in CONTENTS]))
    bobs_home, bob = await person_with_home(tmp_path, "bob", capsys)
    async with open_node(home) as one, open_node(bobs_home) as two:
        name = (await alice.types("stream", "create", "--kind", "readings")).strip()
        await bob.types("follow", name)
        await two.dial(one.address)
        readings = str(tmp_path / "readings")
        done = await alice.asks("stream", "append", name, readings, "--lines", "--kind", "reading")
        assert (done["entries"], done["first"], done["stop"]) == (ENTRIES, 1, ENTRIES + 1)
        await come(two, name, ENTRIES)
        ours, theirs = [await each.lists("stream", "log", name) for each in (alice, bob)]
        assert [line["text"] for line in ours] == CONTENTS
        assert (theirs, ours[-1]["kind"]) == (ours, "reading")
        assert await bob.asks("following") == [name]
        assert (await two.ask("/status"))["streams"] == 1
        assert (await two.ask("/status"))["entries"] == ENTRIES

    file = str(tmp_path / "readings.stream")
    async with open_node(home) as one, open_node(bobs_home):
        assert await bob.lists("stream", "log", name) == ours
        refusal = await bob.is_refused("stream", "append", name, readings, "--lines", code=1)
        assert "only owner" in refusal
        assert "0 lines were appended" in refusal
        await alice.types("stream", "export", name, "-o", file)
        told = await bob.asks("stream", "verify", name)
        assert (told["verified"], told["contents_missing"]) == (ENTRIES, 0)
        shown = await bob.asks("stream", "show", name)
        assert (shown["owners"], shown["own"], shown["root"]) == ([one.id], False, told["root"])

    assert (await bob.asks("stream", "verify", "--file", file))["root"] == told["root"]
    carols_home, carol = await person_with_home(tmp_path, "carol", capsys)
    async with open_node(carols_home):
        done = await carol.asks("stream", "import", file)
        assert done == {
            "stream": name,
            "added": ENTRIES,
            "length": ENTRIES + 1,
            "contents": 0,
            "proofs": 0,
            "resolved": False,
        }
        assert (await carol.asks("stream", "import", file))["added"] == 0
        assert await carol.lists("stream", "log", name) == ours
        assert await carol.asks("following") == [name]
        assert "500 entries, 1 signature over them" in await carol.types("stream", "verify", name)


async def test_only_readers_get_a_private_stream(
    tmp_path: Path, home: Path, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    bobs_home, bob = await person_with_home(tmp_path, "bob", capsys)
    eves_home, eve = await person_with_home(tmp_path, "eve", capsys)
    async with open_node(home) as one, open_node(bobs_home) as two, open_node(eves_home) as three:
        name = (await alice.types("stream", "create", "--readers", two.id)).strip()
        for person, node in ((eve, three), (bob, two)):
            await person.types("follow", name)
            await node.dial(one.address)
        (tmp_path / "note").write_text("for bob")
        await alice.types("stream", "append", name, str(tmp_path / "note"))
        await come(two, name, 1)
        assert "for bob" in await bob.types("stream", "log", name)
        assert (await alice.asks("stream", "show", name))["readers"] == [two.id]
        await three.until("/peers", lambda peers: peers[0]["state"] == "connected")
        await trio.sleep(1)  # for what must not come
        assert await eve.types("stream", "log", name) == ""
        assert "nothing here yet" in await eve.types("stream", "show", name)


async def test_a_damaged_file_is_refused_at_the_frame(
    tmp_path: Path, home: Path, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lines").write_text("".join([line + "\n" for line in CONTENTS]))
    whole, damaged = tmp_path / "whole", tmp_path / "damaged"
    async with open_node(home):
        name = (await alice.types("stream", "create")).strip()
        await alice.types("stream", "append", name, str(tmp_path / "lines"), "--lines")
        await alice.types("stream", "export", name, "-o", str(whole))
    data = whole.read_bytes()
    bobs_home, bob = await person_with_home(tmp_path, "bob", capsys)
    async with open_node(bobs_home) as node:
        damaged.write_bytes(data.replace(b"reading 3:", b"reading 4:"))
        told = await bob.is_refused("stream", "import", str(damaged), code=65)
        assert "frame 1: entry 4: this is not its content" in told
        assert "nothing of it was kept" in told
        assert (await node.ask("/streams"), await node.ask("/following")) == ([], [])
        damaged.write_bytes(data.replace(b"reading 400:", b"reading 500:"))
        told = await bob.is_refused("stream", "import", str(damaged), code=65)
        assert "frame 2: entry 401: this is not its content" in told
        assert (await bob.asks("stream", "show", name))["length"] == 256
        assert "256 of 501 entries" in await bob.is_refused("stream", "verify", name, code=75)
        damaged.write_bytes(data[:-10])
        told = await bob.is_refused("stream", "import", str(damaged), code=65)
        assert "frame 2: the file ends in the midst of it" in told
        assert (await bob.asks("stream", "import", str(whole)))["added"] == 245
        assert (await bob.asks("stream", "verify", name))["verified"] == ENTRIES
    assert "frame 2: the file ends" in await bob.is_refused(
        "stream", "verify", "--file", str(damaged), code=65
    )


async def test_entries_of_all_kinds_are_shown(tmp_path: Path, home: Path, alice: Person) -> None:
    picture = bytes(range(256))
    (tmp_path / "picture").write_bytes(picture)
    (tmp_path / "text").write_text("two\nlines \x1b[31m\n")
    async with open_node(home) as node:
        name = (await alice.types("stream", "create", "--uniqueness", "none")).strip()
        append = ("stream", "append", name)
        told = await alice.types(*append, str(tmp_path / "picture"), "--kind", "picture")
        assert told == "appended entry 1\n"
        await alice.types(*append, str(tmp_path / "text"))
        lines = (await alice.types("stream", "log", name)).splitlines()
        assert lines[1] == f"    (binary, 256 B, {format_blob(hashlib.sha256(picture).digest())})"
        assert lines[3:] == ["    two", "    lines \\x1b[31m"]
        assert (lines[0].split()[0], lines[2].split()[3]) == ("1", "post")
        await alice.types("stream", "get", name, "1", "-o", str(tmp_path / "copy"))
        assert (tmp_path / "copy").read_bytes() == picture
        assert "seen, not final" in await alice.types("stream", "list")
        assert f"owners      {node.id}" in await alice.types("stream", "show", name)
        assert len(await alice.lists("stream", "log", name, "--from", "2", "--limit", "5")) == 1
        told = await alice.is_refused(*append, str(tmp_path / "text"), "--kind", "void", code=65)
        assert "reserved" in told
        told = await alice.is_refused("stream", "get", name, "3", code=1)
        assert "entry 3" in told


async def test_what_this_version_has_not_is_said(home: Path, alice: Person) -> None:
    missing = format_stream(bytes(32))
    async with open_node(home):
        told = await alice.is_refused("stream", "create", "--uniqueness", "watched", code=1)
        assert "no watchers" in told
        assert "kind: " in await alice.is_refused("stream", "create", "--kind", "No", code=65)
        for command in ("log", "show", "verify"):
            told = await alice.is_refused("stream", command, missing, code=1)
            assert "qbix-node follow" in told
        assert "no stream id" in await alice.is_refused("stream", "log", "@x", code=65)
        await alice.is_refused("stream", "verify", code=2)


async def test_an_entry_is_proven_to_who_has_nothing_else(
    tmp_path: Path, home: Path, alice: Person
) -> None:
    (tmp_path / "lines").write_text("one\ntwo\nthree\n")
    proof = tmp_path / "proof"
    async with open_node(home):
        name = (await alice.types("stream", "create")).strip()
        await alice.types("stream", "append", name, str(tmp_path / "lines"), "--lines")
        await alice.types("stream", "prove", name, "2", "-o", str(proof))
        assert "no entry 4" in await alice.is_refused("stream", "prove", name, "4", code=1)
    told = await alice.asks("stream", "verify", "--proof", str(proof))
    assert (told["stream"], told["index"], told["length"]) == (name, 2, 4)
    assert "    two\n" in await alice.types("stream", "verify", "--proof", str(proof))
    proof.write_bytes(proof.read_bytes().replace(b"two", b"2wo"))
    told = await alice.is_refused("stream", "verify", "--proof", str(proof), code=1)
    assert "proves nothing" in told
    proof.write_bytes(b"\x90")
    await alice.is_refused("stream", "verify", "--proof", str(proof), code=65)


async def test_lines_are_appended_as_they_come(
    home: Path, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that stays open: what was written into it is appended meanwhile."""
    reader, writer = _pipe()
    async with open_node(home) as node:
        name = (await alice.types("stream", "create")).strip()
        monkeypatch.setattr("sys.stdin", reader)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                trio.to_thread.run_sync,
                run,
                [*("--home", str(home), "stream", "append", name, "--lines")],
            )
            writer.write(b"first\nsec")
            writer.flush()
            await come(node, name, 1)
            writer.write(b"ond\nlast")
            writer.close()
        log = await node.ask_lines("/streams/log", stream=name)
    assert [line["text"] for line in log] == ["first", "second", "last"]


def test_a_fork_is_proven_without_a_daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = KeyPair.from_seed(b"mallory".ljust(32))
    genesis = make_genesis(keys, "test", Uniqueness.GOSSIP, salt=bytes(16))
    one, other = [
        ShownHead(sign_head(Head(genesis.stream, 7, Hash(bytes([n]) * 32), n), (0, keys)))
        for n in (1, 2)
    ]
    encoded = encode_fork(equal_fork(genesis, one, other))
    file = tmp_path / "proof"
    file.write_bytes(encoded)
    assert run(["fork", "verify", str(file)]) == 0
    told = capsys.readouterr().out
    assert f"signed both  {format_feed(keys.public)}" in told
    assert format_stream(genesis.stream) in told
    file.write_bytes(encoded.replace(keys.public, bytes(32)))
    assert run(["fork", "verify", str(file)]) == 1
    assert "proves nothing" in capsys.readouterr().err
    for what in (b"", b"\x90", encoded[:-1], bytes(70_000)):
        file.write_bytes(what)
        assert run(["fork", "verify", str(file)]) == 65
        assert capsys.readouterr().err.startswith("error: ")


def test_a_fork_of_a_feed_is_proven_without_a_daemon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mallory = Author("mallory")
    messages = mallory.twin().write(), mallory.write({"type": "post", "text": "other"})
    encoded = encode_classic_fork(fork_of(Evidence(0, *messages)))
    file = tmp_path / "proof"
    file.write_bytes(encoded)
    assert run(["fork", "verify", str(file)]) == 0
    told = capsys.readouterr().out
    assert f"signed both  {format_feed(mallory.feed)}" in told
    assert all(format_message(message.id) in told for message in messages)
    file.write_bytes(encoded.replace(b"other", b"bther"))
    assert run(["fork", "verify", str(file)]) == 1
    assert "a signature doesn't match" in capsys.readouterr().err
