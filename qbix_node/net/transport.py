"""The byte streams under the links: TCP in the daemon, its own in the simulator."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from qbix_node.errors import LocalError

Accept = Callable[[trio.abc.Stream, str], Awaitable[None]]  # the stream, and the host it is from


class Transport(Protocol):
    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        """Raises OSError. Waits as long as the network does: the caller sets the deadline."""
        ...

    async def serve(
        self,
        host: str,
        port: int,
        accept: Accept,
        *,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Until cancelled; `started` with the port. `accept` owns its stream. Raises LocalError."""
        ...


class TcpTransport:
    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        try:
            return await trio.open_tcp_stream(host, port)
        except UnicodeError as error:  # of the codec for names
            raise OSError(f"{host!r} is no name of a host") from error

    async def serve(
        self,
        host: str,
        port: int,
        accept: Accept,
        *,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        async def accept_tcp(stream: trio.SocketStream) -> None:
            try:
                remote = stream.socket.getpeername()[0]
            except OSError:  # gone already
                return
            await accept(stream, remote)

        try:
            listeners = await trio.open_tcp_listeners(port, host=host)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise LocalError(
                f"can't listen on {host}:{port}: {reason}",
                hint="choose another address to listen on, or stop what uses this one",
            ) from error
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(accept_tcp, listeners)
