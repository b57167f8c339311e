"""The control socket and the loopback port as real sockets: who gets in, what holds nothing up."""

import itertools
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from qbix_node.errors import BadInput, ConfigError, LocalError, NotRunning, Temporary
from qbix_node.http.app import control_app
from qbix_node.http.client import Bug, ControlClient
from qbix_node.http.draining import DRAINED_BYTES_MAX
from qbix_node.http.questions import BODY_BYTES_MAX
from qbix_node.http.serve import (
    CONNECTIONS_MAX,
    HEAD_BYTES_MAX,
    IDLE_S,
    open_control_socket,
    open_loopback,
    serve,
)
from qbix_node.wire.references import format_blob, format_feed
from qbix_node.wire.v8json import JsonValue
from tests.http.memory_api import ALICE, BLOB, MemoryApi

FEED = format_feed(ALICE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


@pytest.fixture
async def server(api: MemoryApi, path: Path, nursery: trio.Nursery) -> None:
    nursery.start_soon(serve, control_app(api), [open_control_socket(path)])


async def ask(path: Path, method: str, *arguments: JsonValue | Iterator[bytes]) -> JsonValue:
    """The blocking client, as commands use it."""

    def blocking() -> JsonValue:
        with ControlClient(path) as client:
            answer: JsonValue = getattr(client, method)(*arguments)
            return answer

    return await trio.to_thread.run_sync(blocking)


async def test_only_the_owner_may_use_the_socket(path: Path) -> None:
    listener = open_control_socket(path)
    assert (await trio.Path(path).stat()).st_mode & 0o777 == 0o600
    await listener.aclose()


async def test_the_client_asks_and_tells(server: None, path: Path, api: MemoryApi) -> None:
    assert await ask(path, "post", "/follow", {"feed": FEED}) is None
    assert await ask(path, "get", "/following") == [FEED]


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (("/peers/remove", {"peer": FEED}), LocalError),
        (("/follow", {"feed": "@x"}), BadInput),
        (("/peers/block", {"peer": FEED}), Temporary),
    ],
)
async def test_refusals_come_back_as_the_errors_that_they_were(
    server: None,
    path: Path,
    request_: tuple[str, JsonValue],
    kind: type[LocalError],
) -> None:
    with pytest.raises(LocalError) as refused:
        await ask(path, "post", *request_)
    assert type(refused.value) is kind


@pytest.mark.expects_error_log("http.failed")
async def test_a_bug_is_logged_and_told_without_details(server: None, path: Path) -> None:
    with pytest.raises(Bug, match="its log has the details"):
        await ask(path, "post", "/peers/unblock", {"peer": FEED})
    assert await ask(path, "get", "/following") == []  # and the daemon goes on


async def test_no_daemon_is_told_with_the_next_step(path: Path) -> None:
    with pytest.raises(NotRunning, match="no daemon answers") as refused:
        await ask(path, "get", "/status")
    assert "qbix-node run" in refused.value.hint


async def test_a_socket_that_nobody_listens_on_is_no_daemon(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(NotRunning, match="Connection refused"):
        await ask(path, "get", "/status")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
async def test_curl_can_talk_to_it(server: None, path: Path) -> None:
    command = ["curl", "-sf", "--unix-socket", str(path), "http://node/status"]
    run = await trio.run_process(command, capture_stdout=True)
    assert json.loads(run.stdout)["node_id"] == FEED


async def test_a_socket_that_a_killed_daemon_left_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    await open_control_socket(path).aclose()


async def test_the_socket_of_a_living_daemon_is_left_alone(path: Path) -> None:
    first = open_control_socket(path)
    with pytest.raises(ConfigError, match="another daemon answers"):
        open_control_socket(path)
    await first.aclose()


def test_a_file_in_the_socket_s_place_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(ConfigError, match="no socket"):
        open_control_socket(path)
    assert path.read_text() == "precious"


def test_a_path_that_no_socket_can_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="107 bytes"):
        open_control_socket(tmp_path / ("x" * 100))


async def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="status page can't be served"):
            await open_loopback("127.0.0.1", taken.getsockname()[1])


