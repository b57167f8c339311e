"""Wrong doings of the product's own services, below and around the machines that decide; planted
where only the trio driver comes by.
"""

from collections.abc import Awaitable, Callable

from netsim.checks.blobs import RightBytes
from netsim.checks.feeds import AppendOnly, DurableWhenSaid
from netsim.checks.forks import EvidenceStands
from netsim.defects import plans
from netsim.defects.feeds import find_no_forks, heads_of_yesterday
from netsim.defects.planting import Defect, planting
from qbix_node.blobs import service as blob_service
from qbix_node.blobs.downloading import WrongBytes, download
from qbix_node.blobs.files import Draft
from qbix_node.blobs.messages import Get
from qbix_node.net.link import Link
from qbix_node.replication import service as replication_service
from qbix_node.runtime import Executor
from qbix_node.store.writer import GroupCommit, put_commit


async def _acknowledge_first(writer: GroupCommit) -> None:
    """Who leads learns it last, being the one who waits for the disk."""
    batch = writer._take()
    writes = [write for each in batch for write in each.writes]
    writer._acknowledge(batch)
    await writer._disk.commit([*writes, put_commit(writer.commit)], writer.commit, marked=False)


async def _take_any_bytes(
    link: Link, get: Get, draft: Draft, executor: Executor, progress: Callable[[], Awaitable[None]]
) -> None:
    try:
        await download(link, get, draft, executor, progress)
    except WrongBytes:
        if draft.size > get.size:
            raise


SERVICE_DEFECTS = (
    Defect(
        "store acknowledges before the sync",
        "group commit wakes who waits for a batch before the disk has it",
        DurableWhenSaid.name,
        plans.sharing_on_slow_disks,
        planting((GroupCommit, "_commit_batch", _acknowledge_first)),
        driver="trio",
    ),
    Defect(
        "download does not compare the hash",
        "what a peer's blobs.get brought is placed, whatever it is",
        RightBytes.name,
        plans.blob_liar,
        planting((blob_service, "download", _take_any_bytes)),
        driver="trio",
    ),
    Defect(
        "service forgets forks at a start",
        "replication opens without the evidence that is stored",
        EvidenceStands.name,
        plans.equivocator_and_restarts,
        planting((replication_service, "read_forked", find_no_forks)),
        driver="trio",
    ),
    Defect(
        "service starts on a stale tip",
        "replication opens without the newest message of each feed",
        AppendOnly.name,
        plans.power_cuts,
        planting((replication_service, "read_heads", heads_of_yesterday)),
        driver="trio",
    ),
)
