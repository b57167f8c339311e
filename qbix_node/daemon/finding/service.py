"""Find who holds what is followed, and where a person's peers are, by the DHT (spec/dht.md 11)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog
import trio

from qbix_node import machines as m
from qbix_node.daemon.config import Config
from qbix_node.daemon.finding.addresses import (
    least_scope,
    own_addresses,
    resolve,
    resolve_all,
    ways_in,
)
from qbix_node.daemon.finding.dialling import Dialling, Place
from qbix_node.daemon.finding.domains import DomainShelf
from qbix_node.daemon.finding.offers import Held, Offers
from qbix_node.daemon.finding.schedule import Schedule
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import node_id
from qbix_node.dht.records import NodeContent, ProviderContent, provider_key
from qbix_node.dht.service import DhtService
from qbix_node.errors import LocalError
from qbix_node.machines import PeerId
from qbix_node.net.address import Address, parse_address
from qbix_node.net.machine import ConnectionKeeper
from qbix_node.net.messages import Heard
from qbix_node.net.service import Network
from qbix_node.ports import Store
from qbix_node.replication.service import Replication
from qbix_node.replication.streams.service import StreamReplication

LOOK_S = 2.0  # between looks at what is held and what is missing
SEARCHES_MAX = 8  # at a time
PEER_PATIENCE_S = 15.0  # for a known address to work, before a newer one is looked for
REST_FACTOR = 100  # of what a look took
ADDRESSES_S = 300.0  # between looks at our own addresses, which may be names
WAY_IN_S = 60.0  # between attempts to find names of ways in, while nobody is known

FEED, STREAM = "feed", "stream"

log = structlog.get_logger()

Wanted = Held | PeerId


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the Finder needs of the node."""

    config: Callable[[], Config]
    own: PeerId
    outward: Callable[[], Address]  # where others may call the node, as far as it knows itself
    replication: Replication
    streams: StreamReplication
    keeper: ConnectionKeeper
    network: Network
    store: Store
    post: Callable[[m.Event], Awaitable[None]]  # to the keeper


