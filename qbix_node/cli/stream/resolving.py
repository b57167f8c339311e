"""`qbix-node stream resolve`."""

import time

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.cli.output import Progress
from qbix_node.errors import LocalError, Temporary
from qbix_node.http.rows import read_details, read_row
from qbix_node.http.stream_api import BranchRow, StreamDetails, StreamRow
from qbix_node.wire.references import format_stream, parse_stream
from qbix_node.wire.v8json import JsonValue

LOOK_AGAIN_S = 0.5


@click.command(cls=Command)
@click.argument("stream")
@click.option("--root", metavar="ROOT", help="Of the branch, by stream show; else the one here.")
@click.option(
    "--wait",
    type=click.IntRange(min=0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="For other owners, where there are several.",
)
@click.pass_obj
def resolve(context: Context, stream: str, root: str | None, wait: int) -> None:
    """Choose the branch that goes on, as an owner of a forked stream. Only once.

    Of several owners each types this on its own node; what so many have chosen as their threshold
    says, counts. All nodes switch to it, and drop what stands on the other branch only. A second
    choice, or another fork after it, closes the stream for good.
    """
    name = format_stream(parse_stream(stream))
    body: dict[str, JsonValue] = {"stream": name}
    if root is not None:
        body["root"] = root
    with context.client() as client, context.out.progress("chosen by") as progress:
        answer, until = client.post("/streams/resolve", body), time.monotonic() + wait
        row = read_row(answer, StreamRow)
        while row.resolved_root is None:
            answer = client.get("/streams/show", {"stream": name})
            details = read_details(answer)
            row = details.row
            if row.resolved_root is None:
                _check(details, progress)
                if time.monotonic() >= until:
                    raise _too_few(details)
                time.sleep(LOOK_AGAIN_S)
    at = f"at length {row.resolved_length}, root {row.resolved_root}"
    context.out.show(answer, [f"{row.stream} goes on with the branch {at}"])


def _check(details: StreamDetails, progress: Progress) -> None:
    """Whether there is still something to wait for."""
    if details.row.closed:
        raise LocalError(f"{details.row.stream} was closed meanwhile: {details.row.stopped}")
    progress.at(_counted(details))


def _chosen(details: StreamDetails) -> list[BranchRow]:
    return [branch for branch in details.branches if branch.chosen_by]


def _counted(details: StreamDetails) -> str:
    weights = dict(zip(details.row.owners, details.row.weights, strict=True))
    parts = [sum([weights[key] for key in each.chosen_by]) for each in _chosen(details)]
    most = max(parts, default=0)
    return f"owners of weight {most}, and {details.row.threshold} are needed"


def _too_few(details: StreamDetails) -> Temporary:
    row, chosen = details.row, _chosen(details)
    spoken = [key for branch in chosen for key in branch.chosen_by]
    silent = [key for key in row.owners if key not in spoken]
    split = f"; owners have chosen {len(chosen)} different branches" if len(chosen) > 1 else ""
    return Temporary(
        f"this node's choice is signed and kept, but only {_counted(details)}{split}; these have"
        f" not chosen, as far as is known here: {', '.join(silent) or 'none'}",
        hint="each types on its own node: qbix-node stream resolve"
        f" {row.stream}{_root_hint(chosen)}; once enough have, it counts by itself",
    )


def _root_hint(chosen: list[BranchRow]) -> str:
    return f" --root {chosen[0].root}" if len(chosen) == 1 else " --root ROOT"
