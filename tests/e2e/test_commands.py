"""The commands against a real daemon: what they print for people and for programs."""

import hashlib
import io
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from qbix_node.cli.main import run
from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.home import Home
from qbix_node.daemon.secret import write_secret
from qbix_node.daemon.setup import make_home
from qbix_node.feeds.authoring import make_message
from qbix_node.http.api import Entry
from qbix_node.http.app import control_app
from qbix_node.http.serve import open_control_socket, serve
from qbix_node.wire import v8json
from qbix_node.wire.references import FeedId, format_blob, format_feed, format_message
from qbix_node.wire.v8json import JsonValue
from tests.http.memory_api import ALICE, MemoryApi
from tests.interop.node import open_node

PEER = "net:127.0.0.1:9~shs:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
PEER_ID = "@A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=.ed25519"
STATUS_FIELDS = {
    *("node_id", "address", "uptime_s", "peers", "streams", "feeds", "entries", "forks"),
    *("store", "epoch", "version", "health", "blobs", "following", "status_page", "dht"),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    make_home(Home(tmp_path / "alice"), {"listen": "127.0.0.1:0"})
    return tmp_path / "alice"


class Person:
    """Types commands about one home."""

    def __init__(self, home: Path, capture: pytest.CaptureFixture[str]) -> None:
        self._home = home
        self._capture = capture

    async def types(self, *arguments: str, code: int = 0) -> str:
        """What stands on stdout."""
        out, err = await self._run(*arguments, code=code)
        assert err == ""
        return out

    async def is_refused(self, *arguments: str, code: int) -> str:
        """What stands on stderr."""
        out, err = await self._run(*arguments, code=code)
        assert out == ""
        return err

    async def both(self, *arguments: str) -> tuple[str, str]:
        """What stands on stdout and on stderr."""
        return await self._run(*arguments, code=0)

    async def _run(self, *arguments: str, code: int) -> tuple[str, str]:
        command = [*arguments, "--home", str(self._home)]
        ended = await trio.to_thread.run_sync(run, command)
        told = self._capture.readouterr()
        assert ended == code, told.err
        return told.out, told.err

    async def asks(self, *arguments: str, code: int = 0) -> Any:  # noqa: ANN401  (JSON)
        return json.loads(await self.types(*arguments, "--json", code=code))

    async def lists(self, *arguments: str) -> list[Any]:
        told = await self.types(*arguments, "--json")
        return [json.loads(line) for line in told.splitlines()]


@pytest.fixture
def person(home: Path, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(home, capsys)


async def test_feeds_are_written_read_and_checked(home: Path, person: Person) -> None:
    own = (await person.asks("id"))["node_id"]
    async with open_node(home):
        (home / "content.json").write_text('{"type": "post", "text": "from a file"}')
        first = await person.asks("feed", "publish", "--content", '{"type": "about", "n": 1.50}')
        second = await person.types("feed", "publish", "--file", str(home / "content.json"))
        assert second == f"published {(await person.lists('feed', 'log', own))[1]['key']}\n"
        assert (first["value"]["sequence"], first["value"]["content"]["n"]) == (1, 1.5)
        people = await person.types("feed", "log", own, "--from", "2")
        assert people.splitlines()[1] == "    from a file"
        assert [line["value"]["sequence"] for line in await person.lists("feed", "log", own)] == [
            1,
            2,
        ]
        assert len(await person.lists("feed", "log", own, "--limit", "1")) == 1
        assert await person.asks("feed", "verify", own) == {"feed": own, "verified": 2}
        assert await person.types("feed", "verify", own) == "2 messages, all good\n"
        assert (await person.asks("feed", "list"))[0]["sequence"] == 2
        refusal = await person.is_refused("feed", "publish", "--content", '{"type": "x"}', code=65)
        assert "content has no type of 3 to 52 characters" in refusal
        unknown = await person.is_refused("feed", "log", PEER_ID, code=1)
        assert "qbix-node follow" in unknown


async def test_private_messages_are_opened_by_whom_they_are_for(home: Path, person: Person) -> None:
    async with open_node(home) as node:
        content = '{"type": "post", "text": "for me only"}'
        await person.types("feed", "publish", "--content", content, "--to", node.id)
        (sealed,) = await person.lists("feed", "log", node.id)
        (opened,) = await person.lists("feed", "log", node.id, "--private")
        assert sealed["value"]["content"].endswith(".box")
        assert "opened" not in sealed
        assert opened["opened"]["text"] == "for me only"
        assert "(sealed for others)" in await person.types("feed", "log", node.id)
        assert "for me only" in await person.types("feed", "log", node.id, "--private")


async def test_blobs_go_in_and_come_out(home: Path, person: Person, tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    (tmp_path / "picture").write_bytes(data)
    name = format_blob(hashlib.sha256(data).digest())
    async with open_node(home):
        assert await person.types("blob", "add", str(tmp_path / "picture")) == f"{name}\n"
        assert await person.asks("blob", "list") == [{"blob": name, "bytes": len(data)}]
        copy = str(tmp_path / "copy")
        assert (await person.asks("blob", "get", name, "-o", copy))["bytes"] == len(data)
        assert await trio.Path(copy).read_bytes() == data
        missing = format_blob(bytes(32))
        told = await person.is_refused("blob", "get", missing, "--wait", "1", code=75)
        assert f"{missing} did not come within 1 s: no connected peer" in told
        nowhere = str(tmp_path / "no" / "where")
        await person.is_refused("blob", "get", name, "-o", nowhere, code=65)
        large = str(tmp_path / "large")
        await trio.Path(large).write_bytes(bytes(6 * 2**20))
        for file in (large, "/dev/zero"):
            told = await person.is_refused("blob", "add", file, code=65)
            assert "larger than the 5242880 bytes" in told
        assert not await trio.Path(copy + ".partial").exists()


async def test_blobs_are_removed_and_wanted_no_longer(
    home: Path, person: Person, tmp_path: Path
) -> None:
    (tmp_path / "note").write_bytes(b"note")
    missing = format_blob(bytes(32))
    async with open_node(home) as node:
        name = (await person.types("blob", "add", str(tmp_path / "note"))).strip()
        assert await person.types("blob", "remove", name) == f"{name}: deleted\n"
        assert await person.asks("blob", "list") == []
        told = await person.is_refused("blob", "remove", name, code=1)
        assert "is neither here nor wanted" in told
        await person.is_refused("blob", "get", missing, "--wait", "1", code=75)
        removal = {"blob": missing, "removed": False, "unwanted": True}
        assert await person.asks("blob", "remove", missing) == removal
        assert (await node.ask("/status"))["blobs"]["wanted"] == 0


async def test_peers_and_feeds_are_chosen(home: Path, person: Person) -> None:
    async with open_node(home) as node:
        assert await person.types("peer", "add", PEER) == f"added {PEER}\n"
        ((row,)) = await person.asks("peer", "list")
        assert (row["id"], row["address"], row["state"]) == (PEER_ID, PEER, "disconnected")
        assert "itself" in await person.is_refused("peer", "add", node.address, code=1)
        assert await person.asks("peer", "block", PEER_ID) == {"blocked": PEER_ID}
        assert (await person.asks("peer", "list"))[0]["state"] == "blocked"
        assert PEER_ID in await person.is_refused("follow", PEER_ID, code=1)
        await person.types("peer", "unblock", PEER_ID)
        await person.types("peer", "remove", PEER_ID)
        assert await person.asks("peer", "list") == []
        assert await person.types("following") == "following nobody\n"
        assert await person.types("follow", PEER_ID) == f"following {PEER_ID}\n"
        assert await person.asks("following") == [PEER_ID]
        assert await person.types("feed", "log", PEER_ID) == ""
        await person.types("unfollow", PEER_ID)
        assert await person.asks("following") == []


async def test_the_status_is_told(home: Path, person: Person) -> None:
    async with open_node(home) as node:
        status = await person.asks("status")
        assert status.keys() >= STATUS_FIELDS
        assert (status["node_id"], status["health"], status["epoch"]) == (node.id, [], None)
        assert status["store"].keys() == {"bytes", "degraded"}
        assert (await person.types("status")).startswith("working, up ")
        assert await person.asks("id") == {"node_id": node.id, "address": node.address}
        doctor = await person.asks("doctor")
        assert (doctor["healthy"], len(doctor["findings"])) == (True, 10)


async def test_without_a_daemon_the_doctor_looks_through_the_store(
    home: Path, person: Person
) -> None:
    findings = {row["subject"]: row for row in (await person.asks("doctor"))["findings"]}
    assert findings["daemon"]["verdict"] == "note"
    assert findings["store"]["said"].endswith("all checksums right")
    assert (await person.asks("store", "check"))["damage"] is None


def damage_store(home: Path) -> None:
    for file in (home / "store" / "db").glob("*.log"):
        data = bytearray(file.read_bytes())
        data[10] ^= 1
        file.write_bytes(data)


def open_secret(home: Path) -> None:
    (home / "secret").chmod(0o644)


def misspell(home: Path) -> None:
    (home / "node.toml").write_text("lisetn = 1")


def lose_secret(home: Path) -> None:
    (home / "secret").unlink()


def leave_socket(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(home / "control.sock"))


async def test_an_identity_from_elsewhere_waits_for_its_feed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = KeyPair.from_seed(b"used elsewhere before".ljust(32))
    write_secret(tmp_path / "secret", keys)
    person = Person(tmp_path / "home", capsys)
    made = await person.asks(
        "init", "--secret", str(tmp_path / "secret"), "--listen", "127.0.0.1:0"
    )
    assert (made["node_id"], made["brought"]) == (format_feed(keys.public), True)
    publish = ("feed", "publish", "--content", '{"type": "test"}')
    async with open_node(tmp_path / "home"):
        assert "feed resume" in await person.is_refused(*publish, code=1)
        assert "0 messages" in await person.is_refused("feed", "resume", "7", code=1)
        await person.types("feed", "resume", "0")
        await person.types(*publish)


async def test_init_keeps_what_is_there(home: Path, person: Person) -> None:
    secret = (home / "secret").read_bytes()
    assert "there is a node already" in await person.is_refused("init", code=1)
    (home / "secret").unlink()
    assert "its key is not" in await person.is_refused("init", code=78)
    assert not (home / "secret").exists()
    (home / "secret").write_bytes(secret)


@pytest.mark.parametrize(
    ("harm", "subject", "advice"),
    [
        (damage_store, "store", "qbix-node store repair"),
        (open_secret, "access", "chmod go="),
        (misspell, "settings", "'listen'"),
        (lose_secret, "identity", "backup"),
        (leave_socket, "daemon", "qbix-node run"),
    ],
)
async def test_the_doctor_finds_what_is_wrong_and_says_what_to_do(
    home: Path, person: Person, harm: Callable[[Path], None], subject: str, advice: str
) -> None:
    harm(home)
    findings = (await person.asks("doctor", code=1))["findings"]
    (bad,) = [row for row in findings if row["verdict"] == "bad"]
    assert bad["subject"] == subject
    assert advice in bad["advice"]


async def test_a_log_can_be_followed_until_enough_has_come(home: Path, person: Person) -> None:
    async with open_node(home) as node, trio.open_nursery() as nursery:
        told: list[str] = []

        async def follow() -> None:
            told.append(await person.types("feed", "log", node.id, "--follow", "--limit", "2"))

        nursery.start_soon(follow)
        for number in range(2):
            await trio.sleep(0.2)
            await node.tell("/feeds/publish", content={"type": "test", "number": number})
    assert told[0].count('"type":"test"') == 2


async def test_content_comes_from_stdin(
    home: Path, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.TextIOWrapper(io.BytesIO(b'{"type": "test", "text": "piped"}'))
    monkeypatch.setattr("sys.stdin", content)
    async with open_node(home):
        entry = await person.asks("feed", "publish", "--file", "-")
    assert entry["value"]["content"]["text"] == "piped"


FORGED = {"type": "test", "text": "forged"}


@pytest.mark.parametrize(
    ("changes", "key", "reason"),
    [
        ({"content": FORGED}, None, "signature does not match"),
        ({"sequence": 2}, None, "previous is not text"),
        ({}, bytes(32), "it is stored under another id than its own"),
        ({}, None, "it is a message of another feed"),
    ],
)
async def test_a_feed_that_does_not_hold_is_found(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, JsonValue],
    key: bytes | None,
    reason: str,
) -> None:
    """A node that shows something else than what was signed as the feed ALICE."""
    (tmp_path / "home").mkdir()
    other = "another feed" in reason
    api, author = MemoryApi(), KeyPair.from_seed(ALICE)
    api.feed = FeedId(bytes(32) if other else author.public)
    message = make_message(author, None, {"type": "test", "text": "signed"}, 1)
    value = v8json.parse(message.encoded.encode(), "message")
    assert isinstance(value, dict)
    api.messages.append(Entry(format_message(key or message.id), value | changes))
    person = Person(tmp_path / "home", capsys)
    async with trio.open_nursery() as nursery:
        path = tmp_path / "home" / "control.sock"
        nursery.start_soon(serve, control_app(api), [open_control_socket(path)])
        name = format_feed(api.feed)
        told = await person.is_refused("feed", "verify", name, code=1)
        nursery.cancel_scope.cancel()
    assert f"message 1 of {name}: {reason}" in told
