"""One attempt to get a stream: it knocks until it is answered, or patience ends."""

from collections.abc import Callable
from typing import Protocol

from netsim.fabric.path import Path
from netsim.fabric.stream import End
from netsim.loop import Loop

KNOCK_AGAIN_S = 1.0  # then after twice as long, and so on (RFC 6298, section 2)

Accept = Callable[[End], object]
Opened = Callable[[End | None, str], object]  # None: why not


class Hosts(Protocol):
    """Who can be dialled."""

    def is_down(self, node: int) -> bool: ...

    def accept_of(self, node: int) -> Accept | None: ...

    def connect(self, dial: "Dial", accept: Accept) -> None: ...


class Dial:
    """`path` leads there, `back` here. `lives` tells whether who dials still does."""

    __slots__ = ("_answered", "_back", "_hosts", "_lives", "_loop", "_opened", "node", "path", "to")

    def __init__(
        self,
        loop: Loop,
        hosts: Hosts,
        ways: tuple[Path, Path],
        opened: Opened,
        lives: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._hosts = hosts
        self.path, self._back = ways
        self.node, self.to = self.path.node, self.path.to
        self._opened = opened
        self._lives = lives
        self._answered = False

    def begin(self, patience_s: float) -> None:
        self._loop.after(patience_s, self._answer, None, "timed out")
        self._knock(KNOCK_AGAIN_S)

    def _knock(self, again_s: float) -> None:
        if self._answered or not self._lives():
            return
        again_at = self._loop.now + again_s
        if self.path.luck().lost:
            self._loop.at(again_at, self._knock, 2 * again_s)
        else:
            self._loop.after(self.path.delay_s(), self._arrive, again_at, 2 * again_s)

    def _arrive(self, again_at: float, then_s: float) -> None:
        if self._answered:
            return
        if self.path.blocked or self._hosts.is_down(self.to):
            self._loop.at(again_at, self._knock, then_s)
        elif accept := self._hosts.accept_of(self.to):
            self._hosts.connect(self, accept)
        else:
            self._loop.after(self._back.delay_s(), self._refused, again_at, then_s)

    def _refused(self, again_at: float, then_s: float) -> None:
        if self._back.blocked:
            self._loop.at(again_at, self._knock, then_s)
        else:
            self._answer(None, "connection refused")

    def welcomed(self, end: End) -> None:
        """The stream is there. If nobody waits for it any more, the other side is told so."""
        if self._answered or not self._lives():
            end.reset("nobody waits for it any more")
        else:
            self._answer(end, "")

    def _answer(self, end: End | None, why_not: str) -> None:
        if not self._answered:
            self._answered = True
            if self._lives():
                self._opened(end, why_not)
