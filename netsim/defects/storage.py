"""Wrong decisions of what lies between a machine and its disk."""

from dataclasses import replace

from netsim import facts
from netsim.checks.feeds import AcknowledgedSurvives, DurableWhenSaid, WholeBatches
from netsim.defects import plans
from netsim.defects.planting import Defect, planting
from netsim.disks import SimulatedDisk
from netsim.lean.writer import Writer
from qbix_node.ports import Delete, Put

_begin = Writer._begin
_crash = SimulatedDisk.crash


def _answer_before_sync(writer: Writer) -> None:
    before = writer._under_way
    _begin(writer)
    if writer._under_way is not before:
        answers = [each.done for each in writer._under_way]
        writer._under_way = [replace(each, done=_nothing) for each in writer._under_way]
        for done in answers:
            done()


def _nothing() -> object:
    return None


def _tear(disk: SimulatedDisk, *, power: bool) -> facts.Crashed:
    """Of the first batch under way half is applied."""
    if disk._unsynced:
        first = disk._unsynced[0]
        disk._apply(first[: len(first) // 2])
        disk._unsynced.clear()
    return _crash(disk, power=power)


def _forget_what_was_last(disk: SimulatedDisk, *, power: bool) -> facts.Crashed:
    """The newest message of each feed is gone, too."""
    crashed = _crash(disk, power=power)
    for key, head in disk.scan(b"f/h", b"f/i", limit=1000):
        sequence = int.from_bytes(head[:8], "big")
        before = disk.get(b"f/m" + key[3:] + (sequence - 1).to_bytes(8, "big"))
        last = Delete(b"f/m" + key[3:] + sequence.to_bytes(8, "big"))
        earlier = (sequence - 1).to_bytes(8, "big") + before[:32] if before else b""
        disk._apply([last, Put(key, earlier) if earlier else Delete(key)])
    return crashed


STORAGE_DEFECTS = (
    Defect(
        "acknowledged before the sync",
        "a write counts as durable when it is handed to the disk",
        DurableWhenSaid.name,
        plans.writers,
        planting((Writer, "_begin", _answer_before_sync)),
    ),
    Defect(
        "batch applied in part",
        "a power cut leaves the first half of a batch",
        WholeBatches.name,
        plans.power_cuts,
        planting((SimulatedDisk, "crash", _tear)),
        seeds=(3, 4),
    ),
    Defect(
        "synced batch forgotten",
        "a power cut takes what was acknowledged last, and nothing tells",
        AcknowledgedSurvives.name,
        plans.power_cuts,
        planting((SimulatedDisk, "crash", _forget_what_was_last)),
    ),
)
