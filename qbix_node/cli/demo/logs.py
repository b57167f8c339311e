"""Feeds as they lie in different places, checked again and made comparable."""

from dataclasses import dataclass, field
from pathlib import Path

import trio

from qbix_node.cli.demo.children import Node, StepFailedError
from qbix_node.cli.demo.jspeer import JsPeer
from qbix_node.crypto.boxes import sha256
from qbix_node.feeds.messages import Head, Refused
from qbix_node.feeds.validation import validate
from qbix_node.wire import v8json
from qbix_node.wire.references import format_message
from qbix_node.wire.v8json import JsonValue


@dataclass(slots=True)
class FeedLog:
    encoded: list[bytes] = field(default_factory=list)  # what was signed, with the signature
    head: Head | None = None

    @property
    def bytes(self) -> int:
        return sum([len(each) for each in self.encoded])

    def fingerprint(self) -> str:
        return sha256(*self.encoded).hex()

    def append(self, key: JsonValue, value: JsonValue, where: str) -> str:
        """Check signature and link; the text that was signed."""
        message = validate(value, self.head)
        if isinstance(message, Refused):
            place = self.head.sequence + 1 if self.head else 1
            raise StepFailedError(f"message {place} of {where}: {message.reason}")
        if key != format_message(message.id):
            raise StepFailedError(f"message {message.sequence} of {where} has another id")
        self.encoded.append(message.encoded.encode())
        self.head = message.head
        return message.encoded


async def read_log(node: Node, feed: str) -> FeedLog:
    """What the node has of a feed."""
    log = FeedLog()
    for line in (await node.raw("/feeds/log", {"feed": feed})).splitlines():
        match v8json.parse(line, f"the log of {node.name}"):
            case {"key": key, "value": value}:
                log.append(key, value, f"{feed} at {node.name}")
            case _:
                raise StepFailedError(f"{node.name} has a line that is no message")
    return log


async def read_js_logs(peer: JsPeer, file: Path) -> dict[str, FeedLog]:
    """All feeds of the JavaScript peer, whose text of each message has to be ours."""
    await peer.tell("dump", "dumped", file=str(file))
    lines = (await trio.Path(file).read_bytes()).splitlines()
    found: dict[tuple[str, int], tuple[JsonValue, JsonValue, JsonValue]] = {}
    for line in lines:
        match v8json.parse(line, "the dump"):
            case {
                "key": key,
                "value": {"author": str(author), "sequence": int(sequence)} as value,
                "encoded": encoded,
            }:
                found[author, sequence] = (key, value, encoded)
            case _:
                raise StepFailedError("the JavaScript peer dumped a line that is no message")
    logs: dict[str, FeedLog] = {}
    for (author, sequence), (key, value, encoded) in sorted(found.items()):
        where = f"{author} at the JavaScript peer"
        if logs.setdefault(author, FeedLog()).append(key, value, where) != encoded:
            raise StepFailedError(f"message {sequence} of {where} is another text there")
    return logs
