"""Read, write and name a message as V8 and Node.js do, beside a bare check of its signature."""

import json
from collections.abc import Callable

import trio

from bench import Figure
from bench.ingest import MESSAGES, ROUNDS, Feed, odd, plain
from bench.measure import medians
from qbix_node.crypto.keys import KeyPair
from qbix_node.feeds.validation import message_id
from qbix_node.wire.v8json import JsonValue, parse, stringify


async def measure(content: Callable[[int], JsonValue]) -> tuple[float, float]:
    feed = Feed(KeyPair.from_seed(b"e" * 32), content)

    async def encode() -> None:
        for body in feed.bodies:
            message_id(stringify(parse(body, "message")))

    ours, limit = await medians(encode, feed.check, rounds=ROUNDS)
    return ours / MESSAGES * 1e6, limit / MESSAGES * 1e6


def run() -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for name, content, goal in (("plain posts", plain, 0.1), ("odd contents", odd, 1.0)):
        ours, limit = trio.run(measure, content)
        figures[name] = {
            "value": ours,
            "unit": "us",
            "limit": limit,
            "limit_is": "bare crypto_sign_open",
            "goal": goal,
        }
    return figures


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
