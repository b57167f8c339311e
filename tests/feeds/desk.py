"""A FeedBook on a desk: its effects are carried out when told to, on a disk that can crash."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.feeds.machine import FeedBook
from qbix_node.feeds.messages import (
    ClassicMessage,
    Offered,
    Publish,
    Published,
    PublishRefused,
    Readers,
    Settled,
)
from qbix_node.feeds.records import read_forked, read_heads, read_log
from qbix_node.runtime.runner import verify_checks
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue
from tests.feeds.authors import START_MS, Author, value_of

NODE = Author("node")
PETE = m.PeerId(b"pete".ljust(32, b"."))
QUIN = m.PeerId(b"quin".ljust(32, b"."))

Finding = TypeVar("Finding")


@dataclass
class Desk:
    accepted: list[FeedId]
    keys: KeyPair = NODE.keys
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    found: list[object] = field(default_factory=list)
    checks_made: int = 0
    batches: int = 0
    settled: Counter[m.PeerId] = field(default_factory=Counter)
    _requests: Iterable[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """As after a crash: what was not synced is gone, and so is all that was in memory."""
        self.disk.withdraw()
        store = MemoryStore(self.disk)
        self.book = FeedBook(self.keys, m.Tokens(), read_heads(store), read_forked(store))
        for feed in self.accepted:
            self.book.accept(feed)
        self.loads: list[m.Load] = []
        self.checks: list[m.Verify] = []
        self.writes: list[m.Persist] = []

    # ---- what comes in ----

    def tell(self, event: m.Event) -> tuple[m.Effect, ...]:
        return self.take(self.book.handle(event, 0.0, random.Random(1)))

    def take(self, effects: tuple[m.Effect, ...]) -> tuple[m.Effect, ...]:
        for effect in effects:
            match effect:
                case m.Load():
                    self.loads.append(effect)
                case m.Verify():
                    self.checks.append(effect)
                    self.checks_made += len(effect.checks)
                case m.Persist():
                    self.writes.append(effect)
                    self.batches += 1
                case m.Emit(Settled(peer, number)):
                    self.settled[peer] += number
                case m.Emit(finding):
                    self.found.append(finding)
                case other:
                    raise AssertionError(other)
        return effects

    def offer(
        self, *messages: ClassicMessage | dict[str, JsonValue], peer: m.PeerId = PETE
    ) -> tuple[m.Effect, ...]:
        values = [
            value_of(message) if isinstance(message, ClassicMessage) else message
            for message in messages
        ]
        return self.tell(m.Received(peer, Offered(tuple(values), START_MS)))

    def publish(self, content: JsonValue = None, *, readers: Readers | None = None) -> int:
        request = next(iter(self._requests))
        content = content or {"type": "post", "text": f"wish {request}"}
        self.tell(m.Requested(Publish(request, content, START_MS, readers)))
        return request

    # ---- slow work, carried out when told to ----

    def look(self) -> None:
        for load in _drain(self.loads):
            values = tuple([self.disk.get(key) for key in load.keys])
            self.tell(m.Loaded(load.token, values))

    def verify(self) -> None:
        for check in _drain(self.checks):
            self.tell(m.Verified(check.token, verify_checks(check.checks)))

    def sync(self) -> None:
        for write in _drain(self.writes):
            self.disk.append(write.writes)
            self.disk.sync()
            self.tell(m.Persisted(write.token))

    def settle(self) -> None:
        """Carry out everything, until nothing is left to do."""
        while self.loads or self.checks or self.writes:
            self.look()
            self.verify()
            self.sync()

    # ---- what came of it ----

    def log(self, feed: FeedId) -> list[ClassicMessage]:
        return [each.message() for each in read_log(MemoryStore(self.disk), feed, 1, 100_000)]

    def findings(self, kind: type[Finding]) -> list[Finding]:
        return [finding for finding in self.found if isinstance(finding, kind)]

    @property
    def published(self) -> list[int]:
        return [each.request for each in self.findings(Published)]

    @property
    def refusals(self) -> list[str]:
        return [each.reason for each in self.findings(PublishRefused)]


def _drain(work: list[Finding]) -> list[Finding]:
    taken, work[:] = list(work), []
    return taken
