"""One side of a stream between two nodes: what is sent arrives in order, or the stream ends.

The fields below the line belong to the fabric (netsim.fabric.streams).
"""

import math
from collections.abc import Callable
from typing import Protocol

from netsim.fabric.path import Path


class Carrier(Protocol):
    """How packets get from this side to the other."""

    def carry(self, end: "End", payload: object, size: int, what: int) -> None: ...

    def finish(self, end: "End") -> None: ...

    def abort(self, end: "End", reason: str) -> None: ...

    def read_on(self, end: "End") -> None: ...


def _ignore(*_: object) -> None:
    pass


class End:
    """Who holds it sets the three callbacks before anything else happens at this moment."""

    __slots__ = (
        "_carrier",
        "_reads_bytes_s",
        "arrived",
        "closed",
        "drained",
        "early",
        "gone",
        "in_flight",
        "node",
        "other",
        "over",
        "owed",
        "path",
        "peer",
        "read_at",
        "sent",
        "silent_since",
        "slow",
        "taken",
        "told",
        "unread",
        "watched",
    )

    def __init__(self, node: int, other: int, path: Path, carrier: Carrier) -> None:
        self.node = node
        self.other = other  # the node at the other side
        self.peer: End | None = None  # the other side
        self.arrived: Callable[[object, int], object] = _ignore  # payload and size
        self.closed: Callable[[str], object] = _ignore  # why; at most once, nothing comes after it
        self.drained: Callable[[], object] = _ignore  # there is room again (Fabric.window)
        self.in_flight = 0  # bytes sent, and not yet known to be read
        self.over = False
        self._carrier = carrier
        self._reads_bytes_s = math.inf
        # ----
        self.path = path  # from here to the other side
        self.sent = 0  # packets
        self.taken = 0  # of those, by the other side, in order
        self.early: dict[int, tuple[object, int, int]] | None = None  # arrived before their turn
        self.owed = 0  # read by the other side, which cannot say so
        self.slow = False  # this side reads slowly
        self.unread = 0  # bytes that arrived here, if it does
        self.read_at = 0.0  # when it will have read what is here
        self.told = False  # the other side knows, or will, that this one is over
        self.gone = False  # nothing of this side leaves any more
        self.silent_since = math.inf  # nothing can come from the other side since
        self.watched = False  # and it is looked after that

    @property
    def reads_bytes_s(self) -> float:
        """How fast what arrives here is read: as long as it is not, it stays in flight of the other
        side. 0: not at all. It may be changed at any time.
        """
        return self._reads_bytes_s

    @reads_bytes_s.setter
    def reads_bytes_s(self, bytes_s: float) -> None:
        self._reads_bytes_s = bytes_s
        self.slow = bytes_s < math.inf
        self._carrier.read_on(self)

    def send(self, payload: object, size: int, what: int = 0) -> None:
        """Takes everything; who sends waits for room by itself. Nothing, once it is over."""
        if not self.over:
            self._carrier.carry(self, payload, size, what)

    def close(self) -> None:
        """The other side is told after all that was sent before; this side hears no more."""
        if not self.over:
            self.hear_no_more()
            self._carrier.finish(self)

    def reset(self, reason: str = "reset by the other side") -> None:
        """What is under way is lost. The other side is told, if that is possible."""
        if not self.over:
            self.hear_no_more()
            self._carrier.abort(self, reason)

    def hear_no_more(self) -> None:
        self.over = True
        self.arrived = self.closed = self.drained = _ignore
