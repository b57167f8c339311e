"""`qbix-node feed`, `follow`, `unfollow`, `following`."""

import click

from qbix_node.cli.frame import Command, Context, Group
from qbix_node.cli.inputs import read_input
from qbix_node.cli.output import printable, time_text
from qbix_node.errors import LocalError, Malformed
from qbix_node.feeds.messages import Head, Refused
from qbix_node.feeds.validation import validate
from qbix_node.http.api import Entry, FeedRow
from qbix_node.http.rows import read_details, read_row, read_rows
from qbix_node.http.stream_api import StreamDetails, StreamRow
from qbix_node.wire import v8json
from qbix_node.wire.references import (
    format_feed,
    format_message,
    format_stream,
    is_stream,
    parse_feed,
    parse_stream,
)
from qbix_node.wire.v8json import JsonValue

CONTENT_BYTES_MAX = 64 * 1024  # of JSON text; a message has at most 8192 characters


@click.command(cls=Command)
@click.argument("feed")
@click.option("--headers-only", is_flag=True, help="Of a stream: without contents.")
@click.option("--heads-only", is_flag=True, help="Of a stream: its newest Head, and no entries.")
@click.pass_obj
def follow(context: Context, feed: str, *, headers_only: bool, heads_only: bool) -> None:
    """Ask peers for this feed or stream, store it, and pass it on.

    A stream that was followed with less of it is followed whole if this is said again. If
    this node is an owner of a stream of several, it signs from then on what their sequencer
    proposes.
    """
    name = _name(feed)
    if headers_only and not is_stream(feed):
        raise click.UsageError("--headers-only is for streams: a feed's messages are one piece")
    if heads_only and not is_stream(feed):
        raise click.UsageError("--heads-only is for streams: feeds have no Heads")
    if headers_only and heads_only:
        raise click.UsageError("give either --headers-only or --heads-only")
    wish = {"headers_only": headers_only, "heads_only": heads_only}
    with context.client() as client:
        client.post("/follow", {"feed": name, **wish})
        how = ", headers only" if headers_only else ", heads only" if heads_only else ""
        context.out.show({"following": name, **wish}, f"following {name}{how}")
        if is_stream(name) and not (context.out.json or heads_only):
            shown = read_details(client.get("/streams/show", {"stream": name}))
            if agreed := _agreed(shown):
                context.out.text(agreed)


def _agreed(shown: StreamDetails) -> str | None:
    """What following means for who is, or may be, an owner."""
    if shown.signs:
        return "this node is an owner: from now on it signs what the sequencer proposes"
    if shown.row.length == 0:
        return "if this node is an owner, it signs from now on what the sequencer proposes"
    return None


@click.command(cls=Command)
@click.argument("feed")
@click.pass_obj
def unfollow(context: Context, feed: str) -> None:
    """Ask for this feed or stream no longer. What is stored stays."""
    name = _name(feed)
    with context.client() as client:
        client.post("/unfollow", {"feed": name})
    context.out.show({"unfollowed": name}, f"unfollowed {name}")


@click.command(cls=Command)
@click.pass_obj
def following(context: Context) -> None:
    """The feeds and streams that are replicated, besides the node's own."""
    with context.client() as client:
        feeds = client.get("/following")
        streams = read_rows(client.get("/streams"), StreamRow)
    assert isinstance(feeds, list)
    less = {row.stream: ", headers only" for row in streams if row.headers_only}
    less |= {row.stream: ", heads only" for row in streams if row.heads_only}
    lines = [f"{feed}{less.get(str(feed), '')}" for feed in feeds]
    context.out.show(feeds, lines or "following nobody")


def _name(feed: str) -> str:
    return format_stream(parse_stream(feed)) if is_stream(feed) else format_feed(parse_feed(feed))


@click.group(cls=Group)
def feed() -> None:
    """Messages."""


@feed.command(name="list")
@click.pass_obj
def list_(context: Context) -> None:
    """All feeds that are stored here, with the sequence of their newest message."""
    with context.client() as client:
        rows = client.get("/feeds")
    context.out.show(rows, [_feed_line(row) for row in read_rows(rows, FeedRow)])


def _feed_line(row: FeedRow) -> str:
    kind = "own" if row.own else "following" if row.following else "not followed"
    return f"{row.sequence:>8}  {row.feed}  {kind}{', FORKED' if row.forked else ''}"


