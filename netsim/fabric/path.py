"""The way from one node to another, and what is wrong with it at present.

Each fault draws from a sequence of its own on each path, and only while it lasts: so taking one
away leaves the draws of the others where they were.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from netsim.chance import Chance, Draws
from netsim.plan import Conditions, Fault, PlannedFault

if TYPE_CHECKING:
    from netsim.fabric.stream import End

PACKET_BYTES = 60  # headers
LOOPBACK_S = 0.0001
BLOCKS = (Fault.PARTITION, Fault.ONE_WAY, Fault.HOLD)
HAZARDS = (Fault.JITTER, Fault.LOSS, Fault.DUPLICATE, Fault.REORDER)
RESEND_S = 0.2  # the least time after which a lost packet is sent again (RFC 6298 says 1; Linux)
RESEND_MAX_S = 10.0  # that time is doubled again and again, but not beyond
LATE_S = 0.05  # a packet that is late may be so by that, or by twice the latency

Packet = tuple["End", object, int, int, int]  # of a stream; payload, size, what, number


class Luck(NamedTuple):
    """Of one packet."""

    lost: bool = False
    copies: int = 1
    later_s: float = 0.0  # with all that is behind it
    late_s: float = 0.0  # alone


@dataclass(slots=True)
class Hazard:
    """A fault that hits some packets. `since_us` tells it from others of its kind."""

    kind: Fault
    amount: float
    since_us: int
    draws: Draws | None = None


class Path:
    __slots__ = (
        "_chance",
        "_faults",
        "_hazards",
        "_own_bytes_s",
        "_own_latency_s",
        "blocked",
        "calm",
        "ends",
        "free_at",
        "held",
        "jitter",
        "jitter_s",
        "latency_s",
        "node",
        "s_per_byte",
        "to",
        "waiting",
    )

    def __init__(self, node: int, to: int, chance: Chance, conditions: Conditions) -> None:
        self.node = node
        self.to = to
        self._chance = chance
        self._own_latency_s = LOOPBACK_S
        if node != to:
            span = conditions.latency_s
            both_ways = chance.draws("latency", min(node, to), max(node, to))
            self._own_latency_s = both_ways.between(span.low, span.high)
        self._own_bytes_s = conditions.bandwidth_bytes_s
        self._faults: tuple[PlannedFault, ...] = ()
        self._hazards = _always(conditions) if node != to else ()
        self.jitter = chance.draws("jitter", node, to)
        self.jitter_s = conditions.jitter_s if node != to else 0.0
        self.latency_s = self._own_latency_s
        self.s_per_byte = 1.0 / self._own_bytes_s
        self.free_at = 0.0  # when what was sent so far has left
        self.calm = not self._hazards
        self.blocked = False
        self.ends: tuple[End, ...] = ()  # of streams, which send on it
        self.waiting: list[Packet] | None = None  # until it is open, or its host is back
        self.held: list[tuple[bytes, int]] | None = None  # datagrams, and what they are

    def touched_by(self, fault: PlannedFault, nodes: frozenset[int]) -> bool:
        """`nodes`: of the fault, as a set."""
        if not nodes or self.node == self.to:
            return self.node != self.to
        if fault.fault is Fault.ONE_WAY:
            return self.node in nodes and self.to not in nodes
        if fault.fault in BLOCKS:
            return (self.node in nodes) != (self.to in nodes)
        return self.node in nodes or self.to in nodes

    def begin(self, fault: PlannedFault) -> None:
        self._faults += (fault,)
        if _is_hazard(fault):
            self._hazards += (Hazard(fault.fault, fault.amount, _moment(fault)),)
        self._settle()

    def end(self, fault: PlannedFault) -> None:
        self._faults = _without(self._faults, fault)
        if _is_hazard(fault):
            its = fault.fault, fault.amount, _moment(fault)
            known = [(each.kind, each.amount, each.since_us) for each in self._hazards]
            place = known.index(its)
            self._hazards = self._hazards[:place] + self._hazards[place + 1 :]
        self._settle()

    def _settle(self) -> None:
        amounts = [(each.fault, each.amount) for each in self._faults]
        more_s = sum([s for kind, s in amounts if kind is Fault.LATENCY])
        self.latency_s = self._own_latency_s + more_s
        limits = [bytes_s for kind, bytes_s in amounts if kind is Fault.BANDWIDTH]
        self.s_per_byte = 1.0 / max(1.0, min([self._own_bytes_s, *limits]))
        self.blocked = any(_blocks(each) for each in self._faults)
        self.calm = not self._hazards

    @property
    def holds(self) -> bool:
        """What comes while it is blocked, even a datagram, passes later."""
        return all(each.fault is Fault.HOLD for each in self._faults if _blocks(each))

    def delay_s(self) -> float:
        """Of something small."""
        return self.latency_s + self.jitter.random() * self.jitter_s

    def send(self, now: float, size: int, luck: Luck) -> float:
        """When it arrives, apart from being late."""
        took_s = (size + PACKET_BYTES) * luck.copies * self.s_per_byte
        self.free_at = max(now, self.free_at) + took_s
        return self.free_at + self.delay_s() + luck.later_s

    def resend_s(self, tries: int) -> float:
        first_s = max(RESEND_S, 2 * self.latency_s)
        return min(first_s * 2.0 ** min(tries, 9), RESEND_MAX_S)

    def luck(self) -> Luck:
        """Of the next packet. Each hazard draws, whatever the others do."""
        lost, copies, later_s, late_s = False, 1, 0.0, 0.0
        for hazard in self._hazards:
            draws = hazard.draws
            if draws is None:
                purpose = f"fault/{hazard.kind.value}"
                draws = self._chance.draws(purpose, self.node, self.to, hazard.since_us)
                hazard.draws = draws
            drawn = draws.random()
            if hazard.kind is Fault.JITTER:
                later_s += drawn * hazard.amount
            elif drawn >= hazard.amount:
                pass
            elif hazard.kind is Fault.LOSS:
                lost = True
            elif hazard.kind is Fault.DUPLICATE:
                copies += 1
            else:
                late_s += draws.random() * max(LATE_S, 2 * self.latency_s)
        return Luck(lost, copies, later_s, late_s)


def _always(conditions: Conditions) -> tuple[Hazard, ...]:
    shares = (
        (Fault.LOSS, conditions.loss),
        (Fault.DUPLICATE, conditions.duplicate),
        (Fault.REORDER, conditions.reorder),
    )
    return tuple([Hazard(kind, share, -1) for kind, share in shares if share > 0])


def _blocks(fault: PlannedFault) -> bool:
    """When all is lost, sending again and again is in vain."""
    return fault.fault in BLOCKS or (fault.fault is Fault.LOSS and fault.amount >= 1)


def _is_hazard(fault: PlannedFault) -> bool:
    return fault.fault in HAZARDS and not _blocks(fault)


def _moment(fault: PlannedFault) -> int:
    return round(fault.at_s * 1e6)


def _without(faults: tuple[PlannedFault, ...], fault: PlannedFault) -> tuple[PlannedFault, ...]:
    place = faults.index(fault)
    return faults[:place] + faults[place + 1 :]
