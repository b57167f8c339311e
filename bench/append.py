"""Write messages of our own feed, from the wish to the durable log; beside bare signatures."""

import json
import tempfile
from pathlib import Path

import trio
from nacl import bindings as sodium

from bench import Figure
from bench.ingest import NODE, RNG, plain
from bench.measure import medians
from qbix_node import machines as m
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.machine import FeedBook
from qbix_node.feeds.messages import Publish
from qbix_node.ports import Store
from qbix_node.store.leveldb import LevelDbStore

MESSAGES = 2000
BURST = 200  # wishes that come while a write is under way, and are written together
ROUNDS = 7
STAMP_MS = 1_700_000_000_000
CONTENTS = [plain(number) for number in range(MESSAGES)]


async def append(book: FeedBook, store: Store) -> None:
    """Wishes gather behind the write that is under way, as they do when many come."""
    first = book.heads[book.own].sequence if book.heads else 0
    effects: list[m.Effect] = []
    for number in range(MESSAGES):
        wish = Publish(number, CONTENTS[number], STAMP_MS + first + number)
        effects += book.handle(m.Requested(wish), 0.0, RNG)
        if number % BURST == BURST - 1:
            effects = await end_write(book, effects, store)
    while effects:
        effects = await end_write(book, effects, store)
    assert book.heads[book.own].sequence == first + MESSAGES


async def end_write(book: FeedBook, effects: list[m.Effect], store: Store) -> list[m.Effect]:
    """What follows from its end: the next write, perhaps."""
    (write,) = [effect for effect in effects if isinstance(effect, m.Persist)]
    await store.write(write.writes)
    return [
        effect
        for effect in book.handle(m.Persisted(write.token), 0.0, RNG)
        if isinstance(effect, m.Persist)
    ]


async def measure() -> tuple[float, float]:
    """Microseconds a message: ours, and a bare signature of the same text."""
    message = make_message(NODE, None, plain(MESSAGES), STAMP_MS)

    async def sign() -> None:
        for _ in range(MESSAGES):
            sodium.crypto_sign(message.signed_body, NODE.secret)

    with tempfile.TemporaryDirectory() as folder:
        LevelDbStore.create(Path(folder, "store"))
        async with LevelDbStore.open(Path(folder, "store")) as store:
            book = FeedBook(NODE, m.Tokens(), {}, set())
            ours, limit = await medians(lambda: append(book, store), sign, rounds=ROUNDS)
    return ours / MESSAGES * 1e6, limit / MESSAGES * 1e6


def run() -> dict[str, Figure]:
    ours, limit = trio.run(measure)
    return {
        f"plain posts, {BURST} at a time": {
            "value": ours,
            "unit": "us",
            "limit": limit,
            "limit_is": "bare crypto_sign",
            "goal": 1.5,
        }
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
