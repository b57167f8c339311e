"""A disk with faults: syncs that take time, full, torn, rolled back (spec/storage.md).

It is the product's memory disk, with what a simulator knows beside it: which batches the node was
told to be durable, and the watermark, which lies outside of the database.
"""

from netsim.chance import Draws
from netsim.loop import Loop
from qbix_node.store.memory import MemoryDisk


class SimulatedDisk(MemoryDisk):
    def __init__(self, loop: Loop, draws: Draws, *, sync_s: float) -> None:
        super().__init__()
        self.sync_s = sync_s
        self.slower_s = 0.0
        self._loop = loop
        self._draws = draws

    def sync_delay_s(self) -> float:
        """How long the next sync takes."""
        return (self.sync_s + self.slower_s) * self._draws.between(0.5, 1.5)
