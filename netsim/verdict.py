"""What came out of a run, for programs: its result as JSON, and the exit code that it means."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from enum import IntEnum

from netsim.running import Outcome
from qbix_node.wire.v8json import JsonValue

Result = dict[str, JsonValue]


class Verdict(IntEnum):
    """The exit code of a run. Of a sweep the worst one counts, which is the smallest but OK."""

    OK = 0
    SAFETY = 10  # something happened that never may
    LIVENESS = 11  # it did not come right after all faults were over
    MISSING = 12  # an expected event never happened: the run proves too little


def verdict_of(outcome: Outcome) -> Verdict:
    if outcome.violations:
        return Verdict.SAFETY
    if outcome.stalled:
        return Verdict.LIVENESS
    return Verdict.MISSING if outcome.missing else Verdict.OK


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    return min([each for each in verdicts if each], default=Verdict.OK)


def result_of(outcome: Outcome, listed: Sequence[str]) -> Result:
    """`listed`: the events that the scenario speaks of, in every run or in a sweep."""
    plan = outcome.plan
    return {
        "nodes": len(plan.nodes),
        "trace_sha256": outcome.trace_sha256,
        "state_sha256": outcome.state_sha256,
        "exit": int(verdict_of(outcome)),
        "safety": "violated" if outcome.violations else "ok",
        "liveness": "stalled" if outcome.stalled else "ok",
        "violations": [asdict(each) for each in outcome.violations],
        "stalled": [asdict(each) for each in outcome.unsettled],
        "stalled_count": outcome.stalled_count,
        "sometimes": {name: outcome.events.get(name, 0) for name in listed},
        "missing": list(outcome.missing),
        "events": dict(outcome.events),
        "forks": {
            "made": outcome.forks_made,
            "proven": outcome.forks_proven,
            "detection_s": _percentiles(outcome.detection_s),
        },
        "finality_s": _percentiles(()),  # of a later protocol
        **({"dht": dict(outcome.figures)} if outcome.figures else {}),
        "faults": {
            "count": len(plan.faults),
            "kinds": [*sorted({each.fault.value for each in plan.faults})],
        },
        "messages": outcome.messages,
        "bytes": outcome.bytes_sent,
        "duration_s": plan.duration_s,
        "virtual_s": round(outcome.virtual_s, 6),
        "cpu_s": round(outcome.cpu_s, 4),
    }


def failed_result(verdict: Verdict, what: str) -> Result:
    """Of a run that did not come to its end; nothing else is known of it."""
    safe = verdict is not Verdict.SAFETY
    violation: Result = {"check": "the run ends", "spec": "", "at_s": 0, "node": 0, "what": what}
    return {
        "trace_sha256": None,
        "exit": int(verdict),
        "safety": "ok" if safe else "violated",
        "liveness": "stalled" if safe else "ok",
        "violations": [] if safe else [violation],
        "stalled": [{"spec": "", "what": what}] if safe else [],
    }


def percentile(ascending: Sequence[float], share: float) -> float | None:
    """The smallest that is not exceeded by this share of them (nearest rank)."""
    if not ascending:
        return None
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


def _percentiles(ascending: Sequence[float]) -> JsonValue:
    found = [percentile(ascending, share) for share in (0.5, 0.99)]
    p50, p99 = [None if each is None else round(each, 6) for each in found]
    return {"p50": p50, "p99": p99}
