"""Contents by the commands: left out, dropped, fetched again; files of many mebibytes."""

import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.config import MAIN_NETWORK_KEY
from qbix_node.net.address import parse_address
from qbix_node.net.handshake import ACCEPT_BYTES, HELLO_BYTES, ClientHandshake
from qbix_node.net.limits import Limits
from qbix_node.net.link import Body, Link
from qbix_node.replication.streams.contents.messages import WantContents
from qbix_node.wire.references import parse_stream
from tests.e2e.test_streams import come, person_with_home
from tests.interop.node import Node, open_node
from tests.replication.streams.content_peers import Peer, answered, nothing

MIB = 1024 * 1024


async def test_a_large_file_goes_from_one_daemon_to_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = random.Random(12).randbytes(12 * MIB + 345)
    (tmp_path / "film").write_bytes(content)
    (tmp_path / "picture").write_bytes(content[: 3 * MIB])
    (tmp_path / "note").write_bytes(content[: 64 * 1024])
    alices_home, alice = await person_with_home(tmp_path, "alice", capsys)
    bobs_home, bob = await person_with_home(tmp_path, "bob", capsys)
    async with open_node(alices_home) as one, open_node(bobs_home) as two:
        name = (await alice.types("stream", "create")).strip()
        for file in ("film", "picture", "note"):
            await alice.types("stream", "append", name, str(tmp_path / file))
        assert (await one.ask("/blobs"))[0].keys() == {"blob", "bytes"}
        assert len(await one.ask("/blobs")) == 13 + 1 + 1  # chunks, their node, a whole one
        await bob.types("follow", name)
        told = await bob.is_refused("stream", "get", name, "1", code=1)
        assert "entry 1" in told
        await two.dial(one.address)
        await come(two, name, 3)
        lines = await bob.lists("stream", "log", name)
        assert [line["bytes"] for line in lines] == [len(content), 3 * MIB, 64 * 1024]
        assert "text" not in lines[0]
        assert "qbix-node stream get" in await bob.types("stream", "log", name, "--limit", "1")
        for index, size in ((1, len(content)), (2, 3 * MIB), (3, 64 * 1024)):
            copy = tmp_path / "copy"
            await bob.types("stream", "get", name, str(index), "-o", str(copy))
            assert hashlib.sha256(copy.read_bytes()).digest() == digest(content[:size])
        assert "all here" in await bob.types("stream", "show", name)
    async with open_node(bobs_home):  # what has come is kept
        await bob.types("stream", "get", name, "1", "-o", str(tmp_path / "again"), "--wait", "0")
        assert digest((tmp_path / "again").read_bytes()) == digest(content)
        parts = [row["blob"] for row in await bob.asks("blob", "list")]
        for blob in parts[:3]:
            await bob.types("blob", "remove", blob)
        told = await bob.is_refused(
            *("stream", "get", name, "1", "-o", str(tmp_path / "again"), "--wait", "0"), code=1
        )
        assert "is a part of that content and not here" in told


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


async def test_a_large_file_is_not_put_into_a_private_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, alice = await person_with_home(tmp_path, "alice", capsys)
    (tmp_path / "large").write_bytes(bytes(65537))
    async with open_node(home) as node:
        name = (await alice.types("stream", "create", "--readers", node.id)).strip()
        told = await alice.is_refused("stream", "append", name, str(tmp_path / "large"), code=1)
        assert "with readers a content has at most 65536 bytes" in told
        assert await node.ask("/blobs") == []
        other = (await alice.types("stream", "create")).strip()
        await alice.types("stream", "append", other, str(tmp_path / "large"))
        assert "void" in await alice.is_refused(
            "stream", "append", other, str(tmp_path / "large"), "--kind", "void", code=65
        )


