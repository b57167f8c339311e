"""The local network as datagrams that everybody on it hears: UDP broadcast in the daemon
(spec/transport.md 7), its own in the simulator.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import structlog
import trio

from qbix_node.errors import LocalError
from qbix_node.net.interfaces import Interface, local_interfaces

UDP_PORT = 8008

SWITCH_OFF = "switch off the discovery of peers on the local network (lan_discovery)"

log = structlog.get_logger()


class LanSocket(Protocol):
    async def shout(self, datagram: Callable[[str], bytes]) -> None:
        """Send to all on each local network what `datagram` makes of our address there; it may be
        lost. Raises LocalError.
        """
        ...

    async def hear(self, bytes_max: int) -> tuple[bytes, str]:
        """The next datagram, cut off after so many bytes, and the host that it is from."""
        ...


class Lan(Protocol):
    def open(self) -> AbstractAsyncContextManager[LanSocket]:
        """Raises LocalError."""
        ...


class UdpLan:
    def __init__(
        self,
        udp_port: int = UDP_PORT,
        interfaces: Callable[[], list[Interface]] = local_interfaces,
    ) -> None:
        self._udp_port = udp_port
        self._interfaces = interfaces

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LanSocket]:
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as udp:
            udp.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_BROADCAST, 1)
            # Other Scuttlebutt programs on this machine listen on the same port.
            udp.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
            try:
                await udp.bind(("", self._udp_port))
            except OSError as error:
                what = f"can't listen on UDP port {self._udp_port}: {error.strerror}"
                raise LocalError(what, hint=SWITCH_OFF) from error
            yield _UdpSocket(udp, self._udp_port, self._interfaces)


class _UdpSocket:
    def __init__(
        self,
        udp: trio.socket.SocketType,
        udp_port: int,
        interfaces: Callable[[], list[Interface]],
    ) -> None:
        self._udp = udp
        self._udp_port = udp_port
        self._interfaces = interfaces

    async def shout(self, datagram: Callable[[str], bytes]) -> None:
        try:
            interfaces = self._interfaces()
        except OSError as error:  # a sandbox may forbid to list them
            what = f"can't list the network interfaces: {error.strerror}"
            raise LocalError(what, hint=SWITCH_OFF) from error
        for interface in interfaces:
            try:
                place = (interface.broadcast, self._udp_port)
                await self._udp.sendto(datagram(interface.address), place)
            except OSError as error:  # the network is down, or a firewall says no
                log.debug("lan.unheard", address=interface.address, reason=str(error))

    async def hear(self, bytes_max: int) -> tuple[bytes, str]:
        datagram, source = await self._udp.recvfrom(bytes_max)
        return datagram, source[0]
