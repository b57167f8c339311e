"""Peers that don't keep what they promise: somebody else is asked, and nothing is lost."""

from dataclasses import replace

import pytest
import trio
import trio.testing

from qbix_node.net.link import Body, BodyKind, Stream
from qbix_node.streams.messages import Segment
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import StreamId
from tests.replication.streams.holders import Holder, joined, peer_of, running, segments_of
from tests.replication.streams.test_service import answers, notes

LENGTH = 600  # three segments


@pytest.fixture
def alice() -> Holder:
    return Holder("alice")


@pytest.fixture
def bob() -> Holder:
    return Holder("bob")


async def written(alice: Holder) -> tuple[StreamId, list[Segment]]:
    stream = await alice.create()
    await alice.append(stream, 256)
    await alice.append(stream, 256)
    await alice.append(stream, LENGTH - 513)
    return stream, segments_of(alice, stream)


def packets(*segments: Segment) -> list[Body]:
    return [Body(BodyKind.BINARY, segment.encoded) for segment in segments]


async def wait_for_end(talk: Stream) -> None:
    while await talk.receive_many():
        pass


@pytest.mark.parametrize("leaves", [False, True], ids=["silent", "gone"])
async def test_a_peer_that_stops_mid_segment_loses_nothing_of_what_came_before(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock, *, leaves: bool
) -> None:
    async with running(alice, bob):
        stream, (first, second, *_) = await written(alice)
        half = replace(
            second,
            leaves=second.leaves[:100],
            contents=second.contents[:100],
        )
        assert half.frontier == second.frontier  # it ends before what its frontier starts from

        async def stop(talk: Stream) -> None:
            await talk.send([notes({stream: LENGTH << 1}), *packets(first, half)])
            if not leaves:
                await wait_for_end(talk)

        await bob.streams.follow(stream)
        async with peer_of(bob, answers(stop), name="mallory"):
            await bob.streams.wait_beyond(stream, first.stop - 1)
            await trio.sleep(2)
            assert bob.length(stream) == first.stop
            async with joined(bob, alice):
                await bob.streams.wait_beyond(stream, LENGTH - 1)
    assert bob.log(stream) == alice.log(stream)


async def test_a_peer_that_lies_about_a_root_convicts_nobody(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream, (first, *_) = await written(alice)
        head = first.signed_head.head._replace(root=Hash(bytes(32)))
        lie = replace(first, signed_head=first.signed_head._replace(head=head))

        async def tell(talk: Stream) -> None:
            await talk.send([notes({stream: LENGTH << 1}), *packets(lie)])
            await wait_for_end(talk)

        await bob.streams.follow(stream)
        async with peer_of(bob, answers(tell), name="mallory"), joined(bob, alice):
            await bob.streams.wait_beyond(stream, LENGTH - 1)
    assert stream not in bob.streams.stopped
    assert bob.log(stream) == alice.log(stream)


@pytest.mark.parametrize("claimed", [LENGTH + 1, 2**30 - 1, 2**52 - 1])
async def test_a_peer_that_announces_more_than_it_can_back_delays_nobody_for_long(
    alice: Holder, bob: Holder, claimed: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream, _ = await written(alice)

        async def claim(talk: Stream) -> None:
            await talk.send([notes({stream: claimed << 1})])
            await wait_for_end(talk)

        await bob.streams.follow(stream)
        async with peer_of(bob, answers(claim), name="mallory"):
            await trio.sleep(2)
            began = trio.current_time()
            async with joined(bob, alice):
                await bob.streams.wait_beyond(stream, LENGTH - 1)
    assert trio.current_time() - began < 30
    assert bob.log(stream) == alice.log(stream)


async def test_a_peer_whose_head_is_shorter_than_before_takes_nothing_back(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream, segments = await written(alice)
        first = segments[0]

        async def go_back(talk: Stream) -> None:
            await talk.send([notes({stream: LENGTH << 1}), *packets(*segments)])
            await talk.send([notes({stream: 3 << 1}), *packets(first)])
            await wait_for_end(talk)

        await bob.streams.follow(stream)
        async with peer_of(bob, answers(go_back), name="mallory"):
            await bob.streams.wait_beyond(stream, LENGTH - 1)
            await trio.sleep(5)
            assert bob.streams.status(stream).state == alice.streams.status(stream).state
            await alice.append(stream, 1)
            async with joined(bob, alice):
                await bob.streams.wait_beyond(stream, LENGTH)
    assert bob.log(stream) == alice.log(stream)
