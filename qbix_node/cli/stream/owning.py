"""`qbix-node stream owners`."""

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.cli.stream.writing import read_owner
from qbix_node.http.rows import read_row
from qbix_node.http.stream_api import StreamRow
from qbix_node.wire.references import format_stream, parse_stream
from qbix_node.wire.v8json import JsonValue


@click.command(cls=Command)
@click.argument("stream")
@click.option(
    "--owner", multiple=True, required=True, metavar="KEY[:WEIGHT]", help="Who signs from now on."
)
@click.option("--threshold", type=click.IntRange(min=1), metavar="N", help="Else all weight.")
@click.pass_obj
def owners(context: Context, stream: str, owner: tuple[str, ...], threshold: int | None) -> None:
    """Give a stream of this node, of uniqueness none, to another owner.

    This node signs nothing of it any more, and goes on to follow it. It can't be taken back: only
    the new owner can change owners again.
    """
    body: JsonValue = {
        "stream": format_stream(parse_stream(stream)),
        "owners": [read_owner(text) for text in owner],
        "threshold": threshold,
    }
    with context.client() as client:
        answer = client.post("/streams/owners", body)
    row = read_row(answer, StreamRow)
    context.out.show(answer, [f"from entry {row.length} on, {', '.join(row.owners)} signs"])
