from collections.abc import Awaitable, Callable, Sequence

import pytest
import trio
import trio.testing

from qbix_node.daemon.guard import GuardedStore
from qbix_node.errors import DamagedStore
from qbix_node.ports import Put, Store, Write
from qbix_node.store.memory import MemoryStore


class BadSector(MemoryStore):
    """A store in which one key can't be read or written any more."""

    def get(self, key: bytes) -> bytes | None:
        self._touch(key)
        return super().get(key)

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        self._touch(start)
        return super().scan(start, stop, limit=limit, reverse=reverse)

    async def write(self, writes: Sequence[Write], *, marked: bool = False) -> None:
        self._touch(writes[0].key)
        await super().write(writes, marked=marked)

    def _touch(self, key: bytes) -> None:
        if key == b"bad":
            raise DamagedStore("a table is damaged")


async def read(store: Store) -> None:
    store.get(b"bad")


async def scan(store: Store) -> None:
    store.scan(b"bad", b"c", limit=1)


async def write(store: Store) -> None:
    await store.write([Put(b"bad", b"")])


async def live(touch: Callable[[Store], Awaitable[None]]) -> None:
    """A node in which one connection comes across the damage, and contains what it raised."""
    guarded = GuardedStore(BadSector())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guarded.watch)
        with pytest.raises(DamagedStore):
            await touch(guarded)
        await trio.sleep(60)


@pytest.mark.parametrize("touch", [read, scan, write])
async def test_damage_ends_the_node(
    touch: Callable[[Store], Awaitable[None]], autojump_clock: trio.testing.MockClock
) -> None:
    with pytest.raises(ExceptionGroup) as ended:
        await live(touch)
    assert ended.group_contains(DamagedStore)
    assert trio.current_time() < 60


async def test_a_sound_store_is_the_same_through_it() -> None:
    guarded = GuardedStore(BadSector())
    await guarded.write([Put(b"a", b"1"), Put(b"b", b"2")])
    assert guarded.get(b"a") == b"1"
    assert guarded.scan(b"a", b"c", limit=2, reverse=True) == [(b"b", b"2"), (b"a", b"1")]
    assert (guarded.degraded, guarded.size_bytes() > 0) == (None, True)
