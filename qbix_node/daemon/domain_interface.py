"""Domains as the HTTP interface sees them: looked up, and published by this node."""

from collections.abc import Sequence

from qbix_node.daemon.finding.dialling import address_of
from qbix_node.daemon.finding.domains import read_name, resolve_domain
from qbix_node.daemon.finding.service import Finder
from qbix_node.daemon.node import Node
from qbix_node.daemon.stream_interface import require_disk
from qbix_node.errors import LocalError
from qbix_node.http.domain_api import ClaimRow, DomainRow, PublishedDomain
from qbix_node.machines import PeerId
from qbix_node.wire.references import format_feed


class DomainInterface:
    """Implements http.domain_api.DomainApi."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def published(self) -> list[PublishedDomain]:
        shelf = self._finder().domains
        return [self._row_of(name, shelf.published[name]) for name in sorted(shelf.published)]

    async def lookup(self, name: str) -> DomainRow:
        node, finder = self._node, self._node.finder
        pinned, dht = node.config.domains, None if finder is None else finder.dht
        found = await resolve_domain(read_name(name), pinned, dht, node.edges.texts)
        places = [] if finder is None else await finder.places_of(found.nodes)
        addresses = [address_of(place.peer, each) for place in places for each in place.addresses]
        named = [each for each in found.addresses if each not in addresses]
        return DomainRow(
            name=found.name,
            key=None if found.key is None else format_feed(found.key),
            confirmed_by=found.confirmed_by,
            nodes=[format_feed(each) for each in found.nodes],
            addresses=[str(each) for each in [*addresses, *named]],
            claims=[
                ClaimRow(format_feed(claim.key), [format_feed(each) for each in claim.nodes])
                for claim in found.claims
            ],
        )

    async def publish(self, name: str, nodes: Sequence[PeerId]) -> PublishedDomain:
        require_disk(self._node)
        chosen = read_name(name)
        return self._row_of(chosen, await self._finder().domains.publish(chosen, nodes))

    async def withdraw(self, name: str) -> None:
        require_disk(self._node)
        await self._finder().domains.withdraw(read_name(name))

    def _row_of(self, name: str, nodes: Sequence[PeerId]) -> PublishedDomain:
        own = format_feed(self._node.keys.public)
        return PublishedDomain(name, own, [format_feed(each) for each in nodes])

    def _finder(self) -> Finder:
        if self._node.finder is None:
            raise LocalError(
                "the DHT is switched off", hint="set enabled = true in [dht] of node.toml"
            )
        return self._node.finder
