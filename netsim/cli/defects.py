"""`defects`: whether the checks catch what they are there for."""

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
@json_option
def defects(*, names: tuple[str, ...], out: Output) -> int:
    """Plant known bugs into the product, one after the other, and sweep until a check catches it.

    All of them, or those that are named. Ends with 1 if one is not caught.
    """
    for name in names:
        if name not in planted.names():
            known = ", ".join(planted.names())
            raise UsageError(f"there is no defect {name}", hint=f"there are: {known}")
    found = list(_hunt(names or tuple(planted.names()), out))
    data: list[JsonValue] = [_data(each) for each in found]
    if out.json:
        out.show(data, "")
    missed = [each for each in found if isinstance(each, Missed)]
    return ExitCode.REFUSED if missed else ExitCode.DONE


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