@feed.command()
@click.option("--content", metavar="JSON", help='As {"type": "post", "text": "hello"}.')
@click.option("--file", "path", metavar="F", help="A file with that JSON; - for stdin.")
@click.option("--to", multiple=True, metavar="ID", help="Only these can read it; repeatable.")
@click.pass_obj
def publish(context: Context, content: str | None, path: str | None, to: tuple[str, ...]) -> None:
    """Append a message to the node's own feed. Once this ends with 0, it is on disk."""
    if (content is None) == (path is None):
        raise click.UsageError("give either --content or --file")
    data = read_input(path, CONTENT_BYTES_MAX) if path else (content or "").encode()
    value = v8json.parse(data, path or "--content")
    recipients: list[JsonValue] = [format_feed(parse_feed(each)) for each in to]
    with context.client() as client:
        entry = client.post("/feeds/publish", {"content": value, "to": recipients})
    published = read_row(entry, Entry)
    context.out.show(entry, f"published {published.key}")


@feed.command()
@click.argument("sequence", type=click.IntRange(min=0))
@click.pass_obj
def resume(context: Context, sequence: int) -> None:
    """Let an identity that was used elsewhere publish, after this last message of its feed.

    Until then it may not: a message that takes a place which is taken elsewhere forks the feed for
    good. 0: it has never published.
    """
    with context.client() as client:
        client.post("/feeds/resume", {"sequence": sequence})
    context.out.show({"resumed": sequence}, f"the node may publish from message {sequence + 1} on")


@feed.command()
@click.argument("feed")
@click.option("--from", "from", type=click.IntRange(min=1), default=1, metavar="N")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="At most so many.")
@click.option("--private", is_flag=True, help="Open what is addressed to this node.")
@click.option("--follow", is_flag=True, help="Wait for further ones; Ctrl-C ends.")
@click.pass_obj
def log(context: Context, /, feed: str, **options: int | None) -> None:
    """The stored messages of a feed, oldest first."""
    given = {name: int(value) for name, value in options.items() if value is not None}
    wanted: dict[str, str | int] = {"feed": format_feed(parse_feed(feed)), **given}
    with context.client() as client:
        for line in client.lines("/feeds/log", wanted):
            if context.out.json:
                context.out.line(line)
            else:
                context.out.text(_message_text(context, v8json.parse(line, "a line of the log")))


def _message_text(context: Context, line: JsonValue) -> str:
    entry = read_row(line, Entry)
    match entry.value:
        case {"sequence": sequence, "timestamp": timestamp, "content": content}:
            pass
        case _:
            raise Malformed("a line of the log has no message in it")
    mark = "" if entry.opened is None else "  private"
    key = context.out.paint(entry.key, "soft")
    head = f"{sequence}  {time_text(timestamp)}{mark}  {key}"
    body = printable(_content_text(content if entry.opened is None else entry.opened))
    return "\n".join([head, *["    " + line for line in body.split("\n")]])


def _content_text(content: JsonValue) -> str:
    match content:
        case {"type": "post", "text": str(text)}:
            return text
        case str():
            return "(sealed for others)"
        case _:
            return v8json.compact(content).decode()


@feed.command()
@click.argument("feed")
@click.pass_obj
def verify(context: Context, feed: str) -> None:
    """Check every stored message again: its form, its signature, its link to the one before."""
    name = format_feed(parse_feed(feed))
    head: Head | None = None
    with context.client() as client, context.out.progress("checked") as progress:
        for line in client.lines("/feeds/log", {"feed": name}):
            head = _verified(v8json.parse(line, "a line of the log"), head, name)
            if head.sequence % 500 == 0:
                progress.at(f"{head.sequence} messages")
    count = head.sequence if head else 0
    context.out.show({"feed": name, "verified": count}, f"{count} messages, all good")


def _verified(line: JsonValue, head: Head | None, name: str) -> Head:
    stored = read_row(line, Entry)
    message = validate(stored.value, head)
    if isinstance(message, Refused):
        reason = message.reason
    elif format_feed(message.author) != name:
        reason = "it is a message of another feed"
    elif stored.key != format_message(message.id):
        reason = "it is stored under another id than its own"
    else:
        return message.head
    raise LocalError(
        f"message {head.sequence + 1 if head else 1} of {name}: {reason}",
        hint="qbix-node doctor looks at the whole store",
    )
