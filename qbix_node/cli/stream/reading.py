"""`qbix-node stream list`, `show` and `log`."""

from collections.abc import Iterator
from itertools import chain

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.cli.output import Output, printable, size_text, time_text
from qbix_node.http.rows import read_details, read_row, read_rows
from qbix_node.http.stream_api import BranchRow, StreamDetails, StreamEntry, StreamRow
from qbix_node.streams.messages import CONTENT_BYTES_MAX
from qbix_node.wire import v8json
from qbix_node.wire.references import format_stream, parse_stream


@click.command(cls=Command, name="list")
@click.pass_obj
def list_(context: Context) -> None:
    """All streams that are stored or followed, with the number of entries here."""
    with context.client() as client:
        rows = client.get("/streams")
    context.out.show(rows, [_line(row, context.out) for row in read_rows(rows, StreamRow)])


def _line(row: StreamRow, out: Output) -> str:
    whose = "own" if row.own else _followed(row, "following")
    mark, colour = _state(row)
    told = f"{max(0, row.length - 1):>8}  {row.stream}  {row.kind or '?'}, {whose}"
    return f"{told}, {out.paint(mark, colour)}"


def _followed(row: StreamRow, how: str) -> str:
    if row.heads_only:
        return f"{how}, heads only"
    return f"{how}, headers only" if row.headers_only else how if row.following else "not followed"


def _state(row: StreamRow) -> tuple[str, str]:
    """A word and its colour: nothing here is final, as nobody watches."""
    if row.closed:
        return "CLOSED, forked again after a branch was chosen: qbix-node fork list", "red"
    if row.forked:
        return "FORKED, takes no more: qbix-node fork list", "red"
    if row.stopped:
        return f"STOPPED: {row.stopped}", "red"
    if row.doubt is not None:
        return f"WAITS: {row.doubt}", "yellow"
    resolved = row.resolved_length or 0
    if row.length < resolved and not row.heads_only:
        return "resolved fork, its branch comes anew", "yellow"
    if row.length == 0 and not (row.heads_only and row.head_length):
        return "nothing here yet", "soft"
    if resolved:
        return "resolved fork; seen, not final", "yellow"
    return "seen, not final", "yellow"


@click.command(cls=Command)
@click.argument("stream")
@click.pass_obj
def show(context: Context, stream: str) -> None:
    """How one stream is: what it says of itself, its newest Head, and what is missing here."""
    with context.client() as client:
        answer = client.get("/streams/show", {"stream": format_stream(parse_stream(stream))})
    details = read_details(answer)
    parts = _about(details, context.out), _branch_lines(details.branches), _signing(details)
    context.out.show(answer, chain(*parts))


def _branch_lines(branches: list[BranchRow]) -> Iterator[str]:
    for branch in branches:
        here = ", here" if branch.here else ""
        yield f"branch      at length {branch.length}, root {branch.root}{here}"
        yield f"            signed up to length {branch.head_length}, proof {branch.proof}"
        if branch.chosen_by:
            yield f"            chosen by {', '.join(branch.chosen_by)}"


def _about(details: StreamDetails, out: Output) -> Iterator[str]:
    row = details.row
    yield f"stream      {row.stream}"
    yield f"status      {out.paint(*_state(row))}"
    yield f"here        {'own' if row.own else _followed(row, 'followed')}"
    if row.resolved_length:
        yield f"resolved    at length {row.resolved_length}, root {row.resolved_root}"
    if row.length or row.head_length:
        yield f"kind        {row.kind}"
        yield f"uniqueness  {row.uniqueness}"
        yield from _keys("readers", ["everybody"] if row.readers is None else row.readers)
        yield f"head        length {row.head_length}, root {row.root}"
        yield f"            {time_text(row.timestamp)}"
    if row.length:
        behind = row.head_length - row.length
        more = f", {behind} are missing" if behind and not row.heads_only else ""
        yield f"entries     {row.length - 1}{more}"
        yield f"contents    {_contents(details)}"
    if row.claimed > row.length:
        yield f"peers       one says that it has {row.claimed - 1} entries"


def _signing(details: StreamDetails) -> Iterator[str]:
    """Who decides, who writes, and whose signatures are waited for."""
    row, proposal = details.row, details.proposal
    yield from _keys("owners", _weighed(row) if row.owners else ["not known yet"])
    if row.sequencer is not None:
        yield f"threshold   {row.threshold} of {sum(row.weights)}"
        yield f"sequencer   {row.sequencer}"
        yield from _keys("writers", _writers(row))
    if details.signs:
        upto = f", up to length {details.signed_length} so far" if details.signed_length else ""
        yield f"signs       this node signs for it what the sequencer proposes{upto}"
    if proposal is not None:
        yield f"proposed    entries {proposal.first} to {proposal.stop - 1}"
        yield from _keys("signed by", proposal.signed)
        refused = proposal.refused
        waiting = [
            f"{key}{f': {refused[key]}' if key in refused else ''}" for key in proposal.waiting_for
        ]
        yield from _keys("waiting for", [printable(each) for each in waiting])


def _weighed(row: StreamRow) -> list[str]:
    if len(set(row.weights)) < 2:
        return row.owners
    pairs = zip(row.owners, row.weights, strict=True)
    return [f"{key}, weight {weight}" for key, weight in pairs]


def _writers(row: StreamRow) -> list[str]:
    if row.writers is None:
        return ["nobody but the owners"]
    return row.writers or ["whoever may read it"]


def _contents(details: StreamDetails) -> str:
    """Large ones, which are blobs, are not counted."""
    lost = [
        f"{count} {what}"
        for count, what in (
            (details.contents_missing, "are missing"),
            (details.contents_dropped, "were dropped"),
        )
        if count
    ]
    return ", ".join(lost) or "all here"


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
    elif entry.bytes > CONTENT_BYTES_MAX:
        body = f"(a file, {about}: qbix-node stream get)"
    else:
        body = f"(its content is not here: {about})"
    return "\n".join([head, *["    " + line for line in body.split("\n")]])
