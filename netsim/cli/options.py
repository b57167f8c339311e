"""Options that several commands have."""

from collections.abc import Callable
from typing import TypeVar

import click

from netsim.drivers import NAMES
from qbix_node.cli.output import Output

SEEDS_END = 2**63  # as TOML carries
_SEEDS_MAX = 100_000_000
SEED = click.IntRange(min=0, max=SEEDS_END - 1)

F = TypeVar("F", bound=Callable[..., object])


def json_option(command: F) -> F:
    """Gives the command its `out`."""
    option = click.option("--json", "out", is_flag=True, callback=_output, help="Print JSON.")
    return option(command)


def job_options(command: F) -> F:
    """Gives the command what make_job takes."""
    for each in reversed(
        [
            click.argument("scenario"),
            click.option("--nodes", type=click.IntRange(min=1), help="So many nodes."),
            click.option(
                "--set",
                "settings",
                multiple=True,
                metavar="KEY=VALUE",
                help="Change a value of the scenario.",
            ),
            click.option("--driver", type=click.Choice(NAMES), help="Else the scenario's first."),
        ]
    ):
        command = each(command)
    return command


def read_seeds(context: click.Context, parameter: click.Parameter, given: str) -> range:
    """The callback of an option that takes A:B."""
    first, _, end = given.partition(":")
    if not (first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise click.BadParameter("A:B is expected; 0:2000 are 2,000 seeds")
    if int(end) > SEEDS_END or int(end) - int(first) > _SEEDS_MAX:
        raise click.BadParameter(f"{_SEEDS_MAX:,} seeds at most are expected, below 2^63")
    return range(int(first), int(end))


def _output(context: click.Context, parameter: click.Parameter, value: object) -> Output:
    out = Output()
    out.json = bool(value)
    return out
