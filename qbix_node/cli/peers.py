"""`qbix-node peer`: whom the node talks to."""

import click

from qbix_node.cli.frame import Context, Group
from qbix_node.errors import BadInput, Malformed
from qbix_node.http.api import PeerRow
from qbix_node.http.rows import read_rows
from qbix_node.net.address import parse_address
from qbix_node.wire.references import format_feed, is_feed, parse_feed


@click.group(cls=Group)
def peer() -> None:
    """Whom to talk to."""


@peer.command()
@click.argument("address")
@click.pass_obj
def add(context: Context, address: str) -> None:
    """Call this peer, now and whenever the connection is lost: net:HOST:PORT~shs:KEY.

    The key alone (@...ed25519) is enough for a node that others know in the DHT.
    """
    try:
        name = format_feed(parse_feed(address)) if is_feed(address) else str(parse_address(address))
    except Malformed as error:
        raise BadInput(str(error), hint="or its key alone: @...ed25519") from error
    _ask(context, "/peers", "address", name, "added")


@peer.command(name="list")
@click.pass_obj
def list_(context: Context) -> None:
    """All known peers and how the connection is."""
    with context.client() as client:
        rows = client.get("/peers")
    context.out.show(rows, [_line(context, row) for row in read_rows(rows, PeerRow)])


def _line(context: Context, row: PeerRow) -> str:
    colour = {"connected": "green", "blocked": "red"}.get(row.state, "yellow")
    state = context.out.paint(f"{row.state:<12}", colour)
    return f"{state}  {row.id}  {row.address}".rstrip()


@peer.command()
@click.argument("key")
@click.pass_obj
def remove(context: Context, key: str) -> None:
    """Hang up, and keep no connection to it any more.

    If it holds what is followed, it may be found and called again: block keeps it away.
    """
    _ask(context, "/peers/remove", "peer", format_feed(parse_feed(key)), "removed")


@peer.command()
@click.argument("key")
@click.pass_obj
def block(context: Context, key: str) -> None:
    """Hang up, take no calls from it, and replicate its feed no longer."""
    _ask(context, "/peers/block", "peer", format_feed(parse_feed(key)), "blocked")


@peer.command()
@click.argument("key")
@click.pass_obj
def unblock(context: Context, key: str) -> None:
    """Take its calls again."""
    _ask(context, "/peers/unblock", "peer", format_feed(parse_feed(key)), "unblocked")


def _ask(context: Context, path: str, name: str, value: str, done: str) -> None:
    with context.client() as client:
        client.post(path, {name: value})
    context.out.show({done: value}, f"{done} {value}")
