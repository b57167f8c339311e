"""The `qbix-node` command: find the subcommand, run it, turn what it raises into an exit code.

Subcommands are imported when they are called, so that --help and short commands start fast.
"""

import importlib
import os
import sys
import tempfile
import traceback
from contextlib import suppress
from typing import NoReturn, TextIO

import click

from qbix_node import __version__
from qbix_node.cli.frame import Group
from qbix_node.cli.output import ReaderGone, printable
from qbix_node.errors import ExitCode, LocalError, QbixError

INTERRUPTED = 130  # as shells say of SIGINT; 141 of SIGPIPE
PIPE_CLOSED = 141

_COMMANDS = {  # name: where it is, its line in --help
    "init": ("qbix_node.cli.init:init", "Make a node: its key, its store, its settings."),
    "run": ("qbix_node.cli.run:run", "The daemon."),
    "status": ("qbix_node.cli.status:status", "How the node is."),
    "id": ("qbix_node.cli.status:identity", "The node's id, and its address for others."),
    "doctor": ("qbix_node.cli.doctor:doctor", "What is wrong, and what to do about it."),
    "peer": ("qbix_node.cli.peers:peer", "Whom to talk to: add, list, remove, block."),
    "follow": ("qbix_node.cli.feeds:follow", "Replicate a feed."),
    "unfollow": ("qbix_node.cli.feeds:unfollow", "Replicate a feed no longer."),
    "following": ("qbix_node.cli.feeds:following", "The feeds that are replicated."),
    "feed": ("qbix_node.cli.feeds:feed", "Messages: publish, log, verify."),
    "blob": ("qbix_node.cli.blobs:blob", "Files: add, get, list, remove."),
    "store": ("qbix_node.cli.store:store", "The database: check, repair."),
    "demo": ("qbix_node.cli.demo.command:demo", "Three real nodes replicate on this machine."),
}


class _Commands(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def commands() -> None:
    """A peer-to-peer node for signed streams, compatible with Secure Scuttlebutt."""


def main() -> NoReturn:
    code = run(sys.argv[1:])
    for stream in filter(None, (sys.stdout, sys.stderr)):  # none where it was closed before
        _let_go(stream)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """The exit code (docs/operating.md)."""
    try:
        code = commands.main(arguments, prog_name="qbix-node", standalone_mode=False)
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
        return _confess(error)
    return code if isinstance(code, int) else ExitCode.DONE


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


def _confess(error: Exception) -> int:
    with tempfile.NamedTemporaryFile(
        "w", prefix="qbix-node-", suffix=".log", delete=False
    ) as details:
        traceback.print_exception(error, file=details)
    _tell(f"error: a bug in qbix-node ({type(error).__name__}: {error})")
    _tell(f"  the details are in {details.name}; please report them")
    return ExitCode.BUG


def _tell(line: str) -> None:
    with suppress(OSError):  # nobody can be told of that
        click.echo(printable(line), err=True)  # it may quote what a peer said
