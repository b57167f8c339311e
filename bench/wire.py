"""Messages from one link to another over TCP on loopback, with all layers, both ends together.

The limit does as much with as little: frames through asyncio's streams, which neither encrypt nor
multiplex, and beside it the bare sealing and opening of the same bytes in full boxes.
"""

import asyncio
import itertools
import json
import socket
import time
from collections.abc import Awaitable, Callable
from statistics import median

import trio

from bench import Figure
from qbix_node.crypto import boxes
from qbix_node.crypto.keys import KeyPair
from qbix_node.net.boxstream import BODY_BYTES_MAX
from qbix_node.net.handshake import ClientHandshake, ServerHandshake, SessionKeys
from qbix_node.net.limits import Limits
from qbix_node.net.link import Body, BodyKind, Link, Stream
from qbix_node.net.methods import Method
from qbix_node.wire.v8json import JsonValue

MESSAGES = 50_000
CALLS = 2_000
ROUNDS = 5
BODY = Body(BodyKind.JSON, b'"' + b"x" * 298 + b'"')
FRAME = len(BODY.data).to_bytes(4, "big") + BODY.data
FLUSH_EVERY = 200  # frames; asyncio writes each at once as long as the socket takes them
CLIENT, SERVER = KeyPair.from_seed(b"c" * 32), KeyPair.from_seed(b"s" * 32)


def shake_hands() -> tuple[SessionKeys, SessionKeys]:
    client = ClientHandshake(bytes(32), CLIENT, SERVER.public, b"e" * 32)
    server = ServerHandshake(bytes(32), SERVER, b"f" * 32)
    server.receive_proof(client.receive_hello(server.receive_hello(client.hello)))
    accept, keys = server.accept()
    return client.receive_accept(accept), keys


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    for end in (client, other):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, other


# ---- ours ----


async def one_by_one(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
    assert stream is not None
    for _ in range(MESSAGES):
        await stream.send([BODY])


async def echo(link: Link, args: list[JsonValue], stream: Stream | None) -> JsonValue:
    return args


METHODS = {"messages": Method("source", one_by_one), "echo": Method("async", echo)}


async def over_links(work: Callable[[Link], Awaitable[None]]) -> None:
    links = [
        Link(
            trio.SocketStream(trio.socket.from_stdlib_socket(end)),
            keys,
            METHODS,
            Limits(),
            outgoing=True,
            address="",
        )
        for end, keys in zip(tcp_pair(), shake_hands(), strict=True)
    ]
    async with trio.open_nursery() as nursery:
        for link in links:
            nursery.start_soon(link.run)
        await work(links[0])
        await links[0].aclose()


async def receive(link: Link) -> None:
    stream = await link.open("messages", [], "source")
    received = 0
    while bodies := await stream.receive_many():
        received += len(bodies)
    assert received == MESSAGES


async def call(link: Link) -> None:
    for _ in range(CALLS):
        await link.call("echo", [], patience_s=10)


# ---- the limit ----


async def asyncio_pair() -> tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.StreamWriter]:
    client, server = tcp_pair()
    reader, writer = await asyncio.open_connection(sock=client)
    _, sender = await asyncio.open_connection(sock=server)
    return reader, writer, sender


async def asyncio_frames() -> None:
    reader, writer, sender = await asyncio_pair()

    async def send() -> None:
        for number in range(MESSAGES):
            sender.write(FRAME)
            if number % FLUSH_EVERY == 0:
                await sender.drain()

    sending = asyncio.create_task(send())
    for _ in range(MESSAGES):
        size = int.from_bytes(await reader.readexactly(4), "big")
        await reader.readexactly(size)
    await sending
    for each in (writer, sender):
        each.close()
        await each.wait_closed()


def bare_boxes() -> None:
    """The cryptography that the protocol asks for, and nothing else."""
    key = bytes(32)
    nonces = (number.to_bytes(24, "big") for number in itertools.count())
    whole, header = bytes(BODY_BYTES_MAX), bytes(18)
    for _ in range(MESSAGES * (len(BODY.data) + 9) // BODY_BYTES_MAX):
        for plain in (header, whole):
            nonce = next(nonces)
            boxes.unseal(boxes.seal(plain, nonce, key), nonce, key)


def run_asyncio() -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio_frames())
    loop.close()


# ---- figures ----


def cpu_and_wall_s(work: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def run() -> dict[str, Figure]:
    works: list[Callable[[], object]] = [
        lambda: trio.run(over_links, receive),
        run_asyncio,
        bare_boxes,
        lambda: trio.run(over_links, call),
    ]
    rounds = [[cpu_and_wall_s(work) for work in works] for _ in range(ROUNDS + 1)][1:]

    def us(work: int, count: int, *, clock: int = 0) -> float:
        return median([each[work][clock] for each in rounds]) / count * 1e6

    return {
        "a message through a link": Figure(
            value=us(0, MESSAGES),
            unit="us",
            limit=us(1, MESSAGES) + us(2, MESSAGES),
            limit_is="us, asyncio streams and bare boxes",
            goal=1.25,
        ),
        "the same, beside asyncio alone": Figure(
            value=us(0, MESSAGES),
            unit="us",
            limit=us(1, MESSAGES),
            limit_is="us, asyncio streams",
            goal=None,
        ),
        "messages a second": Figure(
            value=1e6 / us(0, MESSAGES, clock=1),
            unit="1/s",
            limit=1e6 / us(1, MESSAGES, clock=1),
            limit_is="1/s, asyncio streams",
            goal=None,
        ),
        "a call and its answer": Figure(
            value=us(3, CALLS), unit="us", limit=None, limit_is="", goal=None
        ),
    }


def main() -> None:
    print(json.dumps(run(), indent=2))


if __name__ == "__main__":
    main()