class Finder:
    def __init__(self, dht: DhtService, around: Surroundings, rng: m.Rng) -> None:
        self.dht = dht
        self.offers = Offers(around.own)
        self.domains = DomainShelf(around.own, around.store, dht)
        self.searches = Schedule[Wanted]()
        self._around, self._rng = around, rng
        self._dialling = Dialling(rng)
        self._running = 0
        self._announced: list[Endpoint] = []
        self._bound: list[Endpoint] = []
        self._outward: Endpoint | None = None
        self._looked_up_at = -ADDRESSES_S
        self._ways_in: dict[PeerId, Address] = {}
        self._way_in_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        self.domains.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._know_ways_in)
            while True:
                await self._look_up_own_addresses()
                began = trio.current_time()
                self._offer()
                self._want()
                self._search(nursery)
                # Who follows very many pays with time, not with more of the processor.
                await trio.sleep(max(LOOK_S, REST_FACTOR * (trio.current_time() - began)))

    # ---- ways in ----

    async def _know_ways_in(self) -> None:
        while True:
            known = {address.key: address for address in self._known_addresses()}
            lonely = not self.dht.contacts()
            waited = trio.current_time() - self._way_in_at >= WAY_IN_S
            if known != self._ways_in or (lonely and waited):
                fresh = [each for each in known.values() if lonely or not self._knew(each)]
                self._ways_in, self._way_in_at = known, trio.current_time()
                self.dht.bootstrap(await ways_in(fresh))
            await trio.sleep(LOOK_S)

    def _knew(self, address: Address) -> bool:
        return self._ways_in.get(address.key) == address

    def _known_addresses(self) -> Iterator[Address]:
        """Where we connected to somebody; those of the settings last, as they count most."""
        links = self._around.network.links()
        yield from [parse_address(link.address) for link in links if link.outgoing]
        yield from self._around.config().dht.bootstrap

    # ---- what we have ----

    async def _look_up_own_addresses(self) -> None:
        around, now = self._around, trio.current_time()
        if now - self._looked_up_at < ADDRESSES_S:
            return
        self._looked_up_at = now
        outward, announce = around.outward(), around.config().announce
        self._announced = await resolve(announce, outward.port) if announce else []
        self._bound = await resolve_all(around.network.listening)
        self._outward = next(iter(await resolve(outward.host, outward.port)), None)

    def _offer(self) -> None:
        addresses = own_addresses(self._announced, self._bound, self.dht.seen_at(), self._outward)
        new, gone = self.offers.change(self._held(), addresses)
        for name in gone:
            self.dht.withdraw(*name)
        for content in new:
            self.dht.publish(content)

    def _held(self) -> Iterator[Held]:
        """What others may read: never a stream that has readers, nor one without contents."""
        streams, choice = self._around.streams, self._around.streams.choice
        for stream in choice.replicated():
            genesis = streams.geneses.get(stream)
            public = genesis is not None and genesis.readers is None
            if public and stream in streams.logs and stream not in choice.bare:
                yield Held(STREAM, stream)
        # Last, as only so many are offered: a feed is also found by its author's node.
        for feed in self._around.replication.held():
            yield Held(FEED, feed)

    # ---- what we want ----

    def _want(self) -> None:
        wanted: list[tuple[Wanted, float]] = [(each, 0.0) for each in self._logs_without_source()]
        keeper, linked = self._around.keeper, self._linked()
        for peer, address in keeper.known.items():
            if peer not in linked and peer not in keeper.blocked:
                wanted.append((peer, 0.0 if address is None else PEER_PATIENCE_S))
        self.searches.want(wanted, trio.current_time())

    def _logs_without_source(self) -> Iterator[Held]:
        """Of which nothing is here, or which no connected peer has."""
        replication, streams = self._around.replication, self._around.streams
        linked = self._linked()
        have, forked = {*replication.held()}, {*replication.forked()}  # nobody asks for these
        shared = {feed for peer in linked for feed in replication.held_by(peer)}
        for feed in replication.following():
            if (feed not in have or feed not in shared) and feed not in forked:
                yield Held(FEED, feed)
        shown = {stream for peer in linked for stream in streams.announced_by(peer)}
        # SPEC streams 10: own ones that wait for somebody who knows them, too.
        for stream in {**streams.choice.followed, **dict.fromkeys(streams.caution.doubts)}:
            genesis = streams.geneses.get(stream)
            hidden = genesis is not None and genesis.readers is not None  # nobody offers it
            if (stream not in streams.logs or stream not in shown) and not hidden:
                yield Held(STREAM, stream)

    def _linked(self) -> set[PeerId]:
        return {link.peer for link in self._around.network.links()}

    # ---- searching ----

    def _search(self, nursery: trio.Nursery) -> None:
        if not self.dht.contacts():
            return  # nobody could be asked
        for name in self.searches.begin(trio.current_time(), SEARCHES_MAX - self._running):
            self._running += 1
            nursery.start_soon(self._search_one, name)

    async def _search_one(self, name: Wanted) -> None:
        try:
            places = [place async for place in self._places(name)]
            contacts = self.dht.contacts()
            least = least_scope(contacts, dial_private=self._around.config().dht.dial_private)
            chosen = self._dialling.choose(places, least, trio.current_time(), self._free)
            for address in chosen if self.searches.wants(name) else ():
                log.info("dht.found", address=str(address))
                await self._around.post(m.Requested(Heard(address, once=True)))
        except LocalError as error:  # too much is asked already; there is a next time
            log.debug("dht.search_failed", reason=str(error))
        finally:
            self._running -= 1
            self.searches.end(name, trio.current_time(), self._rng)

    async def _places(self, name: Wanted) -> AsyncIterator[Place]:
        if isinstance(name, bytes):
            yield await self._place_of(PeerId(name))
            return
        got = await self.dht.get(provider_key(name.what, name.subject))
        for record in got.records:
            if isinstance(record.content, ProviderContent):
                yield Place(record.signer, record.content.addresses)
        if name.what == FEED:  # its author has it, if it is a node
            yield await self._place_of(PeerId(name.subject))

    async def places_of(self, peers: Sequence[PeerId]) -> list[Place]:
        """By their node records; those that have one."""
        places: dict[PeerId, Place] = {}

        async def look(peer: PeerId) -> None:
            places[peer] = await self._place_of(peer)

        async with trio.open_nursery() as nursery:
            for peer in peers:
                nursery.start_soon(look, peer)
        return [places[peer] for peer in peers if places[peer].addresses]

    async def _place_of(self, peer: PeerId) -> Place:
        got = await self.dht.get(node_id(peer), peer)
        contents = [record.content for record in got.records]
        named = [each.addresses for each in contents if isinstance(each, NodeContent)]
        return Place(peer, named[0] if named else ())

    def _free(self, peer: PeerId) -> bool:
        around = self._around
        others = peer != around.own and peer not in around.keeper.blocked
        return others and around.network.link(peer) is None
