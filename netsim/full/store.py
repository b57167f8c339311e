"""The product's store on a simulated disk, which says so when a write meets a full one."""

from collections.abc import Callable, Sequence

from netsim import facts
from netsim.disks import SimulatedDisk
from qbix_node.ports import Write
from qbix_node.store.memory import MemoryStore


class SimulatedStore(MemoryStore):
    def __init__(self, disk: SimulatedDisk, tell: Callable[[object], object]) -> None:
        super().__init__(disk, sync_s=disk.sync_delay_s)
        self._tell = tell
        self._was_full = False

    async def write(self, writes: Sequence[Write], *, marked: bool = False) -> None:
        full = self.disk.full
        if full and not self._was_full:
            self._tell(facts.DiskFull())
        self._was_full = full
        await super().write(writes, marked=marked)
