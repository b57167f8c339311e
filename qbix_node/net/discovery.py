"""Find peers on the local network by UDP broadcast (spec/transport.md 7); off unless configured."""

from collections.abc import Awaitable, Callable

import structlog
import trio

from qbix_node import machines as m
from qbix_node.errors import LocalError, Malformed
from qbix_node.machines import PeerId
from qbix_node.net.address import Address
from qbix_node.net.announcements import DATAGRAM_BYTES_MAX, announce, parse_announcement
from qbix_node.net.interfaces import Interface, local_interfaces
from qbix_node.net.messages import Heard

UDP_PORT = 8008
INTERVAL_S = 2.0
# Many peers fit in this; of a flood the kernel drops the rest.
DATAGRAMS_MAX = 16
PAUSE_S = 0.1

SWITCH_OFF = "switch off the discovery of peers on the local network (lan_discovery)"

log = structlog.get_logger()


class LanDiscovery:
    """Says who listens here, on TCP port `port`; the keeper is told who else does."""

    def __init__(
        self,
        key: PeerId,
        port: int,
        post: Callable[[m.Event], Awaitable[None]],
        *,
        udp_port: int = UDP_PORT,
        interfaces: Callable[[], list[Interface]] = local_interfaces,
    ) -> None:
        self._key = key
        self._port = port
        self._post = post
        self._udp_port = udp_port
        self._interfaces = interfaces

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Raises LocalError if the port can't be had."""
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as udp:
            udp.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_BROADCAST, 1)
            # Other Scuttlebutt programs on this machine listen on the same port.
            udp.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
            try:
                await udp.bind(("", self._udp_port))
            except OSError as error:
                what = f"can't listen on UDP port {self._udp_port}: {error.strerror}"
                raise LocalError(what, hint=SWITCH_OFF) from error
            task_status.started()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._announce, udp)
                nursery.start_soon(self._listen, udp)

    async def _announce(self, udp: trio.socket.SocketType) -> None:
        while True:
            try:
                interfaces = self._interfaces()
            except OSError as error:  # a sandbox may forbid to list them
                what = f"can't list the network interfaces: {error.strerror}"
                raise LocalError(what, hint=SWITCH_OFF) from error
            for interface in interfaces:
                datagram = announce(Address(interface.address, self._port, self._key))
                try:
                    await udp.sendto(datagram, (interface.broadcast, self._udp_port))
                except OSError as error:  # the network is down, or a firewall says no
                    log.debug("lan.unheard", address=interface.address, reason=str(error))
            await trio.sleep(INTERVAL_S)

    async def _listen(self, udp: trio.socket.SocketType) -> None:
        while True:
            for _ in range(DATAGRAMS_MAX):
                datagram, source = await udp.recvfrom(DATAGRAM_BYTES_MAX + 1)
                try:
                    address = parse_announcement(datagram, source[0])
                except Malformed as error:
                    log.debug("lan.refused", source=source[0], reason=str(error))
                    continue
                if address.key != self._key:
                    await self._post(m.Requested(Heard(address)))
            await trio.sleep(PAUSE_S)
