"""What the results of a sweep say together: failures, and whether what is listed did happen."""

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise

from netsim.checks.goals import Reached, add_up, reached
from netsim.sweep import patience_of
from netsim.verdict import Result, Verdict, worst
from qbix_node.errors import BadInput
from qbix_node.wire.v8json import JsonValue

_OF_ALL = ("scenario", "driver", "commit", "command")
_Bounds = tuple[int, int] | None  # the smallest and the largest, if there are any
SHARE_MIN = 0.02  # of the seeds: an event that is rarer has hardly been tested
SEEDS_MIN = 50  # of fewer nobody can say so: once in them would be more than that
GAPS_MAX = 10  # are named


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
    gaps: int  # seeds between the first and the last that are not there
    lacking: tuple[int, ...]  # the first GAPS_MAX of them
    command: str  # that sweeps all of them again
    failures: tuple[Failure, ...]
    events: Mapping[str, int]
    nodes: tuple[int, int]  # the smallest and the largest network
    kinds: tuple[int, int]  # kinds of fault, in the run with the fewest and with the most
    forks_made: int
    forks_proven: int
    messages: int
    cpu_s: float
    virtual_s: float
    dht: Mapping[str, JsonValue]  # figures of the hash table, added up; none of other runs

    @property
    def goals(self) -> list[Reached]:
        """Of the hash table."""
        return reached(self.dht) if self.dht else []

    @property
    def judges_shares(self) -> bool:
        return self.seeds >= SEEDS_MIN

    @property
    def judges_rarity(self) -> bool:
        """Nor if shards are missing, of which nothing but the gaps that they leave tells."""
        return self.judges_shares and self.gaps == 0

    @property
    def rare(self) -> tuple[str, ...]:
        if not self.judges_shares:
            return ()
        return tuple([e for e, count in self.events.items() if count < SHARE_MIN * self.seeds])

    def verdict(self, *, whole: bool = True) -> Verdict:
        """Of a part of a sweep nobody can tell which events are rare."""
        failed = [each.verdict for each in self.failures]
        rare = whole and self.judges_rarity and self.rare
        if whole and any(not each.met() for each in self.goals):
            failed.append(Verdict.LIVENESS)
        return worst([*failed, Verdict.MISSING] if rare else failed)


class Tally:
    """Adds up results one by one, and keeps little of each: there may be hundreds of thousands."""

    def __init__(self) -> None:
        self._traces: dict[int, JsonValue] = {}  # by seed
        # By seed, with the patience that it had: all that there is of it, until one has more.
        self._given_up: dict[int, tuple[float, Failure]] = {}
        self._first: Result = {}
        self._failures: list[Failure] = []
        self._events: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._cpu_s = self._virtual_s = 0.0
        self._dht: dict[str, JsonValue] = {}
        self._nodes: _Bounds = None
        self._kinds: _Bounds = None

    def add(self, result: Result) -> None:
        """Of one job. A seed counts once, even if shards overlap; if it was given up, the attempt
        with the most patience counts. Raises BadInput.
        """
        seed, patience_s = _whole(result, "seed"), patience_of(result)
        verdict = verdict_of_run(result)
        self._first = self._first or {key: result.get(key) for key in _OF_ALL}
        if seed in self._traces:
            held_s = self._given_up[seed][0] if seed in self._given_up else math.inf
            if patience_s <= held_s:
                if patience_s == held_s:
                    self._compare(seed, result)
                return
        self._traces[seed] = result.get("trace_sha256")
        self._given_up.pop(seed, None)
        failure = _failure(result, verdict, *_first(result)) if verdict else None
        if patience_s < math.inf and failure:
            self._given_up[seed] = patience_s, failure
            return
        if failure:
            self._failures.append(failure)
        for name, count in _table(result, "sometimes").items():
            self._events[name] += int(bool(count))
        if "faults" in result:
            self._add_up(result)

    def _compare(self, seed: int, again: Result) -> None:
        if again.get("trace_sha256") != self._traces[seed]:
            told = "runs are repeatable", "it has two traces"
            self._failures.append(_failure(again, Verdict.SAFETY, *told))

    def _add_up(self, complete: Result) -> None:
        """The figures of a run that came to its end."""
        kinds, forks = _table(complete, "faults").get("kinds"), _table(complete, "forks")
        self._nodes = _widened(self._nodes, _whole(complete, "nodes"))
        if isinstance(kinds, list):
            self._kinds = _widened(self._kinds, len(kinds))
        for key, table in (("made", forks), ("proven", forks), ("messages", complete)):
            self._sums[key] += _whole(table, key)
        if "dht" in complete:
            add_up(self._dht, _table(complete, "dht"))
        self._cpu_s += _number(complete, "cpu_s")
        self._virtual_s += _number(complete, "virtual_s")

    def _gaps(self) -> int:
        seeds = self._traces
        return max(seeds) - min(seeds) + 1 - len(seeds) if seeds else 0

    def _lacking(self) -> Iterator[int]:
        for seed, following in pairwise(sorted(self._traces)):
            yield from range(seed + 1, following)

    def _command(self) -> str:
        """From that of a single run (netsim.job): all seeds from the first to the last."""
        words = shlex.split(str(self._first.get("command")))
        if "run" not in words or "--seed" not in words:
            return "unknown"
        place = words.index("--seed")
        words[words.index("run")] = "sweep"
        words[place : place + 2] = ["--seeds", f"{min(self._traces)}:{max(self._traces) + 1}"]
        return shlex.join([*words, "--out", "again.jsonl"])

    def summary(self) -> Summary:
        failures = [*self._failures, *[failure for _, failure in self._given_up.values()]]
        return Summary(
            scenario=str(self._first.get("scenario", "")),
            driver=str(self._first.get("driver", "")),
            commit=str(self._first.get("commit", "")),
            seeds=len(self._traces),
            gaps=self._gaps(),
            lacking=tuple(islice(self._lacking(), GAPS_MAX)),
            command=self._command(),
            failures=tuple(sorted(failures, key=lambda each: (each.verdict, each.seed))),
            events=self._events,
            nodes=self._nodes or (0, 0),
            kinds=self._kinds or (0, 0),
            forks_made=self._sums["made"],
            forks_proven=self._sums["proven"],
            messages=self._sums["messages"],
            cpu_s=self._cpu_s,
            virtual_s=self._virtual_s,
            dht=self._dht,
        )


