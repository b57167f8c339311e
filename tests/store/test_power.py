"""Power is cut while a store is written; what was acknowledged is there afterwards."""

import random
import shutil
from pathlib import Path

import pytest

from qbix_node.errors import DamagedStore
from qbix_node.ports import Put
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.store.watermark import LINE_BYTES, Mark
from tests.store import power
from tests.store.busy_writer import BusyWriter, lost_in

pytestmark = power.needed()

STARTS, CUTS_A_START = 6, 9


def test_no_acknowledged_write_is_lost_when_power_is_cut(ram_path: Path) -> None:
    chance = random.Random(1)
    image: Path | None = None
    with BusyWriter() as writer:
        for start in range(STARTS):
            folder = ram_path / str(start)
            folder.mkdir()
            with power.disk(folder, image=image) as disk:
                if start == 0:
                    LevelDbStore.create(disk.path / "store")
                writer.start(disk.path / "store")
                for _ in range(CUTS_A_START):
                    writer.read(chance.randrange(1, 150))
                    assert writer.pid is not None
                    with power.paused(writer.pid):
                        writer.read_what_is_there()
                        with disk.cut() as left:
                            assert lost_in(left / "store", writer.acknowledged) == 0
                writer.kill()
                image = disk.copy_image(ram_path / f"image {start}")  # the next start goes on here
    assert sum(writer.acknowledged.values()) > 1000


def test_without_syncs_acknowledged_writes_are_lost(ram_path: Path) -> None:
    """So that the test above is known to be able to fail."""
    with power.disk(ram_path) as disk, BusyWriter() as writer:
        LevelDbStore.create(disk.path / "store")
        writer.start(disk.path / "store", synced=False)
        writer.read(500)
        writer.kill()
        with disk.cut() as left:
            assert lost_in(left / "store", writer.acknowledged) > 0


def mark_of(store: Path) -> Mark | None:
    return Mark.decode((store / "watermark").read_bytes()[:LINE_BYTES])


async def test_the_mark_of_a_batch_that_asked_for_it_is_there_after_a_power_cut(
    ram_path: Path,
) -> None:
    with power.disk(ram_path) as disk:
        path = disk.path / "store"
        LevelDbStore.create(path)
        async with LevelDbStore.open(path, free_bytes_min=1 << 20) as store:
            earlier = shutil.copytree(path / "db", ram_path / "earlier")
            await store.write([Put(b"a", b"")])
            with disk.cut() as left:
                assert mark_of(left / "store") == Mark(0, clean=False)
            await store.write([Put(b"b", b"")], marked=True)
            with disk.cut() as left:
                assert mark_of(left / "store") == Mark(2, clean=False)
                shutil.rmtree(left / "store" / "db")
                shutil.copytree(earlier, left / "store" / "db")
                with pytest.raises(DamagedStore, match="batch 2 was acknowledged"):
                    LevelDbStore.open(left / "store", free_bytes_min=1 << 20)
