"""`qbix-node init`."""

from pathlib import Path

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.daemon.setup import make_home
from qbix_node.wire.references import format_feed


@click.command(cls=Command)
@click.option("--listen", metavar="HOST:PORT", help="Where peers reach the node.")
@click.option("--network-key", metavar="B64", help="For a network of its own.")
@click.option("--status-page", metavar="HOST:PORT", help="Serve the status page there.")
@click.option("--secret", metavar="FILE", help="Bring this identity: a Scuttlebutt secret.")
@click.pass_obj
def init(context: Context, /, secret: str | None, **options: str | None) -> None:
    """Make a node in the home folder. What exists is not overwritten."""
    home = context.home
    settings = {name: value for name, value in options.items() if value is not None}
    keys = make_home(home, settings, secret=Path(secret) if secret else None)
    node_id, brought = format_feed(keys.public), home.brought_marker.exists()
    told = [
        f"made a node in {home.root}",
        f"  its id is {node_id}",
        f"  keep a copy of {home.secret} where nobody else gets it: it can't be made again",
        "  start it: qbix-node run",
    ]
    if brought:
        told.append("  it may publish once `qbix-node feed resume` said where its feed ends")
    context.out.show({"node_id": node_id, "home": str(home.root), "brought": brought}, told)