async def test_headers_only_then_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A writes; B keeps headers and passes them on; C follows whole and knows only B at first."""
    people = [await person_with_home(tmp_path, name, capsys) for name in ("a", "b", "c")]
    (home_a, a), (home_b, b), (home_c, c) = people
    (tmp_path / "lines").write_text("".join([f"line {number}\n" for number in range(300)]))
    async with open_node(home_a) as one, open_node(home_b) as two, open_node(home_c) as three:
        name = (await a.types("stream", "create")).strip()
        await a.types("stream", "append", name, str(tmp_path / "lines"), "--lines")
        told = await b.types("follow", name, "--headers-only")
        assert told.startswith(f"following {name}, headers only\n")
        await c.types("follow", name)
        await two.dial(one.address)
        await three.dial(two.address)
        await come(three, name, 300)
        assert (await c.asks("stream", "show", name))["contents_missing"] == 300
        assert "1: " not in await b.types("stream", "log", name)
        assert f"{name}, headers only" in await b.types("following")
        assert "following, headers only" in await b.types("stream", "list")
        assert "followed, headers only" in await b.types("stream", "show", name)
        assert "300 contents are not in it" in await b.types("stream", "verify", name)
        await three.dial(one.address)
        await filled(three.ask, name)
        ours, theirs = [await each.lists("stream", "log", name) for each in (a, c)]
        assert theirs == ours
    async with open_node(home_a) as one, open_node(home_b) as two:
        await two.dial(one.address)
        assert (await b.asks("stream", "show", name))["headers_only"]
        assert (await b.asks("stream", "show", name))["contents_missing"] == 300
        await b.types("stream", "fetch", name, "7", "9")
        texts = [line.get("text") for line in await b.lists("stream", "log", name)]
        assert texts[5:10] == [None, "line 6", "line 7", "line 8", None]
        await b.types("follow", name)
        await filled(two.ask, name)
        assert await b.lists("stream", "log", name) == ours


async def filled(ask: object, name: str) -> None:
    assert callable(ask)
    with trio.fail_after(30):
        while (await ask("/streams/show", stream=name))["contents_missing"]:  # noqa: ASYNC110
            await trio.sleep(0.05)


async def test_dropped_contents_come_again_when_they_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home_a, a = await person_with_home(tmp_path, "a", capsys)
    home_b, b = await person_with_home(tmp_path, "b", capsys)
    (tmp_path / "lines").write_text("".join([f"line {number}\n" for number in range(20)]))
    file = str(tmp_path / "export")
    async with open_node(home_a) as one, open_node(home_b) as two:
        name = (await a.types("stream", "create")).strip()
        await a.types("stream", "append", name, str(tmp_path / "lines"), "--lines")
        told = await a.is_refused("stream", "drop", name, "1", "20", code=1)
        assert "may be lost for ever" in told
        await b.types("follow", name)
        await two.dial(one.address)
        await come(two, name, 20)
        await one.until("/streams", lambda rows: rows[0]["claimed"] == 21)
        told = await a.types("stream", "drop", name, "3", "12")
        assert "dropped 10 contents" in told
        assert two.id in told
        assert f"qbix-node stream fetch {name} 3 12" in told
        assert "10 were dropped" in await a.types("stream", "show", name)
        told = await a.is_refused("stream", "get", name, "5", "--wait", "0", code=1)
        assert f"qbix-node stream fetch {name} 5" in told
        assert await a.types("stream", "get", name, "5") == "line 4"
        assert await a.asks("stream", "fetch", name, "1", "20") == {"stream": name, "fetched": 9}
        assert "all here" in await a.types("stream", "show", name)
        assert "20 entries" in await a.is_refused("stream", "drop", name, "21", code=1)
        await a.types("stream", "export", name, "-o", file)
    async with open_node(home_a):
        assert (await a.asks("stream", "drop", name, "1", "--force"))["contents"] == 1
        told = await a.is_refused("stream", "fetch", name, "1", "--wait", "1", code=75)
        assert "1 of 1 contents did not come within 1 s; no connected peer" in told
        assert (await a.asks("stream", "import", file))["contents"] == 1
        assert "all here" in await a.types("stream", "show", name)


# ---- peers that keep contents back, or send others ----


@asynccontextmanager
async def peer_over_tcp(node: Node, peer: Peer) -> AsyncIterator[Link]:
    """A peer that dials the daemon, says that it has the stream, and is asked for contents."""
    address = parse_address(node.address)
    keys = KeyPair.from_seed(b"mallory".ljust(32, b"."))
    stream = await trio.open_tcp_stream(address.host, address.port)
    shake = ClientHandshake(MAIN_NETWORK_KEY, keys, address.key, b"e" * 32)
    await stream.send_all(shake.hello)
    await stream.send_all(shake.receive_hello(await exactly(stream, HELLO_BYTES)))
    session = shake.receive_accept(await exactly(stream, ACCEPT_BYTES))
    methods = peer.methods()
    link = Link(stream, session, methods, Limits(), outgoing=True, address="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run)
        nursery.start_soon(peer.dials, link)
        yield link
        nursery.cancel_scope.cancel()


async def exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await stream.receive_some(size - len(data))
        assert piece
        data += piece
    return data


def lies(question: WantContents) -> list[Body]:
    return answered([b"a lie"] * len(question.places))


async def test_what_peers_withhold_or_forge_comes_from_somebody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home_a, a = await person_with_home(tmp_path, "a", capsys)
    home_b, b = await person_with_home(tmp_path, "b", capsys)
    (tmp_path / "lines").write_text("".join([f"line {number}\n" for number in range(20)]))
    async with open_node(home_b) as two:
        async with open_node(home_a) as one:
            name = (await a.types("stream", "create")).strip()
            await a.types("stream", "append", name, str(tmp_path / "lines"), "--lines")
            await b.types("follow", name, "--headers-only")
            await two.dial(one.address)
            await come(two, name, 20)
            ours = await a.lists("stream", "log", name)
        await b.types("follow", name)
        for answer in (nothing, lies):
            peer = Peer(parse_stream(name), 21, answer)
            async with peer_over_tcp(two, peer):
                told = await b.is_refused(
                    "stream", "fetch", name, "1", "20", "--wait", "2", code=75
                )
                assert "20 of 20 contents did not come within 2 s" in told
                assert 1 <= len(peer.questions) <= 2
            assert (await b.asks("stream", "show", name))["contents_missing"] == 20
        async with open_node(home_a) as one:
            await two.dial(one.address)
            await b.types("stream", "fetch", name, "1", "20")
            assert await b.lists("stream", "log", name) == ours
    assert "contents.refused" in home_b.with_suffix(".stderr").read_text()
