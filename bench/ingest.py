"""Take a classic feed in, from the bytes of a peer to the durable log; beside bare checks.

The FeedBook is driven without a runner: this is what feeds and the store cost, not the event loop.
"""

import json
import random
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio
from nacl import bindings as sodium

from bench import Figure
from bench.measure import medians
from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.line import CHECKS_MAX
from qbix_node.feeds.machine import FeedBook
from qbix_node.feeds.messages import Offered
from qbix_node.feeds.validation import signature_check
from qbix_node.ports import Store
from qbix_node.runtime import verify_checks
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue, parse

MESSAGES = 2000
BATCH = CHECKS_MAX  # as it comes when a node catches up
ROUNDS = 7
PEER = m.PeerId(bytes(32))
RNG = random.Random(0)
NODE = KeyPair.from_seed(b"n" * 32)


def plain(number: int) -> JsonValue:
    return {"type": "post", "text": f"message {number}: " + "lorem ipsum dolor " * 12}


def odd(number: int) -> JsonValue:
    """Text beyond ASCII, and what V8 writes otherwise than most libraries."""
    return {"type": "post", "text": f"é 語 {number} " * 20, "7": 1, "2": -1e-7, "half": number / 2}


@dataclass
class Feed:
    """Messages of one author, as a peer sends them and as they are signed."""

    author: KeyPair
    content: Callable[[int], JsonValue]

    def __post_init__(self) -> None:
        head, messages = None, []
        for number in range(MESSAGES):
            stamp_ms = 1_700_000_000_000 + number
            messages.append(make_message(self.author, head, self.content(number), stamp_ms))
            head = messages[-1].head
        self.bodies = [message.encoded.encode() for message in messages]
        checks = [signature_check(message) for message in messages]
        self.signed = [check.signature + check.body for check in checks]

    async def check(self) -> None:
        for text in self.signed:
            sodium.crypto_sign_open(text, self.author.public)

    async def ingest(self, store: Store) -> None:
        feed = FeedId(self.author.public)
        book = FeedBook(NODE, m.Tokens(), {}, set())
        book.accept(feed)
        for start in range(0, MESSAGES, BATCH):
            values = [parse(body, "message") for body in self.bodies[start : start + BATCH]]
            await drive(book, m.Received(PEER, Offered(tuple(values), 0)), store=store)
        assert book.heads[feed].sequence == MESSAGES


async def drive(book: FeedBook, *events: m.Event, store: Store) -> None:
    """What a runner does, one thing after the other."""
    waiting = deque(effect for event in events for effect in book.handle(event, 0.0, RNG))
    while waiting:
        match waiting.popleft():
            case m.Verify(token, checks):
                waiting += book.handle(m.Verified(token, verify_checks(checks)), 0.0, RNG)
            case m.Persist(token, writes):
                await store.write(writes)
                waiting += book.handle(m.Persisted(token), 0.0, RNG)
            case _:
                pass


async def measure(content: Callable[[int], JsonValue]) -> tuple[float, float]:
    """Microseconds a message: ours, and a bare check of its signature."""
    feeds = [Feed(KeyPair.from_seed(bytes([n]) * 32), content) for n in range(ROUNDS + 1)]
    unread = iter(feeds)  # each round brings a new feed, as life does: LevelDB rewrites nothing
    with tempfile.TemporaryDirectory() as folder:
        LevelDbStore.create(Path(folder, "store"))
        async with LevelDbStore.open(Path(folder, "store")) as store:
            ours, limit = await medians(
                lambda: next(unread).ingest(store), feeds[0].check, rounds=ROUNDS
            )
    return ours / MESSAGES * 1e6, limit / MESSAGES * 1e6


def run() -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for name, content, goal in (("plain posts", plain, 1.5), ("odd contents", odd, None)):
        ours, limit = trio.run(measure, content)
        figures[f"{name}, {BATCH} at a time"] = {
            "value": ours,
            "unit": "us",
            "limit": limit,
            "limit_is": "bare crypto_sign_open",
            "goal": goal,
        }
    return figures


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
