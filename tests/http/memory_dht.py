"""A DHT in memory behind the HTTP interface: one node is known, and has whatever is asked for."""

from qbix_node.http.dht_api import ContactRow, DhtRow, LookupRow, PlaceRow
from qbix_node.wire.references import FeedId, StreamId, format_feed, format_stream

NODE = format_feed(FeedId(b"n" * 32))
PLACE = PlaceRow(NODE, [f"net:192.0.2.1:8008~shs:{NODE[1:-8]}"], ["streams"], 1_500_000_000)


class MemoryDht:
    def row(self) -> DhtRow:
        return DhtRow(["192.0.2.2:8008"], None, 1, 0, 0, 0)

    def table(self) -> list[ContactRow]:
        return [ContactRow(NODE, "192.0.2.1:8008", 0, 60.0, 1.0, 0)]

    async def lookup_feed(self, feed: FeedId) -> LookupRow:
        return LookupRow(format_feed(feed), PLACE, [], 1, 1, 0.1)

    async def lookup_stream(self, stream: StreamId) -> LookupRow:
        return LookupRow(format_stream(stream), None, [PLACE], 1, 1, 0.1)
