"""Streams from appending to another node's log, over links in memory, under a virtual clock."""

from dataclasses import replace

import pytest
import trio
import trio.testing

from qbix_node.errors import BadInput, LocalError, Temporary
from qbix_node.net.link import Body, BodyKind, Link, RemoteRefusal, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.replication.streams.messages import (
    Format,
    format_arguments,
    format_stream_notes,
    parse_stream_notes,
)
from qbix_node.streams.archive import LENGTH_BYTES, OPENING
from qbix_node.streams.messages import NewEntry, Segment, SegmentRefused, read_segment
from qbix_node.wire.references import StreamId
from qbix_node.wire.v8json import JsonValue
from tests.replication.network import keys_of
from tests.replication.streams.holders import Holder, joined, peer_of, running, segments_of

CALL = "ebt.replicateFormat"


@pytest.fixture
def alice() -> Holder:
    return Holder("alice")


@pytest.fixture
def bob() -> Holder:
    return Holder("bob")


@pytest.fixture
def carol() -> Holder:
    return Holder("carol")


@pytest.mark.parametrize("dials", ["owner", "follower"])
async def test_a_followed_stream_comes_whole_and_stays_live(
    alice: Holder, bob: Holder, dials: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        for _ in range(3):
            await alice.append(stream, 250)
        pair = (alice, bob) if dials == "owner" else (bob, alice)
        async with joined(*pair):
            await bob.streams.follow(stream)
            await bob.streams.wait_beyond(stream, 750)
            await alice.append(stream, 1)
            await bob.streams.wait_beyond(stream, 751)
    assert bob.log(stream) == alice.log(stream)
    assert bob.streams.status(stream).state == alice.streams.status(stream).state
    # Segments of 256 entries, and one for the last: not a packet each.
    assert alice.streams.counters.segments_sent == 4


async def test_a_stream_travels_on_to_who_never_met_its_owner(
    alice: Holder, bob: Holder, carol: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob, carol):
        stream = await alice.create()
        await carol.streams.follow(stream)
        await bob.streams.follow(stream)
        async with joined(alice, bob), joined(bob, carol):
            await alice.append(stream, 40)
            await carol.streams.wait_beyond(stream, 40)
        await alice.append(stream, 3)
        async with joined(bob, alice):
            await bob.streams.wait_beyond(stream, 43)
        async with joined(carol, bob):
            await carol.streams.wait_beyond(stream, 43)
    assert carol.log(stream) == alice.log(stream)


async def test_what_is_stored_outlives_the_process(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        await bob.streams.follow(stream)
        await alice.append(stream, 5)
        async with joined(alice, bob):
            await bob.streams.wait_beyond(stream, 5)
    alice, bob = Holder("alice", alice.store), Holder("bob", bob.store)
    assert bob.log(stream) == alice.log(stream)
    assert alice.streams.status(stream).own
    assert bob.streams.status(stream).following
    async with running(alice, bob), joined(bob, alice):
        await alice.append(stream, 1)
        await bob.streams.wait_beyond(stream, 6)
    assert bob.log(stream) == alice.log(stream)


async def test_nobody_but_its_readers_hears_of_a_private_stream(
    alice: Holder, bob: Holder, carol: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob, carol):
        stream = await alice.create(readers=[bob.keys.public])
        await alice.append(stream, 3)
        await bob.streams.follow(stream)
        await carol.streams.follow(stream)
        async with joined(alice, bob), joined(alice, carol), joined(bob, carol):
            await bob.streams.wait_beyond(stream, 3)
            await alice.append(stream, 1)
            await bob.streams.wait_beyond(stream, 4)
            await trio.sleep(60)
    assert carol.length(stream) == 0
    assert carol.streams.status(stream).claimed <= 0


async def test_a_stranger_to_a_private_stream_sees_what_absence_looks_like(
    alice: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice):
        private = await alice.create(readers=[])
        absent = StreamId(b"absent".ljust(32, b"."))
        async with peer_of(alice, {}, dials=True) as peer:
            talk = await peer.open(CALL, format_arguments(Format.SEGMENTS), "duplex")
            assert await heard_notes(talk) == {}
            for stream in (private, absent):
                await talk.send([notes({stream: 0})])
                assert await heard_notes(talk) == {stream: -1}


async def test_a_peer_without_segments_gets_entries(
    alice: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    got: list[Segment] = []
    calls: list[object] = []

    async def answer(link: Link, arguments: list[JsonValue], stream: Stream | None) -> JsonValue:
        assert stream is not None
        calls.append(arguments)
        if arguments == format_arguments(Format.SEGMENTS):
            raise RemoteRefusal("Unknown format: qbix-v1-seg")
        await stream.send([notes({wanted: 0})])
        while len(got) < 4:
            bodies = await stream.receive_many()
            got.extend([read_segment(b.data) for b in bodies if b.kind is BodyKind.BINARY])
        return None

    async with running(alice):
        wanted = await alice.create()
        await alice.append(wanted, 3)
        async with peer_of(alice, {CALL: Method("duplex", answer)}):
            await trio.sleep(5)
    assert calls == [format_arguments(Format.SEGMENTS), format_arguments(Format.ENTRIES)]
    assert [(each.first, len(each.leaves)) for each in got] == [(0, 1), (1, 1), (2, 1), (3, 1)]


async def test_a_peer_that_knows_neither_is_left_alone(
    alice: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice):
        await alice.create()
        async with peer_of(alice, {}) as peer:
            await trio.sleep(5)
            assert peer.closed_because is None


async def test_another_format_is_refused_by_name(
    alice: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        talk = await peer.open(CALL, [{"version": 3, "format": "classic"}], "duplex")
        with pytest.raises(RemoteRefusal, match="Unknown format: classic"):
            await talk.receive_many()


async def test_a_peer_that_lies_about_entries_is_refused_and_others_are_asked(
    alice: Holder, bob: Holder, carol: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob, carol):
        stream = await alice.create()
        await alice.append(stream, 4)
        [opening, encoded] = alice.streams.export(stream)
        assert opening == OPENING
        true = read_segment(encoded[LENGTH_BYTES:])
        lie = [*true.leaves]
        lie[3] = lie[3].replace(b"post", b"pest")

        async def tell_lies(talk: Stream) -> None:
            await talk.send([notes({stream: 10 << 1})])
            false = Segment(stream, 0, tuple(lie), (None,) * 5, true.signed_head, ())
            await talk.send([Body(BodyKind.BINARY, false.encoded)])
            while await talk.receive_many():
                pass

        await bob.streams.follow(stream)
        async with peer_of(bob, answers(tell_lies), name="mallory"):
            await trio.sleep(2)
            assert bob.length(stream) == 0
            [refused] = [f for f in bob.findings if isinstance(f, SegmentRefused)]
            assert refused.peer == keys_of("mallory").public
            async with joined(bob, alice):
                await bob.streams.wait_beyond(stream, 4)
    assert bob.log(stream) == alice.log(stream)


async def test_bytes_that_are_no_segment_end_the_link(
    alice: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice), peer_of(alice, {}, dials=True) as peer:
        talk = await peer.open(CALL, format_arguments(Format.SEGMENTS), "duplex")
        await talk.send([Body(BodyKind.BINARY, b"\x93no")])
        await trio.sleep(2)
        assert peer.closed_because is not None


async def test_what_cant_be_appended_is_refused_with_the_reason(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        with pytest.raises(BadInput, match="65536 bytes"):
            await alice.streams.append(stream, (NewEntry("post", bytes(65537)),))
        with pytest.raises(BadInput, match="a kind has"):
            await alice.streams.append(stream, (NewEntry("Not A Name", b""),))
        for kind in ("owners.set", "void", "reanchor"):
            with pytest.raises(BadInput, match="reserved"):
                await alice.streams.append(stream, (NewEntry(kind, b""),))
        with pytest.raises(LocalError, match="not here"):
            await bob.append(stream, 1)
        await bob.streams.follow(stream)
        async with joined(bob, alice):
            await bob.streams.wait_beyond(stream, 0)
        with pytest.raises(LocalError, match="only owner"):
            await bob.append(stream, 1)
        with pytest.raises(LocalError, match="own"):
            await alice.streams.unfollow(stream)


async def test_an_unfollowed_stream_is_neither_taken_nor_served(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        await bob.streams.follow(stream)
        async with joined(alice, bob):
            await bob.streams.wait_beyond(stream, 0)
            await bob.streams.unfollow(stream)
            await alice.append(stream, 2)
            await trio.sleep(60)
            assert bob.length(stream) == 1
            await bob.streams.follow(stream)
            await bob.streams.wait_beyond(stream, 2)


async def test_an_export_is_taken_after_the_same_checks(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        for _ in range(3):
            await alice.append(stream, 250)
        first, *others = segments_of(alice, stream)
        with pytest.raises(Temporary, match="followed no longer"):
            await bob.streams.take(first)
        await bob.streams.follow(stream)
        with pytest.raises(Temporary):
            await bob.streams.take(others[0])
        forged = replace(first, contents=(None, b"forged", *first.contents[2:]))
        with pytest.raises(BadInput, match="entry 1: this is not its content"):
            await bob.streams.take(forged)
        assert bob.length(stream) == 0
        for segment in (first, *others):
            await bob.streams.take(segment)
            await bob.streams.take(segment)
    assert bob.log(stream) == alice.log(stream)
    assert bob.streams.counters.segments_refused == 0  # of peers


async def test_an_export_with_another_history_is_refused(
    alice: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    twin = Holder("alice")
    async with running(alice, twin):
        stream = await alice.create()
        assert await twin.create() == stream
        await alice.append(stream, 3)
        await twin.streams.append(stream, (NewEntry("post", b"another"),))
        [segment] = segments_of(twin, stream)
        with pytest.raises(BadInput, match="entry 1 is another than the one that is here"):
            await alice.streams.take(segment)
    assert alice.length(stream) == 4


async def test_an_import_that_is_given_up_does_not_disturb_the_next(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice):
        stream = await alice.create()
        await alice.append(stream, 200)
        await alice.append(stream, 200)
        first, second = segments_of(alice, stream)
        with trio.move_on_after(1):
            await bob.streams.take(first)  # nobody takes it yet
        async with running(bob):
            await bob.streams.follow(stream)
            with trio.fail_after(60):
                await bob.streams.take(first)
                await bob.streams.take(second)
    assert bob.log(stream) == alice.log(stream)


async def test_what_is_not_here_whole_is_neither_exported_nor_proven(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create()
        await alice.append(stream, 200)
        await alice.append(stream, 200)
        with pytest.raises(LocalError, match="nothing of"):
            bob.streams.export(stream)
        await bob.streams.follow(stream)
        await bob.streams.take(segments_of(alice, stream)[0])
        with pytest.raises(Temporary, match="256 of 401 entries"):
            bob.streams.export(stream)
        with pytest.raises(Temporary, match="256 of 401 entries"):
            bob.streams.prove(stream, 1)
        assert alice.streams.prove(stream, 300).header.place == 300


def notes(said: dict[StreamId, int]) -> Body:
    return Body(BodyKind.JSON, format_stream_notes(said))


async def heard_notes(talk: Stream) -> dict[StreamId, int]:
    [body] = await talk.receive_many()
    value = body.json("notes")
    assert isinstance(value, dict)
    return parse_stream_notes(value)


def answers(talk: object) -> Methods:
    async def handle(link: Link, arguments: list[JsonValue], stream: Stream | None) -> JsonValue:
        assert stream is not None
        assert callable(talk)
        await talk(stream)
        return None

    return {CALL: Method("duplex", handle)}
