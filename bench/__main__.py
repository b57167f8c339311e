"""Run the benches that are named, or all, and print each figure beside its limit and goal."""

import importlib
import json
import pkgutil
import sys
from collections.abc import Callable

import bench
from bench import Figure

Run = Callable[[], dict[str, Figure]]


def benches() -> dict[str, Run]:
    """Every module of this package with a run(), by name."""
    names = sorted(each.name for each in pkgutil.iter_modules(bench.__path__) if not each.ispkg)
    modules = {name: importlib.import_module(f"bench.{name}") for name in names if name[0] != "_"}
    return {name: each.run for name, each in modules.items() if hasattr(each, "run")}


def ratio(figure: Figure) -> float:
    return figure["value"] / (figure["limit"] or 1.0)


def missed(figure: Figure) -> bool:
    return figure["goal"] is not None and ratio(figure) > figure["goal"]


def row(name: str, figure: Figure) -> str:
    limit = f"{figure['limit']:,.4g} {figure['limit_is']}" if figure["limit"] else "-"
    goal = f"{ratio(figure):.2f} of {figure['goal']:g}" if figure["goal"] is not None else "-"
    mark = "MISSED" if missed(figure) else ""
    return (
        f"  {name:<34} {figure['value']:>10,.4g} {figure['unit']:<8} {goal:<14} {mark:<7} {limit}"
    )


def main(arguments: list[str]) -> int:
    chosen = [each for each in arguments if each != "--json"]
    every = benches()
    if unknown := [each for each in chosen if each not in every]:
        print(f"no such bench: {', '.join(unknown)}; there are {', '.join(every)}", file=sys.stderr)
        return 2
    results: dict[str, dict[str, Figure]] = {}
    for name in chosen or every:
        print(f"{name} ...", file=sys.stderr, flush=True)
        results[name] = every[name]()
        if "--json" not in arguments:
            print("\n".join([name, *(row(*each) for each in results[name].items())]), flush=True)
    if "--json" in arguments:
        print(json.dumps(results, indent=2))
    else:
        print(conclusion(results))
    return 0  # a slow machine is no failure; what may fail a build are counters, in the tests


def conclusion(results: dict[str, dict[str, Figure]]) -> str:
    figures = {f"{name}: {key}": f for name, each in results.items() for key, f in each.items()}
    bad = [name for name, figure in figures.items() if missed(figure)]
    if bad:
        return f"{len(bad)} of {len(figures)} figures missed their goal: {'; '.join(bad)}"
    return f"all goals met ({len(figures)} figures)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
