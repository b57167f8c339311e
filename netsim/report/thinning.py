"""Takes so many records out of a long trace that a browser can hold what is left.

Packets go first: each sending with what became of it, so that what is left still shows whole
journeys. Only then appends: the last of each node and feed stays, so that the end is right.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from netsim.trace import RECORD, Kind

RECORDS_MAX = 500_000
_THINNEST = 1 << 20  # one in so many is none

_Row = tuple[float, int, int, int, int, int]  # as netsim.trace.RECORD
_PACKETS = (Kind.SENT, Kind.DELIVERED, Kind.DROPPED)


@dataclass(frozen=True, slots=True)
class Thinned:
    """One in so many packets and appends is left. 0: none is."""

    records: bytes
    packets: int = 1
    appends: int = 1


def thin(records: bytes, *, records_max: int = RECORDS_MAX) -> Thinned:
    total = len(records) // RECORD.size
    if total <= records_max:
        return Thinned(records)
    kinds = [kind for _, kind, *_ in RECORD.iter_unpack(records)]
    packets = sum(kind in _PACKETS for kind in kinds)
    appends = kinds.count(Kind.APPENDED)
    one_packet_in = _one_in(packets, records_max - (total - packets))
    one_append_in = _one_in(appends, records_max - (total - packets - appends))
    left = records
    if one_packet_in > 1:
        left = _without_packets(left, one_packet_in)
    if one_append_in > 1:
        left = _without_appends(left, one_append_in)
    return Thinned(
        left,
        packets=0 if one_packet_in == _THINNEST else one_packet_in,
        appends=one_append_in,
    )


def _one_in(some: int, room: int) -> int:
    """The smallest power of two that makes `some` fit."""
    step = 1
    while some > room * step and step < _THINNEST:
        step *= 2
    return step


def _without_packets(records: bytes, step: int) -> bytes:
    # The i-th packet of a kind on a path arrives as the i-th of them: streams keep their order.
    counts: dict[tuple[object, ...], int] = defaultdict(int)

    def stays(row: _Row) -> bool:
        _, kind, node, peer, what, size = row
        if kind not in _PACKETS:
            return True
        sender, receiver = (peer, node) if kind == Kind.DELIVERED else (node, peer)
        key = (kind == Kind.SENT, sender, receiver, what, size)
        counts[key] += 1
        mixed = (sender * 1_000_003 + receiver * 8191 + what * 131 + size) * 2_654_435_761
        return (counts[key] + (mixed >> 16)) % step == 0

    return _those_that(records, stays)


def _without_appends(records: bytes, step: int) -> bytes:
    totals: dict[tuple[int, int], int] = defaultdict(int)
    for _, kind, node, _, feed, _ in RECORD.iter_unpack(records):
        if kind == Kind.APPENDED:
            totals[node, feed] += 1
    counts: dict[tuple[int, int], int] = defaultdict(int)

    def stays(row: _Row) -> bool:
        _, kind, node, _, feed, _ = row
        if kind != Kind.APPENDED:
            return True
        counts[node, feed] += 1
        return counts[node, feed] % step == 0 or counts[node, feed] == totals[node, feed]

    return _those_that(records, stays)


def _those_that(records: bytes, stays: Callable[[_Row], bool]) -> bytes:
    return b"".join(RECORD.pack(*row) for row in RECORD.iter_unpack(records) if stays(row))
