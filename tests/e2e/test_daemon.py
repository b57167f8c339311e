"""The daemon as a process: how it starts, replicates, listens to signals, and ends."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import httpx
import pytest
import trio

from qbix_node.daemon.home import Home
from qbix_node.daemon.setup import make_home
from qbix_node.net.limits import Limits
from tests.interop.jspeer import PATIENCE_S
from tests.interop.node import Node, open_node
from tests.store import power

COMMAND = [sys.executable, "-m", "qbix_node"]
ROOT, MOUNTS = power.needed()
RSS_BYTES_MAX = 80 * 2**20
STOP_S = 5.0
SOMEBODY = "net:127.0.0.1:9~shs:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="


def make(home: Path, **settings: str) -> Path:
    make_home(Home(home), {"listen": "127.0.0.1:0", **settings})
    return home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make(tmp_path / "alice")


@pytest.fixture
def full() -> Iterator[BinaryIO]:
    with Path("/dev/full").open("wb") as opened:
        yield opened


def log_of(home: Path) -> list[dict[str, object]]:
    lines = home.with_suffix(".stderr").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def events(home: Path) -> list[object]:
    return [line["event"] for line in log_of(home)]


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--home", str(home), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_S)


async def refused(home: Path, *arguments: str, code: int) -> str:
    """What stands on stderr; never a traceback."""
    ended = await trio.to_thread.run_sync(lambda: run(home, *arguments))
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    return ended.stderr


async def has_room_for_one_only(node: Node) -> bool:
    """Whether a second connection is closed at once, before the time for a handshake is over."""
    host, port = node.address.removeprefix("net:").split("~")[0].split(":")
    async with (
        await trio.open_tcp_stream(host, int(port)),
        await trio.open_tcp_stream(host, int(port)) as second,
    ):
        begun = trio.current_time()
        assert await second.receive_some(1) == b""
        return trio.current_time() - begun < Limits().handshake_patience_s / 2


async def stop(node: Node) -> int:
    node.process.send_signal(signal.SIGTERM)
    with trio.fail_after(STOP_S):
        return await node.process.wait()


async def logged(home: Path, event: str, *, times: int = 1) -> dict[str, object]:
    with trio.fail_after(PATIENCE_S):
        for _ in range(10_000):
            found = [line for line in log_of(home) if line["event"] == event]
            if len(found) >= times:
                return found[-1]
            await trio.sleep(0.02)
    raise AssertionError


async def publish(node: Node, count: int) -> None:
    for number in range(count):
        await node.tell("/feeds/publish", content={"type": "test", "number": number})


async def test_two_daemons_replicate_both_ways(home: Path, tmp_path: Path) -> None:
    make(tmp_path / "bob")
    async with open_node(home) as alice, open_node(tmp_path / "bob") as bob:
        await alice.follow(bob.id)
        await bob.follow(alice.id)
        await alice.dial(bob.address)
        await publish(alice, 50)
        await publish(bob, 50)
        await bob.reach(alice.id, 50)
        await alice.reach(bob.id, 50)
        for feed in (alice.id, bob.id):
            logs = [
                await each.control.get("/feeds/log", params={"feed": feed}) for each in (alice, bob)
            ]
            assert logs[0].content == logs[1].content
            assert len(logs[0].content.splitlines()) == 50
        (peer,) = await bob.ask("/peers")
        assert (peer["id"], peer["state"], peer["outgoing"]) == (alice.id, "connected", False)


async def test_a_quiet_daemon_is_small(home: Path) -> None:
    async with open_node(home) as node:
        await node.ask("/status")
        status = (await trio.Path(f"/proc/{node.process.pid}/status").read_text()).splitlines()
    (resident,) = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS")]
    assert resident < RSS_BYTES_MAX


async def test_sigterm_ends_it_cleanly(home: Path) -> None:
    async with open_node(home) as node:
        await node.tell("/feeds/publish", content={"type": "test"})
        assert await stop(node) == 0
    assert events(home)[-2:] == ["daemon.stopping", "daemon.stopped"]
    assert not (home / "control.sock").exists()
    async with open_node(home) as node:
        assert (await node.ask("/status"))["entries"] == 1
    assert "store.recovered" not in events(home)


async def test_ctrl_c_ends_it_cleanly(home: Path) -> None:
    async with open_node(home) as node:
        node.process.send_signal(signal.SIGINT)
        assert await node.process.wait() == 0


async def test_a_request_that_waits_does_not_hold_up_the_end(home: Path) -> None:
    async with open_node(home) as node, trio.open_nursery() as nursery:
        nursery.start_soon(_swallow_loss, node)
        await trio.sleep(0.1)
        assert await stop(node) == 0


async def _swallow_loss(node: Node) -> None:
    with pytest.raises(Exception, match="closed connection"):
        await node.control.get("/feeds/log", params={"feed": node.id, "follow": 1})


async def test_a_killed_daemon_leaves_nothing_in_the_way(home: Path) -> None:
    async with open_node(home) as node:
        await node.tell("/feeds/publish", content={"type": "test"})
        node.process.kill()
        await node.process.wait()
    assert (home / "control.sock").exists()
    async with open_node(home) as node:
        assert (await node.ask("/status"))["entries"] == 1
    assert "store.recovered" in events(home)


async def test_sighup_reads_the_settings_again(home: Path) -> None:
    other = SOMEBODY
    settings = home / "node.toml"
    async with open_node(home) as node:
        before = settings.read_text()
        limits = "[limits]\nconnections_per_host_max = 1\n"
        settings.write_text(before + f'peers = ["{other}"]\n' + limits)
        node.process.send_signal(signal.SIGHUP)
        await logged(home, "config.reloaded")
        await node.until("/peers", lambda rows: other in [row["address"] for row in rows])
        assert await has_room_for_one_only(node)
        settings.write_text("lisetn = 3\n")
        node.process.send_signal(signal.SIGHUP)
        refusal = await logged(home, "config.refused")
        settings.write_text(before.replace("127.0.0.1:0", "127.0.0.1:9"))
        node.process.send_signal(signal.SIGHUP)
        assert (await logged(home, "config.needs_restart"))["keys"] == ["listen"]
        assert (await node.ask("/health"))["healthy"]
    assert "unknown key 'lisetn'" in str(refusal["reason"])


async def test_no_settings_that_sighup_finds_end_it(home: Path) -> None:
    settings = home / "node.toml"
    before = settings.read_text()
    async with open_node(home) as node:
        for number, broken in enumerate(["a = " + "1" * 5000, "a = " + "[" * 5000], start=1):
            settings.write_text(broken)
            node.process.send_signal(signal.SIGHUP)
            await logged(home, "config.refused", times=number)
        settings.write_text(before + f'peers = ["{node.address}", "{SOMEBODY}"]\n')
        node.process.send_signal(signal.SIGHUP)
        refusal = await logged(home, "config.refused", times=3)
        assert refusal["reason"] == "that is the address of this node"
        await node.until("/peers", lambda rows: SOMEBODY in [row["address"] for row in rows])
        assert (await node.ask("/health"))["healthy"]
        assert await stop(node) == 0
    async with open_node(home) as node:
        assert (await node.ask("/health"))["healthy"]


async def test_what_changed_is_told_against_what_is_in_force(home: Path) -> None:
    settings = home / "node.toml"
    async with open_node(home) as node:
        before = settings.read_text()
        for number, text in enumerate([before + 'log_level = "debug"\n', before], start=1):
            settings.write_text(text)
            node.process.send_signal(signal.SIGHUP)
            assert (await logged(home, "config.reloaded", times=number))["changed"] == ["log_level"]


async def test_a_log_on_a_full_disk_does_not_end_it(home: Path, full: BinaryIO) -> None:
    async with open_node(home, stderr=full) as node:
        await node.tell("/feeds/publish", content={"type": "test"})
        node.process.send_signal(signal.SIGHUP)
        assert (await node.ask("/health"))["healthy"]
        assert await stop(node) == 0


async def test_a_second_daemon_in_the_same_home_is_refused(home: Path) -> None:
    async with open_node(home) as node:
        told = await refused(home, "run", code=75)
        assert f"in use by process {node.process.pid}" in told
        assert (await node.ask("/health"))["healthy"]


async def test_a_home_without_a_node_is_told_how_to_make_one(tmp_path: Path) -> None:
    told = await refused(tmp_path / "nowhere", "run", code=78)
    assert f"qbix-node --home {tmp_path / 'nowhere'} init" in told


async def test_wrong_settings_are_told_with_their_place(home: Path) -> None:
    (home / "node.toml").write_text('listen = "127.0.0.1"\n')
    assert "node.toml: listen = '127.0.0.1'" in await refused(home, "run", code=78)


async def test_a_damaged_store_is_not_started(home: Path) -> None:
    for file in (home / "store" / "db").glob("MANIFEST-*"):
        file.write_bytes(b"\0" * 50)
    told = await refused(home, "run", code=78)
    assert "is damaged" in told
    assert "qbix-node store repair" in told


async def test_a_taken_port_is_told(home: Path) -> None:
    async with open_node(home) as node:
        port = node.address.split(":")[2].split("~")[0]
        (home / "second.toml").write_text(f'listen = "127.0.0.1:{port}"\n')
        other = make(home.with_name("bob"))
        told = await refused(other, "--config", str(home / "second.toml"), "run", code=1)
        assert f"can't listen on 127.0.0.1:{port}" in told


async def test_open_permissions_are_closed_and_told(home: Path) -> None:
    os.chmod(home, 0o755)  # noqa: PTH101
    os.chmod(home / "secret", 0o644)  # noqa: PTH101
    async with open_node(home):
        pass
    assert events(home).count("home.repaired") == 2
    assert (home / "secret").stat().st_mode & 0o777 == 0o600


async def test_the_status_page_is_served_on_loopback(tmp_path: Path) -> None:
    make(tmp_path / "carol", status_page="127.0.0.1:0")
    async with open_node(tmp_path / "carol") as node:
        page = (await node.ask("/status"))["status_page"]
        async with httpx.AsyncClient() as browser:
            assert "<title>qbix-node</title>" in (await browser.get(page)).text


async def test_the_supervisor_hears_how_it_goes(home: Path) -> None:
    """Ready, alive and stopping, as systemd hears it."""
    with trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_DGRAM) as supervisor:
        await supervisor.bind(str(home.with_name("notify")))
        supervising = {
            "NOTIFY_SOCKET": str(home.with_name("notify")),
            "WATCHDOG_USEC": "300000",
        }
        process = await trio.lowlevel.open_process(
            [*COMMAND, "--home", str(home), "run"],
            env={**os.environ, **supervising},
            stderr=subprocess.DEVNULL,
        )
        told: list[str] = []
        with trio.fail_after(PATIENCE_S):
            while told.count("WATCHDOG=1") < 3:
                told += (await supervisor.recv(4096)).decode().split("\n")
            process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in told:
                told += (await supervisor.recv(4096)).decode().split("\n")
            assert await process.wait() == 0
    assert told[:2] == ["EXTEND_TIMEOUT_USEC=60000000", "STATUS=opening the store"]
    assert "STATUS=0 peers, 1 feeds, 0 messages, 0 streams" in told
    assert told.index("READY=1") < told.index("WATCHDOG=1")


@ROOT
@MOUNTS
async def test_a_full_disk_is_told_and_waited_for(tmp_path: Path) -> None:
    with power.tmpfs(tmp_path / "disk", "size=48m") as disk:
        other = disk / "other"
        async with open_node(make(disk / "alice")) as node:
            await node.tell("/feeds/publish", content={"type": "test"})
            await trio.Path(other).write_bytes(bytes(20 << 20))
            answer = await node.control.post("/feeds/publish", json={"content": {"type": "test"}})
            assert answer.status_code == 503
            assert answer.json()["error"]["exit_code"] == 75
            assert "disk full" in answer.json()["error"]["message"]
            assert (await node.control.get("/health")).status_code == 503
            assert (await node.ask("/status"))["entries"] == 1
            await trio.Path(other).unlink()
            await node.tell("/feeds/publish", content={"type": "test"})
            assert (await node.control.get("/health")).status_code == 200
            assert await stop(node) == 0


@ROOT
@MOUNTS
async def test_a_full_disk_holds_up_neither_start_nor_reload_nor_end(tmp_path: Path) -> None:
    with power.tmpfs(tmp_path / "disk", "size=48m") as disk:
        home = make(disk / "alice")
        await trio.Path(disk / "other").write_bytes(bytes(20 << 20))
        settings = home / "node.toml"
        before = settings.read_text()
        settings.write_text(before + f'peers = ["{SOMEBODY}"]\n')
        async with open_node(home) as node:
            assert (await node.control.get("/health")).status_code == 503
            another = SOMEBODY.replace(":9~", ":10~")
            settings.write_text(before + f'peers = ["{another}"]\n')
            node.process.send_signal(signal.SIGHUP)
            await logged(home, "config.reloaded")
            assert await stop(node) == 0


async def test_damage_that_is_come_across_ends_it(home: Path) -> None:
    async with open_node(home) as node:
        for number in range(50):
            content = {"type": "test", "number": number, "text": "x" * 2000}
            await node.tell("/feeds/publish", content=content)
    async with open_node(home):
        pass  # opened again, LevelDB has put its log into a table
    for table in (home / "store" / "db").glob("*.ldb"):
        data = bytearray(await trio.Path(table).read_bytes())
        data[len(data) // 2] ^= 1
        await trio.Path(table).write_bytes(data)
    async with open_node(home) as node:
        query: dict[str, str | int] = {"feed": node.id, "follow": 1}
        with contextlib.suppress(httpx.TransportError):
            await node.control.get("/feeds/log", params=query)
        with trio.fail_after(PATIENCE_S):
            assert await node.process.wait() == 78
    assert "qbix-node store repair" in home.with_suffix(".stderr").read_text()
