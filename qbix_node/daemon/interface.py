"""The node as the HTTP interface sees it: what people ask of its parts, and how it is."""

from collections.abc import AsyncIterator, Sequence

import trio

from qbix_node import __version__
from qbix_node.daemon.content_interface import ContentInterface
from qbix_node.daemon.dht_interface import DhtInterface
from qbix_node.daemon.domain_interface import DomainInterface
from qbix_node.daemon.figures import metrics_of
from qbix_node.daemon.fork_interface import ForkInterface
from qbix_node.daemon.home import Home
from qbix_node.daemon.node import Node
from qbix_node.daemon.stream_interface import StreamInterface, doubts_of, entries_of, require_disk
from qbix_node.errors import LocalError, Temporary
from qbix_node.feeds.messages import Readers
from qbix_node.feeds.private import unseal
from qbix_node.feeds.records import StoredMessage
from qbix_node.http import api
from qbix_node.machines import PeerId
from qbix_node.net.address import Address
from qbix_node.wire import v8json
from qbix_node.wire.references import BlobId, FeedId, format_blob, format_feed, format_message
from qbix_node.wire.v8json import JsonValue

CONFIRM_S = 30.0  # a message that is not on disk by then may still get there


class Interface:
    """Implements http.api.Api."""

    def __init__(self, node: Node, home: Home) -> None:
        self._node = node
        self._home = home
        self.streams = StreamInterface(node)
        self.contents = ContentInterface(node, self.streams)
        self.forks = ForkInterface(node)
        self.dht = DhtInterface(node)
        self.domains = DomainInterface(node)

    # ---- how it is ----

    async def health(self) -> list[str]:
        return await self._node.pulse.wrong()

    async def status(self) -> api.Status:
        node = self._node
        feeds, streams = node.replication.feeds(), node.streams.streams()
        return api.Status(
            node_id=format_feed(node.keys.public),
            address=str(node.address),
            version=__version__,
            uptime_s=round(trio.current_time() - node.started_at, 3),
            health=await self.health(),
            peers=self.peers(),
            streams=len(self.streams.streams()),
            feeds=len(feeds),
            entries=sum([feed.sequence for feed in feeds]) + entries_of(streams),
            following=len(node.replication.following()),
            forks=self.forks.forks(),
            doubts=doubts_of(streams),
            blobs=api.BlobsRow(*node.blobs.totals(), len(node.blobs.wanted())),
            store=api.StoreRow(node.store.size_bytes(), node.store.degraded),
            dht=self.dht.row(),
            epoch=None,
            status_page=f"http://{node.status_page}/" if node.status_page else None,
        )

    async def metrics(self) -> list[api.Metric]:
        return metrics_of(self._node, await self.status())

    # ---- peers ----

    def peers(self) -> list[api.PeerRow]:
        node = self._node
        rows = {
            peer: api.PeerRow(format_feed(peer), str(address or ""), "disconnected", outgoing=None)
            for peer, address in node.keeper.known.items()
        }
        for link in node.network.links():
            row = api.PeerRow(format_feed(link.peer), link.address, "connected", link.outgoing)
            rows[link.peer] = row
        for peer in node.keeper.blocked:
            rows[peer] = api.PeerRow(format_feed(peer), "", "blocked", outgoing=None)
        return [rows[peer] for peer in sorted(rows)]

    async def add_peer(self, address: Address) -> None:
        require_disk(self._node)
        if address.key == self._node.keys.public:
            raise LocalError("that is the address of this node itself")
        await self._node.network.add_peer(address)

    async def add_key(self, peer: PeerId) -> None:
        require_disk(self._node)
        if peer == self._node.keys.public:
            raise LocalError("that is the key of this node itself")
        if self._node.finder is None:
            raise LocalError(
                "the DHT is switched off, so no peer is found by its key alone",
                hint="give its address, or set enabled = true in [dht] of node.toml",
            )
        await self._node.network.add_key(peer)

    async def remove_peer(self, peer: PeerId) -> None:
        require_disk(self._node)
        await self._node.network.remove_peer(peer)

    async def block(self, peer: PeerId) -> None:
        require_disk(self._node)
        await self._node.block(peer)

    async def unblock(self, peer: PeerId) -> None:
        require_disk(self._node)
        await self._node.unblock(peer)

    # ---- feeds ----

    def feeds(self) -> list[api.FeedRow]:
        return [
            api.FeedRow(
                *(format_feed(row.feed), row.sequence),
                *(row.own, row.following, row.forked),
                row.claimed,
            )
            for row in self._node.replication.feeds()
        ]

    def following(self) -> list[str]:
        return [format_feed(feed) for feed in self._node.replication.following()]

    async def follow(self, feed: FeedId) -> None:
        require_disk(self._node)
        await self._node.replication.follow(feed)

    async def unfollow(self, feed: FeedId) -> None:
        require_disk(self._node)
        await self._node.replication.unfollow(feed)

    async def publish(self, content: JsonValue, recipients: Sequence[FeedId]) -> api.Entry:
        require_disk(self._node)
        self._require_own_feed()
        readers = Readers(tuple(recipients)) if recipients else None
        with trio.move_on_after(CONFIRM_S):
            message = await self._node.replication.publish(content, readers)
            value = v8json.parse(message.encoded.encode(), "own message")
            return api.Entry(format_message(message.id), value, unseal(message, self._node.keys))
        raise Temporary(
            f"the message was not on disk after {CONFIRM_S:.0f} s; it may still get there",
            hint="look at `qbix-node feed log` before you publish it again",
        )

    def resume(self, sequence: int) -> None:
        here = next(row.sequence for row in self._node.replication.feeds() if row.own)
        if sequence != here:
            raise LocalError(
                f"{here} messages of this node's feed are here, not {sequence}",
                hint="wait until peers have sent the others: qbix-node feed list",
            )
        self._home.brought_marker.unlink(missing_ok=True)

    def log(self, feed: FeedId, first: int, limit: int, *, private: bool) -> list[api.Entry]:
        stored = self._node.replication.log(feed, first, limit)
        if not stored and not any(row.feed == feed for row in self._node.replication.feeds()):
            raise LocalError(
                f"nothing of {format_feed(feed)} is here", hint="qbix-node follow asks peers for it"
            )
        return [self._entry(each, private=private) for each in stored]

    def _entry(self, stored: StoredMessage, *, private: bool) -> api.Entry:
        value = v8json.parse(stored.encoded, "stored message")
        opened = unseal(stored.message(), self._node.keys) if private else None
        return api.Entry(format_message(stored.id), value, opened)

    async def wait_beyond(self, feed: FeedId, sequence: int) -> None:
        await self._node.replication.wait_beyond(feed, sequence)

    # ---- blobs ----

    def blobs(self) -> list[api.BlobRow]:
        return [api.BlobRow(format_blob(row.blob), row.size) for row in self._node.blobs.held()]

    async def add_blob(self, pieces: AsyncIterator[bytes]) -> api.BlobRow:
        require_disk(self._node)
        blob = await self._node.blobs.add(pieces)
        return api.BlobRow(format_blob(blob), self._node.blobs.size(blob))

    async def remove_blob(self, blob: BlobId) -> api.BlobRemoval:
        require_disk(self._node)
        blobs = self._node.blobs
        unwanted = await blobs.unwant(blob)  # first, so that it doesn't come again
        removed = blobs.has(blob)
        if removed:
            await blobs.remove(blob)
        if not (removed or unwanted):
            raise LocalError(
                f"{format_blob(blob)} is neither here nor wanted",
                hint="qbix-node blob list shows what is here",
            )
        return api.BlobRemoval(format_blob(blob), removed=removed, unwanted=unwanted)

    async def want_blob(self, blob: BlobId, patience_s: float) -> None:
        if not await self._node.blobs.want(blob, patience_s=patience_s):
            reason = self._node.blobs.wanted().get(blob, "it is wanted no longer")
            raise Temporary(
                f"{format_blob(blob)} did not come within {patience_s:.0f} s: {reason}",
                hint="it stays wanted; ask again later",
            )

    async def read_blob(self, blob: BlobId) -> tuple[int, AsyncIterator[bytes]]:
        reader = await self._node.blobs.get(blob)
        return reader.size, reader

    # ---- what must hold first ----

    def _require_own_feed(self) -> None:
        """A message in a place that is taken elsewhere would fork the feed for good."""
        if self._home.brought_marker.exists():
            raise LocalError(
                "this identity was used elsewhere before, so it may not publish here yet",
                hint="once its whole feed is here: qbix-node feed resume SEQUENCE",
            )
