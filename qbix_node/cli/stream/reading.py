"""`qbix-node stream list`, `show`, `log` and `get`."""

from collections.abc import Iterator
from pathlib import Path

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.cli.output import Output, printable, size_text, time_text
from qbix_node.cli.transfer import write_file
from qbix_node.http.rows import read_row, read_rows
from qbix_node.http.stream_api import StreamEntry, StreamRow
from qbix_node.wire import v8json
from qbix_node.wire.references import format_stream, parse_stream
from qbix_node.wire.v8json import JsonValue


@click.command(cls=Command, name="list")
@click.pass_obj
def list_(context: Context) -> None:
    """All streams that are stored or followed, with the number of entries here."""
    with context.client() as client:
        rows = client.get("/streams")
    context.out.show(rows, [_line(row, context.out) for row in read_rows(rows, StreamRow)])


def _line(row: StreamRow, out: Output) -> str:
    whose = "own" if row.own else "following" if row.following else "not followed"
    mark, colour = _state(row)
    told = f"{max(0, row.length - 1):>8}  {row.stream}  {row.kind or '?'}, {whose}"
    return f"{told}, {out.paint(mark, colour)}"


def _state(row: StreamRow) -> tuple[str, str]:
    """A word and its colour: nothing here is final, as nobody watches."""
    if row.forked:
        return "FORKED, takes no more: qbix-node fork list", "red"
    if row.stopped:
        return f"STOPPED: {row.stopped}", "red"
    if row.doubt is not None:
        return f"WAITS: {row.doubt}", "yellow"
    if row.length == 0:
        return "nothing here yet", "soft"
    return "seen, not final", "yellow"


@click.command(cls=Command)
@click.argument("stream")
@click.pass_obj
def show(context: Context, stream: str) -> None:
    """How one stream is: what it says of itself, its newest Head, and what is missing here."""
    with context.client() as client:
        answer = client.get("/streams/show", {"stream": format_stream(parse_stream(stream))})
    missing = answer.get("contents_missing") if isinstance(answer, dict) else None
    row = read_row(answer, StreamRow)
    context.out.show(answer, _about(row, int(str(missing)), context.out))


def _about(row: StreamRow, contents_missing: int, out: Output) -> Iterator[str]:
    yield f"stream      {row.stream}"
    yield f"status      {out.paint(*_state(row))}"
    yield f"here        {'own' if row.own else 'followed' if row.following else 'not followed'}"
    if row.length:
        yield f"kind        {row.kind}"
        yield f"uniqueness  {row.uniqueness}"
        yield from _keys("owners", row.owners)
        yield from _keys("readers", ["everybody"] if row.readers is None else row.readers)
        yield f"head        length {row.head_length}, root {row.root}"
        yield f"            {time_text(row.timestamp)}"
        behind = row.head_length - row.length
        yield f"entries     {row.length - 1}" + (f", {behind} are missing" if behind else "")
        lost = f"{contents_missing} are missing" if contents_missing else "all here"
        yield f"contents    {lost}"
    if row.claimed > row.length:
        yield f"peers       one says that it has {row.claimed - 1} entries"


def _keys(name: str, keys: list[str]) -> Iterator[str]:
    for number, key in enumerate(keys or ["nobody else"]):
        yield f"{'' if number else name:<12}{key}"


@click.command(cls=Command)
@click.argument("stream")
@click.option("--from", "from", type=click.IntRange(min=1), default=1, metavar="N")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most so many.")
@click.option("--follow", is_flag=True, help="Wait for further ones; Ctrl-C ends.")
@click.pass_obj
def log(context: Context, /, stream: str, **options: int | None) -> None:
    """The entries of a stream, oldest first."""
    given = {name: int(value) for name, value in options.items() if value is not None}
    wanted: dict[str, str | int] = {"stream": format_stream(parse_stream(stream)), **given}
    with context.client() as client:
        for line in client.lines("/streams/log", wanted):
            if context.out.json:
                context.out.line(line)
            else:
                row = read_row(v8json.parse(line, "a line of the log"), StreamEntry)
                context.out.text(entry_text(row, context.out))


def entry_text(entry: StreamEntry, out: Output) -> str:
    author = out.paint(entry.author, "soft")
    head = f"{entry.index}  {time_text(entry.timestamp)}  {entry.kind}  {author}"
    about = f"{size_text(entry.bytes)}, {entry.content_hash}"
    if entry.text is not None:
        body = printable(entry.text.removesuffix("\n"))
    elif entry.base64 is not None:
        body = f"(binary, {about})"
    else:
        body = f"(its content is not here: {about})"
    return "\n".join([head, *["    " + line for line in body.split("\n")]])


@click.command(cls=Command)
@click.argument("stream")
@click.argument("index", type=click.IntRange(min=1))
@click.option("-o", "--output", metavar="FILE", help="Else stdout.")
@click.pass_obj
def get(context: Context, stream: str, index: int, output: str | None) -> None:
    """The content of one entry, byte for byte."""
    if output is None and context.out.json:
        raise click.UsageError("--json needs -o FILE, because the content would go to stdout")
    name = format_stream(parse_stream(stream))
    wanted: dict[str, str | int] = {"stream": name, "index": index}
    with context.client() as client, client.pieces("/streams/content", wanted) as pieces:
        content = b"".join(pieces)
    if output is None:
        context.out.write(content)
        return
    write_file(iter([content]), Path(output))
    size = len(content)
    told: JsonValue = {"stream": name, "index": index, "bytes": size, "file": output}
    context.out.show(told, f"{output}: {size} bytes")
