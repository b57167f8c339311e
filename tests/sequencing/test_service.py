"""Sequencing over real links in memory, in virtual time."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy

import pytest
import trio
import trio.testing

from qbix_node.errors import LocalError, Temporary
from qbix_node.gossip.service import Gossip
from qbix_node.net.containment import remote_error
from qbix_node.net.link import Body, BodyKind, Link, RemoteRefusal
from qbix_node.net.methods import Methods
from qbix_node.runtime import InlineExecutor
from qbix_node.sequencing import packets
from qbix_node.sequencing.service import Sequencing
from qbix_node.sequencing.withdrawing import withdraw
from qbix_node.store.memory import MemoryStore
from qbix_node.streams.authoring import make_genesis, sign_resolve
from qbix_node.streams.forks import ShownHead, unequal_fork
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import NewEntry, Resolve
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.records import StoredNodes
from qbix_node.streams.resolution import Resolution, put_resolution
from qbix_node.streams.tree import prefix_of
from tests.net.links import linked
from tests.replication.network import keys_of
from tests.replication.streams.holders import START_S, Holder


class Node(Holder):
    """A holder that signs with others."""

    def __init__(self, name: str, store: MemoryStore | None = None) -> None:
        super().__init__(name, store, withdraw=withdraw)
        self.may_sign = True
        self.gossip = Gossip(
            self.streams, self.store, rng=random.Random(name), executor=InlineExecutor()
        )
        self.sequencing = Sequencing(
            self.keys,
            self.streams,
            self.store,
            rng=random.Random(name),
            executor=InlineExecutor(),
            may_sign=lambda: self.may_sign,
            wall_clock=lambda: START_S + trio.current_time(),
        )

    def methods(self) -> Methods:
        parts = self.streams, self.gossip, self.sequencing
        return {name: each for part in parts for name, each in part.methods().items()}

    async def attend(self, link: Link) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.streams.on_link, link)
                nursery.start_soon(self.gossip.on_link, link)
                nursery.start_soon(self.sequencing.on_link, link)
        except Exception as error:  # what peers cause ends with the link
            if (refusal := remote_error(error)) is None:
                raise
            link.close(str(refusal))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.streams.run)
            await nursery.start(self.gossip.run)
            await nursery.start(self.sequencing.run)
            task_status.started()


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        for node in nodes:
            await nursery.start(node.run)
        yield nursery
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def joined(*pairs: tuple[Node, Node]) -> AsyncIterator[None]:
    """The first of each pair has dialled the second."""
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        for a, b in pairs:
            links = linked(a.methods(), b.methods(), keys_a=a.keys, keys_b=b.keys)
            to_b, to_a = await stack.enter_async_context(links)
            nursery.start_soon(a.attend, to_b)
            nursery.start_soon(b.attend, to_a)
        yield
        nursery.cancel_scope.cancel()


def of_both(one: Node, other: Node) -> Genesis:
    rows = sorted([(AuthorId(node.keys.public), 1) for node in (one, other)])
    owners = Owners(tuple(rows), 2)
    return make_genesis(one.keys, "test", Uniqueness.GOSSIP, salt=bytes(16), owners=owners)


def entries(*texts: str) -> tuple[NewEntry, ...]:
    return tuple([NewEntry("post", text.encode()) for text in texts])


async def test_two_owners_write_and_a_restart_changes_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, bob = Node("alice"), Node("bob")
    genesis = of_both(alice, bob)
    stream = genesis.stream
    async with running(alice, bob):
        await alice.sequencing.begin(genesis)
        await bob.streams.follow(stream)
        async with joined((bob, alice)):
            await bob.streams.wait_beyond(stream, 0)
            assert await bob.sequencing.append(stream, entries("b", "bb")) == (1, 2)
            assert await alice.sequencing.append(stream, entries("a")) == (3,)
        assert alice.sequencing.proposal(stream) is None
    async with running(Node("alice", alice.store), Node("bob", bob.store)):
        pass
    alice, bob = Node("alice", alice.store), Node("bob", bob.store)
    async with running(alice, bob), joined((alice, bob)):
        await trio.sleep(1)
        assert await bob.sequencing.append(stream, entries("again")) == (4,)
        assert alice.log(stream) == bob.log(stream)


async def test_what_was_proposed_is_completed_after_a_restart(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, bob = Node("alice"), Node("bob")
    genesis = of_both(alice, bob)
    async with running(alice):
        await alice.sequencing.begin(genesis)
        with pytest.raises(LocalError, match="not here"):
            await alice.sequencing.append(genesis.stream, entries("too early"))
    alice = Node("alice", alice.store)
    async with running(alice, bob):
        await bob.streams.follow(genesis.stream)
        async with joined((alice, bob)):
            await bob.streams.wait_beyond(genesis.stream, 0)


async def test_an_append_that_nobody_waits_for_any_more_makes_room_for_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, bob = Node("alice"), Node("bob")
    genesis = of_both(alice, bob)
    stream = genesis.stream
    async with running(alice, bob):
        await alice.sequencing.begin(genesis)
        await bob.streams.follow(stream)
        async with joined((alice, bob)):
            await bob.streams.wait_beyond(stream, 0)
        with trio.move_on_after(30) as scope:
            await alice.sequencing.append(stream, entries("kept"))
        assert scope.cancelled_caught
        with pytest.raises(Temporary, match="not connected") as refused:
            await bob.sequencing.append(stream, entries("b"))
        assert "peer add" in refused.value.hint
        async with joined((alice, bob)):
            assert await alice.sequencing.append(stream, entries("next")) == (2,)
            await bob.streams.wait_beyond(stream, 2)
        assert [content for _, content in bob.log(stream)[1:]] == [b"kept", b"next"]


async def test_the_only_owner_goes_on_after_it_chose_the_other_branch(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, bob = Node("alice"), Node("bob")
    genesis = make_genesis(alice.keys, "test", Uniqueness.GOSSIP, salt=bytes(16), writers=())
    stream = genesis.stream
    async with running(alice):
        await alice.streams.create(genesis)
        await alice.sequencing.append(stream, entries("both"))
    copy = deepcopy(alice.store)
    alice = Node("alice", alice.store)
    async with running(alice, bob), joined((alice, bob)):
        await bob.streams.follow(stream)
        await alice.sequencing.append(stream, entries("chosen"))
        await bob.streams.wait_beyond(stream, 2)
    again, bob = Node("alice", copy), Node("bob", bob.store)
    async with running(again, bob):
        await again.sequencing.append(stream, entries("given up", "too"))
        heads = [node.streams.logs[stream].signed for node in (bob, again)]
        stores = [StoredNodes(node.store, stream) for node in (bob, again)]
        prefixes = prefix_of(stores[0], 3, 3), prefix_of(stores[1], 3, 4)
        shown = [ShownHead(head, ()) for head in heads]
        fork = unequal_fork(genesis, shown[0], prefixes[0], shown[1], prefixes[1])
        resolve = sign_resolve(Resolve(stream, 3, heads[0].head.root), (0, again.keys))
        choice = Resolution(resolve, fork)
        for node in (again, bob):
            await node.streams.resolve(choice)
        async with joined((again, bob)):
            await again.streams.wait_beyond(stream, 2)
            await again.streams.hold(stream)  # until bob has said that this is all
            assert await again.sequencing.append(stream, entries("on")) == (3,)
            await bob.streams.wait_beyond(stream, 3)
        contents = [content for _, content in bob.log(stream)[1:]]
        assert contents == [b"both", b"chosen", b"on"]
    await again.store.write([put_resolution(choice)])
    again = Node("alice", again.store)
    async with running(again):  # nobody is there
        await trio.sleep(1)
        assert await again.sequencing.append(stream, entries("alone")) == (4,)


async def test_an_identity_from_elsewhere_does_not_sign(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, bob = Node("alice"), Node("bob")
    genesis = of_both(alice, bob)
    bob.may_sign = False
    async with running(alice, bob), joined((alice, bob)):
        await alice.sequencing.begin(genesis)
        await bob.streams.follow(genesis.stream)
        await trio.sleep(10)
        assert bob.sequencing.signed_length(genesis.stream) is None
        assert alice.length(genesis.stream) == 0
        bob.may_sign = True
        await bob.streams.wait_beyond(genesis.stream, 0)
        assert bob.sequencing.signed_length(genesis.stream) == 1


async def test_a_stream_that_is_not_to_be_is_not_followed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice, bob = Node("alice"), Node("bob")
    genesis = of_both(alice, bob)
    async with running(bob):
        with pytest.raises(LocalError, match="not the sequencer"):
            await bob.sequencing.begin(genesis)
        assert not bob.streams.choice.replicates(genesis.stream)


async def test_a_packet_that_is_none_ends_the_link(
    autojump_clock: trio.testing.MockClock,
) -> None:
    alice = Node("alice")
    links = linked({}, alice.methods(), keys_a=keys_of("mallory"), keys_b=alice.keys)
    async with running(alice), links as (peer, link), trio.open_nursery() as nursery:
        nursery.start_soon(alice.attend, link)
        stream = await peer.open(packets.METHOD, packets.ARGUMENTS, "duplex")
        await stream.send([Body(BodyKind.BINARY, b"\xc1")])
        await trio.sleep(5)
        assert link.closed_because is not None
        assert packets.METHOD in link.closed_because
        nursery.cancel_scope.cancel()


async def test_who_calls_again_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    alice = Node("alice")
    links = linked({}, alice.methods(), keys_a=keys_of("mallory"), keys_b=alice.keys)
    async with running(alice), links as (peer, link), trio.open_nursery() as nursery:
        nursery.start_soon(alice.attend, link)
        first = await peer.open(packets.METHOD, packets.ARGUMENTS, "duplex")
        await trio.sleep(1)
        await first.end()
        again = await peer.open(packets.METHOD, packets.ARGUMENTS, "duplex")
        with pytest.raises(RemoteRefusal, match="once"):
            await again.receive_many()
        nursery.cancel_scope.cancel()
