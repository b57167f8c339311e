"""Four messages, after which both sides know who the other one is (spec/transport.md 2)."""

from collections.abc import Callable

from netsim.fabric import End
from netsim.lean.packets import measure
from netsim.lean.wire import Accept, Hello, Proof
from qbix_node.machines import PeerId

Proven = Callable[[PeerId], object]
Failed = Callable[[str], object]


def say(end: End, message: object) -> None:
    size, what = measure(message)
    end.send(message, size, what)


class Shake:
    """One side, on an end of its own. `to`: whom it dials; without, it was dialled.

    `proven` is called when the other side has proved who it is: who was dialled then says `accept`,
    or resets.
    """

    def __init__(
        self, end: End, own: PeerId, proven: Proven, failed: Failed, to: PeerId | None = None
    ) -> None:
        self._end = end
        self._own = own
        self._to = to
        self._proven = proven
        self._failed = failed
        self._greeted = False
        end.arrived = self._arrived
        end.closed = self._closed

    def begin(self) -> None:
        """Of who dials."""
        say(self._end, Hello())

    def accept(self) -> None:
        say(self._end, Accept())

    def _arrived(self, message: object, size: int) -> None:
        match message:
            case Hello() if not self._greeted:
                self._greeted = True
                say(self._end, Proof(self._own, self._to) if self._to else Hello())
            case Proof(key, to) if self._greeted and self._to is None and to == self._own:
                self._proven(key)
            case Accept() if self._greeted and self._to is not None:
                self._proven(self._to)
            case _:
                self._end.reset("handshake: that is not what comes next")
                self._failed("handshake: that is not what comes next")

    def _closed(self, reason: str) -> None:
        self._failed(reason or "hung up during the handshake")
