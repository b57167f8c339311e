"""Where a store can lie, so that one suite tests them all."""

import random
import shutil
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
    """A killed process leaves what the system holds in its files at that moment: a copy of them."""

    folder: Path
    kills: int = 0
    write_buffer_bytes: int = 1 << 16

    def __post_init__(self) -> None:
        LevelDbStore.create(self.path)

    @property
    def path(self) -> Path:
        return self.folder / f"store {self.kills}"

    def open(self) -> LevelDbStore:
        return LevelDbStore.open(self.path, write_buffer_bytes=self.write_buffer_bytes)

    async def kill(self, store: AnyStore) -> None:
        killed = self.path
        self.kills += 1
        shutil.copytree(killed, self.path)
        await store.aclose()
