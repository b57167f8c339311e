"""The cast: people who write messages."""

import json
from dataclasses import dataclass, field

from qbix_node.crypto.keys import KeyPair
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.messages import ClassicMessage, Head
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue

START_MS = 1_700_000_000_000


@dataclass
class Author:
    name: str
    head: Head | None = None
    keys: KeyPair = field(init=False)

    def __post_init__(self) -> None:
        self.keys = KeyPair.from_seed(self.name.encode().ljust(32, b"."))

    @property
    def feed(self) -> FeedId:
        return FeedId(self.keys.public)

    def write(self, content: JsonValue = None) -> ClassicMessage:
        """The next message; without content, one that says which it is."""
        sequence = self.head.sequence + 1 if self.head else 1
        content = content or {"type": "post", "text": f"message {sequence} of {self.name}"}
        message = make_message(self.keys, self.head, content, START_MS + sequence)
        self.head = message.head
        return message

    def write_many(self, count: int) -> list[ClassicMessage]:
        return [self.write() for _ in range(count)]

    def twin(self) -> "Author":
        """Another machine with the same key, which knows as much of the feed at present."""
        return Author(self.name, self.head)


def value_of(message: ClassicMessage, **changes: JsonValue) -> dict[str, JsonValue]:
    """The message as a peer sends it, or as a forger does."""
    value: dict[str, JsonValue] = json.loads(message.encoded)
    return {**value, **changes}
