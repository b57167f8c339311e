"""`python -m netsim` and its subcommands."""

import sys
from typing import ClassVar, NoReturn

import click

from qbix_node import __version__
from qbix_node.cli import program
from qbix_node.errors import UsageError

_COMMANDS: program.Table = {
    "list": ("netsim.cli.list:list_scenarios", "The scenarios that come with it."),
    "run": ("netsim.cli.run:run", "One run of a scenario."),
    "sweep": ("netsim.cli.sweep:sweep", "Many seeds, in processes or on a cluster."),
    "summary": ("netsim.cli.sweep:summary", "What the files of a sweep's shards say together."),
    "replay": ("netsim.cli.trace:replay", "Repeat a trace, and find where it differs."),
    "minimise": ("netsim.cli.minimise:minimise", "The smallest plan that still fails."),
    "report": ("netsim.cli.report:report", "A page to look at, of a trace or a sweep."),
    "defects": ("netsim.cli.defects:defects", "Plant known bugs, and see them caught."),
    "trace": ("netsim.cli.trace:trace", "What a trace holds: dump."),
}


class _Commands(program.LazyGroup):
    table: ClassVar[program.Table] = _COMMANDS

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        try:
            return super().get_command(ctx, cmd_name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith(("netsim", "qbix_node")):
                raise
            raise UsageError(
                f"this Python ({sys.executable}) has no package {error.name}",
                hint="activate the environment that has all (.venv), or call its bin/python",
            ) from error


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def commands() -> None:
    """Whole networks of nodes in one process, with faults, from a seed that repeats them."""


def main() -> NoReturn:
    program.leave(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code (docs/netsim.md)."""
    return program.run(commands, "python -m netsim", arguments)
