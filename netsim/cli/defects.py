"""`defects`: whether the checks catch what they are there for."""

import difflib
import shlex
from collections.abc import Iterable
from contextlib import closing

import click

from netsim import defects as planted
from netsim.cli.options import json_option, read_seeds
from netsim.defects import Caught, Found, Missed, TailoredOnly
from netsim.job import make_job
from qbix_node.cli.output import Output
from qbix_node.errors import ExitCode, UsageError
from qbix_node.wire.v8json import JsonValue


@click.command()
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="Only name them.")
@click.option("--in", "scenario", metavar="SCENARIO", help="Look for them in seeds of this one.")
@click.option(
    "--seeds", callback=read_seeds, default="0:300", metavar="A:B", help="Which; else 0:300."
)
@click.option("--jobs", type=click.IntRange(min=1), help="So many processes; else one a core.")
@json_option
def defects(
    *,
    names: tuple[str, ...],
    only_list: bool,
    scenario: str | None,
    seeds: range,
    jobs: int | None,
    out: Output,
) -> int:
    """Plant known bugs into the code, one after the other, and see whether a check catches each.

    All of them, or those that are named; each in the short run that was made for it. With --in
    each in the seeds of a SCENARIO, in their order, until one shows it, as a sweep would come
    across it. Ends with 1 if one is not caught.
    """
    known = planted.names()
    _refuse_unknown(names, known)
    if only_list:
        out.show([*known], known)
        return ExitCode.DONE
    chosen = names or tuple(known)
    if scenario is None:
        return _show(chosen, (planted.hunt(name) for name in chosen), out)
    return _search(chosen, scenario, seeds, jobs, out)


def _refuse_unknown(names: tuple[str, ...], known: list[str]) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3, cutoff=0.6)
            meant = " or ".join([shlex.quote(each) for each in near])
            hint = f"is it {meant}?" if near else "netsim defects --list names them"
            raise UsageError(f"there is no defect {name!r}", hint=hint)


def _search(
    names: tuple[str, ...], scenario: str, seeds: range, jobs: int | None, out: Output
) -> int:
    job = make_job(scenario)
    job.plan(seeds[0])  # raises if there is something wrong with it
    with closing(planted.search(job, names, seeds, jobs=jobs)) as coming:
        return _show(names, coming, out)


def _show(names: tuple[str, ...], coming: Iterable[Found], out: Output) -> int:
    """In text as they come, in JSON in the order of their names."""
    found: dict[str, Found] = {}
    for each in coming:
        found[each.name] = each
        if not out.json:
            out.text(_line(each, out))
        elif isinstance(each, Missed):
            click.echo(f"MISSED  {each}", err=True)
    if out.json:
        out.show([_data(found[name]) for name in names], "")
    missed = any(isinstance(each, Missed) for each in found.values())
    return ExitCode.REFUSED if missed else ExitCode.DONE


def _line(found: Found, out: Output) -> str:
    match found:
        case Caught(name, check, where, seed, violation):
            caught = out.paint("caught", "green")
            return f"{caught}  {name} by {check}, {where} seed {seed}: {violation}"
        case TailoredOnly(name, _, why):
            return f"{out.paint('tailored only', 'yellow')}  {name}: {why}"
        case Missed():
            return f"{out.paint('MISSED', 'red')}  {found}"


def _data(found: Found) -> JsonValue:
    told: dict[str, JsonValue] = {
        "name": found.name,
        "check": found.check,
        "caught": isinstance(found, Caught),
        "seed": None,
    }
    match found:
        case Caught():
            return told | {
                "seed": found.seed,
                "where": found.where,
                "violation": found.violation,
            }
        case TailoredOnly():
            return told | {"tailored_only": found.why}
        case Missed():
            return told | {
                "where": found.where,
                "seeds": [*found.seeds],
                "driver": found.driver,
                "commit": found.commit,
                "command": found.command,
                "why": found.why,
            }
