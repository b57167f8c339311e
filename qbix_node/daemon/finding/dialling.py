"""Which of the addresses that strangers' records name are dialled (spec/dht.md 11). Pure.

Whoever signs a record can write anybody's address into it: what follows from that is bounded here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from qbix_node.dht.endpoints import Endpoint, Scope, scope_of, sender_of
from qbix_node.machines import PeerId, Rng
from qbix_node.net.address import Address

SEARCH_PEERS_MAX = 4  # dialled for one search
DIALS_MAX, HOST_DIALS_MAX = 64, 8  # in a period, in all and of one host (an IPv6 /64)
PERIOD_S = 60.0
REST_S = 30.0  # before an address is dialled again, whoever names it


@dataclass(frozen=True, slots=True)
class Place:
    """Somebody, and where it says that it takes connections."""

    peer: PeerId
    addresses: tuple[Endpoint, ...]


def address_of(peer: PeerId, endpoint: Endpoint) -> Address:
    return Address(str(ip_address(endpoint.ip)), endpoint.port, peer)


class Dialling:
    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._period = 0.0  # when it began
        self._dials = 0
        self._by_host: dict[bytes, int] = {}
        self._tried: dict[Endpoint, float] = {}

    def choose(
        self,
        places: Iterable[Place],
        least: Scope,
        now: float,
        free: Callable[[PeerId], bool] = lambda peer: True,
    ) -> list[Address]:
        """One address each of a few of them. `least`: nearer ones are not believed; `free`: whether
        there is neither a connection to a peer nor a reason against it.
        """
        self._turn(now)
        candidates = [place for place in places if free(place.peer)]
        candidates.sort(key=lambda _: self._rng.random())
        chosen: list[Address] = []
        for place in candidates:
            if len(chosen) >= SEARCH_PEERS_MAX or self._dials >= DIALS_MAX:
                break
            if (endpoint := self._endpoint(place, least)) is not None:
                self._count(endpoint, now)
                chosen.append(address_of(place.peer, endpoint))
        return chosen

    def _endpoint(self, place: Place, least: Scope) -> Endpoint | None:
        """The first one that was not tried of late: so all have their turn."""
        for endpoint in place.addresses:
            crowded = self._by_host.get(sender_of(endpoint), 0) >= HOST_DIALS_MAX
            if scope_of(endpoint.ip) >= least and endpoint not in self._tried and not crowded:
                return endpoint
        return None

    def _turn(self, now: float) -> None:
        self._tried = {each: at for each, at in self._tried.items() if now - at < REST_S}
        if now - self._period >= PERIOD_S:
            self._period, self._dials = now, 0
            self._by_host.clear()

    def _count(self, endpoint: Endpoint, now: float) -> None:
        self._tried[endpoint] = now
        self._dials += 1
        host = sender_of(endpoint)
        self._by_host[host] = self._by_host.get(host, 0) + 1
