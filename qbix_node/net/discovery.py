"""Find peers on the local network by announcements (spec/transport.md 7); off unless configured."""

from collections.abc import Awaitable, Callable

import structlog
import trio

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.net.address import Address
from qbix_node.net.announcements import DATAGRAM_BYTES_MAX, announce, parse_announcement
from qbix_node.net.lan import Lan, LanSocket
from qbix_node.net.messages import Heard

INTERVAL_S = 2.0
# Many peers fit in this; of a flood the kernel drops the rest.
DATAGRAMS_MAX = 16
PAUSE_S = 0.1

log = structlog.get_logger()


class LanDiscovery:
    """Says who listens here, on TCP port `port`; the keeper is told who else does."""

    def __init__(
        self, key: PeerId, port: int, post: Callable[[m.Event], Awaitable[None]], lan: Lan
    ) -> None:
        self._key = key
        self._port = port
        self._post = post
        self._lan = lan

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Raises LocalError if the network can't be had."""
        async with self._lan.open() as lan, trio.open_nursery() as nursery:
            nursery.start_soon(self._announce, lan)
            nursery.start_soon(self._listen, lan)
            task_status.started()

    async def _announce(self, lan: LanSocket) -> None:
        while True:
            await lan.shout(lambda host: announce(Address(host, self._port, self._key)))
            await trio.sleep(INTERVAL_S)

    async def _listen(self, lan: LanSocket) -> None:
        while True:
            for _ in range(DATAGRAMS_MAX):
                datagram, source = await lan.hear(DATAGRAM_BYTES_MAX + 1)
                try:
                    address = parse_announcement(datagram, source)
                except Malformed as error:
                    log.debug("lan.refused", source=source, reason=str(error))
                    continue
                if address.key != self._key:
                    await self._post(m.Requested(Heard(address)))
            await trio.sleep(PAUSE_S)
