"""Who is connected with whom, and what passes between them."""

from collections.abc import Callable

from netsim.chance import Chance, Draws
from netsim.fabric.stream import End
from netsim.journal import Journal
from netsim.loop import Loop
from netsim.plan import Conditions
from netsim.trace import Kind

WINDOW_BYTES = 65_536  # who has more in flight waits for `drained`
PACKET_BYTES = 60  # headers

Accept = Callable[[End], object]
Opened = Callable[[End | None, str], object]  # None: why not
Hear = Callable[[bytes, int], object]  # a datagram, and the node that it is from


class Fabric:
    """`silence_s`: after so long without a way to the other side a stream is given up, as the
    heartbeat of a link does it in the daemon; None: whoever holds the ends sees to that.
    """

    window = WINDOW_BYTES

    def __init__(
        self,
        loop: Loop,
        chance: Chance,
        conditions: Conditions,
        journal: Journal,
        *,
        silence_s: float | None = None,
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._conditions = conditions
        self._journal = journal
        self._silence_s = silence_s
        self._listeners: dict[int, Accept] = {}
        self._hearers: dict[int, Hear] = {}
        self._latency: dict[tuple[int, int], tuple[float, Draws]] = {}
        self._arrives: dict[End, float] = {}

    # ---- streams ----

    def listen(self, node: int, accept: Accept) -> None:
        self._listeners[node] = accept

    def dial(self, node: int, to: int, opened: Opened) -> None:
        """`opened` is called once: with this side of a new stream, or with None and why not."""
        self._loop.after(self._delay(node, to), self._arrive_dial, node, to, opened)

    def _arrive_dial(self, node: int, to: int, opened: Opened) -> None:
        accept = self._listeners.get(to)
        if accept is None:
            self._loop.after(self._delay(to, node), opened, None, "connection refused")
            return
        ours, theirs = End(node, to, self), End(to, node, self)
        ours.peer, theirs.peer = theirs, ours
        self._loop.after(self._delay(to, node), opened, ours, "")
        accept(theirs)

    # ---- datagrams ----

    def hear(self, node: int, hear: Hear) -> None:
        self._hearers[node] = hear

    def broadcast(self, node: int, datagram: bytes) -> None:
        """To everybody who hears, the sender among them."""
        for to in sorted(self._hearers):
            self.datagram(node, to, datagram)

    def datagram(self, node: int, to: int, datagram: bytes) -> None:
        self._loop.after(self._delay(node, to), self._arrive_datagram, node, to, datagram)

    def _arrive_datagram(self, node: int, to: int, datagram: bytes) -> None:
        if hear := self._hearers.get(to):
            hear(datagram, node)

    # ---- the life of nodes ----

    def kill(self, node: int) -> None:
        """The process ends; the system says goodbye for it."""
        self._listeners.pop(node, None)
        self._hearers.pop(node, None)

    def vanish(self, node: int) -> None:
        """Power is cut: nobody says goodbye."""
        self.kill(node)

    # ---- packets ----

    def carry(self, end: End, payload: object, size: int, what: int) -> None:
        end.in_flight += size
        self._journal.carried(Kind.SENT, end.node, end.other, what, size)
        at = max(self._arrives.get(end, 0.0), self._loop.now + self._delay(end.node, end.other))
        self._arrives[end] = at
        self._loop.at(at, self._arrive, end, payload, size, what)

    def _arrive(self, end: End, payload: object, size: int, what: int) -> None:
        end.in_flight -= size
        other = end.peer
        if other is None or other.over:
            return
        self._journal.carried(Kind.DELIVERED, other.node, end.node, what, size)
        other.arrived(payload, size)
        if end.in_flight < self.window:
            end.drained()

    def finish(self, end: End) -> None:
        at = max(self._arrives.get(end, 0.0), self._loop.now + self._delay(end.node, end.other))
        self._loop.at(at, self._say_closed, end, "")

    def abort(self, end: End, reason: str) -> None:
        self._loop.after(self._delay(end.node, end.other), self._say_closed, end, reason)

    def _say_closed(self, end: End, reason: str) -> None:
        other = end.peer
        if other is not None and not other.over:
            other.over = True
            other.closed(reason)

    def _delay(self, node: int, to: int) -> float:
        pair = (node, to)
        if pair not in self._latency:
            between = self._chance.draws("latency", *sorted(pair))
            latency = between.between(
                self._conditions.latency_s.low, self._conditions.latency_s.high
            )
            self._latency[pair] = latency, self._chance.draws("jitter", node, to)
        latency, draws = self._latency[pair]
        return latency + draws.random() * self._conditions.jitter_s
