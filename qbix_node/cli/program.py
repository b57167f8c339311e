"""What all command lines of the project share: commands imported when called, and how they end.

What a command raises becomes an exit code (docs/operating.md) and one line for a person.
"""

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar, NoReturn, TextIO

import click

from qbix_node.cli.output import ReaderGone, printable
from qbix_node.errors import ExitCode, LocalError, QbixError

INTERRUPTED = 130  # as shells say of SIGINT; 141 of SIGPIPE
PIPE_CLOSED = 141

Table = Mapping[str, tuple[str, str]]  # a command's name: where it is, its line in --help


class LazyGroup(click.Group):
    """Imports a command when it is called, so that --help and short commands start fast."""

    table: ClassVar[Table]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, _, name = self.table[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])


def run(commands: click.Command, program: str, arguments: list[str]) -> int:
    """The exit code."""
    try:
        code = commands.main(arguments, prog_name=program, standalone_mode=False)
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return ExitCode.USAGE
    except click.Abort:
        return INTERRUPTED
    except ReaderGone:
        return PIPE_CLOSED
    except QbixError as error:
        return _refuse(error)
    # The outermost place: a person gets one line and where the rest is, never a traceback.
    except Exception as error:  # noqa: BLE001
        return confess(program, error)
    return code if isinstance(code, int) else ExitCode.DONE


def leave(code: int) -> NoReturn:
    for stream in filter(None, (sys.stdout, sys.stderr)):  # none where it was closed before
        _let_go(stream)
    sys.exit(code)


def _let_go(stream: TextIO) -> None:
    """What can't be written must not change the exit code when Python flushes at the end."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _refuse(error: QbixError) -> int:
    _tell(f"error: {error}")
    if isinstance(error, LocalError):
        if error.hint:
            _tell(f"  {error.hint}")
        return error.exit_code
    return ExitCode.BAD_INPUT


def confess(program: str, error: Exception) -> int:
    """A bug: in one line, with the rest in a file. The exit code."""
    name = program.rsplit(maxsplit=1)[-1]
    with tempfile.NamedTemporaryFile(
        "w", prefix=f"{name}-", suffix=".log", delete=False
    ) as details:
        traceback.print_exception(error, file=details)
    _tell(f"error: a bug in {name} ({type(error).__name__}: {error})")
    _tell(f"  the details are in {details.name}; please report them")
    return ExitCode.BUG


def _tell(line: str) -> None:
    with suppress(OSError):  # nobody can be told of that
        click.echo(printable(line), err=True)  # it may quote what a peer said
