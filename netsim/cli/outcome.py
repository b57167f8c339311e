"""A result in people's words. What failed says first and last how to repeat it."""

from collections.abc import Iterator

from netsim.cli.summary import dht_lines
from netsim.verdict import Result, Verdict
from qbix_node.cli.output import Output, size_text
from qbix_node.wire.v8json import JsonValue

_SAID = {
    Verdict.OK: "ok",
    Verdict.SAFETY: "FAILED: something happened that never may",
    Verdict.LIVENESS: "FAILED: it did not come right after all faults were over",
    Verdict.MISSING: "FAILED: an expected event never happened",
}
_COMPLAINTS_MAX = 20


def failure_lines(result: Result) -> list[str]:
    said = _SAID[_verdict(result)]
    who = f"scenario {result['scenario']}, seed {result['seed']}, commit {result['commit']}"
    return [
        f"{said} (exit {result['exit']})",
        f"  {who}, trace {result['trace_sha256']}",
        f"  repeat it: {result['command']}",
    ]


def outcome_lines(result: Result, out: Output) -> Iterator[str]:
    failed = _verdict(result) is not Verdict.OK
    if failed:
        first, *others = failure_lines(result)
        yield out.paint(first, "red")
        yield from others
        yield ""
        yield from _complaints(result)
        yield ""
    else:
        yield out.paint("ok", "green")
    yield from _figures(result)
    if failed:
        yield ""
        yield from failure_lines(result)


def _complaints(result: Result) -> Iterator[str]:
    violations = _list(result, "violations")
    for violation in violations[:_COMPLAINTS_MAX]:
        assert isinstance(violation, dict)
        yield f"{violation['at_s']:.3f} s, node {violation['node']}: {violation['check']}"
        yield f"  {violation['what']}"
        if violation["spec"]:
            yield f"  {violation['spec']}"
    stalled, spec = _list(result, "stalled"), ""
    for complaint in stalled[:_COMPLAINTS_MAX]:
        assert isinstance(complaint, dict)
        yield f"not settled: {complaint['what']}"
        if spec != (spec := str(complaint["spec"])):  # many rest on the same one
            yield f"  {spec}"
    yield from [f"never happened: {each}" for each in _list(result, "missing")]
    more = len(violations[_COMPLAINTS_MAX:]) + len(stalled[_COMPLAINTS_MAX:])
    if more:
        yield f"and {more} more (--json names them)"
    unsaid = _count(result, "stalled_count") - len(_list(result, "stalled"))
    if unsaid > 0:
        yield f"not settled: {unsaid:,} more things like these"


def _figures(result: Result) -> Iterator[str]:
    faults, forks = _table(result, "faults"), _table(result, "forks")
    kinds = ", ".join([str(kind) for kind in _list(faults, "kinds")])
    yield f"  nodes     {result['nodes']}"
    yield f"  faults    {faults['count']}{f': {kinds}' if kinds else ''}"
    carried = result["bytes"]
    assert isinstance(carried, int)
    yield f"  packets   {result['messages']:,}, {size_text(carried)}"
    yield f"  time      {result['virtual_s']:.1f} s virtual, {result['cpu_s']:.2f} s of a core"
    happened = [f"{name}: {count}" for name, count in _table(result, "sometimes").items()]
    for place, each in enumerate(happened):
        yield f"  {'' if place else 'events':8}  {each}"
    yield from dht_lines(_table(result, "dht") if "dht" in result else {})
    if forks["made"]:
        times = _table(forks, "detection_s")
        took = "" if times["p50"] is None else f"; found in {times['p50']:.2f} s at half of the "
        took += "" if times["p50"] is None else f"nodes, in {times['p99']:.2f} s at 99 %"
        yield f"  forks     {forks['made']} made, {forks['proven']} proven{took}"
    yield f"  trace     {result['trace_sha256']}"
    yield f"  state     {result['state_sha256']}"


def _verdict(result: Result) -> Verdict:
    code = result["exit"]
    assert isinstance(code, int)
    return Verdict(code)


def _table(result: Result, key: str) -> Result:
    value = result[key]
    assert isinstance(value, dict)
    return value


def _count(result: Result, key: str) -> int:
    value = result.get(key, 0)
    assert isinstance(value, int)
    return value


def _list(result: Result, key: str) -> list[JsonValue]:
    value = result[key]
    assert isinstance(value, list)
    return value
