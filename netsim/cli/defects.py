"""`defects`: whether the checks catch what they are there for."""

import difflib
import shlex
from collections.abc import Iterator

import click

from netsim import defects as planted
from netsim.cli.options import json_option
from netsim.defects import Caught, Missed
from qbix_node.cli.output import Output
from qbix_node.errors import ExitCode, UsageError
from qbix_node.wire.v8json import JsonValue


@click.command()
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="Only name them.")
@json_option
def defects(*, names: tuple[str, ...], only_list: bool, out: Output) -> int:
    """Plant known bugs into the product, one after the other, and sweep until a check catches it.

    All of them, or those that are named. Ends with 1 if one is not caught.
    """
    known = planted.names()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3, cutoff=0.6)
            meant = " or ".join([shlex.quote(each) for each in near])
            hint = f"is it {meant}?" if near else "netsim defects --list names them"
            raise UsageError(f"there is no defect {name!r}", hint=hint)
    if only_list:
        out.show([*known], known)
        return ExitCode.DONE
    found = list(_hunt(names or tuple(known), out))
    if out.json:
        out.show([_data(each) for each in found], "")
    return ExitCode.REFUSED if any(isinstance(each, Missed) for each in found) else ExitCode.DONE


def _hunt(names: tuple[str, ...], out: Output) -> Iterator[Caught | Missed]:
    for name in names:
        found = planted.hunt(name)
        if not out.json:
            out.text(_line(found, out))
        yield found


def _line(found: Caught | Missed, out: Output) -> str:
    if isinstance(found, Caught):
        caught = out.paint("caught", "green")
        return f"{caught}  {found.name} by {found.check}, seed {found.seed}: {found.violation}"
    missed = out.paint("MISSED", "red")
    return f"{missed}  {found.name}: {found.check} says nothing in {found.seeds} seeds"


def _data(found: Caught | Missed) -> JsonValue:
    caught = isinstance(found, Caught)
    return {
        "name": found.name,
        "check": found.check,
        "caught": caught,
        "seed": found.seed if isinstance(found, Caught) else None,
    }
