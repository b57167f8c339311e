"""The DHT as the HTTP interface sees it: who is known, and what others say when they are asked."""

from ipaddress import ip_address

import trio

from qbix_node.daemon import config
from qbix_node.daemon.finding.dialling import address_of
from qbix_node.daemon.finding.service import FEED, STREAM, Finder
from qbix_node.daemon.node import Node
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import ID_BITS, distance, node_id
from qbix_node.dht.records import NodeContent, ProviderContent, Record, provider_key
from qbix_node.dht.requests import Got
from qbix_node.errors import LocalError, Temporary
from qbix_node.http.dht_api import ContactRow, DhtRow, LookupRow, PlaceRow
from qbix_node.machines import PeerId
from qbix_node.wire.references import FeedId, StreamId, format_feed, format_stream


class DhtInterface:
    """Implements http.dht_api.DhtApi."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def row(self) -> DhtRow | None:
        finder = self._node.finder
        if finder is None:
            return None
        figures, seen_at = finder.dht.figures(), finder.dht.seen_at()
        return DhtRow(
            listening=[place_text(each) for each in finder.dht.endpoints],
            seen_at=None if seen_at is None else place_text(seen_at),
            contacts=figures["contacts"],
            records=figures["records"],
            offered=finder.offers.logs,
            searches=len(finder.searches),
        )

    def table(self) -> list[ContactRow]:
        now, own = trio.current_time(), node_id(PeerId(self._node.keys.public))
        rows = [
            ContactRow(
                node=format_feed(each.key),
                address=place_text(each.endpoint),
                bucket=ID_BITS - distance(own, each.id).bit_length(),
                known_s=round(now - each.since, 1),
                silent_s=round(now - each.seen_at, 1),
                misses=each.misses,
            )
            for each in self._finder().dht.machine.table
        ]
        return sorted(rows, key=lambda row: (row.bucket, row.node))

    async def lookup_feed(self, feed: FeedId) -> LookupRow:
        dht, key = self._asked().dht, PeerId(feed)
        own = await dht.get(node_id(key), key)
        holders = await dht.get(provider_key(FEED, feed))
        places = [_place_of(record) for record in own.records]
        found = [each for each in places if each is not None]
        return _lookup_row(format_feed(feed), found[0] if found else None, holders, own)

    async def lookup_stream(self, stream: StreamId) -> LookupRow:
        holders = await self._asked().dht.get(provider_key(STREAM, stream))
        return _lookup_row(format_stream(stream), None, holders)

    def _finder(self) -> Finder:
        if self._node.finder is None:
            raise LocalError(
                "the DHT is switched off", hint="set enabled = true in [dht] of node.toml"
            )
        return self._node.finder

    def _asked(self) -> Finder:
        """Raises LocalError where nobody can be asked."""
        finder = self._finder()
        if not finder.dht.contacts():
            raise Temporary(
                "the DHT knows no other node yet",
                hint="name one that is up: bootstrap in [dht] of node.toml, or qbix-node peer add",
            )
        return finder


def place_text(endpoint: Endpoint) -> str:
    return str(config.Endpoint(str(ip_address(endpoint.ip)), endpoint.port))


def _place_of(record: Record) -> PlaceRow | None:
    match record.content:
        case NodeContent(addresses, capabilities):
            names = list(capabilities)
        case ProviderContent(addresses=addresses):
            names = []
        case _:
            return None
    told = [str(address_of(record.signer, each)) for each in addresses]
    return PlaceRow(format_feed(record.signer), told, names, record.expires_s)


def _lookup_row(name: str, node: PlaceRow | None, holders: Got, *others: Got) -> LookupRow:
    ways = [each.evidence for each in (holders, *others)]
    providers = [_place_of(record) for record in holders.records]
    return LookupRow(
        id=name,
        node=node,
        providers=[each for each in providers if each is not None],
        asked=sum([each.asked for each in ways]),
        answered=sum([each.answered for each in ways]),
        seconds=round(sum([each.seconds for each in ways]), 3),
    )
