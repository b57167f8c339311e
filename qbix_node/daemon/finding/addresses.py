"""Where this node can be called, for its records, and where others are, for a way into the DHT."""

import socket
from collections.abc import Iterable
from ipaddress import ip_address

import structlog
import trio

from qbix_node.dht.endpoints import Endpoint, Scope, scope_of, usable
from qbix_node.dht.messages import Told
from qbix_node.dht.records import ADDRESSES_MAX
from qbix_node.dht.upkeep import BOOTSTRAP_MAX
from qbix_node.net.address import Address

RESOLVE_S = 5.0  # for a name
RESOLVED_MAX = 4  # addresses of one

log = structlog.get_logger()


async def resolve(host: str, port: int) -> list[Endpoint]:
    """Of an address or a name; nothing if it has none at present."""
    with trio.move_on_after(RESOLVE_S):
        try:
            rows = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            log.debug("name.unresolved", host=host, reason=str(error))
            return []
        found = [ip_address(str(row[4][0]).partition("%")[0]) for row in rows]
        endpoints = [Endpoint(ip.packed, port) for ip in dict.fromkeys(found)]
        return [each for each in endpoints if port and usable(each.ip)][:RESOLVED_MAX]
    return []


async def ways_in(addresses: Iterable[Address]) -> list[Told]:
    """The DHT of a node is asked at the port where it takes connections. Of many, the last ones."""
    asked = list(addresses)[-BOOTSTRAP_MAX:]
    found: dict[Address, Endpoint] = {}

    async def look(address: Address) -> None:
        for endpoint in (await resolve(address.host, address.port))[:1]:
            found[address] = endpoint

    async with trio.open_nursery() as nursery:
        for address in asked:
            nursery.start_soon(look, address)
    return [Told(address.key, *found[address]) for address in asked if address in found]


async def resolve_all(places: Iterable[tuple[str, int]]) -> list[Endpoint]:
    return [endpoint for place in places for endpoint in await resolve(*place)]


def own_addresses(
    announced: list[Endpoint],
    bound: list[Endpoint],
    seen_at: Endpoint | None,
    outward: Endpoint | None,
) -> tuple[Endpoint, ...]:
    """As a person announces them; else those that it is bound to; else, where it is bound to all,
    the one that others see, or the one by which it goes out.

    `seen_at` has the port of a datagram; the others have the one that takes connections. None of
    them stands for all addresses.
    """
    if announced:
        return tuple(announced[:ADDRESSES_MAX])
    named = list(bound)
    if not named and outward is not None:
        named = [outward if seen_at is None else Endpoint(seen_at.ip, outward.port)]
    return tuple(dict.fromkeys(named))[:ADDRESSES_MAX]


def least_scope(contacts: Iterable[Told], *, dial_private: bool) -> Scope:
    """SPEC dht 11: the nearest kind of address that a stranger's record is believed about. It is no
    nearer than the farthest node that we know: so on one machine, or in one network, nodes find
    each other, and nobody on the internet makes us call our neighbours.
    """
    farthest = max([scope_of(each.ip) for each in contacts], default=Scope.PUBLIC)
    return min(farthest, Scope.PRIVATE) if dial_private else farthest
