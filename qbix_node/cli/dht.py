"""`qbix-node dht`: who is known in the distributed hash table, and what it knows."""

from collections.abc import Iterator

import click

from qbix_node.cli.frame import Context, Group
from qbix_node.cli.output import duration_text
from qbix_node.errors import BadInput, Malformed
from qbix_node.http.dht_api import ContactRow, LookupRow, PlaceRow
from qbix_node.http.rows import read_row, read_rows
from qbix_node.wire.references import (
    format_feed,
    format_stream,
    is_stream,
    parse_feed,
    parse_stream,
)

LOOKUP_HINT = "or a stream's id, ssb:feed/qbix-v1/...; of a domain: qbix-node domain lookup NAME"


@click.group(cls=Group)
def dht() -> None:
    """Find others without a server."""


@dht.command()
@click.argument("name", metavar="ID")
@click.pass_obj
def lookup(context: Context, name: str) -> None:
    """Ask who holds a stream or feed, and where a node is. Ends with 1 if nobody knows."""
    try:
        asked = (
            format_stream(parse_stream(name)) if is_stream(name) else format_feed(parse_feed(name))
        )
    except Malformed as error:
        raise BadInput(str(error), hint=LOOKUP_HINT) from error
    with context.client() as client:
        answer = client.get("/dht/lookup", {"id": asked})
    found = read_row(answer, LookupRow)
    context.out.show(answer, _found_lines(found))
    if found.node is None and not found.providers:
        raise click.exceptions.Exit(1)


def _found_lines(found: LookupRow) -> Iterator[str]:
    if found.node is not None:
        yield f"node      {_place(found.node)}"
    for each in found.providers:
        yield f"held by   {_place(each)}"
    if found.node is None and not found.providers:
        yield f"nobody knows {found.id}"
    yield f"{found.answered} of {found.asked} nodes answered in {found.seconds:.1f} s"


def _place(place: PlaceRow) -> str:
    return "  ".join([place.node, *place.addresses])


@dht.command()
@click.pass_obj
def table(context: Context) -> None:
    """The nodes that are known, by how near their ids are to this node's."""
    with context.client() as client:
        answer = client.get("/dht/table")
    rows = read_rows(answer, ContactRow)
    context.out.show(answer, [_contact(row) for row in rows] or "no other node is known")


def _contact(row: ContactRow) -> str:
    known, silent = duration_text(row.known_s), duration_text(row.silent_s)
    missed = f", {row.misses} calls missed" if row.misses else ""
    return f"{row.bucket:>4}  {row.node}  {row.address}  for {known}, heard {silent} ago{missed}"
