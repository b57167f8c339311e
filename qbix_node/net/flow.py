"""What waits in the two directions of a link, and who waits until it is less (limits.py)."""

import trio

from qbix_node.errors import RemoteError
from qbix_node.net.limits import Limits
from qbix_node.net.muxrpc import Session

WRITE_BYTES = 64 * 1024


class LinkClosed(RemoteError):
    """The connection is closed or lost. Says why."""


class Flow:
    """Shared by a link, whose reader and writer it starts and stops, and its streams."""

    def __init__(self, session: Session, limits: Limits) -> None:
        self.session = session
        self.closed_because: str | None = None
        self._queue_max = limits.queued_bytes_per_peer_max
        self._unread_max = limits.unread_bytes_per_peer_max
        self._unread_bytes = 0
        self._less = trio.lowlevel.ParkingLot()  # whoever waits for one of the two to shrink
        self._work = trio.Event()

    @property
    def has_room(self) -> bool:
        """Whether something may be queued for the peer."""
        return self.closed_because is None and self.session.queued_bytes < self._queue_max

    async def wait_for_room(self) -> None:
        """Raises LinkClosed."""
        while not self.has_room:
            if self.closed_because is not None:
                raise LinkClosed(self.closed_because)
            await self._less.park()

    async def hand_over(self) -> None:
        """What was queued may be written: at once if it fills a write, else when all others that
        run now have had their turn, so that what they queue leaves in the same write.
        """
        self._work.set()
        if self.session.queued_bytes >= WRITE_BYTES:
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()

    def start_writing(self) -> None:
        self._work.set()

    async def wait_for_work(self) -> bool:
        """Whether something is to be written; if not, there never will be."""
        while not self.session.queued_bytes and self.closed_because is None:
            self._work = trio.Event()
            await self._work.wait()
        return self.session.queued_bytes > 0

    def wrote(self) -> None:
        self._less.unpark_all()

    def received(self, cost: int) -> None:
        self._unread_bytes += cost

    def took(self, cost: int) -> None:
        self._unread_bytes -= cost
        self._less.unpark_all()

    @property
    def full(self) -> bool:
        """Whether nothing more should be read.

        Twice the cap of the queue: senders stop at the cap, so what goes beyond it is answers to
        requests of a peer that does not read them.
        """
        queue_full = self.session.queued_bytes >= 2 * self._queue_max
        return queue_full or self._unread_bytes >= self._unread_max

    async def wait_to_read(self) -> None:
        while self.full and self.closed_because is None:
            await self._less.park()

    def close(self, reason: str) -> None:
        if self.closed_because is None:
            self.closed_because = reason
            self._less.unpark_all()
            self._work.set()
