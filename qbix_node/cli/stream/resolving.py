"""`qbix-node stream resolve`."""

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.http.rows import read_row
from qbix_node.http.stream_api import StreamRow
from qbix_node.wire.references import format_stream, parse_stream
from qbix_node.wire.v8json import JsonValue


@click.command(cls=Command)
@click.argument("stream")
@click.option("--root", metavar="ROOT", help="Of the branch, by stream show; else the one here.")
@click.pass_obj
def resolve(context: Context, stream: str, root: str | None) -> None:
    """Choose the branch that goes on, as the only owner of a forked stream. Only once.

    All nodes switch to it, and drop what stands on the other branch only. A second choice, or
    another fork after it, closes the stream for good.
    """
    body: dict[str, JsonValue] = {"stream": format_stream(parse_stream(stream))}
    if root is not None:
        body["root"] = root
    with context.client() as client:
        answer = client.post("/streams/resolve", body)
    row = read_row(answer, StreamRow)
    at = f"at length {row.resolved_length}, root {row.resolved_root}"
    context.out.show(answer, [f"{row.stream} goes on with the branch {at}"])
