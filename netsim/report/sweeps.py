"""Reads the files of a sweep, a JSON result in each line, into what its page shows.

Which files stand together, and what they say, is judged as by `netsim summary`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from netsim.report.fields import Fields, fields_of
from netsim.report.shares import quantile, share
from netsim.summary import SEEDS_MIN, SHARE_MIN, Failure, Summary, summarise, verdict_of_run
from netsim.sweep import patience_of, read_results
from netsim.verdict import Result, Verdict
from qbix_node.errors import BadInput

_FILE_BYTES_MAX = 1 << 30
_NAMES = {
    Verdict.OK: "green",
    Verdict.SAFETY: "safety",
    Verdict.LIVENESS: "liveness",
    Verdict.MISSING: "missing",
}
_MEASURES = {  # what is shown as a distribution over the seeds
    "calm": "from the end of faults to calm",
    "virtual": "virtual time",
    "messages": "packets",
    "cpu": "processor time",
}


@dataclass(frozen=True, slots=True)
class SweepShown:
    name: str
    data: dict[str, object]


def read_sweep(paths: Sequence[Path]) -> SweepShown:
    """Raises BadInput, if a line is no result or results are not of one sweep."""
    results = _results(paths)
    summary = summarise(results)
    by_seed: dict[int, Result] = {}
    for each in results:  # the first counts, unless it was given up and run again
        if patience_of(each) > patience_of(by_seed.setdefault(_seed(each), each)):
            by_seed[_seed(each)] = each
    runs = [by_seed[seed] for seed in sorted(by_seed)]
    failures: dict[int, Failure] = {each.seed: each for each in reversed(summary.failures)}
    rows = [_row(run, failures.get(_seed(run))) for run in runs]
    commands = {row["seed"]: row["command"] for row in rows}
    data: dict[str, object] = {
        "name": summary.scenario,
        "commit": summary.commit,
        "driver": summary.driver,
        "verdict": _NAMES[summary.verdict()],
        "gaps": summary.gaps,
        "seedsMin": 0 if summary.judges_shares else SEEDS_MIN,
        "rows": rows,
        "failures": [_failure(each, commands) for each in summary.failures],
        "failed": asdict(share(len(failures), len(rows))),
        "events": _events(summary, [fields_of(run) for run in runs]),
        "shareMin": SHARE_MIN,
        "measures": _measures(rows),
        "detections": {
            part: sorted(x for row in rows if isinstance(x := row[part], float))
            for part in ("p50", "p99")
        },
    }
    return SweepShown(summary.scenario, data)


def _results(paths: Sequence[Path]) -> list[Result]:
    for path in paths:
        if path.exists() and path.stat().st_size > _FILE_BYTES_MAX:
            raise BadInput(f"{path} is larger than {_FILE_BYTES_MAX} bytes")
    return list(read_results(paths))


def _seed(result: Result) -> int:
    seed = result["seed"]
    assert isinstance(seed, int)  # read_results refuses others
    return seed


def _failure(failure: Failure, commands: Mapping[object, object]) -> dict[str, object]:
    seed = str(failure.seed)
    return {
        "seed": seed,
        "verdict": _NAMES[failure.verdict],
        "what": _complaint(failure),
        "command": commands[seed],
    }


def _complaint(failure: Failure) -> str:
    named = failure.check and failure.check != "settles"
    return f"{failure.check}: {failure.what}" if named else failure.what


def _row(run: Result, failure: Failure | None) -> dict[str, object]:
    result = fields_of(run)
    forks = result.inner("forks")
    detection = forks.inner("detection_s")
    virtual, planned = result.number("virtual_s"), result.number("duration_s")
    calm = None if virtual is None or planned is None else max(virtual - planned, 0.0)
    stalled = result.text("liveness") == "stalled" or bool(result.rows("stalled"))
    seed, scenario = result.text("seed"), result.text("scenario") or "unknown"
    missing = ", ".join(result.texts("missing"))
    return {
        "seed": seed,
        "verdict": _NAMES[failure.verdict if failure else verdict_of_run(run)],
        "what": _complaint(failure) if failure else missing,
        "command": result.text("command") or f"python -m netsim run {scenario} --seed {seed}",
        "nodes": result.whole("nodes"),
        "faults": result.inner("faults").whole("count"),
        "kinds": len(result.inner("faults").texts("kinds")),
        "made": forks.whole("made"),
        "proven": forks.whole("proven"),
        "p50": detection.number("p50"),
        "p99": detection.number("p99"),
        "calm": None if stalled else calm,
        "never": stalled and calm is not None,  # became calm, although it ran to its end
        "virtual": virtual,
        "messages": result.number("messages"),
        "bytes": result.number("bytes"),
        "cpu": result.number("cpu_s"),
    }


def _events(summary: Summary, results: Sequence[Fields]) -> list[dict[str, object]]:
    """In how many seeds each event happened. `listed`: by the scenario; it may be too rare."""
    rare = summary.rare if summary.judges_rarity else ()
    told = [dict(result.inner("events").counts()) for result in results]
    unlisted = {name for events in told for name in events} - set(summary.events)
    some: Mapping[str, int] = dict(summary.events) | {
        name: sum(events.get(name, 0) > 0 for events in told) for name in unlisted
    }
    rows = [(name not in unlisted, name, share(each, summary.seeds)) for name, each in some.items()]
    rows.sort(key=lambda row: (not row[0], row[2].some, row[1]))  # listed ones, the rarest first
    return [
        {"name": name, "listed": listed, "rare": name in rare, **asdict(of)}
        for listed, name, of in rows
    ]


def _measures(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """`never`: how many have no value, because what is measured never happened."""
    measures: list[dict[str, object]] = []
    for key, title in _MEASURES.items():
        values = [x for row in rows if isinstance(x := row[key], float)]
        never = sum(bool(row["never"]) for row in rows) if key == "calm" else 0
        if not values and not never:
            continue
        quantiles = _quantiles([*values, *[math.inf] * never])
        measures.append({"key": key, "title": title, "never": never, "quantiles": quantiles})
    return measures


def _quantiles(values: Sequence[float]) -> dict[str, float | None]:
    """None: never."""
    found = {part: quantile(values, part / 100) for part in (50, 90, 99)}
    return {f"p{part}": None if value == math.inf else value for part, value in found.items()}
