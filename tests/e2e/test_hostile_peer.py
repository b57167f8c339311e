"""A daemon among peers that say whatever comes to their mind: it goes on and serves the others.

What is said follows from a seed. The ways to end a node that were found by reading it are
among the phrases; what each must lead to is tested with its machine.
"""

import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.config import MAIN_NETWORK_KEY
from qbix_node.daemon.home import Home
from qbix_node.daemon.setup import make_home
from qbix_node.errors import RemoteError
from qbix_node.net.address import Address, parse_address
from qbix_node.net.boxstream import Sealer
from qbix_node.net.handshake import ACCEPT_BYTES, HELLO_BYTES, ClientHandshake
from qbix_node.net.packets import END, STREAM, Body, BodyKind, encode
from tests.interop.node import Node, open_node

SEED = 20
STRANGERS = 40
AT_ONCE = 6  # below the cap of connections from one host
PHRASES = 100  # of each stranger
RSS_BYTES_MAX = 120 * 2**20
LOG_BYTES_MAX = 2**20
TRUE = Body.of_json(True)

NUMBERS = [
    *("0", "-0", "1", "-1", "2", "true", "null", "1.5", "1e308", "1e999", "-1e999", "1e-400"),
    *(str(2**31), str(2**53), str(2**53 + 1), str(2**63), str(-(2**63)), "1" + "0" * 400),
    *('"1"', '""', '"\\ud800"', '"\\u0000"', "[]", "{}", "[[]]", "[" * 100 + "]" * 100),
]
KINDS = {"ebt.replicate": '"duplex"', "gossip.ping": '"duplex"', "manifest": '"async"'}
METHODS = [
    *("ebt.replicate", "createHistoryStream", "blobs.createWants", "blobs.get", "blobs.getSlice"),
    *("blobs.has", "blobs.size", "gossip.ping", "manifest", "whoami", "constructor", "\\ud800"),
]


@dataclass
class Stranger:
    """Says what no honest peer says, and reads everything or nothing."""

    chance: random.Random
    feeds: list[str]
    messages: list[bytes]  # valid ones
    stream: trio.SocketStream
    sealer: Sealer
    number: int = 0
    duplex: list[int] = field(default_factory=list)  # what may be sent on: most else ends the link

    def phrase(self) -> bytes:
        makers: list[Callable[[], bytes]] = [
            *([self.request] * 3),
            self.call,
            *([self.message] * 4),
            *([self.notes] * 2),
            *([self.end] * 2),
            self.packet,
        ]
        return self.chance.choice(makers)()

    def request(self) -> bytes:
        self.number += 1
        method = self.chance.choice(METHODS)
        name, kind = json.dumps(method.split(".")), KINDS.get(method, '"source"')
        if self.chance.random() < 0.2:
            kind = self.chance.choice(['"source"', '"duplex"', '"async"', "[]"])
        if kind == '"duplex"':
            self.duplex.append(self.number)
        body = f'{{"name":{name},"args":[{self.argument()}],"type":{kind}}}'
        flags = 0 if kind == '"async"' else STREAM
        return encode(flags, self.number, Body(BodyKind.JSON, body.encode()))

    def call(self) -> bytes:
        """As an honest peer begins."""
        self.number += 1
        self.duplex.append(self.number)
        body = {"name": ["ebt", "replicate"], "type": "duplex", "args": [{"version": 3}]}
        return encode(STREAM, self.number, Body(BodyKind.JSON, json.dumps(body).encode()))

    def argument(self) -> str:
        name = self.chance.choice([*self.feeds, "&" + "A" * 43 + "=.sha256", "\\ud800", ""])
        key = self.chance.choice(["id", "key", "hash"])
        limit, first = self.chance.choices(NUMBERS, k=2)
        live = self.chance.choice(["true", "false", limit])
        options = f'"{key}":"{name}","limit":{limit},"seq":{first},"start":{first},"max":{limit}'
        return self.chance.choice(
            [
                f'{{{options},"live":{live}}}',
                f'{{"id":"{self.feeds[0]}","live":true}}',
                '{"version":3,"format":"classic"}',
                '{"version":3,"format":"classic"}',
                f'"{name}"',
                f'["{name}",{limit}]',
                limit,
            ]
        )

    def message(self) -> bytes:
        """On any stream, ours or theirs."""
        value = json.loads(self.chance.choice(self.messages))
        text = json.dumps(value)
        match self.chance.randrange(5):
            case 0:
                text = text.replace("test", "tset", 1)  # a signature that does not match
            case 1:
                place = self.chance.choice(["author", "previous", "timestamp", "sequence", "hash"])
                text = json.dumps({**value, place: "?"})
                text = text.replace('"?"', self.chance.choice(NUMBERS))
            case 2:
                odd = self.chance.choice(NUMBERS)
                text = f'{{"author":"{self.chance.choice(self.feeds)}","sequence":{odd}}}'
            case 3:
                text = f'{{"author":{self.chance.choice(NUMBERS)}}}'
            case _:
                pass  # as it is: a duplicate
        return encode(STREAM, self.place(), Body(BodyKind.JSON, text.encode()))

    def place(self) -> int:
        """A stream that takes data, or one of theirs."""
        return self.chance.choice([*self.duplex, *self.duplex, -1, -2, -3])

    def notes(self) -> bytes:
        words = [f'"{feed}":{self.chance.choice(NUMBERS)}' for feed in self.feeds]
        words += [f'"@{n:043}=.ed25519":{2 * n}' for n in range(self.chance.choice([0, 5, 3000]))]
        words += [f'"&{n:043}=.sha256":{n - 9}' for n in range(self.chance.choice([0, 20, 3000]))]
        return encode(STREAM, self.place(), Body(BodyKind.JSON, f"{{{','.join(words)}}}".encode()))

    def end(self) -> bytes:
        number = self.chance.choice([self.number, self.place(), 2**31 - 1, -(2**31)])
        self.duplex = [each for each in self.duplex if each != number]
        error = Body(BodyKind.JSON, b'{"message":"\\ud800\\u001b[31m","name":1}')
        return encode(
            END | self.chance.choice([STREAM, 0]), number, self.chance.choice([TRUE, error])
        )

    def packet(self) -> bytes:
        """Rarely, because most of these end the connection."""
        if self.chance.random() < 0.98:
            return self.request()
        deep = Body(BodyKind.JSON, b"[" * 60_000 + b"]" * 60_000)
        flat = Body(BodyKind.JSON, b'{"author":"","x":[' + b"[]," * 60_000 + b"[]]}")
        number = self.chance.randrange(self.number + 1)
        junk = self.chance.randbytes(30)
        return self.chance.choice([encode(8, number, deep), encode(8, number, flat), junk])

    async def talk(self) -> None:
        async with trio.open_nursery() as nursery:
            if self.chance.random() < 0.7:
                nursery.start_soon(self.read)
            said = 0
            with trio.move_on_after(2):  # who reads nothing is not listened to any more
                while said < PHRASES:
                    phrases = [self.phrase() for _ in range(self.chance.choice([1, 5, 20]))]
                    said += len(phrases)
                    await self.stream.send_all(self.sealer.seal(b"".join(phrases)))
                    await trio.sleep(self.chance.choice([0, 0, 0.01]))
            nursery.cancel_scope.cancel()

    async def read(self) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while await self.stream.receive_some():
                pass


