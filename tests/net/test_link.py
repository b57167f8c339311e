"""What waits, what is joined, what is bounded and who is cut off, between two links in memory."""

import itertools
import math
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from qbix_node.errors import BadInput, Malformed, RemoteError
from qbix_node.net import boxstream, packets
from qbix_node.net.flow import WRITE_BYTES
from qbix_node.net.limits import Limits
from qbix_node.net.link import (
    Body,
    BodyKind,
    Link,
    LinkClosed,
    PeerTooSlow,
    RemoteRefusal,
    Stream,
    StreamEnded,
)
from qbix_node.net.methods import Method
from qbix_node.net.muxrpc import Kind
from qbix_node.net.streams import PACKET_COST_BYTES
from qbix_node.wire.v8json import JsonValue
from tests.net.links import BOB, link_to_stranger, linked

Clock = trio.testing.MockClock
ENTRY = Body(BodyKind.JSON, b'"' + b"x" * 298 + b'"')
BIG = Body(BodyKind.BINARY, bytes(65536))
KIB = 1024


async def echo(link: Link, args: list[JsonValue], stream: Stream | None) -> JsonValue:
    return args


async def count(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
    """Send so many entries, all at once."""
    assert stream is not None
    assert isinstance(args[0], int)
    await stream.send([ENTRY] * args[0])


async def flood(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
    assert stream is not None
    while True:
        await stream.send([BIG])


async def repeat(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
    assert stream is not None
    while bodies := await stream.receive_many():
        await stream.send(bodies)


async def never(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
    await trio.sleep_forever()


METHODS = {
    "echo": Method("async", echo),
    "never": Method("async", never),
    "count": Method("source", count),
    "flood": Method("source", flood),
    "repeat": Method("duplex", repeat),
    "quiet.source": Method("source", never),
}


@pytest.fixture
async def links() -> AsyncIterator[tuple[Link, Link]]:
    async with linked(METHODS, METHODS) as pair:
        yield pair


# ---- calls and streams ----


async def test_a_call_is_answered(links: tuple[Link, Link]) -> None:
    alice, _ = links
    assert (await alice.call("echo", [1, "a"], patience_s=1)).json("answer") == [1, "a"]


async def test_both_sides_may_ask(links: tuple[Link, Link]) -> None:
    for link in links:
        assert (await link.call("echo", [], patience_s=1)).json("answer") == []


async def test_a_method_may_answer_with_bytes() -> None:
    async def raw(link: Link, args: list[JsonValue], stream: Stream | None) -> Body:
        return BIG

    async with linked({}, {"raw": Method("async", raw)}) as (alice, _):
        assert await alice.call("raw", [], patience_s=1) == BIG


async def test_a_refusal_says_why(links: tuple[Link, Link]) -> None:
    alice, _ = links
    with pytest.raises(RemoteRefusal, match="method:no,such is not in list of allowed methods"):
        await alice.call("no.such", [], patience_s=1)
    stream = await alice.open("no.such", [], "source")
    with pytest.raises(RemoteRefusal, match="method:no,such is not in list of allowed methods"):
        await stream.receive_many()


async def test_a_call_has_patience(links: tuple[Link, Link], autojump_clock: Clock) -> None:
    alice, _ = links
    with pytest.raises(PeerTooSlow, match="no answer to never in 7 s"):
        await alice.call("never", [], patience_s=7)
    assert trio.current_time() == pytest.approx(7)


async def test_the_manifest_tells_what_is_served(links: tuple[Link, Link]) -> None:
    alice, bob = links
    answer = (await alice.call("manifest", [], patience_s=1)).json("manifest")
    assert answer == bob.manifest
    assert bob.manifest["quiet"] == {"source": "source"}
    assert bob.manifest["gossip"] == {"ping": "duplex"}
    assert bob.manifest["manifest"] == "sync"


async def test_a_source_ends_when_its_method_returns(links: tuple[Link, Link]) -> None:
    alice, _ = links
    stream = await alice.open("count", [3], "source")
    assert await stream.receive_many() == [ENTRY] * 3
    assert await stream.receive_many() == []


async def test_a_duplex_ends_for_both(links: tuple[Link, Link]) -> None:
    alice, _ = links
    stream = await alice.open("repeat", [], "duplex")
    await stream.send([ENTRY])
    assert await stream.receive_many() == [ENTRY]
    await stream.end()
    assert await stream.receive_many() == []
    with pytest.raises(StreamEnded):
        await stream.send([ENTRY])


async def test_who_sends_learns_that_the_other_side_ended() -> None:
    learned = trio.Event()

    async def talk(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None
        await stream.send([ENTRY])
        assert await stream.receive_many() == [ENTRY]
        with pytest.raises(StreamEnded, match="enough"):
            await stream.send([ENTRY])
        learned.set()

    async with linked({}, {"talk": Method("duplex", talk)}) as (alice, _):
        stream = await alice.open("talk", [], "duplex")
        await stream.receive_many()
        await stream.send([ENTRY])
        await stream.end("enough")
        with trio.fail_after(5):
            await learned.wait()


async def test_the_method_of_a_source_stops_when_the_peer_ends_it() -> None:
    stopped = trio.Event()

    async def source(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        try:
            await trio.sleep_forever()
        finally:
            stopped.set()

    async with linked({}, {"live": Method("source", source)}) as (alice, _):
        stream = await alice.open("live", [], "source")
        await stream.end()
        with trio.fail_after(5):
            await stopped.wait()


# ---- joining ----


async def test_a_thousand_messages_sent_together_are_few_writes(links: tuple[Link, Link]) -> None:
    alice, bob = links
    stream = await alice.open("count", [1000], "source")
    received = 0
    batches = 0
    while bodies := await stream.receive_many():
        received += len(bodies)
        batches += 1
    assert received == 1000
    assert bob.writes <= math.ceil(1000 * (len(ENTRY.data) + 9) / WRITE_BYTES) + 1
    assert batches <= bob.writes


async def test_a_thousand_messages_sent_one_by_one_are_as_few_writes() -> None:
    async def one_by_one(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None
        for _ in range(1000):
            await stream.send([ENTRY])

    async with linked({}, {"count": Method("source", one_by_one)}) as (alice, bob):
        stream = await alice.open("count", [], "source")
        while await stream.receive_many():
            pass
        assert bob.writes <= math.ceil(1000 * (len(ENTRY.data) + 9) / WRITE_BYTES) + 1


async def test_header_and_body_share_a_box() -> None:
    async with link_to_stranger(METHODS) as (alice, stranger):
        await alice.open("count", [1000], "source")
        ((_, _, body),) = await stranger.hear()
        packet_bytes = packets.HEADER_BYTES + len(body)
        assert alice.bytes_out == boxstream.HEADER_BYTES + packet_bytes


# ---- limits ----


async def test_who_does_not_take_what_arrives_stops_the_peer() -> None:
    limits = Limits(unread_bytes_per_peer_max=256 * KIB, queued_bytes_per_peer_max=256 * KIB)
    async with linked({}, METHODS, limits=limits, lockstep=True) as (alice, bob):
        stream = await alice.open("flood", [], "source")
        await trio.testing.wait_all_tasks_blocked()
        first = alice.bytes_in
        assert 256 * KIB < first < 256 * KIB + 2 * 65536 + 4096
        assert bob.bytes_out <= first
        taken = await stream.receive_many()
        assert len(taken) == 256 * KIB // (65536 + PACKET_COST_BYTES) + 1
        await trio.testing.wait_all_tasks_blocked()
        assert alice.bytes_in > first + 128 * KIB
        await stream.end()


async def test_a_full_stream_that_is_ended_here_stops_nobody() -> None:
    limits = Limits(unread_bytes_per_peer_max=256 * KIB)
    async with linked({}, METHODS, limits=limits, lockstep=True) as (alice, _):
        stream = await alice.open("flood", [], "source")
        await trio.testing.wait_all_tasks_blocked()
        await stream.end()
        with trio.fail_after(5):
            await alice.call("manifest", [], patience_s=5)


async def test_many_small_packets_count_for_more_than_their_bytes() -> None:
    limits = Limits(unread_bytes_per_peer_max=64 * KIB)
    tiny = Body.of_json(0)

    async def drip(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None
        while True:
            await stream.send([tiny] * 100)

    methods = {"drip": Method("source", drip)}
    async with linked({}, methods, limits=limits, lockstep=True) as (alice, _):
        stream = await alice.open("drip", [], "source")
        await trio.testing.wait_all_tasks_blocked()
        assert len(await stream.receive_many()) < (64 * KIB + WRITE_BYTES) / 10
        await stream.end()


async def test_who_sends_waits_while_too_much_is_queued() -> None:
    limits = Limits(queued_bytes_per_peer_max=100 * KIB)
    sent = itertools.count()
    async with link_to_stranger(METHODS, limits=limits, lockstep=True) as (alice, stranger):
        stream = await alice.open("repeat", [], "duplex")

        async def talk() -> None:
            while True:
                await stream.send([BIG])
                next(sent)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk)
            await trio.testing.wait_all_tasks_blocked()
            # One is being written, two fill the queue: the second began below the cap.
            assert next(sent) == 3
            for _ in range(8):
                await stranger.hear()
            await trio.testing.wait_all_tasks_blocked()
            assert next(sent) > 6
            nursery.cancel_scope.cancel()


async def test_a_peer_that_does_not_read_is_cut_off(autojump_clock: Clock) -> None:
    async with link_to_stranger(METHODS, lockstep=True) as (alice, _):
        stream = await alice.open("repeat", [], "duplex")
        with pytest.raises(LinkClosed, match="it took nothing for 30 s"):
            await stream.send([BIG] * 100)
        assert trio.current_time() == pytest.approx(30)


async def test_a_peer_that_asks_without_reading_the_answers_is_not_read_any_more(
    autojump_clock: Clock,
) -> None:
    limits = Limits(queued_bytes_per_peer_max=64 * KIB)
    ask = packets.encode(0, 1, Body.of_json({"name": ["nothing"], "args": []}))
    async with link_to_stranger(METHODS, limits=limits, lockstep=True) as (alice, stranger):
        with trio.move_on_after(10):
            while True:
                await stranger.say(ask * 1000)
        assert alice.closed_because is None
        assert alice.bytes_in < 4 * 64 * KIB
        await trio.sleep(30)
        assert alice.closed_because == "it took nothing for 30 s"


async def test_a_packet_that_is_too_long_closes_the_link() -> None:
    async with link_to_stranger(METHODS, limits=Limits(packet_bytes_max=1000)) as (alice, stranger):
        await stranger.say(packets.encode(0, 1, Body(BodyKind.JSON, bytes(1001))))
        await trio.testing.wait_all_tasks_blocked()
        assert alice.closed_because == "packet: a body of 1001 bytes, where 1000 are allowed"


async def test_too_many_requests_at_a_time_are_refused() -> None:
    async with linked({}, METHODS, limits=Limits(streams_per_peer_max=2)) as (alice, _):
        for _ in range(2):
            await alice.open("quiet.source", [], "source")
        with pytest.raises(RemoteRefusal, match="too many open requests, at most 2"):
            await alice.call("echo", [], patience_s=1)


async def test_a_number_that_is_used_again_does_not_free_what_it_named_before() -> None:
    ask = Body.of_json({"name": ["repeat"], "args": [], "type": "duplex"})
    end = packets.encode(packets.STREAM | packets.END, 1, Body.of_json(True))
    async with link_to_stranger(METHODS, limits=Limits(streams_per_peer_max=2)) as (alice, peer):
        await peer.say(packets.encode(packets.STREAM, 1, ask), end)
        await trio.testing.wait_all_tasks_blocked()  # that one is done
        await peer.say(packets.encode(packets.STREAM, 1, ask), end)
        await trio.testing.wait_all_tasks_blocked()
        assert alice.closed_because is None
        await peer.say(packets.encode(packets.STREAM, 1, ask), end, packets.encode(8, 1, ask))
        await trio.testing.wait_all_tasks_blocked()
        assert alice.closed_because == "muxrpc: data on request 1, which the peer ended"


async def test_methods_at_work_are_bounded_though_the_peer_ends_its_requests() -> None:
    at_work = 0

    async def stubborn(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        nonlocal at_work
        at_work += 1
        await trio.sleep_forever()

    ask = Body.of_json({"name": ["stubborn"], "args": [], "type": "duplex"})
    end = Body.of_json(True)
    methods = {"stubborn": Method("duplex", stubborn)}
    async with link_to_stranger(methods, limits=Limits(streams_per_peer_max=3)) as (_, stranger):
        for number in range(1, 6):
            await stranger.say(packets.encode(packets.STREAM, number, ask))
            await stranger.say(packets.encode(packets.STREAM | packets.END, number, end))
        await trio.testing.wait_all_tasks_blocked()
        assert at_work == 3


async def test_a_stream_that_nobody_waits_for_is_not_opened(links: tuple[Link, Link]) -> None:
    alice, _ = links
    with trio.CancelScope() as scope:
        scope.cancel()
        await alice.open("flood", [], "source")
    await trio.testing.wait_all_tasks_blocked()
    assert alice.bytes_in == 0


# ---- signs of life ----


async def test_two_quiet_links_stay_up(links: tuple[Link, Link], autojump_clock: Clock) -> None:
    await trio.sleep(3600)
    assert [link.closed_because for link in links] == [None, None]
    # Every four seconds each sends its time and answers the other's.
    assert links[0].writes <= 2 * 3600 / 4


async def test_no_silence_is_long_enough_for_a_javascript_peer_to_hang_up(
    autojump_clock: Clock,
) -> None:
    async with link_to_stranger(METHODS) as (_, stranger):
        await stranger.say(packets.encode(0, 1, Body.of_json({"name": ["manifest"], "args": []})))
        for _ in range(5):
            with trio.fail_after(4.8):
                ((flags, _, _), *_) = await stranger.hear()
        assert flags & packets.STREAM


async def test_a_peer_without_ping_shows_by_its_refusals_that_it_lives(
    autojump_clock: Clock,
) -> None:
    async with link_to_stranger(METHODS) as (alice, stranger):
        with trio.move_on_after(600):
            while True:
                for _, request, body in await stranger.hear():
                    if b"gossip" in body:
                        end = packets.STREAM | packets.END
                        await stranger.say(packets.encode(end, -request, ENTRY))
        assert alice.closed_because is None


async def test_a_peer_that_fell_silent_is_cut_off(autojump_clock: Clock) -> None:
    async with link_to_stranger(METHODS) as (alice, _):
        await trio.sleep(29)
        assert alice.closed_because is None
        await trio.sleep(8)
        assert alice.closed_because is not None
        assert alice.closed_because.startswith("silent for 3")


async def test_our_own_slowness_is_not_held_against_the_peer(autojump_clock: Clock) -> None:
    limits = Limits(unread_bytes_per_peer_max=64 * KIB, write_patience_s=3600)
    async with linked({}, METHODS, limits=limits, lockstep=True) as (alice, _):
        stream = await alice.open("flood", [], "source")
        await trio.sleep(600)
        assert alice.closed_because is None
        await stream.end()


# ---- ends ----


async def test_a_goodbye_is_answered(links: tuple[Link, Link]) -> None:
    alice, bob = links
    waiting = await alice.open("quiet.source", [], "source")
    await alice.aclose()
    assert (alice.closed_because, bob.closed_because) == ("closed here", "the peer said goodbye")
    with pytest.raises(LinkClosed, match="closed here"):
        await waiting.receive_many()
    with pytest.raises(LinkClosed, match="closed here"):
        await waiting.send([ENTRY])
    with pytest.raises(LinkClosed, match="closed here"):
        await alice.call("echo", [], patience_s=1)


async def test_what_was_queued_before_the_goodbye_arrives() -> None:
    async with linked(METHODS, METHODS) as (alice, bob):
        stream = await alice.open("count", [1000], "source")
        await trio.testing.wait_all_tasks_blocked()
        bob.close("that is all")
        received = await stream.receive_many()
        assert len(received) == 1000


async def test_who_waits_for_an_answer_learns_of_the_end(links: tuple[Link, Link]) -> None:
    alice, bob = links
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bob.aclose)
        with pytest.raises(LinkClosed, match="the peer said goodbye"):
            await alice.call("never", [], patience_s=10)


async def test_a_peer_that_does_not_answer_a_goodbye_is_left(autojump_clock: Clock) -> None:
    async with link_to_stranger(METHODS) as (alice, _):
        await alice.aclose()
        assert trio.current_time() == pytest.approx(1)


async def test_a_cut_connection_is_noticed() -> None:
    async with link_to_stranger(METHODS) as (alice, stranger):
        await stranger.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert alice.closed_because in ("the peer hung up", "connection lost")


@pytest.mark.parametrize("junk", [b"x" * 100, bytes(34)])
async def test_bytes_that_are_no_box_close_the_link_without_an_answer(junk: bytes) -> None:
    async with link_to_stranger(METHODS) as (alice, stranger):
        await stranger.stream.send_all(junk)
        assert await stranger.stream.receive_some() == b""
        assert alice.closed_because is not None
        assert alice.closed_because.startswith("box stream: a header")


async def test_a_node_that_stops_says_so_at_least_to_the_box_stream() -> None:
    async with link_to_stranger(METHODS) as (_, stranger):
        await trio.testing.wait_all_tasks_blocked()
    assert await stranger.hear() == []
    assert stranger.opener.ended


# ---- what goes wrong in a method ----


def failing(error: Exception, kind: Kind) -> dict[str, Method]:
    async def fail(link: Link, args: list[JsonValue], stream: Stream | None) -> JsonValue:
        raise error

    return {"fail": Method(kind, fail), "echo": Method("async", echo)}


async def outcome(alice: Link, kind: Kind) -> str:
    try:
        if kind == "async":
            await alice.call("fail", [], patience_s=1)
        else:
            await (await alice.open("fail", [], "duplex")).receive_many()
    except RemoteRefusal as refusal:
        return str(refusal)
    return "no refusal"


@pytest.mark.parametrize("kind", ["async", "duplex"])
async def test_the_peer_is_told_what_it_did_wrong(kind: Kind) -> None:
    error = ExceptionGroup("nursery", [Malformed("seq: expected a number")])
    async with linked({}, failing(error, kind)) as (alice, _):
        assert await outcome(alice, kind) == "seq: expected a number"


@pytest.mark.expects_error_log("request.failed")
@pytest.mark.parametrize("kind", ["async", "duplex"])
@pytest.mark.parametrize(
    "error",
    [
        KeyError("/home/bob/.secret"),
        BadInput("/home/bob/.secret is no key"),
        ExceptionGroup("nursery", [RemoteError("fine"), ValueError("/home/bob/.secret")]),
    ],
)
async def test_a_bug_ends_one_request_and_tells_the_peer_nothing(
    kind: Kind, error: Exception
) -> None:
    async with linked({}, failing(error, kind)) as (alice, bob):
        assert await outcome(alice, kind) == "internal error"
        assert bob.closed_because is None
        assert (await alice.call("echo", [1], patience_s=1)).json("answer") == [1]


async def test_a_javascript_ping_is_answered() -> None:
    ask = Body.of_json({"name": ["gossip", "ping"], "args": [{"timeout": 1}], "type": "duplex"})
    async with link_to_stranger(METHODS) as (_, stranger):
        await stranger.say(
            packets.encode(packets.STREAM, 1, ask),
            packets.encode(packets.STREAM, 1, Body.of_json(1_700_000_000_000)),
        )
        ((_, request, body),) = await stranger.hear()
        assert request == -1
        time_ms = Body(BodyKind.JSON, body).json("time")
        assert isinstance(time_ms, int)
        assert time_ms > 1_700_000_000_000


async def test_the_peer_is_who_the_handshake_says(links: tuple[Link, Link]) -> None:
    alice, bob = links
    assert alice.peer == BOB.public
    assert (alice.outgoing, bob.outgoing) == (True, False)


async def test_what_arrives_after_our_goodbye_is_not_kept(autojump_clock: Clock) -> None:
    async with link_to_stranger(METHODS) as (alice, stranger):
        stream = await alice.open("repeat", [], "duplex")
        alice.close("enough")
        await stranger.say(packets.encode(packets.STREAM, -1, ENTRY))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(LinkClosed, match="enough"):
            await stream.receive_many()
