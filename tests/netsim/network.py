"""A fabric by itself, and nodes that do nothing but listen, for tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from netsim.chance import Chance
from netsim.fabric import End, Fabric
from netsim.fabric.fabric import Hear
from netsim.journal import Journal
from netsim.loop import Loop
from netsim.plan import Conditions, Fault, Plan, PlannedFault, Range
from netsim.trace import Trace, unpack
from qbix_node.net.limits import Limits

LATENCY_S = 0.1
STILL = Conditions(latency_s=Range(LATENCY_S, LATENCY_S), jitter_s=0.0, bandwidth_bytes_s=1e12)


@dataclass(eq=False)
class Side:
    """One end of a stream, and what it heard: (when, payload)."""

    loop: Loop
    end: End
    heard: list[tuple[float, object]] = field(default_factory=list)
    closed: list[tuple[float, str]] = field(default_factory=list)
    drained: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        end, loop = self.end, self.loop
        end.arrived = lambda payload, size: self.heard.append((loop.now, payload))
        end.closed = lambda reason: self.closed.append((loop.now, reason))
        end.drained = lambda: self.drained.append(loop.now)

    @property
    def payloads(self) -> list[object]:
        return [payload for _, payload in self.heard]

    def say(self, *payloads: object, size: int = 100) -> None:
        for payload in payloads:
            self.end.send(payload, size)


class Network:
    def __init__(
        self,
        conditions: Conditions = STILL,
        *,
        seed: int = 1,
        silence_s: float | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.loop = Loop()
        self.trace = Trace(keep=True)
        plan = Plan("network", seed, (), 1e6, 0.0)
        journal = Journal(self.loop, self.trace, plan, {})
        self.fabric = Fabric(
            self.loop,
            Chance(seed),
            conditions,
            journal,
            silence_s=silence_s,
            limits=limits or Limits(),
        )
        self.accepted: list[Side] = []
        self.answers: list[tuple[float, Side | None, str]] = []
        self.datagrams: list[tuple[float, int, int, bytes]] = []  # when, from, to

    def boot(self, *nodes: int) -> None:
        for node in nodes:
            self.fabric.listen(node, lambda end: self.accepted.append(Side(self.loop, end)))
            self.fabric.hear(node, self._hear(node))

    def _hear(self, node: int) -> Hear:
        def hear(datagram: bytes, source: int) -> None:
            self.datagrams.append((self.loop.now, source, node, datagram))

        return hear

    def dial(self, node: int, to: int) -> None:
        def opened(end: End | None, why_not: str) -> None:
            side = None if end is None else Side(self.loop, end)
            self.answers.append((self.loop.now, side, why_not))

        self.fabric.dial(node, to, opened)

    def connect(self, node: int = 0, to: int = 1) -> tuple[Side, Side]:
        self.boot(node, to)
        self.dial(node, to)
        self.run(self.loop.now + 1)
        side = self.answers[-1][1]
        assert side is not None
        return side, self.accepted[-1]

    def begin(self, fault: Fault, *nodes: int, amount: float = 0.0) -> PlannedFault:
        planned = PlannedFault(self.loop.now, 1.0, fault, nodes, amount)
        self.fabric.begin(planned)
        return planned

    def run(self, until: float = 1e9) -> None:
        while self.loop.next_at() <= until:
            self.loop.step()
        self.loop.now = max(self.loop.now, until) if until < 1e9 else self.loop.now

    def kinds(self) -> Sequence[str]:
        return [record.kind.name for record in unpack(self.trace.records())]
