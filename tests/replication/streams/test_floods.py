"""A peer that sends faster than its segments can be dealt with."""

import pytest
import trio
import trio.testing

from qbix_node.net.link import Body, BodyKind
from qbix_node.replication.streams.messages import Format, format_arguments
from qbix_node.replication.streams.remote.service import UNSETTLED_BYTES_MAX, UNSETTLED_MAX
from qbix_node.streams.messages import CONTENT_BYTES_MAX, Segment
from tests.replication.streams.holders import Holder, peer_of, running
from tests.streams.logs import Log, alices_log, genesis_of


def small() -> tuple[Log, list[Segment]]:
    log = alices_log(3 * UNSETTLED_MAX)
    return log, [log.segment(first, first + 1) for first in range(log.length)]


def large() -> tuple[Log, list[Segment]]:
    """A peer has but few of these at a time."""
    log = Log(genesis_of())
    for _ in range(120):
        log.write("x" * CONTENT_BYTES_MAX)
    return log, [log.segment(first, first + 6) for first in range(0, 120, 6)]


@pytest.mark.parametrize("kind", ["small", "large"])
async def test_a_peer_is_read_only_as_fast_as_its_segments_are_dealt_with(
    kind: str, autojump_clock: trio.testing.MockClock
) -> None:
    log, segments = small() if kind == "small" else large()
    fitting = min(UNSETTLED_MAX, UNSETTLED_BYTES_MAX // segments[-1].size_bytes)
    bob = Holder("bob")
    async with running(bob), trio.open_nursery() as nursery:
        await bob.streams.follow(log.stream)
        async with peer_of(bob, {}, dials=True) as peer:
            talk = await peer.open(
                "ebt.replicateFormat", format_arguments(Format.SEGMENTS), "duplex"
            )
            bob.store.disk.full = True
            nursery.start_soon(
                talk.send, [Body(BodyKind.BINARY, each.encoded) for each in segments]
            )
            await trio.sleep(20)
            assert bob.length(log.stream) == 0
            assert bob.streams.counters.segments_received == fitting + 1  # one waits to be judged
            bob.store.disk.full = False
            await bob.streams.wait_beyond(log.stream, segments[-1].stop - 1)
            assert bob.streams.counters.segments_refused == 0


async def test_contents_that_are_left_out_are_dealt_with_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """More of them than a peer may have on the way."""
    log, segments = large()
    bob = Holder("bob")
    async with running(bob):
        await bob.streams.follow(log.stream, headers_only=True)
        async with peer_of(bob, {}, dials=True) as peer:
            talk = await peer.open(
                "ebt.replicateFormat", format_arguments(Format.SEGMENTS), "duplex"
            )
            assert sum(each.size_bytes for each in segments) > UNSETTLED_BYTES_MAX
            with trio.fail_after(60):
                await talk.send([Body(BodyKind.BINARY, each.encoded) for each in segments])
                await bob.streams.wait_beyond(log.stream, segments[-1].stop - 1)
