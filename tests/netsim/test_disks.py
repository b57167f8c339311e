"""What a simulated disk loses, and what an opening finds out about it (spec/storage.md 3, 4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim import facts
from netsim.chance import Chance
from netsim.disks import Opening, SimulatedDisk
from netsim.loop import Loop
from qbix_node.blobs.memory import MemoryFiles
from qbix_node.errors import Temporary
from qbix_node.ports import Put
from qbix_node.store.writer import DiskFull, put_commit

SYNC_S = 0.01


class Owner:
    """Writes batch after batch to a disk: row `n` is written by batch n, row `newest` by all."""

    def __init__(self, seed: int = 1) -> None:
        self.loop = Loop()
        self.disk = SimulatedDisk(self.loop, Chance(seed), 0, sync_s=SYNC_S)
        self.disk.open()
        self.disk.was_clean = False

    def hand_over(self, *numbers: int, marked: bool = False) -> None:
        for number in numbers:
            row = b"%d" % number
            writes = [Put(b"newest", row), Put(row, b""), put_commit(number)]
            self.disk.append(writes, marked=marked)

    def write(self, *numbers: int, marked: bool = False) -> None:
        for number in numbers:
            self.hand_over(number, marked=marked)
            self.disk.sync()
            self.loop.now += 1.0

    def stop(self) -> None:
        self.disk.was_clean = True

    @property
    def rows(self) -> int:
        """How many batches are there; they are there without a gap."""
        count = int(self.disk.get(b"newest") or b"0")
        assert [self.disk.get(b"%d" % n) for n in range(1, 20)] == [b""] * count + [None] * (
            19 - count
        )
        assert self.disk.commit == count
        return count


SEEDS = range(40)


def test_a_disk_that_was_closed_opens_clean() -> None:
    owner = Owner()
    owner.write(1, 2)
    owner.stop()
    assert owner.disk.open() == Opening(clean=True)


def test_a_killed_process_leaves_all_that_was_synced_and_an_unclean_store() -> None:
    owner = Owner()
    owner.write(1, 2)
    assert owner.disk.crash(power=False) == facts.Crashed(power=False)
    assert owner.disk.open() == Opening(clean=False)
    assert owner.rows == 2


def test_a_power_cut_keeps_some_of_the_first_batches_under_way() -> None:
    kept = set()
    for seed in SEEDS:
        owner = Owner(seed)
        owner.write(1, 2)
        owner.hand_over(3, 4)
        crashed = owner.disk.crash(power=True)
        assert crashed.lost == 4 - owner.rows
        assert owner.disk.open() == Opening(clean=False)  # nobody had been told
        kept.add(owner.rows)
    assert kept == {2, 3, 4}


def test_a_torn_batch_is_refused_as_a_whole() -> None:
    for seed in SEEDS:
        owner = Owner(seed)
        owner.write(1)
        owner.hand_over(2)
        owner.disk.tears = True
        assert owner.disk.crash(power=True) == facts.Crashed(power=True, lost=1, torn=True)
        assert owner.rows == 1


def test_nothing_is_torn_when_nothing_is_under_way() -> None:
    owner = Owner()
    owner.disk.tears = True
    owner.write(1)
    assert owner.disk.crash(power=True) == facts.Crashed(power=True)


def test_a_store_that_dies_with_its_process_loses_nothing_more() -> None:
    owner = Owner()
    owner.write(1)
    owner.disk.crash(power=False)
    owner.hand_over(2)
    owner.disk.cut_power(Chance(1).draws("store"))
    assert owner.disk.unsynced == 1


def test_a_store_may_cut_the_power_by_itself() -> None:
    owner = Owner()
    owner.hand_over(1)
    owner.disk.cut_power(Chance(1).draws("store"))
    assert owner.disk.unsynced == 0


def noticed_after_a_cut(seed: int, *, marked: bool) -> bool:
    """Whether an opening finds out that the database is an earlier one."""
    owner = Owner(seed)
    owner.write(1)
    backup = owner.disk.back_up()
    owner.write(2, 3)
    owner.write(4, marked=marked)
    owner.disk.crash(power=True)
    owner.disk.put_back(backup, whole=False)
    rolled_back = owner.disk.open().rolled_back
    assert rolled_back is not None
    return rolled_back.noticed


def test_the_mark_of_a_batch_that_asked_for_it_does_not_lag_after_a_power_cut() -> None:
    assert {noticed_after_a_cut(seed, marked=False) for seed in SEEDS} == {True, False}
    assert {noticed_after_a_cut(seed, marked=True) for seed in SEEDS} == {True}


def test_a_disk_counts_the_syncs_of_its_mark() -> None:
    owner = Owner()
    owner.write(1, 2)
    owner.hand_over(3, marked=True)
    owner.disk.withdraw()
    owner.disk.sync()
    assert owner.disk.marks == 0
    owner.write(4, 5, marked=True)
    owner.write(6)
    assert owner.disk.marks == 2


# ---- lying disks ----


def lie_and_cut(seed: int, *, about_s: float = 100.0) -> Owner:
    owner = Owner(seed)
    owner.write(1, 2, 3)
    owner.disk.lie(about_s)
    owner.write(4, 5, 6)
    owner.hand_over(7)
    owner.disk.crash(power=True)
    return owner


def test_a_lying_disk_loses_some_of_what_it_said_it_had_synced() -> None:
    assert {lie_and_cut(seed).rows for seed in SEEDS} == {3, 4, 5}


def test_a_lying_disk_loses_what_is_recent_only() -> None:
    assert {lie_and_cut(seed, about_s=1.5).rows for seed in SEEDS} == {5}


def test_what_a_lying_disk_lost_is_noticed_if_the_watermark_did_not_lag() -> None:
    noticed = set()
    for seed in SEEDS:
        owner = lie_and_cut(seed)
        opening = owner.disk.open()
        assert opening.rolled_back is not None
        assert opening.rolled_back.batches == 6 - owner.rows
        assert not opening.clean
        noticed.add(opening.rolled_back.noticed)
    assert noticed == {True, False}


def test_a_disk_lies_only_about_power() -> None:
    owner = Owner()
    owner.disk.lie(100)
    owner.write(1, 2)
    owner.disk.crash(power=False)
    assert owner.rows == 2


def test_a_disk_that_has_become_honest_keeps_all() -> None:
    owner = Owner()
    owner.disk.lie(100)
    owner.write(1, 2)
    owner.disk.be_honest()
    owner.disk.crash(power=True)
    assert owner.rows == 2


# ---- backups ----


def test_an_earlier_database_is_noticed_by_the_watermark() -> None:
    owner = Owner()
    owner.write(1)
    backup = owner.disk.back_up()
    owner.write(2, 3)
    owner.stop()
    owner.disk.put_back(backup, whole=False)
    noticed = facts.RolledBack(batches=2, noticed=True)
    assert owner.disk.open() == Opening(clean=False, rolled_back=noticed)
    assert owner.rows == 1


def test_nobody_can_tell_that_a_whole_folder_was_put_back() -> None:
    owner = Owner()
    owner.write(1)
    backup = owner.disk.back_up()
    owner.write(2, 3)
    owner.stop()
    owner.disk.put_back(backup, whole=True)
    unnoticed = facts.RolledBack(batches=2, noticed=False)
    assert owner.disk.open() == Opening(clean=False, rolled_back=unnoticed)


def test_a_folder_that_was_copied_while_nothing_ran_opens_clean() -> None:
    owner = Owner()
    owner.write(1)
    owner.stop()
    owner.disk.open()
    backup = owner.disk.back_up()
    owner.disk.was_clean = False
    owner.write(2)
    owner.disk.put_back(backup, whole=True)
    assert owner.disk.open().clean


def test_what_was_written_since_is_lost_even_if_the_numbers_do_not_tell() -> None:
    owner = Owner()
    first = owner.disk.back_up()
    owner.write(1)
    second = owner.disk.back_up()
    owner.disk.put_back(first, whole=False)
    owner.disk.open()
    owner.write(1)
    owner.disk.put_back(second, whole=False)
    assert owner.disk.open().rolled_back == facts.RolledBack(batches=1, noticed=False)


def test_what_is_put_back_onto_what_was_put_back_is_lost_all_the_same() -> None:
    owner = Owner()
    empty = owner.disk.back_up()
    owner.write(1)
    full = owner.disk.back_up()
    owner.disk.put_back(empty, whole=False)
    between = owner.disk.back_up()
    owner.disk.put_back(full, whole=False)
    owner.disk.open()
    owner.disk.put_back(between, whole=False)
    assert owner.disk.open().rolled_back == facts.RolledBack(batches=1, noticed=True)


def test_what_a_liar_lost_is_not_made_good_by_a_backup_of_what_it_left() -> None:
    owner = lie_and_cut(1)
    left = owner.rows
    owner.disk.put_back(owner.disk.back_up(), whole=True)
    rolled_back = owner.disk.open().rolled_back
    assert rolled_back is not None
    assert rolled_back.batches == 6 - left


def test_what_was_lost_is_told_once() -> None:
    owner = Owner()
    backup = owner.disk.back_up()
    owner.write(1)
    owner.disk.put_back(backup, whole=False)
    assert owner.disk.open().rolled_back is not None
    assert owner.disk.open().rolled_back is None


def test_to_put_back_what_is_there_is_no_roll_back() -> None:
    owner = Owner()
    owner.write(1)
    owner.stop()
    owner.disk.put_back(owner.disk.back_up(), whole=False)
    assert owner.disk.open() == Opening(clean=True)


# ---- full and slow disks ----


def test_a_full_disk_takes_no_batch_and_no_blob() -> None:
    owner, files = Owner(), MemoryFiles()
    owner.disk.full = True
    with pytest.raises(DiskFull):
        owner.hand_over(1)
    files.bytes_max = 0
    with files.draft() as draft, pytest.raises(Temporary):
        draft.write([b"x"])
    files.bytes_max = None
    with files.draft() as draft:
        draft.write([b"x"])
        draft.place()


def test_a_sync_takes_longer_on_a_slow_disk() -> None:
    disk = Owner().disk
    assert all(SYNC_S / 2 <= disk.sync_delay_s() <= SYNC_S * 1.5 for _ in range(100))
    disk.slower_s = 3.0
    assert 3 <= disk.sync_delay_s() <= 3.1


# ---- whatever happens ----


class Life(Owner):
    """Writes, crashes and opens; knows what it was told to be durable."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.acknowledged = 0

    def step(self, what: str) -> None:
        match what:
            case "write":
                self.write(self.disk.commit + 1)
                self.acknowledged = self.rows
            case "hand over":
                if not self.disk.unsynced:
                    self.hand_over(self.disk.commit + 1)
            case "stop":
                self.disk.sync()
                self.acknowledged = self.rows
                self.stop()
                assert self.disk.open() == Opening(clean=True)
                self.disk.was_clean = False
            case _:
                self.disk.crash(power=what == "power")
                opening = self.disk.open()
                assert opening == Opening(clean=False)


@given(
    st.lists(st.sampled_from(["write", "hand over", "stop", "kill", "power"]), max_size=15),
    st.integers(0, 99),
)
def test_an_honest_disk_keeps_all_that_it_acknowledged(steps: list[str], seed: int) -> None:
    life = Life(seed)
    for step in steps:
        life.step(step)
        assert life.rows >= life.acknowledged
