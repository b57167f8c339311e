"""`qbix-node blob`: files named by their hash."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import click

from qbix_node.cli.frame import Context, Group
from qbix_node.cli.inputs import open_input, pieces_of
from qbix_node.cli.output import size_text
from qbix_node.cli.transfer import counted, write_file
from qbix_node.errors import LocalError
from qbix_node.http.api import BlobRemoval, BlobRow
from qbix_node.http.rows import read_row, read_rows
from qbix_node.wire.references import format_blob, parse_blob

WAIT_S = 60


@click.group(cls=Group)
def blob() -> None:
    """Files."""


@blob.command()
@click.argument("file")
@click.pass_obj
def add(context: Context, file: str) -> None:
    """Keep a file (- for stdin) and offer it to peers. Prints the id that names it."""
    with (
        open_input(file) as source,
        context.client() as client,
        context.out.progress(file) as progress,
    ):
        answer = client.upload("/blobs", counted(pieces_of(source), progress))
    row = read_row(answer, BlobRow)
    context.out.show(answer, row.blob)


@blob.command(name="list")
@click.pass_obj
def list_(context: Context) -> None:
    """All blobs that are here."""
    with context.client() as client:
        answer = client.get("/blobs")
    rows = read_rows(answer, BlobRow)
    context.out.show(answer, [f"{size_text(row.bytes):>10}  {row.blob}" for row in rows])


@blob.command()
@click.argument("blob")
@click.option("-o", "--output", metavar="FILE", help="Else stdout.")
@click.option(
    "--wait",
    "wait_s",
    type=click.IntRange(0, 24 * 3600),
    default=WAIT_S,
    show_default=True,
    metavar="SECONDS",
    help="For a peer that has it. It stays wanted afterwards.",
)
@click.pass_obj
def get(context: Context, blob: str, output: str | None, wait_s: int) -> None:
    """Fetch a blob: from here, else from peers."""
    if output is None and context.out.json:
        raise click.UsageError("--json needs -o FILE, because the blob would go to stdout")
    name = format_blob(parse_blob(blob))
    with context.client() as client, context.out.progress(name) as progress:
        progress.at("asking for it")
        with client.download("/blobs/content", {"blob": name, "wait_s": wait_s}) as (size, pieces):
            checked = _checked(counted(pieces, progress, size), name)
            if output is None:
                for piece in checked:
                    context.out.write(piece)
            else:
                write_file(checked, Path(output))
    if output is not None:
        context.out.show({"blob": name, "bytes": size, "file": output}, f"{output}: {size} bytes")


@blob.command()
@click.argument("blob")
@click.pass_obj
def remove(context: Context, blob: str) -> None:
    """Delete a blob here, and ask peers for it no longer."""
    name = format_blob(parse_blob(blob))
    with context.client() as client:
        answer = client.post("/blobs/remove", {"blob": name})
    row = read_row(answer, BlobRemoval)
    done = ["deleted"] * row.removed + ["wanted no longer"] * row.unwanted
    context.out.show(answer, f"{row.blob}: {', '.join(done)}")


def _checked(pieces: Iterator[bytes], name: str) -> Iterator[bytes]:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
        yield piece
    if found.digest() != parse_blob(name):
        raise LocalError(
            f"{name}: what is stored here has another hash: the disk damaged it",
            hint="qbix-node doctor looks at the disk",
        )
