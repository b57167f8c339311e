"""A disk with faults: syncs that take time, full, torn, lying, put back (spec/storage.md).

It is the product's memory disk, with what lies beside the database: the watermark (section 3), by
which an opening finds out that something acknowledged is missing (section 4).
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from netsim import facts
from netsim.chance import Chance
from netsim.loop import Loop
from qbix_node.ports import Delete, Put, Rng, Write
from qbix_node.store.memory import MemoryDisk
from qbix_node.store.writer import COMMIT_KEY, read_commit

LIES_MAX = 4096  # batches that a lying disk may take back


@dataclass(frozen=True, slots=True)
class Opening:
    """`clean`: the node may rely on what it remembers of its peers. `rolled_back`: what was
    acknowledged and is gone, if anything; a person had the store repaired if it was noticed.
    """

    clean: bool
    rolled_back: facts.RolledBack | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """The folder of a store, as it was once."""

    rows: Mapping[bytes, bytes]
    watermark: int
    was_clean: bool
    acknowledged: int
    put_backs: int  # before it was made


@dataclass(frozen=True, slots=True)
class _Lie:
    """A batch that was said to be synced, and what it put aside."""

    at_s: float
    before: Mapping[bytes, bytes | None]


class SimulatedDisk(MemoryDisk):
    """A member calls `open` when it starts and `crash` when it dies; after a clean stop `was_clean`
    is set, by the store or by the member.
    """

    __slots__ = (
        "_acknowledged",
        "_crash_draws",
        "_crashed",
        "_lies",
        "_loop",
        "_lost",
        "_lying_s",
        "_put_backs",
        "_settled",
        "_sync_draws",
        "_watermark",
        "appended",
        "slower_s",
        "sync_s",
        "tears",
    )

    def __init__(self, loop: Loop, chance: Chance, number: int, *, sync_s: float) -> None:
        super().__init__()
        self.sync_s = sync_s
        self.slower_s = 0.0
        self.tears = False  # when power is cut, a batch under way is half on the platter
        self.appended: Callable[[], object] | None = None  # called when a batch is handed over
        self._loop = loop
        self._sync_draws = chance.draws("disk", number)
        self._crash_draws = chance.draws("crash", number)
        # Batches that the node was told to be durable, ever: their numbers begin anew after a loss.
        self._acknowledged = 0
        self._put_backs = 0
        self._lost = 0  # of them, since the last opening
        self._watermark = 0
        # The watermark that was synced: at the last opening or closing, or after a marked batch.
        self._settled = 0
        self._crashed = False  # since it was opened
        self._lying_s = 0.0
        self._lies: deque[_Lie] | None = None

    @property
    def commit(self) -> int:
        return read_commit(self.get(COMMIT_KEY))

    # ---- writing ----

    def append(self, writes: Sequence[Write], *, marked: bool = False) -> None:
        super().append(writes, marked=marked)
        if self.appended is not None:
            self.appended()

    def sync_delay_s(self) -> float:
        """How long the next sync takes."""
        return self.sync_s * self._sync_draws.between(0.5, 1.5) + self.slower_s

    def sync(self) -> None:
        if self._lies is not None:
            self._remember_what_was(self._lies)
        self._acknowledged += self.unsynced
        settles = self._to_mark and self._lies is None  # who lies about batches lies about marks
        super().sync()
        self._watermark = self.commit
        if settles:
            self._settled = self._watermark

    # ---- opening, and the ends of a process ----

    def open(self) -> Opening:
        """What the store finds; then the watermark is settled."""
        commit = self.commit
        lost, noticed = self._lost, commit < self._watermark
        # SPEC storage 3: `closed` with the number of the newest batch: the last stop was clean.
        self.was_clean = self.was_clean and commit == self._watermark
        self._watermark = self._settled = commit
        self._lost, self._crashed = 0, False
        rolled_back = facts.RolledBack(lost, noticed=noticed) if lost > 0 else None
        return Opening(self.was_clean, rolled_back)

    def crash(self, *, power: bool) -> facts.Crashed:
        """The process ends. What was handed over and not synced is there or not, from its first
        batch to any. With the power, the watermark may lag, and what the disk lied about goes.
        """
        under_way = self.unsynced
        torn = power and self.tears and under_way > 0
        if power:
            self._watermark -= self._crash_draws.below(self._watermark - self._settled + 1)
        kept = 0  # after what is missing a recovery takes nothing
        if not (power and self._take_back()):
            kept = self._crash_draws.below(under_way + (0 if torn else 1))
        del self._unsynced[kept:]
        self._recover()  # nobody is told, and the watermark is not written either
        self.was_clean = False
        self._crashed = True
        return facts.Crashed(power, lost=under_way - kept, torn=torn)

    def cut_power(self, rng: Rng) -> None:
        """As a store asks for it; nothing, if `crash` was called before. It has its own draws."""
        if not self._crashed:
            self.crash(power=True)

    # ---- disks that lie ----

    def lie(self, about_s: float) -> None:
        """From now on, what was synced is lost when power is cut: of the last seconds, at most."""
        self._lying_s = max(about_s, self._lying_s)
        if self._lies is None:
            self._lies = deque(maxlen=LIES_MAX)

    def be_honest(self) -> None:
        self._lying_s, self._lies = 0.0, None

    def _remember_what_was(self, lies: deque[_Lie]) -> None:
        for writes in self._unsynced:
            before: dict[bytes, bytes | None] = {}
            for write in writes:
                before.setdefault(write.key, self.get(write.key))
            lies.append(_Lie(self._loop.now, before))
        while lies and lies[0].at_s < self._loop.now - self._lying_s:
            lies.popleft()

    def _take_back(self) -> bool:
        """The last ones, at least one of them, if there are any."""
        lies = [lie for lie in self._lies or () if lie.at_s >= self._loop.now - self._lying_s]
        if not lies:
            return False
        kept = self._crash_draws.below(len(lies))
        self._lost += len(lies) - kept
        for lie in reversed(lies[kept:]):
            self._apply(
                [
                    Delete(key) if value is None else Put(key, value)
                    for key, value in lie.before.items()
                ]
            )
        if self._lies is not None:
            self._lies.clear()
        return True

    # ---- backups ----

    def back_up(self) -> Backup:
        return Backup(
            self.snapshot(), self._watermark, self.was_clean, self._acknowledged, self._put_backs
        )

    def put_back(self, backup: Backup, *, whole: bool, lost_beside: bool = False) -> None:
        """The database, as somebody does who restores a backup. `whole`: with the watermark.
        `lost_beside`: so is what lay beside it, and not all of that is there.
        """
        lost = max(int(lost_beside), self._acknowledged - backup.acknowledged)
        if backup.put_backs != self._put_backs and backup.rows != self._rows:
            lost = max(1, lost)  # what is there is no continuation of the backup
        self._lost = max(self._lost, lost)
        self._put_backs += 1
        self.roll_back(backup.rows)
        if self._lies is not None:
            self._lies.clear()
        if whole:
            self._watermark, self.was_clean = backup.watermark, backup.was_clean
