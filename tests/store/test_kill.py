"""A writing process is killed; what was acknowledged is there afterwards.

The system keeps what a killed process wrote, synced or not: syncs are tested in test_power.py.
"""

import random
from pathlib import Path

from qbix_node.store.leveldb import LevelDbStore
from tests.store.busy_writer import BusyWriter, lost_in

ROUNDS = 50


def test_no_acknowledged_write_is_lost_when_the_writer_is_killed(ram_path: Path) -> None:
    chance = random.Random(1)
    path = ram_path / "store"
    LevelDbStore.create(path)
    with BusyWriter() as writer:
        for _ in range(ROUNDS):
            writer.start(path)
            writer.read(chance.randrange(1, 120))
            writer.kill()
            assert lost_in(path, writer.acknowledged) == 0
    assert sum(writer.acknowledged.values()) > 1000
