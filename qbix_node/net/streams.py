"""One stream of a link, for whoever talks over it."""

from collections.abc import Sequence

import trio

from qbix_node.errors import RemoteError
from qbix_node.net.flow import Flow, LinkClosed
from qbix_node.net.muxrpc import Channel
from qbix_node.net.packets import Body

PACKET_COST_BYTES = 128  # what a received packet costs beside its body until it is taken


class RemoteRefusal(RemoteError):
    """The peer answered with an error."""


class StreamEnded(RemoteError):
    """The peer ended the stream on which something was to be sent."""


class Stream:
    """`send` and `receive_many` may be used by one task each at a time."""

    def __init__(self, flow: Flow, channel: Channel) -> None:
        self._flow = flow
        self._channel = channel
        self._inbox: list[Body] = []
        self._inbox_cost = 0
        self._news = trio.Event()
        self._ended = False
        self._refusal: str | None = None

    async def send(self, bodies: Sequence[Body]) -> None:
        """Queue all, in as few writes as possible; wait while too much is queued for the peer.

        Raises StreamEnded, LinkClosed.
        """
        for body in bodies:
            if not self._flow.has_room:
                await self._flow.wait_for_room()
            if self._ended:
                raise StreamEnded(self._refusal or "the stream has ended")
            self._flow.session.send(self._channel, body)
        await self._flow.hand_over()

    async def receive_many(self) -> list[Body]:
        """Everything that is there, at least one; [] once the peer ended the stream.

        Raises RemoteRefusal (it ended with an error), LinkClosed.
        """
        await trio.lowlevel.checkpoint()
        while not self._inbox:
            if self._flow.closed_because is not None:
                raise LinkClosed(self._flow.closed_because)
            if self._refusal is not None:
                raise RemoteRefusal(self._refusal)
            if self._ended:
                return []
            await self._news.wait()
        bodies, self._inbox = self._inbox, []
        self._credit()
        return bodies

    async def end(self, error: str | None = None) -> None:
        """Nothing more is sent or wanted; `error` says why to the peer."""
        self.end_now(error)
        await self._flow.hand_over()

    # ---- the link's side ----

    def end_now(self, error: str | None = None) -> None:
        self._flow.session.end(self._channel, error)
        self._flow.start_writing()
        self._ended = True
        self.drop_unread()
        self._wake()

    def bring(self, bodies: list[Body]) -> None:
        if self._flow.closed_because is not None:
            return  # nothing bounds any more what arrives
        cost = sum([len(body.data) for body in bodies]) + PACKET_COST_BYTES * len(bodies)
        self._flow.received(cost)
        self._inbox_cost += cost
        self._inbox += bodies
        self._wake()

    def ended_by_peer(self, error: str | None) -> None:
        self._ended = True
        self._refusal = error
        self._wake()

    def link_closed(self) -> None:
        self._wake()

    def send_now(self, body: Body) -> None:
        """Without waiting for room: for the few bytes of the link itself."""
        self._flow.session.send(self._channel, body)
        self._flow.start_writing()

    def drop_unread(self) -> None:
        self._inbox = []
        self._credit()

    @property
    def ended(self) -> bool:
        return self._ended

    def _credit(self) -> None:
        self._flow.took(self._inbox_cost)
        self._inbox_cost = 0

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()
