"""What a process has of the network: connections and the local network, through the fabric.

What comes in is taken by the process's own tasks, so that they, and not the network, run what
follows from it.
"""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from netsim.fabric import End, Fabric
from netsim.full.streams import FabricStream, Sockets
from netsim.site import PORT, host_of, number_at
from qbix_node.net.transport import Accept

DATAGRAMS_MAX = 64  # that a kernel keeps for who does not read; more are lost


@dataclass(frozen=True, slots=True)
class Wires:
    """Implements net.transport.Transport and net.lan.Lan."""

    fabric: Fabric
    sockets: Sockets
    node: int

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        try:
            to = number_at(host)
        except ValueError as error:
            raise OSError(f"{host!r} is no host here") from error
        if port != PORT:
            raise OSError(f"connection refused: nobody listens on port {port}")
        call = _Call(self.sockets)
        self.fabric.dial(self.node, to, call.opened)
        try:
            await call.answered.wait()
        except trio.Cancelled:
            call.give_up()
            raise
        if call.stream is None:
            raise OSError(call.why_not)
        return call.stream

    async def serve(
        self,
        host: str,
        port: int,
        accept: Accept,
        *,
        task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        came, coming = trio.open_memory_channel[tuple[FabricStream, str]](math.inf)

        def take(end: End) -> None:
            came.send_nowait((self.sockets.open(end), host_of(end.other)))

        self.fabric.listen(self.node, take)
        task_status.started(port)
        async with trio.open_nursery() as nursery:
            async for stream, remote in coming:
                nursery.start_soon(accept, stream, remote)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["LanWires"]:
        lan = LanWires(self)
        self.fabric.hear(self.node, lan.heard)
        yield lan


class LanWires:
    """Implements net.lan.LanSocket."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self._came, self._coming = trio.open_memory_channel[tuple[bytes, str]](DATAGRAMS_MAX)

    def heard(self, datagram: bytes, node: int) -> None:
        if self._came.statistics().current_buffer_used < DATAGRAMS_MAX:
            self._came.send_nowait((datagram, host_of(node)))

    async def shout(self, datagram: Callable[[str], bytes]) -> None:
        await trio.lowlevel.checkpoint()
        self._wires.fabric.broadcast(self._wires.node, datagram(host_of(self._wires.node)))

    async def hear(self, bytes_max: int) -> tuple[bytes, str]:
        datagram, host = await self._coming.receive()
        return datagram[:bytes_max], host


@dataclass(slots=True)
class _Call:
    """A dial under way."""

    sockets: Sockets
    answered: trio.Event = field(default_factory=trio.Event)
    stream: FabricStream | None = None
    why_not: str = ""
    given_up: bool = False

    def opened(self, end: End | None, why_not: str) -> None:
        self.why_not = why_not
        if end is not None and self.given_up:
            end.reset()
        elif end is not None:
            self.stream = self.sockets.open(end)
        self.answered.set()

    def give_up(self) -> None:
        self.given_up = True
        if self.stream is not None:  # it came up at the same moment
            self.stream.hang_up()
