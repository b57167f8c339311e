"""One life of a node: whatever happens to it comes in through `enter`, and nothing after its end.

Events for machines wait in one queue, so that no machine is spoken to while it decides. What links
have to send leaves when all that is known has been decided.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from netsim import facts
from netsim.journal import Journal
from netsim.loop import Loop
from netsim.site import Site
from netsim.world import World
from qbix_node import machines as m


class Taker(Protocol):
    def take(self, event: m.Event) -> None: ...


class Sender(Protocol):
    def pump(self) -> None: ...


class Process:
    """`fail` is told what escaped; it has to end this life."""

    def __init__(self, world: World, site: Site, fail: Callable[[Exception], None]) -> None:
        self.world = world
        self.site = site
        self.loop: Loop = world.loop
        self.journal: Journal = world.journal
        self.number = site.number
        self.over = False
        self._fail = fail
        self._queue: deque[tuple[Taker, m.Event]] = deque()
        self._sending: dict[Sender, None] = {}
        self._entered = False
        self._now = 0.0
        self._local = site.clock.local

    def now(self) -> float:
        """Of the machines: it never runs backwards."""
        self._now = now = max(self._now, self._local())
        return now

    def reach(self, at: float) -> None:
        """A timer for that moment is due: rounding must not have it fire before."""
        self._now = max(self._now, at)

    def tell(self, fact: object) -> None:
        self.journal.tell(self.number, fact)

    def said(self, to: m.PeerId, message: object) -> None:
        if self.journal.watched:
            self.journal.tell(self.number, facts.Said(to, message))

    def said_of_streams(self, to: m.PeerId, message: object) -> None:
        if self.journal.watched:
            self.journal.tell(self.number, facts.SaidOfStreams(to, message))

    def enter(self, action: Callable[..., object], *arguments: object) -> None:
        if self.over:
            return
        if self._entered:
            action(*arguments)
            return
        self._entered = True
        try:
            action(*arguments)
            self._settle()
        except Exception as error:  # noqa: BLE001  (the node crashes of it, and the run tells)
            self._fail(error)
        finally:
            self._entered = False

    def later(self, delay_s: float, action: Callable[..., object], *arguments: object) -> None:
        self.loop.after(delay_s, self.enter, action, *arguments)

    def post(self, taker: Taker, event: m.Event) -> None:
        self._queue.append((taker, event))

    def pump_soon(self, sender: Sender) -> None:
        self._sending[sender] = None

    def _settle(self) -> None:
        queue = self._queue
        while not self.over:
            if queue:
                taker, event = queue.popleft()
                taker.take(event)
            elif self._sending:
                senders, self._sending = self._sending, {}
                for sender in senders:
                    sender.pump()
            else:
                return
