"""What the results of a sweep say together: failures, and whether what is listed did happen."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from netsim.verdict import Result, Verdict, worst
from qbix_node.wire.v8json import JsonValue

SHARE_MIN = 0.02  # of the seeds: an event that is rarer has hardly been tested
SEEDS_MIN = 50  # of fewer nobody can say so: once in them would be more than that


@dataclass(frozen=True, slots=True)
class Failure:
    seed: int
    verdict: Verdict
    check: str  # that said so
    what: str
    trace_sha256: str | None
    command: str


@dataclass(frozen=True, slots=True)
class Summary:
    """`events`: of those that are listed, in how many seeds each one happened."""

    scenario: str
    driver: str
    commit: str
    seeds: int
    command: str  # that sweeps all of them again
    incomplete: int  # did not fail, but something happened not that should in every run
    failures: tuple[Failure, ...]
    events: Mapping[str, int]
    nodes: tuple[int, int]  # the smallest and the largest network
    kinds: tuple[int, int]  # kinds of fault, in the run with the fewest and with the most
    forks_made: int
    forks_proven: int
    messages: int
    cpu_s: float
    virtual_s: float

    @property
    def rare(self) -> tuple[str, ...]:
        if not self.judges_shares:
            return ()
        return tuple([e for e, count in self.events.items() if count < SHARE_MIN * self.seeds])

    @property
    def judges_shares(self) -> bool:
        return self.seeds >= SEEDS_MIN

    def verdict(self, *, whole: bool = True) -> Verdict:
        """Of a part of a sweep nobody can tell which events are rare."""
        failed = [each.verdict for each in self.failures]
        return worst([*failed, Verdict.MISSING] if whole and self.rare else failed)


def summarise(results: Iterable[Result]) -> Summary:
    """Of one job. A seed counts once, even if shards overlap."""
    by_seed: dict[int, Result] = {}
    failures: list[Failure] = []
    for result in results:
        seed = _whole(result, "seed")
        first = by_seed.setdefault(seed, result)
        if first.get("trace_sha256") != result.get("trace_sha256"):
            failures.append(
                _failure(result, Verdict.SAFETY, "runs are repeatable", "it has two traces")
            )
    runs = [by_seed[seed] for seed in sorted(by_seed)]
    failures += [_failure(run, _verdict(run), *_first(run)) for run in runs if _failed(run)]
    events: Counter[str] = Counter()
    for run in runs:
        events.update({name: int(bool(count)) for name, count in _table(run, "sometimes").items()})
    complete = [run for run in runs if "faults" in run]
    forks = [_table(run, "forks") for run in complete]
    kinds = [_table(run, "faults").get("kinds") for run in complete]
    return Summary(
        scenario=str(runs[0].get("scenario")) if runs else "",
        driver=str(runs[0].get("driver")) if runs else "",
        commit=str(runs[0].get("commit")) if runs else "",
        seeds=len(runs),
        command=_sweep_command(runs) if runs else "",
        incomplete=sum([_verdict(run) is Verdict.MISSING for run in runs]),
        failures=tuple(sorted(failures, key=lambda each: (each.verdict, each.seed))),
        events=events,
        nodes=_bounds([_whole(run, "nodes") for run in complete]),
        kinds=_bounds([len(each) for each in kinds if isinstance(each, list)]),
        forks_made=sum([_whole(each, "made") for each in forks]),
        forks_proven=sum([_whole(each, "proven") for each in forks]),
        messages=sum([_whole(run, "messages") for run in complete]),
        cpu_s=sum([_number(run, "cpu_s") for run in complete]),
        virtual_s=sum([_number(run, "virtual_s") for run in complete]),
    )


def as_json(summary: Summary, *, whole: bool = True) -> Result:
    share = 1 / max(1, summary.seeds)
    return {
        "scenario": summary.scenario,
        "driver": summary.driver,
        "commit": summary.commit,
        "seeds": summary.seeds,
        "exit": int(summary.verdict(whole=whole)),
        "failed": len(summary.failures),
        "incomplete": summary.incomplete,
        "failures": [
            {
                "seed": each.seed,
                "exit": int(each.verdict),
                "check": each.check,
                "what": each.what,
                "trace_sha256": each.trace_sha256,
                "command": each.command,
            }
            for each in summary.failures
        ],
        "sometimes": {
            name: {"seeds": count, "share": round(count * share, 6)}
            for name, count in summary.events.items()
        },
        "rare": list(summary.rare),
        "nodes": list(summary.nodes),
        "fault_kinds": list(summary.kinds),
        "forks": {"made": summary.forks_made, "proven": summary.forks_proven},
        "messages": summary.messages,
        "virtual_s": round(summary.virtual_s, 3),
        "cpu_hours": round(summary.cpu_s / 3600, 6),
    }


def _sweep_command(runs: Sequence[Result]) -> str:
    """From that of a single run (netsim.job): all seeds from the first to the last."""
    first, last = [_whole(run, "seed") for run in (runs[0], runs[-1])]
    words = shlex.split(str(runs[0].get("command")))
    if "run" not in words or "--seed" not in words:
        return "unknown"
    place = words.index("--seed")
    words[words.index("run")] = "sweep"
    words[place : place + 2] = ["--seeds", f"{first}:{last + 1}"]
    return shlex.join([*words, "--out", "again.jsonl"])


def _first(result: Result) -> tuple[str, str]:
    """Of what went wrong: which check said so, and what."""
    violations, stalled = result.get("violations"), result.get("stalled")
    if isinstance(violations, list) and violations and isinstance(violations[0], dict):
        first = violations[0]
        return str(first.get("check")), f"{first.get('what')}{_more(len(violations))}"
    if isinstance(stalled, list) and stalled:
        return "settles", f"{stalled[0]}{_more(max(len(stalled), _whole(result, 'stalled_count')))}"
    return "", ""


def _more(complaints: int) -> str:
    return f" (and {complaints - 1} more)" if complaints > 1 else ""


def _failed(run: Result) -> bool:
    return _verdict(run) in (Verdict.SAFETY, Verdict.LIVENESS)


def _verdict(run: Result) -> Verdict:
    return Verdict(_whole(run, "exit"))


def _failure(run: Result, verdict: Verdict, check: str, what: str) -> Failure:
    trace = run.get("trace_sha256")
    hexed = trace if isinstance(trace, str) else None
    return Failure(_whole(run, "seed"), verdict, check, what, hexed, str(run.get("command")))


def _bounds(counts: Sequence[int]) -> tuple[int, int]:
    return (min(counts), max(counts)) if counts else (0, 0)


def _whole(table: Mapping[str, JsonValue], key: str) -> int:
    value = table.get(key)
    return value if isinstance(value, int) else 0


def _number(table: Mapping[str, JsonValue], key: str) -> float:
    value = table.get(key)
    return value if isinstance(value, int | float) else 0.0


def _table(table: Mapping[str, JsonValue], key: str) -> Mapping[str, JsonValue]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}
