"""A damaged store ends the node, whoever came across it.

A connection or a request contains what goes wrong in it, and may be the first to read a damaged
record. But damage concerns the whole node, and a person has to look at it.
"""

from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

import trio

from qbix_node.errors import DamagedStore
from qbix_node.ports import Store, Write

T = TypeVar("T")


class GuardedStore:
    """The same store, which remembers that it is damaged."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._damage: DamagedStore | None = None
        self._found = trio.Event()

    async def watch(self) -> NoReturn:
        """Raise the damage once somebody has come across it."""
        await self._found.wait()
        assert self._damage is not None
        raise self._damage

    def get(self, key: bytes) -> bytes | None:
        return self._read(lambda: self._store.get(key))

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        return self._read(lambda: self._store.scan(start, stop, limit=limit, reverse=reverse))

    async def write(self, writes: Sequence[Write], *, marked: bool = False) -> None:
        try:
            await self._store.write(writes, marked=marked)
        except DamagedStore as damage:
            self._note(damage)
            raise

    @property
    def degraded(self) -> str | None:
        return self._store.degraded

    def size_bytes(self) -> int:
        return self._store.size_bytes()

    def _read(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except DamagedStore as damage:
            self._note(damage)
            raise

    def _note(self, damage: DamagedStore) -> None:
        self._damage = self._damage or damage
        self._found.set()
