"""Peers that are asked for contents and answer what they like."""

from collections.abc import Callable

from qbix_node.net.link import Body, BodyKind, Link, RemoteRefusal, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.replication.streams.contents import messages as c
from qbix_node.replication.streams.messages import (
    Format,
    format_arguments,
    format_stream_notes,
)
from qbix_node.replication.streams.remote.service import METHOD as CALL
from qbix_node.wire.references import StreamId
from qbix_node.wire.v8json import JsonValue

__all__ = ["CALL", "Peer", "answered", "nothing"]


class Peer:
    """It announces a stream, sends none of it, and answers questions about contents as told."""

    def __init__(self, stream: StreamId, length: int, answer: Callable[..., list[Body]]) -> None:
        self.stream = stream
        self.length = length
        self.questions: list[c.WantContents] = []
        self.ended = 0  # conversations about contents
        self._answer = answer

    def methods(self) -> Methods:
        return {CALL: Method("duplex", self._talk), c.METHOD: Method("duplex", self._serve)}

    async def _talk(self, _: Link, __: list[JsonValue], stream: Stream | None) -> JsonValue:
        assert stream is not None
        await self._say(stream)
        return None

    async def _say(self, talk: Stream) -> None:
        said = format_stream_notes({self.stream: self.length << 1 | 1})
        await talk.send([Body(BodyKind.JSON, said)])
        while await talk.receive_many():
            pass

    async def dials(self, link: Link) -> None:
        """The other side speaks first."""
        talk = await link.open(CALL, format_arguments(Format.SEGMENTS), "duplex")
        await talk.receive_many()
        await self._say(talk)

    async def _serve(self, _: Link, args: list[JsonValue], stream: Stream | None) -> JsonValue:
        assert stream is not None
        c.check_arguments(args)
        while bodies := await _received(stream):
            for body in bodies:
                self.questions.append(c.read_question(body.data))
                await stream.send(self._answer(self.questions[-1]))
        self.ended += 1
        return None


def nothing(question: c.WantContents) -> list[Body]:
    return answered([None] * len(question.places))


def answered(contents: list[bytes | None]) -> list[Body]:
    return [Body(BodyKind.BINARY, c.encode_answer(c.Contents(tuple(contents))))]


async def _received(stream: Stream) -> list[Body]:
    try:
        return await stream.receive_many()
    except RemoteRefusal:
        return []  # it was given up
