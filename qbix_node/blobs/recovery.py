"""What the store and the files say about blobs after a restart (spec/blobs.md 7)."""

from collections.abc import Iterator, Mapping

from qbix_node.blobs.limits import Limits
from qbix_node.blobs.machine import WANT, BlobExchange
from qbix_node.blobs.quota import MARK, SympathyQuota
from qbix_node.ports import Delete, Rows, Write
from qbix_node.wire.references import BlobId

_CHUNK = 1000


def recover(
    rows: Rows, held: Mapping[BlobId, int], limits: Limits
) -> tuple[BlobExchange, list[Write]]:
    """The machine, and the writes that clear what a crash left between two steps."""
    wants = [BlobId(key) for key, _ in _records(rows, WANT)]
    marks = [(int.from_bytes(order, "big"), BlobId(key)) for key, order in _records(rows, MARK)]
    quota = SympathyQuota(limits.sympathy_bytes_max)
    for order, blob in sorted(marks):
        if blob in held:
            quota.restore(blob, held[blob], order)
    stale: list[Write] = [Delete(WANT + blob) for blob in wants if blob in held]
    stale += [Delete(MARK + blob) for _, blob in marks if blob not in held]
    own = [blob for blob in wants if blob not in held]
    return BlobExchange(limits, held, own, quota), stale


def _records(rows: Rows, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys without their prefix."""
    start, stop = prefix, prefix[:-1] + bytes([prefix[-1] + 1])
    while chunk := rows.scan(start, stop, limit=_CHUNK):
        yield from [(key.removeprefix(prefix), value) for key, value in chunk]
        start = chunk[-1][0] + b"\0"