async def read_exactly(stream: trio.SocketStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        if not more:
            raise RemoteError("hung up")
        data += more
    return data


@asynccontextmanager
async def connected(
    node: Address, keys: KeyPair, seed: bytes
) -> AsyncIterator[tuple[trio.SocketStream, Sealer]]:
    async with await trio.open_tcp_stream(node.host, node.port) as stream:
        shake = ClientHandshake(MAIN_NETWORK_KEY, keys, node.key, seed)
        await stream.send_all(shake.hello)
        await stream.send_all(shake.receive_hello(await read_exactly(stream, HELLO_BYTES)))
        session = shake.receive_accept(await read_exactly(stream, ACCEPT_BYTES))
        yield stream, Sealer(session.seal_key, session.seal_nonce)


async def be_hostile(node: Address, seed: int, feeds: list[str], messages: list[bytes]) -> None:
    chance = random.Random(seed)
    keys = KeyPair.from_seed(chance.randbytes(32))
    for _ in range(2):  # and comes back
        with suppress(OSError, trio.BrokenResourceError, RemoteError, ExceptionGroup):
            async with connected(node, keys, chance.randbytes(32)) as (stream, sealer):
                await Stranger(chance, feeds, messages, stream, sealer).talk()


async def knock(node: Address, seed: int) -> None:
    """Whatever can be said without a key."""
    chance = random.Random(seed)
    shake = ClientHandshake(MAIN_NETWORK_KEY, KeyPair.from_seed(bytes(32)), node.key, bytes(32))
    with suppress(OSError, trio.BrokenResourceError):
        async with await trio.open_tcp_stream(node.host, node.port) as stream:
            with trio.move_on_after(0.3):
                begin = chance.choice([b"", shake.hello, shake.hello[:40], bytes(64)])
                await stream.send_all(begin + chance.randbytes(chance.choice([0, 1, 112, 9000])))
                while chance.random() < 0.9 and await stream.receive_some():
                    pass


def rss_bytes(node: Node) -> int:
    return int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1]) * 4096


def make(home: Path) -> Path:
    make_home(Home(home), {"listen": "127.0.0.1:0"})
    return home


async def flood(node: Node, feeds: list[str], messages: list[bytes]) -> None:
    address = parse_address(node.address)
    room = trio.Semaphore(AT_ONCE)

    async def visit(seed: int) -> None:
        async with room:
            if seed % 2:
                await knock(address, seed)
            await be_hostile(address, seed, feeds, messages)

    async with trio.open_nursery() as nursery:
        for number in range(STRANGERS):
            nursery.start_soon(visit, SEED + number)


async def test_daemon_among_hostile_peers_goes_on_and_serves_the_honest_one(
    tmp_path: Path,
) -> None:
    homes = make(tmp_path / "alice"), make(tmp_path / "bob")
    async with open_node(homes[0]) as alice, open_node(homes[1]) as bob:
        await alice.follow(bob.id)
        await bob.follow(alice.id)
        await bob.dial(alice.address)
        for node in (alice, bob):
            for number in range(10):
                await node.tell("/feeds/publish", content={"type": "test", "number": number})
        await alice.reach(bob.id, 10)
        logs = [await alice.ask_lines("/feeds/log", feed=each.id) for each in (alice, bob)]
        messages = [json.dumps(entry["value"]).encode() for log in logs for entry in log]
        await flood(alice, [alice.id, bob.id], messages)
        await bob.tell("/feeds/publish", content={"type": "test", "after": True})
        await alice.tell("/feeds/publish", content={"type": "test", "after": True})
        await alice.reach(bob.id, 11)
        await bob.reach(alice.id, 11)
        assert alice.process.returncode is None
        assert rss_bytes(alice) < RSS_BYTES_MAX
        status = await alice.ask("/status")
        assert (status["forks"], status["health"]) == ([], [])
    log = homes[0].with_suffix(".stderr").read_text()
    assert len(log) < LOG_BYTES_MAX
    levels = [json.loads(line) for line in log.splitlines()]
    assert [line for line in levels if line["level"] not in ("info", "warning")] == []
    assert "Traceback" not in log
