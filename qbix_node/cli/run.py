"""`qbix-node run`."""

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.daemon.run import run_daemon


@click.command(cls=Command)
@click.pass_obj
def run(context: Context) -> int:
    """The daemon, in the foreground. SIGTERM stops it, SIGHUP reads the settings again."""
    return run_daemon(context.home, context.config_path)
