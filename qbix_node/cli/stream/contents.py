"""`qbix-node stream get`, `drop` and `fetch`: the contents of entries."""

from collections.abc import Iterator
from pathlib import Path

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.cli.output import size_text
from qbix_node.cli.transfer import counted, write_file
from qbix_node.errors import LocalError, Temporary
from qbix_node.http.client import ControlClient
from qbix_node.http.content_api import ContentDrop, ContentFetch
from qbix_node.http.rows import read_row
from qbix_node.http.stream_api import StreamEntry
from qbix_node.streams.chunks import CHUNK_BYTES, WHOLE_BYTES_MAX
from qbix_node.wire import v8json
from qbix_node.wire.references import format_stream, parse_stream
from qbix_node.wire.v8json import JsonValue

WAIT_S = 60
STEP_S = 2  # between one look at the progress and the next

_wait = click.option(
    "--wait",
    "wait_s",
    type=click.IntRange(0, 24 * 3600),
    default=WAIT_S,
    show_default=True,
    metavar="SECONDS",
    help="For peers that have it. It stays wanted afterwards.",
)


@click.command(cls=Command)
@click.argument("stream")
@click.argument("index", type=click.IntRange(min=1))
@click.option("-o", "--output", metavar="FILE", help="Else stdout.")
@_wait
@click.pass_obj
def get(context: Context, stream: str, index: int, output: str | None, wait_s: int) -> None:
    """The content of one entry, byte for byte: from here, else from peers.

    Of a large one, each part is checked as it comes, and kept: who asks again goes on there.
    """
    if output is None and context.out.json:
        raise click.UsageError("--json needs -o FILE, because the content would go to stdout")
    name = format_stream(parse_stream(stream))
    with context.client() as client, context.out.progress(name) as progress:
        entry = _entry(client, name, index)
        pieces = counted(_content(client, name, entry, wait_s), progress, entry.bytes)
        if output is None:
            for piece in pieces:
                context.out.write(piece)
            return
        write_file(pieces, Path(output))
    told: JsonValue = {"stream": name, "index": index, "bytes": entry.bytes, "file": output}
    context.out.show(told, f"{output}: {size_text(entry.bytes)}")


def _entry(client: ControlClient, name: str, index: int) -> StreamEntry:
    for line in client.lines("/streams/log", {"stream": name, "from": index, "limit": 1}):
        return read_row(v8json.parse(line, "a line of the log"), StreamEntry)
    raise LocalError(f"entry {index} of {name} is not here")


def _content(client: ControlClient, name: str, entry: StreamEntry, wait_s: int) -> Iterator[bytes]:
    wanted: dict[str, str | int] = {"stream": name, "index": entry.index, "wait_s": wait_s}
    if entry.bytes <= WHOLE_BYTES_MAX:
        with client.pieces("/streams/content", wanted) as pieces:
            yield from pieces
        return
    for part in range(-(-entry.bytes // CHUNK_BYTES)):
        with client.pieces("/streams/content", {**wanted, "part": part}) as pieces:
            yield from pieces


@click.command(cls=Command)
@click.argument("stream")
@click.argument("first", metavar="FROM", type=click.IntRange(min=1))
@click.argument("last", metavar="[TO]", type=click.IntRange(min=1), required=False)
@click.option("--force", is_flag=True, help="Also what no connected peer says that it has.")
@click.pass_obj
def drop(context: Context, stream: str, first: int, last: int | None, *, force: bool) -> None:
    """Delete the contents of entry FROM, or of FROM to TO. The entries stay, and stay provable.

    They are not fetched again before `stream fetch` asks for it. Contents above 64 KiB are blobs:
    `blob remove` deletes those.
    """
    name = format_stream(parse_stream(stream))
    body: JsonValue = {"stream": name, "from": first, "to": last or first, "force": force}
    with context.client() as client:
        answer = client.post("/streams/drop", body)
    context.out.show(answer, _dropped(read_row(answer, ContentDrop), first, last or first))


def _dropped(done: ContentDrop, first: int, last: int) -> Iterator[str]:
    yield f"dropped {done.contents} contents, {size_text(done.bytes)}"
    if done.peers:
        yield "connected peers that say they have them:"
        yield from [f"  {peer}" for peer in done.peers]
    else:
        yield "no connected peer says that it has them"
    if done.contents:
        span = f"{first}" if last == first else f"{first} {last}"
        yield f"to get them again: qbix-node stream fetch {done.stream} {span}"


@click.command(cls=Command)
@click.argument("stream")
@click.argument("first", metavar="FROM", type=click.IntRange(min=1))
@click.argument("last", metavar="[TO]", type=click.IntRange(min=1), required=False)
@_wait
@click.pass_obj
def fetch(context: Context, stream: str, first: int, last: int | None, wait_s: int) -> None:
    """Get the content of entry FROM, or of FROM to TO, that were dropped or never came."""
    name = format_stream(parse_stream(stream))
    asked, done = 0, ContentFetch(name, 0, 0, [])
    with context.client() as client, context.out.progress("fetched") as progress:
        for answer in _fetching(client, name, (first, last or first), wait_s):
            done = read_row(answer, ContentFetch)
            asked = max(asked, done.asked)
            progress.at(f"{asked - done.missing} of {asked} contents")
    if done.missing:
        who = f"{len(done.peers)} connected peers say" if done.peers else "no connected peer says"
        verb = "that they have them" if done.peers else "that it has them"
        raise Temporary(
            f"{done.missing} of {asked} contents did not come within {wait_s} s; {who} {verb}",
            hint="they stay wanted; qbix-node stream show tells how many are missing",
        )
    context.out.show({"stream": name, "fetched": asked}, f"fetched {asked} contents")


def _fetching(
    client: ControlClient, name: str, span: tuple[int, int], wait_s: int
) -> Iterator[JsonValue]:
    """Answers as the time goes by, the last one when all are here or the time is over."""
    for waited in range(0, max(wait_s, 1), STEP_S):
        body: JsonValue = {
            "stream": name,
            "from": span[0],
            "to": span[1],
            "wait_s": min(STEP_S, wait_s - waited),
        }
        answer = client.post("/streams/fetch", body)
        yield answer
        if read_row(answer, ContentFetch).missing == 0:
            return
