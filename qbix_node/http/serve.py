"""Serve an application on the control socket or on loopback, with hypercorn's HTTP on trio.

The accept loop is ours: hypercorn's own shields its sends from cancellation, so one client that
stops reading would hold up the daemon's stop, and it has no limit of connections.
"""

import os
import socket
from functools import partial
from pathlib import Path
from typing import cast

import structlog
import trio
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

from qbix_node.errors import ConfigError
from qbix_node.http.draining import HANG_UP, Draining
from qbix_node.http.socket_path import check_socket_path

CONNECTIONS_MAX = 64  # further ones wait until one has ended
HEAD_BYTES_MAX = 16 * 1024
IDLE_S = 30.0  # a connection without a request is closed
ERROR_CHARS_MAX = 200  # of what hypercorn failed at, in the log

log = structlog.get_logger()


class _Log(Logger):
    """What hypercorn has to say about a request that failed goes to our log."""

    def __init__(self, config: Config) -> None:
        pass

    async def access(self, *_: object, **__: object) -> None:
        pass

    async def exception(self, message: str, *_: object, **__: object) -> None:
        log.error("http.failed", message=message, exc_info=True)


class _Patient(trio.abc.Listener[trio.SocketStream]):
    """Takes a connection only while there is room; others wait in the kernel's queue."""

    def __init__(self, inner: trio.SocketListener, room: trio.Semaphore) -> None:
        self._inner = inner
        self._room = room

    async def accept(self) -> trio.SocketStream:
        await self._room.acquire()
        try:
            return await self._inner.accept()
        except BaseException:
            self._room.release()
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Connection:
    """A stream that tells hypercorn when the client has gone: else it waits for the idle limit."""

    def __init__(self, stream: trio.SocketStream, context: WorkerContext) -> None:
        self.socket = stream.socket
        self.send_all = stream.send_all
        self.send_eof = stream.send_eof
        self.aclose = stream.aclose
        self._stream = stream
        self._context = context

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = b""
        try:
            data = await self._stream.receive_some(max_bytes)
        finally:
            if not data:
                await self._context.terminated.set()
        return data


async def serve(app: ASGIApp, listeners: list[trio.SocketListener]) -> None:
    """Until cancelled."""
    config = Config()
    config.logger_class = _Log
    config.include_server_header = False
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    config.keep_alive_timeout = IDLE_S
    wrapped = wrap_app(cast("ASGIFramework", Draining(app)), config.wsgi_max_body_size, "asgi")
    streams: set[trio.SocketStream] = set()
    room = trio.Semaphore(CONNECTIONS_MAX)

    async def answer(stream: trio.SocketStream) -> None:
        context = WorkerContext(None)
        # Annotated as SSL, but made for plain streams as well.
        connection = cast("trio.SSLStream[trio.SocketStream]", _Connection(stream, context))
        streams.add(stream)
        try:
            state = ConnectionState({HANG_UP: partial(trio.aclose_forcefully, stream)})
            await TCPServer(wrapped, config, context, state, connection)
        except Exception as error:  # noqa: BLE001  (told in one line)
            # Some bytes of HTTP/2 make hypercorn fail. They end a connection, not the node: on
            # loopback every user of this machine may send them.
            log.warning("http.broken", reason=repr(error)[:ERROR_CHARS_MAX])
        finally:
            streams.discard(stream)
            room.release()

    async with trio.open_nursery() as nursery:
        patient = [_Patient(listener, room) for listener in listeners]
        try:
            await trio.serve_listeners(answer, patient, handler_nursery=nursery)
        finally:
            with trio.CancelScope(shield=True):
                for stream in list(streams):
                    await trio.aclose_forcefully(stream)


def open_control_socket(path: Path) -> trio.SocketListener:
    """A listener that only our user can reach. Raises ConfigError, also when a daemon is there."""
    check_socket_path(path)
    _clear(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(os.fspath(path))
    path.chmod(0o600)  # before listen: nobody connects in between
    made.listen()
    return trio.SocketListener(trio.socket.from_stdlib_socket(made))


def _clear(path: Path) -> None:
    """Remove the socket that a killed daemon left; a living one is left alone."""
    if not path.exists():
        return
    if not path.is_socket():
        raise ConfigError(f"{path}: something that is no socket stands here", hint="move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        try:
            knock.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{path}: can't be used: {error.strerror}") from error
        else:
            raise ConfigError(
                f"{path}: another daemon answers here",
                hint="stop it first, or choose another --home",
            )


async def open_loopback(host: str, port: int) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise ConfigError(
            f"the status page can't be served on {host}:{port}: {error.strerror or error}",
            hint="choose another port for status_page in the configuration",
        ) from error
