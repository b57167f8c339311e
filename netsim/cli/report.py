"""`report`: a page to look at, in one file that needs nothing else."""

from pathlib import Path

import click

from netsim.report import render
from qbix_node.errors import Temporary

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--html", type=_FILE, required=True, help="The page that is written.")
def report(*, files: tuple[Path, ...], html: Path) -> None:
    """A page about a trace, or about a sweep: its file, or those of all its shards."""
    page = render(files)
    try:
        html.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Temporary(f"{html}: {error.strerror}") from error
    click.echo(f"open {html} in a browser", err=True)
