"""The `qbix-node` command and its subcommands."""

import sys
from typing import ClassVar, NoReturn

import click

from qbix_node import __version__
from qbix_node.cli import program
from qbix_node.cli.frame import Group

_COMMANDS: program.Table = {  # name: where it is, its line in --help
    "init": ("qbix_node.cli.init:init", "Make a node: its key, its store, its settings."),
    "run": ("qbix_node.cli.run:run", "The daemon."),
    "status": ("qbix_node.cli.status:status", "How the node is."),
    "id": ("qbix_node.cli.status:identity", "The node's id, and its address for others."),
    "doctor": ("qbix_node.cli.doctor:doctor", "What is wrong, and what to do about it."),
    "peer": ("qbix_node.cli.peers:peer", "Whom to talk to: add, list, remove, block."),
    "follow": ("qbix_node.cli.feeds:follow", "Replicate a feed or a stream."),
    "unfollow": ("qbix_node.cli.feeds:unfollow", "Replicate it no longer."),
    "following": ("qbix_node.cli.feeds:following", "The feeds and streams that are replicated."),
    "feed": ("qbix_node.cli.feeds:feed", "Messages: publish, log, verify."),
    "stream": ("qbix_node.cli.stream.command:stream", "Logs that others can check."),
    "fork": ("qbix_node.cli.forks:fork", "Proofs that somebody signed two histories."),
    "dht": ("qbix_node.cli.dht:dht", "Find others without a server: lookup, table."),
    "domain": ("qbix_node.cli.domains:domain", "Which key and nodes a domain's name stands for."),
    "blob": ("qbix_node.cli.blobs:blob", "Files: add, get, list, remove."),
    "store": ("qbix_node.cli.store:store", "The database: check, repair."),
    "demo": ("qbix_node.cli.demo.command:demo", "Three real nodes replicate on this machine."),
}


class _Commands(program.LazyGroup, Group):
    table: ClassVar[program.Table] = _COMMANDS


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def commands() -> None:
    """A peer-to-peer node for signed streams, compatible with Secure Scuttlebutt."""


def main() -> NoReturn:
    program.leave(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code (docs/operating.md)."""
    return program.run(commands, "qbix-node", arguments)
