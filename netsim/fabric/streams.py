"""What passes between the two ends of a stream, as TCP has it.

Packets are numbered; who receives them takes them in order, so that what comes early waits. What is
lost is sent again after a while. Nothing is looked after with timers while all is well.
"""

from netsim.chance import Chance
from netsim.fabric.dial import Dial
from netsim.fabric.path import PACKET_BYTES, Packet, Path
from netsim.fabric.paths import Paths
from netsim.fabric.silence import Silence
from netsim.fabric.stream import End
from netsim.journal import Journal
from netsim.loop import Loop
from netsim.trace import Kind

WINDOW_BYTES = 65_536  # who has more in flight waits for `drained`
_CONTROL = -1  # in place of a packet's name: it opens or closes, and is not told
_SENT, _DELIVERED, _DROPPED = Kind.SENT, Kind.DELIVERED, Kind.DROPPED


class Streams:
    def __init__(
        self,
        loop: Loop,
        chance: Chance,
        paths: Paths,
        journal: Journal,
        *,
        silence_s: float | None,
        heartbeat_s: float,
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._paths = paths
        self._told = journal.carried
        self.down: dict[int, None] = {}  # hosts without power: a set with an order
        self._silence = Silence(loop, self, self.down, silence_s, heartbeat_s)

    def connect(self, node: int, to: int) -> tuple[End, End]:
        ours = End(node, to, self._paths.between(node, to), self)
        theirs = End(to, node, self._paths.between(to, node), self)
        ours.peer, theirs.peer = theirs, ours
        ours.path.ends += (ours,)
        theirs.path.ends += (theirs,)
        return ours, theirs

    def welcome(self, end: End, dial: Dial) -> None:
        """The first packet of the side that was dialled."""
        self._carry_control(end, dial)

    # ---- packets on their way ----

    def carry(self, end: End, payload: object, size: int, what: int) -> None:
        end.in_flight += size
        number = end.sent
        end.sent = number + 1
        path = end.path
        if not path.calm:
            self._put_on_way((end, payload, size, what, number), 0)
            return
        # The same as below while nothing is wrong; this is where a simulation spends its time.
        self._told(_SENT, end.node, end.other, what, size)
        loop = self._loop
        sent_at = max(loop.now, path.free_at) + (size + PACKET_BYTES) * path.s_per_byte
        path.free_at = sent_at
        at = sent_at + path.latency_s + path.jitter.random() * path.jitter_s
        loop.at(at, self._arrive, end, payload, size, what, number)

    def _carry_control(self, end: End, payload: object) -> None:
        number = end.sent
        end.sent = number + 1
        self._put_on_way((end, payload, 0, _CONTROL, number), 0)

    def _put_on_way(self, packet: Packet, tries: int) -> None:
        end, payload, size, what, number = packet
        if end.gone:
            return
        path, now = end.path, self._loop.now
        luck = path.luck()
        at = path.send(now, size, luck)
        if what != _CONTROL:
            self._told(_SENT, end.node, end.other, what, size)
        if luck.lost:
            self._drop(packet)
            self._loop.after(path.resend_s(tries), self._put_on_way, packet, tries + 1)
            return
        self._loop.at(at + luck.late_s, self._arrive, end, payload, size, what, number)

    def _arrive(self, end: End, payload: object, size: int, what: int, number: int) -> None:
        other = end.peer
        if other is None:
            return
        if end.path.blocked:
            self._wait((end, payload, size, what, number))
        elif other.over:
            self._meet_nobody(other, (end, payload, size, what, number))
        elif number != end.taken:
            if end.early is None:
                end.early = {}
            end.early[number] = payload, size, what
        else:
            end.taken = number + 1
            self._deliver(end, other, payload, size, what)
            while end.early and not other.over:
                if (packet := end.early.pop(end.taken, None)) is None:
                    return
                end.taken += 1
                self._deliver(end, other, *packet)

    def _deliver(self, end: End, other: End, payload: object, size: int, what: int) -> None:
        if what == _CONTROL:
            if isinstance(payload, Dial):
                payload.welcomed(other)
            else:
                self.shut(other, "")
            return
        self._told(_DELIVERED, other.node, end.node, what, size)
        if other.slow or other.path.blocked:
            self._withhold(end, other, size)
            other.arrived(payload, size)
            return
        before = end.in_flight
        end.in_flight = left = before - size
        other.arrived(payload, size)
        if left < WINDOW_BYTES <= before:
            end.drained()

    # ---- packets in trouble ----

    def _wait(self, packet: Packet) -> None:
        end = packet[0]
        self._drop(packet)
        path = end.path
        if not end.gone:
            path.waiting = path.waiting or []
            path.waiting.append(packet)

    def _meet_nobody(self, other: End, packet: Packet) -> None:
        end = packet[0]
        if end.over and other.node not in self.down:
            self._part(end, other)
        elif other.told:
            pass  # this side will know in a moment
        elif other.node in self.down:
            self._wait(packet)
            return
        else:
            other.told = True
            self._loop.after(other.path.delay_s(), self.arrive_reset, other, "reset: nobody there")
        self._drop(packet)

    def _drop(self, packet: Packet) -> None:
        end, _, size, what, _ = packet
        if what != _CONTROL:
            self._told(_DROPPED, end.node, end.other, what, size)

    def block(self, path: Path) -> None:
        """Nothing passes on it from now on."""
        for end in path.ends:
            if end.peer is not None:
                self._silence.watch(end.peer)

    def release(self, path: Path) -> None:
        """It is open again: what waited is sent once more, soon."""
        waiting, path.waiting = path.waiting, None
        if waiting:
            draws = self._chance.draws("resend", path.node, path.to, round(self._loop.now * 1e6))
            soon_s = draws.random() * path.resend_s(0)
            for packet in waiting:
                self._loop.after(soon_s, self._put_on_way, packet, 0)
        for end in path.ends:
            if end.peer is not None:
                self._silence.over(end.peer)
                self._pay(end.peer, end.peer.owed)

    # ---- reading ----

    def _withhold(self, end: End, other: End, size: int) -> None:
        """What `other` has got stays in flight."""
        if other.slow:
            other.unread += size
            self._read(end, other, size)
        else:
            end.owed += size

    def _read(self, end: End, other: End, size: int) -> None:
        if other.reads_bytes_s > 0:
            other.read_at = max(self._loop.now, other.read_at) + size / other.reads_bytes_s
            self._loop.at(other.read_at, self._have_read, end, other, size)

    def _have_read(self, end: End, other: End, size: int) -> None:
        size = min(size, other.unread)  # it may read faster by now
        other.unread -= size
        end.owed += size
        if not other.path.blocked:
            self._pay(end, end.owed)

    def read_on(self, end: End) -> None:
        """It reads at another speed than before."""
        if end.peer is not None and end.unread:
            end.read_at = 0.0
            self._read(end.peer, end, end.unread)

    def _pay(self, end: End, size: int) -> None:
        end.owed -= size
        end.in_flight -= size
        if size and end.in_flight < WINDOW_BYTES:
            end.drained()

    # ---- ends of streams ----

    def finish(self, end: End) -> None:
        end.told = True
        self._carry_control(end, None)

    def abort(self, end: End, reason: str) -> None:
        end.gone = True
        other = end.peer
        if other is None:
            pass
        elif other.over:
            self._part(end, other)
        else:
            end.told = True
            self._loop.after(end.path.delay_s(), self.arrive_reset, end, reason)

    def arrive_reset(self, end: End, reason: str) -> None:
        """The other side hears that `end` is over."""
        other = end.peer
        if other is None:
            return
        if other.over:
            self._part(end, other)
        elif end.path.blocked:
            end.told = False
            self._silence.watch(other)
        else:
            self.shut(other, reason)

    def shut(self, end: End, reason: str) -> None:
        """It learns that the stream is over."""
        closed = end.closed
        end.hear_no_more()
        if end.peer is not None:
            self._part(end, end.peer)
        closed(reason)

    def give_up(self, end: End, reason: str) -> None:
        """It ends the stream by itself, and the other side may learn of it."""
        closed = end.closed
        end.reset()
        closed(reason)

    def vanish(self, end: End) -> None:
        """Without power nobody says goodbye."""
        end.hear_no_more()
        end.gone, end.told = True, False
        if end.peer is not None and end.peer.over and not end.peer.told:
            self._part(end, end.peer)
        elif end.peer is not None:
            self._silence.watch(end.peer)

    def _part(self, end: End, other: End) -> None:
        """Both sides are over."""
        for each in (end, other):
            each.peer = each.early = None
            each.gone = True
            path = each.path
            path.ends = tuple([one for one in path.ends if one is not each])
            if path.waiting:
                path.waiting = [packet for packet in path.waiting if packet[0] is not each]
