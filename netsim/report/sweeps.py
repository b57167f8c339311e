"""Reads the files of a sweep, a JSON result in each line, into what its page shows."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from netsim.report.fields import Fields, parse
from netsim.report.shares import quantile, share
from netsim.summary import SHARE_MIN
from qbix_node.errors import BadInput

_FILE_BYTES_MAX = 1 << 30
_GREEN, _RED, _STALLED, _MISSING = "green", "safety", "liveness", "missing"
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
    """Raises BadInput, if not a single line is a result."""
    results, foreign = _results(paths)
    if not results:
        raise BadInput(
            f"{', '.join(map(str, paths))}: neither a trace nor results of a sweep",
            hint="netsim run --trace FILE or netsim sweep --out FILE writes what can be reported",
        )
    rows = [_row(each) for each in results]
    names = sorted({each.text("scenario") or "unknown" for each in results})
    name = ", ".join(names)
    failed = sum(row["verdict"] in (_RED, _STALLED) for row in rows)
    data: dict[str, object] = {
        "name": name,
        "commits": sorted({each.text("commit") for each in results} - {""}),
        "drivers": sorted({each.text("driver") for each in results} - {""}),
        "foreign": foreign,
        "rows": rows,
        "failed": asdict(share(failed, len(rows))),
        "events": _events(results),
        "shareMin": SHARE_MIN,
        "measures": [
            {"key": key, "title": title, "quantiles": _quantiles(rows, key)}
            for key, title in _MEASURES.items()
            if any(row[key] is not None for row in rows)
        ],
        "detections": {
            part: sorted(x for row in rows if isinstance(x := row[part], float))
            for part in ("p50", "p99")
        },
    }
    return SweepShown(name, data)


def _results(paths: Sequence[Path]) -> tuple[list[Fields], int]:
    """Each run once, by its seed, and how many lines are something else."""
    found: dict[tuple[str, ...], Fields] = {}
    foreign = 0
    for line in _lines(paths):
        try:
            result = parse(line, "a result")
        except BadInput:
            foreign += 1
            continue
        if result.text("seed") == "":
            foreign += 1
            continue
        run = tuple(result.text(key) for key in ("scenario", "seed", "commit", "driver"))
        if run not in found or found[run].number("patience_s") is not None:
            found[run] = result  # who was given up may have been run again
    return sorted(found.values(), key=_order), foreign


def _lines(paths: Sequence[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            if path.stat().st_size > _FILE_BYTES_MAX:
                raise BadInput(f"{path} is larger than {_FILE_BYTES_MAX} bytes")
            yield from (line for line in path.read_bytes().splitlines() if line.strip())
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from error


def _order(result: Fields) -> tuple[str, float, str]:
    return result.text("scenario"), result.number("seed") or 0.0, result.text("seed")


def _row(result: Fields) -> dict[str, object]:
    forks = result.inner("forks")
    detection = forks.inner("detection_s")
    virtual, planned = result.number("virtual_s"), result.number("duration_s")
    seed, scenario = result.text("seed"), result.text("scenario") or "unknown"
    return {
        "scenario": scenario,
        "seed": seed,
        "verdict": _verdict(result),
        "what": _what(result),
        "command": result.text("command") or f"python -m netsim run {scenario} --seed {seed}",
        "nodes": result.whole("nodes"),
        "faults": result.inner("faults").whole("count"),
        "kinds": len(result.inner("faults").texts("kinds")),
        "made": forks.whole("made"),
        "proven": forks.whole("proven"),
        "p50": detection.number("p50"),
        "p99": detection.number("p99"),
        "calm": None if virtual is None or planned is None else max(virtual - planned, 0.0),
        "virtual": virtual,
        "messages": result.number("messages"),
        "bytes": result.number("bytes"),
        "cpu": result.number("cpu_s"),
    }


def _verdict(result: Fields) -> str:
    if result.text("safety") == "violated" or result.rows("violations"):
        return _RED
    if result.text("liveness") == "stalled" or result.texts("stalled"):
        return _STALLED
    return _MISSING if result.texts("missing") else _GREEN


def _what(result: Fields) -> str:
    """The first thing that went wrong."""
    for violation in result.rows("violations"):
        return f"{violation.text('check')}: {violation.text('what')}"
    for line in (*result.texts("stalled"), *result.texts("missing")):
        return line
    return ""


def _events(results: Sequence[Fields]) -> list[dict[str, object]]:
    """In how many seeds each event happened. `listed`: by the scenario; those seeds count."""
    seen: dict[str, list[bool]] = {}
    for result in results:
        for name, count in result.inner("sometimes").counts():
            seen.setdefault(name, []).append(count > 0)
    listed = list(seen)
    told = [dict(result.inner("events").counts()) for result in results]
    for name in sorted({name for events in told for name in events} - set(listed)):
        seen[name] = [events.get(name, 0) > 0 for events in told]
    rows = [(name in listed, name, share(sum(seeds), len(seeds))) for name, seeds in seen.items()]
    rows.sort(key=lambda row: (not row[0], row[2].some, row[1]))  # listed ones, the rarest first
    return [{"name": name, "listed": is_listed, **asdict(of)} for is_listed, name, of in rows]


def _quantiles(rows: Sequence[dict[str, object]], key: str) -> dict[str, float | None]:
    values = [x for row in rows if isinstance(x := row[key], float)]
    return {f"p{part}": quantile(values, part / 100) for part in (50, 90, 99)}
