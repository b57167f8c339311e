"""Write spec/vectors/feeds-forks.json anew: `python -m tests.feeds.make_vectors`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qbix_node.feeds.forks import encode_classic_fork, fork_of
from qbix_node.feeds.messages import ClassicMessage
from qbix_node.feeds.records import Evidence
from qbix_node.gossip.proofs import proof_id
from qbix_node.wire.packing import Packable, pack
from qbix_node.wire.references import encode_base64, format_feed
from tests.feeds.authors import START_MS, Author

FOLDER = Path(__file__).parents[2] / "spec" / "vectors"
NAME = "feeds-forks.json"


def pair(author: Author, before: int) -> tuple[ClassicMessage, ClassicMessage]:
    """Two messages after so many, that with the smaller id first."""
    author.write_many(before)
    twin = author.twin()
    both = (
        author.write(),
        twin.write({"type": "post", "text": "ünlike \u2028 🦊", "7": 1, "2": -1e-7}),
    )
    one, other = sorted(both, key=lambda each: each.id)
    return one, other


def valid() -> Iterator[dict[str, Any]]:
    for what, before in (("two first messages", 0), ("two messages 3", 2)):
        fork = fork_of(Evidence(START_MS, *pair(Author("alice"), before)))
        encoded = encode_classic_fork(fork)
        named = {"id": proof_id(encoded).hex(), "feed": format_feed(fork.feed)}
        yield {"what": what, "hex": encoded.hex(), **named, "sequence": fork.sequence}


def invalid() -> Iterator[dict[str, Any]]:
    alice = Author("alice")
    one, other = pair(alice, 2)
    later, strangers = alice.write(), Author("bob").write_many(3)[2]
    texts = one.encoded, other.encoded
    signature = encode_base64(one.signature)
    tail = f"{signature[:-3]}{chr(ord(signature[-3]) + 1)}=="
    rows: dict[str, Packable] = {
        "the message with the greater id comes first": (1, "c", *reversed(texts)),
        "one message twice": (1, "c", one.encoded, one.encoded),
        "two sequences": (1, "c", one.encoded, later.encoded),
        "two authors": (1, "c", one.encoded, strangers.encoded),
        "unused bits of a signature's base64": (
            *(1, "c", one.encoded),
            one.encoded.replace(signature, tail),
        ),
        "another spelling of a message": (
            1,
            "c",
            one.encoded.replace("\n  ", "\n\t"),
            other.encoded,
        ),
        "a signature of something else": (
            *(1, "c", one.encoded.replace(signature, encode_base64(other.signature))),
            other.encoded,
        ),
        "messages as bytes": (1, "c", *[text.encode() for text in texts]),
        "a field too many": (1, "c", *texts, None),
        "another version": (2, "c", *texts),
        "another form": (1, "a", *texts),
    }
    for rule, row in rows.items():
        yield {"rule": rule, "hex": pack(row).hex()}


def make() -> dict[str, str]:
    found = {"spec": "spec/streams.md 6, form c", "valid": [*valid()], "invalid": [*invalid()]}
    return {NAME: json.dumps(found, indent=1, ensure_ascii=False) + "\n"}


if __name__ == "__main__":
    for name, text in make().items():
        (FOLDER / name).write_text(text)
