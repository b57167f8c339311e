"""Nodes over real links in memory: box stream, muxrpc and all."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import trio
import trio.testing

from qbix_node.crypto.keys import KeyPair
from qbix_node.net.containment import remote_error
from qbix_node.net.link import Body, Link, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.replication.service import Replication
from qbix_node.runtime import InlineExecutor
from qbix_node.store.memory import MemoryStore
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue
from tests.net.links import linked
from tests.replication.network import keys_of

START_S = 1_800_000_000.0


class Site:
    """A node: its replication, and the store that outlives it."""

    def __init__(
        self, name: str, store: MemoryStore | None = None, *, keys: KeyPair | None = None
    ) -> None:
        self.keys = keys or keys_of(name)
        self.store = store or MemoryStore()
        self.findings: list[object] = []
        self.replication = Replication(
            self.keys,
            self.store,
            rng=random.Random(1),
            executor=InlineExecutor(),
            clocks_valid=True,
            observe=self.findings.append,
            wall_clock=lambda: START_S + trio.current_time(),
        )

    @property
    def feed(self) -> FeedId:
        return self.replication.own

    async def publish(self, count: int) -> None:
        for n in range(count):
            await self.replication.publish({"type": "test", "n": n})

    def log(self, feed: FeedId) -> list[bytes]:
        return [message.encoded for message in self.replication.log(feed, 1, 100_000)]


@asynccontextmanager
async def running(*sites: Site) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        for site in sites:
            await nursery.start(site.replication.run)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def joined(a: Site, b: Site) -> AsyncIterator[tuple[Link, Link]]:
    """A has dialled B."""
    async with (
        linked(
            a.replication.methods(), b.replication.methods(), keys_a=a.keys, keys_b=b.keys
        ) as links,
        attending(a, links[0]),
        attending(b, links[1]),
    ):
        yield links


@asynccontextmanager
async def attending(site: Site, link: Link) -> AsyncIterator[None]:
    """As the network does: with the link, and no longer."""

    async def attend() -> None:
        try:
            await site.replication.on_link(link)
        except Exception as error:  # what peers cause ends with the link
            if (refusal := remote_error(error)) is None:
                raise
            link.close(str(refusal))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attend)
        yield
        nursery.cancel_scope.cancel()


Talk = Callable[[Stream], Awaitable[None]]


def duplex(talk: Talk) -> Methods:
    """The methods of a peer that speaks EBT as the test says."""

    async def handle(link: Link, arguments: list[JsonValue], stream: Stream | None) -> JsonValue:
        assert stream is not None
        await talk(stream)
        return None

    return {"ebt.replicate": Method("duplex", handle)}


def history(serve: Callable[[Stream, JsonValue], Awaitable[None]]) -> Methods:
    async def handle(link: Link, arguments: list[JsonValue], stream: Stream | None) -> JsonValue:
        assert stream is not None
        await serve(stream, arguments[0])
        return None

    return {"createHistoryStream": Method("source", handle)}


@asynccontextmanager
async def peer_of(
    site: Site, methods: Methods, *, dials: bool = False, name: str = "stranger"
) -> AsyncIterator[Link]:
    """A link to the site, as its peer has it."""
    async with AsyncExitStack() as stack:
        ours, theirs = site.replication.methods(), methods
        if dials:
            links = linked(theirs, ours, keys_a=keys_of(name), keys_b=site.keys)
            peer, link = await stack.enter_async_context(links)
        else:
            links = linked(ours, theirs, keys_a=site.keys, keys_b=keys_of(name))
            link, peer = await stack.enter_async_context(links)
        await stack.enter_async_context(attending(site, link))
        yield peer


def as_body(value: JsonValue) -> Body:
    return Body.of_json(value)


async def receive_json(stream: Stream) -> list[JsonValue]:
    return [body.json("test") for body in await stream.receive_many()]
