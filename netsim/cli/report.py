"""`report`: a page to look at, in one file that needs nothing else."""

from pathlib import Path

import click

from netsim.cli.files import OutFile, refuse_overwriting, replacing
from netsim.report import render

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--html", type=OutFile(), required=True, help="The page that is written.")
def report(*, files: tuple[Path, ...], html: Path) -> None:
    """A page about a trace, or about a sweep: its file, or those of all its shards."""
    refuse_overwriting(html, *files)
    page = render(files)
    with replacing(html) as part:
        part.write_text(page, encoding="utf-8")
    click.echo(f"open {html} in a browser", err=True)
