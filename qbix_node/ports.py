"""What the node asks of the world: chance and durable storage. Implementations: the edges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Rng(Protocol):
    """Chance that a run can repeat: seeded in the simulator, the system's in the daemon."""

    def random(self) -> float: ...

    def randbytes(self, n: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Put:
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    key: bytes


Write = Put | Delete


class Rows(Protocol):
    """Ordered keys to read. Reads are short and synchronous."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` pairs with start <= key < stop, ascending (or descending) by key."""
        ...


class Store(Rows, Protocol):
    """Rows with durable batches: writes are acknowledged once they are on disk. The behaviour
    suite in tests/store holds every implementation to this.
    """

    async def write(self, writes: Sequence[Write], *, marked: bool = False) -> None:
        """Apply all or none, in order; return once durable. Waits while the disk is full.

        `marked`: once it is written down beside the database, too, that the database holds them.
        """
        ...

    @property
    def degraded(self) -> str | None:
        """Why nothing can be written at present ("disk full ..."), or None."""
        ...

    def size_bytes(self) -> int: ...
