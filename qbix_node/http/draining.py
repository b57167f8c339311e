"""Take what a client still sends before it is answered, within limits.

Clients first send and then read, and hypercorn hands on no end of a connection while a body waits
for somebody to take it: an answer given early would never be read, and its connection never end.
"""

import trio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DRAINED_BYTES_MAX = 64 << 20  # more than that, or slower than this: answered, then cut off
DRAIN_S = 10.0
HANG_UP = "hang_up"  # in the state of a connection: the function that cuts it


class Draining:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            body = _Body(receive)
            taken = True

            async def send_after_body(message: Message) -> None:
                nonlocal taken
                if message["type"] == "http.response.start":
                    taken = await body.drain()
                if message["type"] == "http.response.body" and not taken:
                    # A client that can't go on sending reads why: a refusal is one piece. At the
                    # end of an answer hypercorn would wait until the rest of the body is taken.
                    await send({**message, "more_body": True})
                    await scope["state"][HANG_UP]()
                else:
                    await send(message)

            await self._app(scope, body.receive, send_after_body)
        else:
            await self._app(scope, receive, send)


class _Body:
    """A request's body, which the application may stop reading at any time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False
        self._turn = trio.Lock()  # the application may wait for the client to leave meanwhile

    async def receive(self) -> Message:
        async with self._turn:
            return await self._next()

    async def drain(self) -> bool:
        """Whether the client came to its end."""
        left = DRAINED_BYTES_MAX
        with trio.move_on_after(DRAIN_S):
            while left > 0 and not self._ended:
                async with self._turn:
                    if not self._ended:
                        left -= len((await self._next()).get("body", b""))
        return self._ended

    async def _next(self) -> Message:
        message = await self._receive()
        self._ended = not (message["type"] == "http.request" and message.get("more_body"))
        return message
