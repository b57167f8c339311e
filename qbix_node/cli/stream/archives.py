"""`qbix-node stream export` and `import`."""

from pathlib import Path

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.cli.inputs import open_input, pieces_of
from qbix_node.cli.output import size_text
from qbix_node.cli.transfer import counted, write_file
from qbix_node.http.rows import read_row
from qbix_node.http.stream_api import StreamImport
from qbix_node.wire.references import format_stream, parse_stream
from qbix_node.wire.v8json import JsonValue


@click.command(cls=Command)
@click.argument("stream")
@click.option("-o", "--output", metavar="FILE", help="Else stdout.")
@click.pass_obj
def export(context: Context, stream: str, output: str | None) -> None:
    """Write a stream to a file that verifies itself."""
    if output is None and context.out.json:
        raise click.UsageError("--json needs -o FILE, because the export would go to stdout")
    name = format_stream(parse_stream(stream))
    with (
        context.client() as client,
        context.out.progress(name) as progress,
        client.pieces("/streams/export", {"stream": name}) as pieces,
    ):
        if output is None:
            for piece in pieces:
                context.out.write(piece)
            return
        write_file(counted(pieces, progress), Path(output))
    size = Path(output).stat().st_size
    told: JsonValue = {"stream": name, "bytes": size, "file": output}
    context.out.show(told, f"{output}: {size_text(size)}")


@click.command(cls=Command, name="import")
@click.argument("file")
@click.pass_obj
def import_(context: Context, file: str) -> None:
    """Check an export (- for stdin), keep its entries, and follow the stream."""
    with (
        open_input(file) as source,
        context.client() as client,
        context.out.progress(file) as progress,
    ):
        answer = client.upload("/streams/import", counted(pieces_of(source), progress))
    done = read_row(answer, StreamImport)
    told = [f"{done.added} entries added, {done.length - 1} here", f"following {done.stream}"]
    if done.contents:
        told.append(f"{done.contents} contents that were missing here are filled")
    if done.resolved:
        told.append(context.out.paint("resolved fork: it says which branch goes on", "yellow"))
    elif done.proofs:
        told.append(context.out.paint(f"FORKED: {done.proofs} proofs of that are in it", "red"))
    context.out.show(answer, told)
