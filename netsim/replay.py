"""Runs a trace's plan again, and finds the first record in which the two runs differ."""

from dataclasses import dataclass

from netsim.drivers import make_driver
from netsim.running import Outcome, run
from netsim.trace import RECORD, Record, unpack
from netsim.tracefile import TraceFile

_BLOCK = 4096 * RECORD.size


@dataclass(frozen=True, slots=True)
class Difference:
    """None where one of the runs was over."""

    place: int  # how many records are the same
    then: Record | None
    now: Record | None


def repeat(trace: TraceFile) -> Outcome:
    """With the code that is here. Raises BadInput, UsageError."""
    return run(trace.plan(), make_driver(trace.driver), keep_trace=True)


def compare(then: bytes, now: bytes) -> Difference | None:
    if then == now:
        return None
    start = 0
    while then[start : start + _BLOCK] == now[start : start + _BLOCK]:
        start += _BLOCK
    while then[start : start + RECORD.size] == now[start : start + RECORD.size]:
        start += RECORD.size
    return Difference(start // RECORD.size, _record(then, start), _record(now, start))


def _record(records: bytes, start: int) -> Record | None:
    return next(unpack(records[start : start + RECORD.size]), None)