def summarise(results: Iterable[Result]) -> Summary:
    tally = Tally()
    for result in results:
        tally.add(result)
    return tally.summary()


def as_json(summary: Summary, *, whole: bool = True) -> Result:
    share = 1 / max(1, summary.seeds)
    return {
        "scenario": summary.scenario,
        "driver": summary.driver,
        "commit": summary.commit,
        "seeds": summary.seeds,
        "gaps": summary.gaps,
        "exit": int(summary.verdict(whole=whole)),
        "failed": len(summary.failures),
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
        "dht": {
            **summary.dht,
            "goals": {
                each.goal: {"value": each.value, "met": each.met()} for each in summary.goals
            },
        }
        if summary.dht
        else {},
        "messages": summary.messages,
        "virtual_s": round(summary.virtual_s, 3),
        "cpu_hours": round(summary.cpu_s / 3600, 6),
    }


def _first(result: Result) -> tuple[str, str]:
    """Of what went wrong: which check said so, and what."""
    violations, stalled = result.get("violations"), result.get("stalled")
    if isinstance(violations, list) and violations and isinstance(violations[0], dict):
        first = violations[0]
        return str(first.get("check")), f"{first.get('what')}{_more(len(violations))}"
    if isinstance(stalled, list) and stalled and isinstance(stalled[0], dict):
        count = max(len(stalled), _whole(result, "stalled_count"))
        return "settles", f"{stalled[0].get('what')}{_more(count)}"
    missing = result.get("missing")
    if isinstance(missing, list) and missing:
        return "expected events happen", f"{missing[0]}: never happened{_more(len(missing))}"
    return "", ""


def _more(complaints: int) -> str:
    return f" (and {complaints - 1} more)" if complaints > 1 else ""


def verdict_of_run(run: Result) -> Verdict:
    """Raises BadInput."""
    try:
        return Verdict(_whole(run, "exit"))
    except ValueError as error:
        raise BadInput(f"seed {run.get('seed')}: {run.get('exit')} is no verdict") from error


def _failure(run: Result, verdict: Verdict, check: str, what: str) -> Failure:
    trace = run.get("trace_sha256")
    hexed = trace if isinstance(trace, str) else None
    return Failure(_whole(run, "seed"), verdict, check, what, hexed, str(run.get("command")))


def _widened(bounds: _Bounds, count: int) -> tuple[int, int]:
    return (min(bounds[0], count), max(bounds[1], count)) if bounds else (count, count)


def _whole(table: Mapping[str, JsonValue], key: str) -> int:
    value = table.get(key)
    return value if isinstance(value, int) else 0


def _number(table: Mapping[str, JsonValue], key: str) -> float:
    value = table.get(key)
    return value if isinstance(value, int | float) else 0.0


def _table(table: Mapping[str, JsonValue], key: str) -> Mapping[str, JsonValue]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}