async def test_a_client_that_stops_reading_does_not_hold_up_the_end(
    path: Path, api: MemoryApi, nursery: trio.Nursery
) -> None:
    scope, ended = trio.CancelScope(), trio.Event()

    async def serve_until_cancelled() -> None:
        with scope:
            await serve(control_app(api), [open_control_socket(path)])
        ended.set()

    api.files[BLOB] = bytes(20_000_000)
    nursery.start_soon(serve_until_cancelled)
    await trio.testing.wait_all_tasks_blocked()
    async with await trio.open_unix_socket(str(path)) as stream:
        name = format_blob(BLOB).replace("&", "%26")
        head = f"GET /blobs/content?blob={name} HTTP/1.1\r\nHost: node\r\n\r\n"
        await stream.send_all(head.encode())
        await stream.receive_some(1)
        scope.cancel()
        with trio.fail_after(2):
            await ended.wait()


async def test_connections_above_the_limit_wait_for_their_turn(server: None, path: Path) -> None:
    request = b"GET /following HTTP/1.1\r\nHost: node\r\n\r\n"
    streams = [await trio.open_unix_socket(str(path)) for _ in range(CONNECTIONS_MAX)]
    extra = await trio.open_unix_socket(str(path))
    await extra.send_all(request)
    with trio.move_on_after(0.1):
        raise AssertionError(f"answered {await extra.receive_some(8)!r}")
    await streams.pop().aclose()
    assert await extra.receive_some(8) == b"HTTP/1.1"
    for stream in [extra, *streams]:
        await stream.aclose()


async def test_clients_that_leave_give_their_place_to_others(server: None, path: Path) -> None:
    with trio.fail_after(IDLE_S / 2):
        for _ in range(2 * CONNECTIONS_MAX):
            async with await trio.open_unix_socket(str(path)) as stream:
                await stream.send_all(b"GET /following HTTP/1.1\r\nHost: node\r\n\r\n")
                await stream.receive_some(8)


async def test_a_head_without_end_is_refused(server: None, path: Path) -> None:
    async with await trio.open_unix_socket(str(path)) as stream:
        await stream.send_all(b"GET /status HTTP/1.1\r\nX: " + b"x" * (HEAD_BYTES_MAX + 100))
        assert b" 4" in (await stream.receive_some(100))[:12]


@pytest.mark.parametrize("size", [BODY_BYTES_MAX, 8 << 20])
async def test_who_sends_too_much_still_hears_why(server: None, path: Path, size: int) -> None:
    with trio.fail_after(5), pytest.raises(BadInput, match="more than"):
        await ask(path, "post", "/follow", {"feed": "x" * size})


async def test_who_sends_without_end_still_hears_why(server: None, path: Path) -> None:
    with trio.fail_after(10), pytest.raises(BadInput, match="more than"):
        await ask(path, "upload", "/follow", itertools.repeat(bytes(1 << 16)))


async def test_a_body_that_nobody_wants_is_taken(server: None, path: Path) -> None:
    async with await trio.open_unix_socket(str(path)) as stream:
        head = b"GET /following HTTP/1.1\r\nHost: node\r\nContent-Length: %d\r\n\r\n"
        with trio.fail_after(5):
            await stream.send_all(head % (4 << 20) + bytes(4 << 20))
            assert (await stream.receive_some(15)).startswith(b"HTTP/1.1 200")


async def test_a_body_without_end_is_cut_off(server: None, path: Path) -> None:
    async with await trio.open_unix_socket(str(path)) as stream:
        head = b"GET /following HTTP/1.1\r\nHost: node\r\nContent-Length: %d\r\n\r\n"
        await stream.send_all(head % (1 << 40))
        with trio.fail_after(10), pytest.raises(trio.BrokenResourceError):
            await stream.send_all(bytes(2 * DRAINED_BYTES_MAX))


async def test_who_leaves_in_the_middle_is_forgotten(
    server: None, path: Path, api: MemoryApi
) -> None:
    feed = FEED.replace("+", "%2B")
    async with await trio.open_unix_socket(str(path)) as stream:
        head = f"GET /feeds/log?follow=1&feed={feed} HTTP/1.1\r\nHost: node\r\n\r\n"
        await stream.send_all(head.encode())
        with trio.fail_after(5):
            await api.wait_for_waiters(1)
    with trio.fail_after(5):
        await api.wait_for_waiters(0)
