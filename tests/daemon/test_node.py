"""The composition root on edges that are all in memory."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from qbix_node import machines as m
from qbix_node.blobs.memory import MemoryFiles
from qbix_node.blobs.messages import Arrived
from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.config import Config, Endpoint
from qbix_node.daemon.edges import Edges
from qbix_node.daemon.home import Home
from qbix_node.daemon.interface import Interface
from qbix_node.daemon.node import Node, knows_nobody, open_node
from qbix_node.daemon.stream_interface import StreamInterface
from qbix_node.errors import LocalError, Temporary
from qbix_node.feeds.messages import Appended, Published
from qbix_node.http.stream_api import NewStream
from qbix_node.net.address import Address
from qbix_node.net.lan import UdpLan
from qbix_node.net.messages import Dial, LinkDown, LinkUp
from qbix_node.net.records import remember
from qbix_node.replication.clocks import clock_key
from qbix_node.runtime import InlineExecutor, verify_checks
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.streams.caution import PATIENCE_S
from qbix_node.wire.references import FeedId, StreamId, format_stream, parse_stream
from tests.net.nodes import Internet

WALL_S = 1_500_000_000.0


@dataclass
class Person:
    """Watches one node."""

    node: Node
    found: list[object] = field(default_factory=list)
    checked: int = 0

    def of(self, kind: type[object]) -> list[object]:
        return [finding for finding in self.found if isinstance(finding, kind)]


@asynccontextmanager
async def living(
    name: str, internet: Internet, store: MemoryStore | None = None, *, brought: bool = False
) -> AsyncIterator[Person]:
    rng, found = random.Random(name), list[object]()

    def verify(checks: Sequence[m.SignatureCheck]) -> tuple[bool, ...]:
        person.checked += len(checks)
        return verify_checks(checks)

    edges = Edges(
        keys=KeyPair.from_seed(name.encode().ljust(32, b".")),
        store=store or MemoryStore(),
        files=MemoryFiles(),
        transport=internet.transport(name),
        lan=UdpLan(),
        rng=lambda machine: rng,
        executor=InlineExecutor(),
        entropy=rng.randbytes,
        wall_clock=lambda: WALL_S,
        verify=verify,
        brought=lambda: brought,
        observe=found.append,
    )
    async with open_node(edges, Config(listen=Endpoint(name, 8008))) as node:
        person = Person(node, found)
        yield person


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_streams_travel_between_nodes(autojump_clock: MockClock, tmp_path: Path) -> None:
    internet = Internet()
    async with living("alice", internet) as alice, living("bob", internet) as bob:
        ours, theirs = [Interface(each.node, Home(tmp_path)) for each in (alice, bob)]
        made = await ours.streams.create(NewStream("test", "gossip"))
        stream = parse_stream(made.row.stream)
        await theirs.streams.follow(stream)
        await theirs.add_peer(alice.node.address)
        await ours.streams.append(stream, "post", [b"one", b"\xff"])
        await theirs.streams.wait_for(stream, 2)
        assert theirs.streams.log(stream, 1, 9) == ours.streams.log(stream, 1, 9)
        status = await theirs.status()
        assert (status.streams, status.entries) == (1, 2)
        figures = {each.name: each.value for each in await theirs.metrics()}
        assert (figures["qbix_streams"], figures["qbix_segments_refused_total"]) == (1, 0)
        assert figures["qbix_segments_received_total"] >= 1
        assert figures["qbix_entries_appended_total"] == 3  # with the genesis


async def made_before(disk: MemoryDisk, *, others_write: bool = False) -> StreamId:
    async with living("alice", Internet(), MemoryStore(disk)) as alice:
        streams = StreamInterface(alice.node)
        wish = NewStream("test", "gossip", anybody_writes=others_write)
        stream = parse_stream((await streams.create(wish)).row.stream)
        assert (await streams.append(stream, "post", [b"one"])).first == 1
        return stream


async def test_own_streams_go_on_at_once_where_nobody_is_known(autojump_clock: MockClock) -> None:
    stream = await made_before(disk := MemoryDisk())
    disk.was_clean = True
    async with living("alice", Internet(), MemoryStore(disk)) as alice:
        began = trio.current_time()
        assert (await StreamInterface(alice.node).append(stream, "post", [b"two"])).first == 2
        assert trio.current_time() - began < 1


@pytest.mark.parametrize("others_write", [False, True])
@pytest.mark.parametrize(("clean", "brought"), [(True, True), (False, False)])
async def test_own_streams_of_a_home_that_may_be_older_wait(
    autojump_clock: MockClock, *, clean: bool, brought: bool, others_write: bool
) -> None:
    stream = await made_before(disk := MemoryDisk(), others_write=others_write)
    disk.was_clean = clean
    async with living("alice", Internet(), MemoryStore(disk), brought=brought) as alice:
        streams = StreamInterface(alice.node)
        with pytest.raises(Temporary, match="cut off or put back") as refused:
            await streams.append(stream, "post", [b"two"])
        assert f"stream resume {format_stream(stream)} 2" in refused.value.hint
        with pytest.raises(LocalError, match="length 2 here, not 1"):
            await streams.resume(stream, 1)
        await streams.resume(stream, 2)
        assert (await streams.append(stream, "post", [b"two"])).first == 2


async def test_who_may_know_somebody_waits_ten_seconds(autojump_clock: MockClock) -> None:
    stream = await made_before(disk := MemoryDisk())
    disk.was_clean = True
    disk.append([remember(BOBS_ADDRESS)])
    disk.sync()
    async with living("alice", Internet(), MemoryStore(disk)) as alice:
        began = trio.current_time()
        assert (await StreamInterface(alice.node).append(stream, "post", [b"two"])).first == 2
        assert trio.current_time() - began == pytest.approx(PATIENCE_S, abs=0.5)


BOB = m.PeerId(KeyPair.from_seed(bytes(32)).public)
BOBS_ADDRESS = Address("nobody", 8008, BOB)


@pytest.mark.parametrize(
    ("row", "config"),
    [
        (remember(BOBS_ADDRESS), Config()),
        (m.Put(clock_key(BOB), b"he called once"), Config()),
        (None, Config(peers=(BOBS_ADDRESS,))),
        (None, Config(lan_discovery=True)),
    ],
)
def test_somebody_may_be_known_in_many_ways(row: m.Write | None, config: Config) -> None:
    disk = MemoryDisk()
    assert knows_nobody(disk, Config())
    disk.append([row] if row else [])
    disk.sync()
    assert not knows_nobody(disk, config)


async def test_a_node_touches_nothing_but_its_edges(autojump_clock: MockClock) -> None:
    internet = Internet()
    async with living("alice", internet) as alice:
        async with living("bob", internet) as bob:
            own = FeedId(alice.node.keys.public)
            message = await alice.node.replication.publish({"type": "post", "text": "hello"})
            blob = await alice.node.blobs.add(pieces(b"picture"))
            await bob.node.replication.follow(own)
            await bob.node.network.add_peer(alice.node.address)
            await bob.node.replication.wait_beyond(own, 0)
            assert await bob.node.blobs.want(blob)
        await trio.sleep(1)
    assert message.timestamp == WALL_S * 1000
    assert (alice.checked, bob.checked) == (0, 1)
    assert alice.of(Published)
    assert len(bob.of(Dial)) == 1
    assert bob.of(Appended) == [Appended(own, 1, 1, m.PeerId(own))]
    assert bob.of(Arrived) == [Arrived(blob, len(b"picture"))]
    peer = m.PeerId(bob.node.keys.public)
    assert [*alice.of(LinkUp), *alice.of(LinkDown)] == [
        LinkUp(peer, outgoing=False),
        LinkDown(peer, "the peer hung up"),
    ]
