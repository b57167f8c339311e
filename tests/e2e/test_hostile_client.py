"""What another user of this machine may send to the status page: it ends a connection at most."""

import random

import pytest
import trio

from qbix_node.http.app import status_app
from qbix_node.http.serve import serve
from tests.http.memory_api import MemoryApi

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, PRIORITY, SETTINGS = 1, 2, 4
END_STREAM, END_HEADERS = 1, 4
LITERAL_METHOD = b"\x42"  # of HPACK, and of the authority 0x41
PLAIN = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def http2(*frames: bytes) -> bytes:
    return b"".join([PREFACE, frame(SETTINGS, 0, 0, b""), *frames])


def junk(seed: int) -> bytes:
    chance = random.Random(seed)
    return http2(
        *[
            frame(
                chance.randrange(11),
                chance.choice([0, 1, 4, 5, 8, 0x25, 0x2D]),
                chance.choice([0, 1, 1, 2, 3]),
                chance.randbytes(chance.choice([0, 4, 5, 8, 30])),
            )
            for _ in range(10)
        ]
    )


CASES = {
    "connect without a path": http2(
        frame(HEADERS, END_HEADERS, 1, LITERAL_METHOD + b"\x07CONNECT" + b"\x41\x03a:1")
    ),
    "many priorities": http2(*[frame(PRIORITY, 0, n, b"\0\0\0\0\x0a") for n in range(1, 2003, 2)]),
    "upgrade": PLAIN[:-2]
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: !\r\n\r\n",
    "no http": bytes(5000),
    "path": b"GET /%ff\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    **{f"junk {seed}": junk(seed) for seed in range(8)},
}


@pytest.mark.parametrize("case", CASES)
async def test_bytes_that_hypercorn_fails_at_end_one_connection(case: str) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, status_app(MemoryApi()), listeners)
        for _ in range(3):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            with trio.move_on_after(0.1):
                async with stream:
                    await stream.send_all(CASES[case])
                    while await stream.receive_some():
                        pass
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(PLAIN)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
        nursery.cancel_scope.cancel()
