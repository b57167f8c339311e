"""`qbix-node status` and `id`."""

from collections.abc import Iterator

import click

from qbix_node.cli.forks import fork_text
from qbix_node.cli.frame import Command, Context
from qbix_node.cli.output import Output, duration_text, size_text
from qbix_node.daemon.secret import read_secret
from qbix_node.errors import NotRunning
from qbix_node.http.api import Status
from qbix_node.http.dht_api import DhtRow
from qbix_node.http.rows import read_row
from qbix_node.wire.references import format_feed, is_stream


@click.command(cls=Command)
@click.pass_obj
def status(context: Context) -> None:
    """How the node is."""
    with context.client() as client:
        answer = client.get("/status")
    told = read_row(answer, Status)
    context.out.show(answer, _lines(told, context.out))


def _lines(told: Status, out: Output) -> Iterator[str]:
    health = out.paint("degraded", "red") if told.health else out.paint("working", "green")
    yield f"{health}, up {duration_text(told.uptime_s)}, version {told.version}"
    for line in told.health:
        yield f"  {out.paint(line, 'red')}"
    yield f"id        {told.node_id}"
    yield f"address   {told.address}"
    connected = [peer for peer in told.peers if peer.state == "connected"]
    yield f"peers     {len(connected)} connected of {len(told.peers)} known"
    for peer in connected:
        yield f"            {peer.id}  {'we called' if peer.outgoing else 'called us'}"
    yield f"feeds     {told.feeds}, {told.following} followed"
    stream_forks = [fork for fork in told.forks if is_stream(fork.log) and not fork.resolved]
    count = len({fork.log for fork in stream_forks})
    forked = ", " + out.paint(f"{count} forked", "red") if count else ""
    yield f"streams   {told.streams}{forked}"
    for doubt in told.doubts:
        yield f"            {out.paint(f'{doubt.stream} waits: {doubt.reason}', 'yellow')}"
    yield f"entries   {told.entries} messages and entries"
    for fork in told.forks:
        yield f"            {fork_text(fork, out)}"
    wanted = f", {told.blobs.wanted} wanted" if told.blobs.wanted else ""
    yield f"blobs     {told.blobs.count}, {size_text(told.blobs.bytes)}{wanted}"
    yield f"store     {size_text(told.store.bytes)}"
    yield f"dht       {_dht_text(told.dht, out)}"
    if told.status_page:
        yield f"page      {told.status_page}"


def _dht_text(row: DhtRow | None, out: Output) -> str:
    if row is None:
        return "switched off"
    known = f"{row.contacts} nodes known" if row.contacts else out.paint("nobody known", "yellow")
    searched = f", {row.searches} searched for" if row.searches else ""
    return f"{known}, {row.offered} feeds and streams offered{searched}"


@click.command(cls=Command)
@click.pass_obj
def identity(context: Context) -> None:
    """The node's id, and the address to give to others; the address only while it runs."""
    home = context.home
    home.require()
    node_id = format_feed(read_secret(home.secret).public)
    address = _address(context)
    told = address or "(the address is known while the node runs)"
    context.out.show({"node_id": node_id, "address": address}, [node_id, told])


def _address(context: Context) -> str | None:
    try:
        with context.client() as client:
            return read_row(client.get("/status"), Status).address
    except NotRunning:
        return None
