"""A node of the hash table over all its lives, in the lean driver."""

import math
import traceback
from pathlib import Path

from netsim import facts
from netsim.dht.faces import Face, Swift
from netsim.dht.net import Net
from netsim.dht.warming import Warming
from netsim.plan import Operation
from netsim.site import Site
from netsim.world import Load
from qbix_node import machines as m
from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.machine import Dht
from qbix_node.dht.messages import Told
from qbix_node.dht.wire import ANSWER

WAYS_IN = 2  # that a newcomer is told
_COOKIE = slice(74, 82)  # of a header (spec/dht.md 3)
_NO_COOKIE = bytes(8)


class DhtMember:
    """Whose time has not come, or is over, stays down whoever starts it."""

    def __init__(self, net: Net, site: Site, warming: Warming) -> None:
        self.site = site
        self.net = net
        self.face: Face = net.faces.by_number[site.number]
        self.dht: Dht | None = None
        self._warming = warming
        self._rng = site.rng("dht")
        self._timers: dict[str, int] = {}
        self._timers_set = 0
        self._ways_in: tuple[Told, ...] = ()  # of an earlier life: the cache of contacts

    # ---- as a Member ----

    @property
    def up(self) -> bool:
        return self.dht is not None

    def start(self) -> None:
        now = self.net.now
        if self.dht is not None or not self.face.born_at <= now < self.face.gone_at:
            return
        self.dht = self.make()
        self.face.down_since = math.inf
        self.net.world.fabric.hear(self.site.number, self._arrive)
        self.net.world.journal.tell(self.site.number, facts.Started(clean=False))
        if now == 0 and self.net.plan.warm:
            self.face.since = -math.inf  # it has been here for long
            self._warming.warm(self.dht, self.face, now, self._rng)
            self.want(r.ClockSet(self.net.ahead_s))
            return
        self.face.since = now
        self.want(r.ClockSet(self.net.ahead_s))
        self.want(r.Bootstrap(self._ways_in or self.net.ways_in(WAYS_IN)))

    def make(self) -> Dht:
        return Dht(Swift(self.face.keys), self.net.limits)

    def stop(self) -> None:
        self.crash(power=False)

    def crash(self, *, power: bool) -> None:
        if self.dht is None:
            return
        self._ways_in = tuple(self.dht.contacts())
        self.dht = None
        self.face.since, self.face.down_since = math.inf, self.net.now
        self._timers.clear()
        self.net.world.fabric.kill(self.site.number)
        self.net.world.journal.tell(self.site.number, facts.Crashed(power))

    def ask(self, operation: Operation) -> None:
        """There is no person at it."""

    def load(self) -> Load:
        return Load()

    # ---- its machine ----

    def want(self, request: object) -> None:
        self.handle(m.Requested(request))

    def _arrive(self, data: bytes, by: int) -> None:
        self.hear(data, self.net.source_of(data, by))

    def hear(self, data: bytes, source: Endpoint) -> None:
        if data[1] & ANSWER or data[_COOKIE] != _NO_COOKIE:
            self.handle(r.Heard(data, source))
        else:
            self._hear_of_a_stranger(data, source)

    def _hear_of_a_stranger(self, data: bytes, source: Endpoint) -> None:
        """Who asks so has proven no address: what does it cost us, and whoever is there?"""
        if self.dht is None:
            return
        before = self.dht.figures().get("agreements", 0)
        said = self.handle(r.Heard(data, source))
        if self.dht is not None:
            computed = self.dht.figures().get("agreements", 0) - before
            fact = facts.DhtUnproven(len(data), said, computed)
            self.net.world.journal.tell(self.site.number, fact)

    def handle(self, event: r.Event) -> int:
        """How many bytes it sent."""
        if self.dht is None:
            return 0
        said = 0
        try:
            effects = self.dht.handle(event, self.net.now, self._rng)
        except Exception as error:  # noqa: BLE001  (the node crashes of it, and the run tells)
            self._fail(error)
            return 0
        for effect in effects:
            match effect:
                case r.Say(data, to):
                    said += len(data)
                    self.say(data, to)
                case m.SetTimer(name, at):
                    self._set_timer(name, at)
                case m.Emit(finding):
                    self.net.found(self.site.number, finding)
        return said

    def say(self, data: bytes, to: Endpoint) -> None:
        other = self.net.faces.by_endpoint.get(to)
        if other is not None:
            self.net.world.fabric.datagram(self.site.number, other.number, data)

    def _set_timer(self, name: str, at: float) -> None:
        self._timers_set += 1
        self._timers[name] = self._timers_set
        if at < math.inf:
            self.net.world.loop.at(at, self._fire, name, self._timers_set)

    def _fire(self, name: str, number: int) -> None:
        if self._timers.get(name) == number:
            self.handle(m.TimerFired(name))

    def _fail(self, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{'/'.join(Path(where.filename).parts[-3:])}:{where.lineno}"
        what = f"{type(error).__name__}: {error} ({place})"
        self.net.world.journal.tell(self.site.number, facts.Failed(what))
        self.crash(power=False)
