"""`qbix-node stream create` and `append`."""

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.cli.inputs import open_input, pieces_of
from qbix_node.cli.output import Progress
from qbix_node.cli.transfer import counted
from qbix_node.errors import BadInput, LocalError
from qbix_node.http.client import ControlClient
from qbix_node.http.rows import read_row
from qbix_node.http.stream_api import ProposalRow, StreamPlace, StreamRow
from qbix_node.streams.messages import CONTENT_BYTES_MAX, ENTRIES_MAX
from qbix_node.streams.wishes import BATCH_BYTES_MAX, ENTRY_BYTES
from qbix_node.wire.references import format_feed, format_stream, parse_feed, parse_stream
from qbix_node.wire.v8json import JsonValue

READ_BYTES = 256 * 1024

Said = tuple[str, ...] | bool  # what options that may be repeated, and flags, give


@click.command(cls=Command)
@click.option("--kind", default="log", show_default=True, metavar="K", help="What it is for.")
@click.option(
    "--uniqueness",
    type=click.Choice(["none", "gossip", "watched"]),
    default="gossip",
    show_default=True,
    metavar="none|gossip",
    help="gossip: once two histories are known, nobody takes any more of it.",
)
@click.option("--readers", multiple=True, metavar="KEY", help="Only these get it; repeatable.")
@click.option(
    "--owner", multiple=True, metavar="KEY[:WEIGHT]", help="Who else decides; repeatable."
)
@click.option(
    "--threshold",
    type=click.IntRange(min=1),
    metavar="N",
    help="The weight of owners that has to sign; else more than half.",
)
@click.option("--writer", multiple=True, metavar="KEY", help="Who else may append; repeatable.")
@click.option("--anybody-writes", is_flag=True, help="Whoever may read may append, too.")
@click.pass_obj
def create(
    context: Context, /, kind: str, uniqueness: str, threshold: int | None, **said: Said
) -> None:
    """Begin a stream of this node, alone or with other owners. Prints its id.

    Where others have to sign, it begins once enough of them follow it.
    """
    body: JsonValue = {
        "kind": kind,
        "uniqueness": uniqueness,
        "threshold": threshold,
        "readers": _keys(said["readers"]),
        "owners": [read_owner(text) for text in _texts(said["owner"])],
        "writers": _keys(said["writer"]),
        "anybody_writes": bool(said["anybody_writes"]),
    }
    with context.client() as client:
        answer = client.post("/streams/create", body)
    stream = read_row(answer, StreamRow).stream
    context.out.show(answer, stream)
    if not context.out.json and isinstance(answer, dict):
        _tell_waiting(stream, answer.get("proposal"))


def _keys(said: Said) -> list[JsonValue]:
    return [format_feed(parse_feed(key)) for key in _texts(said)]


def _texts(said: Said) -> tuple[str, ...]:
    return said if isinstance(said, tuple) else ()


def read_owner(text: str) -> JsonValue:
    key, _, weight = text.rpartition(":")
    if not (key and weight.isascii() and weight.isdigit()):
        key, weight = text, "1"
    return {"key": format_feed(parse_feed(key)), "weight": int(weight)}


def _tell_waiting(stream: str, answer: JsonValue) -> None:
    """On stderr, so that a script gets the id alone."""
    if answer is None:
        return
    proposal = read_row(answer, ProposalRow)
    click.echo(f"waiting for signatures of {', '.join(proposal.waiting_for)}", err=True)
    click.echo(f"each of them agrees by: qbix-node follow {stream}", err=True)


@click.command(cls=Command)
@click.argument("stream")
@click.argument("file", default="-")
@click.option("--kind", default="post", show_default=True, metavar="K")
@click.option("--lines", is_flag=True, help="Each line of the file is an entry.")
@click.pass_obj
def append(context: Context, stream: str, file: str, kind: str, *, lines: bool) -> None:
    """Put a file (- or nothing for stdin) of any size at the end of a stream, as one entry.

    Once this ends with 0, it is on disk. In a stream of several owners, or of others, it is then
    under their signatures, too.
    """
    query = {"stream": format_stream(parse_stream(stream)), "kind": kind}
    with (
        open_input(file) as source,
        context.client() as client,
        context.out.progress("appended") as progress,
    ):
        if lines:
            places = _append_lines(client, query, _batches(source, file), progress)
        else:
            body = counted(pieces_of(source), progress)
            answer = client.upload("/streams/append", body, query)
            places = [read_row(answer, StreamPlace)]
    entries = sum([place.entries for place in places])
    first, stop = (places[0].first, places[-1].stop) if places else (None, None)
    told: JsonValue = {"stream": query["stream"], "entries": entries, "first": first, "stop": stop}
    context.out.show(told, _appended_text(places, entries))


def _appended_text(places: list[StreamPlace], entries: int) -> str:
    match entries:
        case 0:
            return "there was nothing to append"
        case 1:
            return f"appended entry {places[0].first}"
        case _ if places[-1].stop - places[0].first > entries:
            return f"appended {entries} entries, among {places[0].first} to {places[-1].stop - 1}"
        case _:
            return f"appended {entries} entries, {places[0].first} to {places[-1].stop - 1}"


@click.command(cls=Command)
@click.argument("stream")
@click.argument("length", type=click.IntRange(min=1))
@click.pass_obj
def resume(context: Context, stream: str, length: int) -> None:
    """Append to an own stream although nobody has said that it is here whole.

    LENGTH is the length of its Head, as `stream show` tells it. If this node, or another with its
    key, has signed entries that are not here, the next one makes a fork: anybody can prove it, it
    can't be undone, and no node takes any more of the stream.
    """
    name = format_stream(parse_stream(stream))
    with context.client() as client:
        client.post("/streams/resume", {"stream": name, "length": length})
    context.out.show({"resumed": name, "length": length}, f"the next entry is {length}")


def _append_lines(
    client: ControlClient,
    query: dict[str, str],
    batches: Iterator[list[bytes]],
    progress: Progress,
) -> list[StreamPlace]:
    places, done = list[StreamPlace](), 0
    try:
        for batch in batches:
            body = b"".join([line + b"\n" for line in batch])
            answer = client.upload("/streams/append", body, {**query, "lines": 1})
            place = read_row(answer, StreamPlace)
            places.append(place)
            done += len(batch)
            progress.at(f"{done} entries")
    except LocalError as error:
        hint = f"{error.hint}; " if error.hint else ""
        raise type(error)(str(error), hint=f"{hint}{done} lines were appended before") from error
    return places


def _batches(source: BinaryIO, file: str) -> Iterator[list[bytes]]:
    """Lines as they come, because a pipe may stay open; as many as one append takes."""
    rest, number = b"", 0
    # What open() and stdin give has read1, which the type does not say.
    while piece := cast("io.BufferedReader", source).read1(READ_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        for line in [*lines, rest]:
            number += 1
            if len(line) > CONTENT_BYTES_MAX:
                raise BadInput(f"{file}: line {number} has more than {CONTENT_BYTES_MAX} bytes")
        number -= 1
        yield from _grouped(lines)
    if rest:
        yield [rest]


def _grouped(lines: list[bytes]) -> Iterator[list[bytes]]:
    group, size = list[bytes](), 0
    for line in lines:
        size += len(line) + ENTRY_BYTES
        if group and (size > BATCH_BYTES_MAX or len(group) == ENTRIES_MAX):
            yield group
            group, size = [], len(line) + ENTRY_BYTES
        group.append(line)
    if group:
        yield group
