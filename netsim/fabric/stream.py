"""One side of a stream between two nodes: what is sent arrives in order, or the stream ends."""

from collections.abc import Callable
from typing import Protocol


class Path(Protocol):
    """How packets get from this side to the other."""

    def carry(self, end: "End", payload: object, size: int, what: int) -> None: ...

    def finish(self, end: "End") -> None: ...

    def abort(self, end: "End", reason: str) -> None: ...


def _ignore(*_: object) -> None:
    pass


class End:
    """Who holds it sets the three callbacks before anything else happens at this moment."""

    __slots__ = (
        "_path",
        "arrived",
        "closed",
        "drained",
        "in_flight",
        "node",
        "other",
        "over",
        "peer",
    )

    def __init__(self, node: int, other: int, path: Path) -> None:
        self.node = node
        self.other = other  # the node at the other side
        self.peer: End | None = None  # the other side
        self.arrived: Callable[[object, int], object] = _ignore  # payload and size
        self.closed: Callable[[str], object] = _ignore  # why; at most once, nothing comes after it
        self.drained: Callable[[], object] = _ignore  # there is room again (Fabric.window)
        self.in_flight = 0  # bytes sent and not yet arrived
        self.over = False
        self._path = path

    def send(self, payload: object, size: int, what: int = 0) -> None:
        """Takes everything; who sends waits for room by itself. Nothing, once it is over."""
        if not self.over:
            self._path.carry(self, payload, size, what)

    def close(self) -> None:
        """The other side is told after all that was sent before; this side hears no more."""
        if not self.over:
            self.over = True
            self._path.finish(self)

    def reset(self, reason: str = "reset by the other side") -> None:
        """What is under way is lost. The other side is told, if that is possible."""
        if not self.over:
            self.over = True
            self._path.abort(self, reason)
