"""Where a store can lie, so that one suite tests them all."""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from qbix_node.ports import Store
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.store.writer import Counters


class AnyStore(Store, Protocol):
    """What every store has beyond the port."""

    was_clean: bool

    @property
    def counters(self) -> Counters: ...

    @property
    def commit(self) -> int: ...

    async def aclose(self) -> None: ...


class Place(Protocol):
    def open(self) -> AnyStore: ...

    async def kill(self, store: AnyStore) -> None:
        """End the store as kill -9 does; what is opened next is what is left."""
        ...


@dataclass
class InMemory:
    disk: MemoryDisk = field(default_factory=MemoryDisk)

    def open(self) -> MemoryStore:
        return MemoryStore(self.disk)

    async def kill(self, store: AnyStore) -> None:
        self.disk.cut_power(random.Random(1))


@dataclass
class OnDisk:
    """LevelDB writes nothing when it is closed: what a killed process leaves is the same, but for
    the watermark. Processes that are really killed: test_kill.py.
    """

    path: Path
    write_buffer_bytes: int = 1 << 16

    def __post_init__(self) -> None:
        LevelDbStore.create(self.path)

    def open(self) -> LevelDbStore:
        return LevelDbStore.open(self.path, write_buffer_bytes=self.write_buffer_bytes)

    async def kill(self, store: AnyStore) -> None:
        watermark = self.path / "watermark"
        before = watermark.read_bytes()
        await store.aclose()
        watermark.write_bytes(before)
