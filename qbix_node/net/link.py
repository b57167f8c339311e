"""One authenticated connection: who talks over it, and the tasks that move its bytes.

What packets mean is decided in muxrpc.py. This is about waiting: one writer joins all that is
queued into as few writes as possible, a slow consumer of ours stops the reader, a slow peer stops
whoever sends to it, and a peer that stays slow or silent is cut off (limits.py).
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import assert_never

import structlog
import trio

from qbix_node.errors import Malformed, RemoteError, Temporary
from qbix_node.machines import PeerId
from qbix_node.net import muxrpc, ping
from qbix_node.net.boxstream import Opener, Sealer
from qbix_node.net.containment import remote_error
from qbix_node.net.flow import WRITE_BYTES, Flow, LinkClosed
from qbix_node.net.handshake import SessionKeys
from qbix_node.net.limits import Limits
from qbix_node.net.methods import Method, Methods, manifest
from qbix_node.net.muxrpc import Channel, Session, StreamKind
from qbix_node.net.packets import Body, BodyKind
from qbix_node.net.streams import RemoteRefusal, Stream, StreamEnded
from qbix_node.wire.references import format_feed
from qbix_node.wire.v8json import JsonValue

__all__ = [
    "Body",
    "BodyKind",
    "Link",
    "LinkClosed",
    "PeerTooSlow",
    "RemoteRefusal",
    "Stream",
    "StreamEnded",
]

READ_BYTES = 256 * 1024

log = structlog.get_logger()


class PeerTooSlow(RemoteError):
    """No answer in the time that was given."""


class _Answer:
    """What a call of ours waits for."""

    def __init__(self) -> None:
        self.came = trio.Event()
        self.answered: muxrpc.Answered | None = None


class Link:
    """`run` moves the bytes; calls and streams work while it does, then raise LinkClosed."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        keys: SessionKeys,
        methods: Methods,
        limits: Limits,
        *,
        outgoing: bool,
        address: str,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.peer: PeerId = keys.peer
        self.outgoing = outgoing
        self.address = address  # of the other end, for people
        self.wall_clock = wall_clock  # seconds since 1970
        self.since = trio.current_time()
        self.bytes_in = 0
        self.bytes_out = 0
        self.writes = 0
        self._stream = stream
        self._limits = limits
        self._methods = {**methods, ping.NAME: ping.METHOD, "manifest": Method("sync", _manifest)}
        self._sealer = Sealer(keys.seal_key, keys.seal_nonce)
        self._opener = Opener(keys.open_key, keys.open_nonce)
        kinds = {name: method.kind for name, method in self._methods.items()}
        self._session = Session(kinds, limits)
        self._flow = Flow(self._session, limits)
        self._answers: dict[Channel, _Answer] = {}
        self._streams: dict[Channel, Stream] = {}
        self._sources: dict[Channel, trio.CancelScope] = {}  # handlers to stop at the peer's end
        self._scope = trio.CancelScope()  # of all tasks of this link
        self._finished = trio.Event()
        self._said_all = False  # our goodbye is on its way
        self._heard_all = False  # the peer said goodbye, or hung up
        self._writing = False
        self._heard_at = self.since
        self._ping: Stream | None = None

    # ---- for those who talk over it ----

    @property
    def manifest(self) -> dict[str, JsonValue]:
        return manifest(self._methods)

    @property
    def closed_because(self) -> str | None:
        return self._flow.closed_because

    async def call(self, name: str, args: list[JsonValue], *, patience_s: float) -> Body:
        """Raises RemoteRefusal, PeerTooSlow, LinkClosed."""
        with trio.move_on_after(patience_s):
            await self._flow.wait_for_room()
            channel = self._number(lambda: self._session.call(name, args))
            answer = self._answers[channel] = _Answer()
            self._flow.start_writing()
            try:
                await answer.came.wait()
            finally:
                del self._answers[channel]
                self._session.forget(channel)
            if answer.answered is None:
                raise LinkClosed(self._flow.closed_because)
            if answer.answered.error is not None:
                raise RemoteRefusal(answer.answered.error)
            return answer.answered.body
        raise PeerTooSlow(f"no answer to {name} in {patience_s:g} s")

    async def open(self, name: str, args: list[JsonValue], kind: StreamKind) -> Stream:
        """Raises LinkClosed. A refusal shows when the stream is read."""
        await self._flow.wait_for_room()
        await trio.lowlevel.checkpoint_if_cancelled()  # not after: nobody would end the stream
        stream = self._open(name, args, kind)
        self._flow.start_writing()
        return stream

    def close(self, reason: str) -> None:
        """Say goodbye after what is queued, and end."""
        if self._flow.closed_because is None:
            self._session.goodbye()
            self._end(reason)
            self._scope.deadline = trio.current_time() + self._limits.goodbye_patience_s

    async def aclose(self) -> None:
        self.close("closed here")
        await self._finished.wait()

    # ---- its tasks ----

    async def run(self) -> None:
        """Serve the peer until either side closes; `closed_because` then says why."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._keep_alive)
                    await self._read(nursery)
        finally:
            if self._flow.closed_because is None:  # cancelled from outside
                self._end("the node stops")
                await self._leave()
            await trio.aclose_forcefully(self._stream)
            self._finished.set()

    async def _read(self, nursery: trio.Nursery) -> None:
        try:
            while True:
                await self._flow.wait_to_read()
                data = bytes(await self._stream.receive_some(READ_BYTES))
                self._heard_at = trio.current_time()
                self.bytes_in += len(data)
                for event in self._session.receive(self._opener.feed(data)):
                    self._dispatch(event, nursery)
                if self._session.queued_bytes:
                    self._flow.start_writing()  # of refusals that the session queued by itself
                if not data or self._opener.ended:
                    break
        except Malformed as error:
            self._lose(str(error))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._lose("connection lost")
        else:
            self._heard_all = True
            if self._flow.closed_because is None:
                self.close("the peer hung up")
            if self._said_all:
                self._scope.cancel()

    def _dispatch(self, event: muxrpc.Incoming, nursery: trio.Nursery) -> None:
        match event:
            case muxrpc.Brought(channel, bodies):
                if stream := self._streams.get(channel):
                    stream.bring(bodies)
            case muxrpc.Asked():
                self._start_to_serve(event, nursery)
            case muxrpc.Answered(channel):
                if answer := self._answers.get(channel):
                    answer.answered = event
                    answer.came.set()
            case muxrpc.Ended(channel, error):
                if ended := self._streams.pop(channel, None):
                    ended.ended_by_peer(error)
                if scope := self._sources.get(channel):
                    scope.cancel()
            case muxrpc.Goodbye():
                self.close("the peer said goodbye")
            case other:
                assert_never(other)

    def _start_to_serve(self, asked: muxrpc.Asked, nursery: trio.Nursery) -> None:
        if self._flow.closed_because is not None:
            return  # there is no way back for an answer
        scope = trio.CancelScope()
        opened = None
        if asked.kind in ("source", "duplex"):
            opened = self._streams[asked.channel] = Stream(self._flow, asked.channel)
        if asked.kind == "source":
            self._sources[asked.channel] = scope
        nursery.start_soon(self._serve, asked, opened, scope)

    async def _serve(
        self, asked: muxrpc.Asked, stream: Stream | None, scope: trio.CancelScope
    ) -> None:
        """Have a method serve one request of the peer; tell the peer if it can't."""
        answer: Body | JsonValue = None
        refusal = None
        try:
            with scope:
                answer = await self._methods[asked.name].handle(self, asked.args, stream)
        except Exception as error:
            # What goes wrong with one request, be it a bug, must not take the others down with it.
            cause = remote_error(error)
            if cause is None:
                log.exception("request.failed", method=asked.name, peer=format_feed(self.peer))
            refusal = "internal error" if cause is None else str(cause)
        self._sources.pop(asked.channel, None)
        if stream is not None:
            self._streams.pop(asked.channel, None)
            stream.end_now(refusal)
            self._session.done(asked.channel)
        elif refusal is not None:
            self._session.refuse(asked.channel, refusal)
        else:
            body = answer if isinstance(answer, Body) else Body.of_json(answer)
            self._session.answer(asked.channel, body)
        await self._flow.hand_over()

    async def _write(self) -> None:
        try:
            while await self._flow.wait_for_work():
                await self._send(self._sealer.seal(self._session.take(WRITE_BYTES)))
                self._flow.wrote()
            await self._send(self._sealer.goodbye())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._lose("connection lost")
        except trio.TooSlowError:
            self._lose(f"it took nothing for {self._limits.write_patience_s:g} s")
        self._said_all = True
        if self._heard_all:
            self._scope.cancel()

    async def _send(self, data: bytes) -> None:
        self._writing = True
        with trio.fail_after(self._limits.write_patience_s):
            await self._stream.send_all(data)
        self._writing = False
        self.writes += 1
        self.bytes_out += len(data)

    async def _keep_alive(self) -> None:
        ask_at = self._heard_at + self._limits.heartbeat_s
        while True:
            await trio.sleep_until(ask_at)
            now = trio.current_time()
            silent_since = now if self._flow.full else self._heard_at  # full: we don't listen
            if now >= silent_since + self._limits.silence_max_s:
                self._lose(f"silent for {now - silent_since:.0f} s")
            if now >= silent_since + self._limits.heartbeat_s:
                with suppress(LinkClosed):
                    self._ask_for_a_sign_of_life()
                silent_since = now
            ask_at = silent_since + self._limits.heartbeat_s

    def _ask_for_a_sign_of_life(self) -> None:
        """Even the refusal of a peer without `gossip.ping` is one. Raises LinkClosed."""
        if self._ping is None or self._ping.ended:
            self._ping = self._open(ping.NAME, [], "duplex")
        self._ping.drop_unread()
        self._ping.send_now(ping.clock(self.wall_clock()))

    def _open(self, name: str, args: list[JsonValue], kind: StreamKind) -> Stream:
        channel = self._number(lambda: self._session.open(name, args, kind))
        stream = self._streams[channel] = Stream(self._flow, channel)
        return stream

    def _number(self, ask: Callable[[], Channel]) -> Channel:
        try:
            return ask()
        except Temporary as error:  # a new connection begins afresh
            self.close(str(error))
            raise LinkClosed(str(error)) from error

    # ---- its end ----

    async def _leave(self) -> None:
        """A last box, so that the peer knows an end from a cut; not in the middle of a write."""
        with trio.move_on_after(self._limits.goodbye_patience_s, shield=True):
            if not self._writing:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._stream.send_all(self._sealer.goodbye())

    def _lose(self, reason: str) -> None:
        self._end(reason)
        self._scope.cancel()

    def _end(self, reason: str) -> None:
        self._flow.close(reason)
        for stream in self._streams.values():
            stream.link_closed()
        for answer in self._answers.values():
            answer.came.set()


async def _manifest(link: Link, args: list[JsonValue], stream: Stream | None) -> JsonValue:
    return link.manifest
