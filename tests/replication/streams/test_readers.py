"""Private streams: who is no reader learns nothing, also where that is found out late."""

from collections.abc import Mapping

import pytest
import trio
import trio.testing

from qbix_node.machines import PeerId
from qbix_node.net.link import Body, BodyKind, Link, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.replication.streams.contents.messages import CHOICE, parse_choice
from qbix_node.replication.streams.messages import format_stream_notes, parse_stream_notes
from qbix_node.replication.streams.remote.service import METHOD
from qbix_node.streams.messages import Segment
from qbix_node.wire.references import StreamId
from qbix_node.wire.v8json import JsonValue
from tests.replication.network import keys_of
from tests.replication.streams.holders import Holder, joined, peer_of, running, segments_of

ENTRIES = 6


class Talker:
    """A peer that says what it is told to, and keeps what it hears."""

    def __init__(self) -> None:
        self.notes: list[dict[StreamId, int]] = []
        self.choices: list[Mapping[StreamId, bool]] = []
        self.segments = 0
        self.began = trio.Event()
        self._stream: Stream

    def methods(self) -> Methods:
        return {METHOD: Method("duplex", self._talk)}

    async def _talk(self, _: Link, __: list[JsonValue], stream: Stream | None) -> JsonValue:
        assert stream is not None
        self._stream = stream
        self.began.set()
        while bodies := await stream.receive_many():
            for body in bodies:
                self._hear(body)
        return None

    def _hear(self, body: Body) -> None:
        if body.kind is BodyKind.BINARY:
            self.segments += 1
            return
        value = body.json("notes")
        assert isinstance(value, dict)
        if CHOICE in value:
            self.choices.append(parse_choice(value[CHOICE]).streams)
        else:
            self.notes.append(parse_stream_notes(value))

    async def says(self, stream: StreamId, note: int) -> None:
        await self._stream.send([Body(BodyKind.JSON, format_stream_notes({stream: note}))])

    async def sends(self, *segments: Segment) -> None:
        await self._stream.send([Body(BodyKind.BINARY, each.encoded) for each in segments])


@pytest.fixture
def alice() -> Holder:
    return Holder("alice")


@pytest.fixture
def bob() -> Holder:
    return Holder("bob")


@pytest.mark.parametrize("brought_by", ["the owner", "the stranger"])
async def test_a_source_that_turns_out_to_be_no_reader_learns_nothing_by_asking(
    alice: Holder, bob: Holder, brought_by: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        stream = await alice.create(readers=[bob.keys.public])
        await alice.append(stream, ENTRIES)
        stolen = segments_of(alice, stream)
        await bob.streams.follow(stream)
        mallory = Talker()
        async with peer_of(bob, mallory.methods(), name="mallory"):
            await mallory.began.wait()
            await mallory.says(stream, (ENTRIES + 1) << 1)
            await trio.sleep(1)
            assert mallory.notes == [{stream: 0}]  # nothing is here yet: nobody knows who may read
            if brought_by == "the owner":
                async with joined(alice, bob):
                    await bob.streams.wait_beyond(stream, ENTRIES)
            else:
                await mallory.sends(*stolen)
                await bob.streams.wait_beyond(stream, ENTRIES)
            await trio.sleep(1)
            before = [note for said in mallory.notes for note in said.values()]
            assert before[-1] == -1
            assert {*before[:-1]} <= {0, 1}  # that it had nothing
            for note in (0, 1, 2, -1, 0):
                await mallory.says(stream, note)
            await trio.sleep(10)
            async with joined(alice, bob):
                await alice.append(stream, 1)
                await bob.streams.wait_beyond(stream, ENTRIES + 1)
            await trio.sleep(60)
            assert mallory.segments == 0
            after = [note for said in mallory.notes for note in said.values()][len(before) :]
            assert {*after} <= {-1}
            assert PeerId(keys_of("mallory").public) not in bob.streams.holders(stream)


async def test_who_turns_out_to_be_no_reader_does_not_hear_that_contents_are_wanted(
    alice: Holder, bob: Holder, autojump_clock: trio.testing.MockClock
) -> None:
    async with running(alice, bob):
        private = await alice.create(readers=[bob.keys.public])
        await bob.streams.follow(private, headers_only=True)
        mallory = Talker()
        async with peer_of(bob, mallory.methods(), name="mallory"):
            await mallory.began.wait()
            await mallory.says(private, 1)
            await trio.sleep(1)
            assert mallory.choices == [{private: False}]
            async with joined(alice, bob):
                await bob.streams.wait_beyond(private, 0)
                await bob.streams.follow(private)
                await trio.sleep(60)
            assert mallory.choices == [{private: False}]
            assert mallory.notes[-1] == {private: -1}
