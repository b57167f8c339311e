"""A sweep's summary in people's words."""

from collections import Counter
from collections.abc import Iterator

from netsim.checks.goals import Figures, reached
from netsim.summary import SEEDS_MIN, SHARE_MIN, Summary
from netsim.verdict import Verdict
from qbix_node.cli.output import Output, duration_text

_FAILURES_MAX = 20
_KINDS = {Verdict.SAFETY: "safety", Verdict.LIVENESS: "liveness", Verdict.MISSING: "too little"}


def counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def summary_lines(summary: Summary, out: Output, *, whole: bool = True) -> Iterator[str]:
    yield (
        f"{summary.scenario}: {counted(summary.seeds, 'seed')}, commit {summary.commit}, "
        f"{summary.driver} driver"
    )
    if not summary.seeds:
        return
    judged = whole and summary.judges_rarity
    failed = [
        *_failures(summary, out),
        *(_missed(summary, out) if whole else ()),
        *(_rare(summary, out) if judged else ()),
    ]
    yield from failed or [out.paint("all seeds are well", "green")]
    yield from _figures(summary)
    yield from dht_lines(summary.dht)
    yield from _events(summary, out, whole=whole)
    if failed:
        yield from ["", *failed]


def _rare(summary: Summary, out: Output) -> Iterator[str]:
    if summary.rare:
        yield out.paint(f"FAILED: less than {SHARE_MIN:.0%} of the seeds have:", "red")
        yield f"  {', '.join(summary.rare)}"
        seeds = counted(summary.seeds, "seed")
        yield f"    scenario {summary.scenario}, {seeds}, commit {summary.commit}"
        yield f"    repeat it: {summary.command}"


def _missed(summary: Summary, out: Output) -> Iterator[str]:
    for each in summary.goals:
        if not each.met():
            yield out.paint(f"FAILED: {each}", "red")
            yield f"    scenario {summary.scenario}, commit {summary.commit}"
            yield f"    repeat it: {summary.command}"


def dht_lines(figures: Figures) -> Iterator[str]:
    """Of a run, or of a sweep."""
    if figures:
        yield from [f"  {each}" for each in reached(figures)]
        others = {**figures, "goals": None}.items()
        counts = [f"{name}: {value:,}" for name, value in others if isinstance(value, int | float)]
        yield from [f"    {each}" for each in counts]


def _failures(summary: Summary, out: Output) -> Iterator[str]:
    if not summary.failures:
        return
    yield out.paint(f"FAILED: {len(summary.failures)} of {counted(summary.seeds, 'seed')}", "red")
    checks = Counter([failure.check for failure in summary.failures])
    yield from [f"  {count:5} x {check}" for check, count in checks.most_common()]
    for failure in summary.failures[:_FAILURES_MAX]:
        yield f"  seed {failure.seed}: {_KINDS[failure.verdict]}, {failure.check}: {failure.what}"
        yield (
            f"    scenario {summary.scenario}, commit {summary.commit}, "
            f"trace {failure.trace_sha256 or 'unknown'}"
        )
        yield f"    repeat it: {failure.command}"
    if len(summary.failures) > _FAILURES_MAX:
        yield f"  and {len(summary.failures) - _FAILURES_MAX} more (--json names all)"


def _figures(summary: Summary) -> Iterator[str]:
    virtual, cpu_s = duration_text(summary.virtual_s), summary.cpu_s
    cpu = duration_text(cpu_s) if cpu_s >= 60 else f"{cpu_s:.1f} s"
    yield f"  nodes           {_span(summary.nodes)} a run"
    yield f"  kinds of fault  {_span(summary.kinds)} a run"
    yield f"  packets         {summary.messages:,}"
    yield f"  time            {virtual} virtual, {cpu} of a core"
    if summary.forks_made:
        yield f"  forks           {summary.forks_made} made, {summary.forks_proven} proven"


def _events(summary: Summary, out: Output, *, whole: bool) -> Iterator[str]:
    if not summary.events:
        return
    judged = whole and summary.judges_rarity
    yield "  share of the seeds in which it happened:"
    for name, count in sorted(summary.events.items(), key=lambda each: -each[1]):
        share = f"{100 * count / summary.seeds:5.1f} %"
        rare = name in summary.rare
        yield f"    {out.paint(share, 'red') if rare and judged else share}  {name}"
    if not whole:
        yield "  (too rare or not is judged over all shards: netsim summary FILE...)"
    elif not summary.judges_shares:
        yield f"  (so few seeds cannot judge {SHARE_MIN:.0%}: that takes {SEEDS_MIN})"
    elif summary.gaps:
        lacking = f"{counted(summary.gaps, 'seed')} in between"
        yield f"  (too rare or not is left open: {lacking} without a result)"


def _span(bounds: tuple[int, int]) -> str:
    low, high = bounds
    return str(low) if low == high else f"{low} to {high}"
