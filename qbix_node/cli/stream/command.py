"""The group `qbix-node stream` and where its commands are."""

from typing import ClassVar

import click

from qbix_node.cli import program
from qbix_node.cli.frame import Group

_HERE = "qbix_node.cli.stream"
_COMMANDS: program.Table = {
    "create": (f"{_HERE}.writing:create", "Begin a stream of this node. Prints its id."),
    "append": (f"{_HERE}.writing:append", "Put entries at the end of a stream."),
    "resume": (f"{_HERE}.writing:resume", "Say that an own stream is here whole."),
    "owners": (f"{_HERE}.owning:owners", "Give an own stream to another owner."),
    "list": (f"{_HERE}.reading:list_", "All streams that are stored or followed."),
    "show": (f"{_HERE}.reading:show", "How one stream is."),
    "log": (f"{_HERE}.reading:log", "The entries of a stream, oldest first."),
    "get": (f"{_HERE}.contents:get", "The content of one entry, byte for byte."),
    "drop": (f"{_HERE}.contents:drop", "Delete contents here; the entries stay."),
    "fetch": (f"{_HERE}.contents:fetch", "Get contents that are missing here."),
    "verify": (f"{_HERE}.checking:verify", "Check a stream, an export or a proof again."),
    "prove": (f"{_HERE}.checking:prove", "Prove that one entry stands in a stream."),
    "resolve": (f"{_HERE}.resolving:resolve", "Choose the branch of a fork that goes on."),
    "export": (f"{_HERE}.archives:export", "Write a stream to a file that verifies itself."),
    "import": (f"{_HERE}.archives:import_", "Check such a file, keep it, follow the stream."),
}


class _Commands(program.LazyGroup, Group):
    table: ClassVar[program.Table] = _COMMANDS


@click.command(cls=_Commands)
def stream() -> None:
    """Logs that others can check."""
