"""Who is connected with whom, and what passes between them."""

from collections.abc import Callable

from netsim.chance import Chance
from netsim.fabric.dial import Accept, Dial, Opened
from netsim.fabric.paths import Paths
from netsim.fabric.streams import WINDOW_BYTES, Streams
from netsim.journal import Journal
from netsim.loop import Loop
from netsim.plan import Conditions, PlannedFault
from netsim.trace import MESSAGE_NAMES, Kind
from qbix_node.net.limits import Limits

Hear = Callable[[bytes, int], object]  # a datagram, and the node that it is from

_USUAL = Limits()
_DATAGRAM = MESSAGE_NAMES.index("datagram")


class Fabric:
    """`silence_s`: after so long without a way to the other side a stream is given up, as the
    heartbeat of a link does it in the daemon; None: whoever holds the ends sees to that. `limits`:
    those of honest nodes, of which the heartbeat and the patience of a dial matter here.
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
        limits: Limits = _USUAL,
    ) -> None:
        self._loop = loop
        self._journal = journal
        self._lives: dict[int, int] = {}  # how often a node's process has ended
        self._paths = Paths(chance, conditions)
        self._dial_patience_s = limits.dial_patience_s
        self._streams = Streams(
            loop,
            chance,
            self._paths,
            journal,
            silence_s=silence_s,
            heartbeat_s=limits.heartbeat_s,
        )
        self._listeners: dict[int, Accept] = {}
        self._hearers: dict[int, Hear] = {}

    # ---- streams ----

    def listen(self, node: int, accept: Accept) -> None:
        self._power_up(node)
        self._listeners[node] = accept

    def dial(self, node: int, to: int, opened: Opened) -> None:
        """`opened` is called once: with this side of a new stream, or with None and why not. It is
        not called after the end of the node.
        """
        self._power_up(node)
        life = self._lives.get(node, 0)
        ways = self._paths.between(node, to), self._paths.between(to, node)
        dial = Dial(self._loop, self, ways, opened, lambda: self._lives.get(node, 0) == life)
        dial.begin(self._dial_patience_s)

    def is_down(self, node: int) -> bool:
        return node in self._streams.down

    def accept_of(self, node: int) -> Accept | None:
        return self._listeners.get(node)

    def connect(self, dial: Dial, accept: Accept) -> None:
        _, theirs = self._streams.connect(dial.node, dial.to)
        self._streams.welcome(theirs, dial)
        accept(theirs)

    # ---- datagrams ----

    def hear(self, node: int, hear: Hear) -> None:
        self._power_up(node)
        self._hearers[node] = hear

    def broadcast(self, node: int, datagram: bytes) -> None:
        """To everybody who hears, the sender among them."""
        for to in sorted(self._hearers):
            self.datagram(node, to, datagram)

    def datagram(self, node: int, to: int, datagram: bytes, what: int = _DATAGRAM) -> None:
        self._journal.carried(Kind.SENT, node, to, what, len(datagram))
        path = self._paths.between(node, to)
        luck = path.luck()
        at = path.send(self._loop.now, len(datagram), luck)
        if luck.lost:
            self._journal.carried(Kind.DROPPED, node, to, what, len(datagram))
            return
        for copy in range(luck.copies):
            when = at + luck.late_s + copy * path.latency_s
            self._loop.at(when, self._arrive, node, to, datagram, what)

    def _arrive(self, node: int, to: int, datagram: bytes, what: int) -> None:
        path, hear = self._paths.between(node, to), self._hearers.get(to)
        if path.blocked and path.holds:
            path.held = path.held or []
            path.held.append((datagram, what))
        elif hear is None or path.blocked:
            self._journal.carried(Kind.DROPPED, node, to, what, len(datagram))
        else:
            self._journal.carried(Kind.DELIVERED, to, node, what, len(datagram))
            hear(datagram, node)

    # ---- faults of links ----

    def begin(self, fault: PlannedFault) -> None:
        """One of LATENCY … BANDWIDTH, PARTITION, ONE_WAY, HOLD. Several add up."""
        for path in self._paths.begin(fault):
            self._streams.block(path)

    def end(self, fault: PlannedFault) -> None:
        for path in self._paths.end(fault):
            held, path.held = path.held, None
            self._streams.release(path)
            for datagram, what in held or ():
                self._arrive(path.node, path.to, datagram, what)

    def cut(self, node: int) -> None:
        """Reset all its streams, at both ends."""
        for path in self._paths.beginning_at(node):
            for end in path.ends:
                for each in (end, end.peer):
                    if each is not None and not each.over:
                        self._streams.shut(each, "reset: the connection was cut")

    # ---- the life of nodes ----

    def kill(self, node: int) -> None:
        """The process ends; the system says goodbye for it."""
        self._forget(node)
        for path in self._paths.beginning_at(node):
            for end in path.ends:
                end.close()

    def vanish(self, node: int) -> None:
        """Power is cut: nobody says goodbye."""
        self._forget(node)
        self._streams.down[node] = None
        for path in self._paths.beginning_at(node):
            for end in path.ends:
                self._streams.vanish(end)

    def _forget(self, node: int) -> None:
        self._listeners.pop(node, None)
        self._hearers.pop(node, None)
        self._lives[node] = self._lives.get(node, 0) + 1

    def _power_up(self, node: int) -> None:
        if node in self._streams.down:
            del self._streams.down[node]
            for path in self._paths.beginning_at(node):
                self._streams.release(self._paths.between(path.to, node))
