"""One connection that is up: what arrives goes to whom it concerns, what waits leaves as there is
room on the way.
"""

from collections.abc import Callable
from typing import Protocol

from netsim.fabric import End
from netsim.lean.packets import measure
from netsim.lean.process import Process
from qbix_node.machines import PeerId

Hear = Callable[[object, int], object]


def _ignore(message: object, size: int) -> None:
    pass


class Source(Protocol):
    """Something of which more can be sent when there is room."""

    def send_next(self) -> bool:
        """False: nothing waits any more. It says so (Link.ready) when something does."""
        ...


class Link:
    """`hear`, which is set when it is up, takes each message and its size; `ended` is called once,
    with the reason, unless the node dies.
    """

    __slots__ = (
        "_end",
        "_ended",
        "_process",
        "_ready",
        "_window",
        "hear",
        "outgoing",
        "over",
        "peer",
    )

    def __init__(
        self,
        process: Process,
        end: End,
        peer: PeerId,
        *,
        outgoing: bool,
        ended: Callable[["Link", str], object],
    ) -> None:
        self.peer = peer
        self.outgoing = outgoing
        self.over = False
        self._process = process
        self._end = end
        self._window = process.world.fabric.window
        self.hear: Hear = _ignore
        self._ended = ended
        self._ready: dict[Source, None] = {}  # whose turn is next comes first
        end.arrived = self._arrived
        end.closed = self._closed
        end.drained = self._drained

    def say(self, message: object, text_bytes: int = 0) -> None:
        """At once. `text_bytes`: of the messages in it, which are not measured anew."""
        size, what = measure(message)
        self._end.send(message, size + text_bytes, what)

    def ready(self, source: Source) -> None:
        """It has something to send: soon, and when there is room."""
        if not self.over:
            self._ready[source] = None
            self._process.pump_soon(self)

    def pump(self) -> None:
        end, window, ready = self._end, self._window, self._ready
        while ready and end.in_flight < window and not self.over:
            source = next(iter(ready))
            del ready[source]
            if source.send_next():
                ready[source] = None  # the others first

    def read(self, bytes_s: float) -> None:
        """So fast from now on; what is not read stays on its way, and the peer has to wait."""
        if not self.over:
            self._end.reads_bytes_s = bytes_s

    def close(self, reason: str) -> None:
        """The other side learns that it is over, after all that was sent before."""
        if not self.over:
            self._end.close()
            self._finish(reason)

    def _arrived(self, message: object, size: int) -> None:
        self._process.enter(self.hear, message, size)

    def _closed(self, reason: str) -> None:
        self._process.enter(self._finish, reason or "closed by the peer")

    def _drained(self) -> None:
        if self._ready:
            self._process.enter(self.pump)

    def _finish(self, reason: str) -> None:
        if not self.over:
            self.over = True
            self._ready.clear()
            self._ended(self, reason)
