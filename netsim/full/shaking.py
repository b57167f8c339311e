"""How byzantine programs shake hands, as the protocol wants it, and how fast they read then."""

import math

import trio

from netsim.chance import Draws
from qbix_node.crypto.keys import SEED_BYTES, KeyPair
from qbix_node.daemon.config import MAIN_NETWORK_KEY
from qbix_node.errors import RemoteError
from qbix_node.machines import PeerId
from qbix_node.net.handshake import (
    ACCEPT_BYTES,
    HELLO_BYTES,
    PROOF_BYTES,
    ClientHandshake,
    ServerHandshake,
    SessionKeys,
)

PATIENCE_S = 10.0

# What a connection may raise while it is being made.
FAILURES = (OSError, trio.BrokenResourceError, trio.TooSlowError, RemoteError)


async def shake_as_client(
    stream: trio.abc.Stream, keys: KeyPair, server: PeerId, entropy: Draws
) -> SessionKeys:
    shake = ClientHandshake(MAIN_NETWORK_KEY, keys, server, entropy.randbytes(SEED_BYTES))
    with trio.fail_after(PATIENCE_S):
        await stream.send_all(shake.hello)
        await stream.send_all(shake.receive_hello(await _read(stream, HELLO_BYTES)))
        return shake.receive_accept(await _read(stream, ACCEPT_BYTES))


async def shake_as_server(stream: trio.abc.Stream, keys: KeyPair, entropy: Draws) -> SessionKeys:
    shake = ServerHandshake(MAIN_NETWORK_KEY, keys, entropy.randbytes(SEED_BYTES))
    with trio.fail_after(PATIENCE_S):
        await stream.send_all(shake.receive_hello(await _read(stream, HELLO_BYTES)))
        shake.receive_proof(await _read(stream, PROOF_BYTES))
        accept, session = shake.accept()
        await stream.send_all(accept)
        return session


async def _read(stream: trio.abc.Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        if not more:
            raise RemoteError("hung up during the handshake")
        data += more
    return data


class SlowReader(trio.abc.Stream):
    """Takes at most so many bytes a second from the stream below."""

    def __init__(self, below: trio.abc.Stream, bytes_s: float) -> None:
        self._below = below
        self._bytes_s = bytes_s

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._bytes_s <= 0:
            await trio.sleep_forever()
        most = max(1, int(min(max_bytes or math.inf, self._bytes_s, 65536)))
        data = await self._below.receive_some(most)
        await trio.sleep(len(data) / self._bytes_s)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._below.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._below.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._below.aclose()
