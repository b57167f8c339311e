"""A conversation with each peer over one duplex method, in packets: gossip speaks so, and others.

The side that dialled calls, once over a link. A machine is told of a peer when the conversation
begins and when it is over, in this order also where a new link follows an old one at once.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

import trio

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.net.link import Body, BodyKind, Link, LinkClosed, RemoteRefusal, Stream, StreamEnded
from qbix_node.net.methods import Method, Methods
from qbix_node.wire.v8json import JsonValue

OUTBOX_MAX = 64  # messages that wait for a peer; what is more is not sent

Message = TypeVar("Message")


@dataclass(frozen=True, slots=True)
class Language(Generic[Message]):
    """What is spoken, in binary packets. `check_arguments` and `read` raise Malformed."""

    method: str
    arguments: list[JsonValue]
    check_arguments: Callable[[list[JsonValue]], None]
    encode: Callable[[Message], bytes]
    read: Callable[[bytes], Message]


class Conversations(Generic[Message]):
    """`post` takes events to the machine; `begun` is told of a peer right after that was."""

    def __init__(
        self,
        language: Language[Message],
        post: Callable[[m.Event], Awaitable[None]],
        *,
        begun: Callable[[m.PeerId], None] = lambda peer: None,
    ) -> None:
        self._language = language
        self._post = post
        self._begun = begun
        self._talks: dict[m.PeerId, _Talk] = {}
        # Who calls again would be told all again, and get another allowance of signatures.
        self._called: set[Link] = set()  # links that are up; never gone through
        self._left: deque[_Talk] = deque()  # those that are over, not told yet: one for each link
        self._over = trio.Event()

    async def run(self) -> None:
        """Tell the machine who left, until cancelled."""
        while True:
            await self._over.wait()
            self._over = trio.Event()
            while self._left:
                talk = self._left.popleft()
                await self._post(m.Disconnected(talk.link.peer))
                del self._talks[talk.link.peer]
                talk.gone.set()

    def methods(self) -> Methods:
        return {self._language.method: Method("duplex", self._answer)}

    async def on_link(self, link: Link) -> None:
        """Talk over this link until cancelled, where we dialled."""
        language = self._language
        try:
            if link.outgoing:
                with suppress(LinkClosed):
                    opened = await link.open(language.method, language.arguments, "duplex")
                    await self._converse(link, opened)
            await trio.sleep_forever()
        finally:
            self._called.discard(link)

    def send(self, to: m.PeerId, message: Message) -> None:
        """Never waits: who is that slow doesn't get it."""
        if talk := self._talks.get(to):
            talk.put(self._language.encode(message))

    async def _answer(
        self, link: Link, arguments: list[JsonValue], stream: Stream | None
    ) -> JsonValue:
        assert stream is not None
        self._language.check_arguments(arguments)
        method = self._language.method
        if link.outgoing or link in self._called:
            raise Malformed(f"{method} is called by the side that dialled, and once")
        self._called.add(link)
        await self._converse(link, stream)
        return None

    async def _converse(self, link: Link, stream: Stream) -> None:
        while earlier := self._talks.get(link.peer):
            await earlier.gone.wait()
        talk = self._talks[link.peer] = _Talk(link, stream)
        try:
            await self._post(m.Connected(link.peer, link.outgoing))
            self._begun(link.peer)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(talk.send)
                await self._read(link, stream)
                nursery.cancel_scope.cancel()
        finally:
            self._left.append(talk)
            self._over.set()

    async def _read(self, link: Link, stream: Stream) -> None:
        try:
            while bodies := await stream.receive_many():
                for body in bodies:
                    await self._post(m.Received(link.peer, self._read_body(body)))
        except (RemoteRefusal, LinkClosed):
            return  # it doesn't know the method; or nobody is there
        except Malformed as error:
            link.close(str(error))

    def _read_body(self, body: Body) -> Message:
        if body.kind is not BodyKind.BINARY:
            raise Malformed(f"{self._language.method}: a packet that is not binary")
        return self._language.read(body.data)


class _Talk:
    """What is sent in one conversation."""

    def __init__(self, link: Link, stream: Stream) -> None:
        self.link = link
        self.gone = trio.Event()
        self._stream = stream
        self._put, self._waiting = trio.open_memory_channel[bytes](OUTBOX_MAX)

    def put(self, data: bytes) -> None:
        with suppress(trio.WouldBlock):
            self._put.send_nowait(data)

    async def send(self) -> None:
        try:
            async for data in self._waiting:
                await self._stream.send([Body(BodyKind.BINARY, data)])
        except (StreamEnded, LinkClosed):
            return  # whoever reads it says so
