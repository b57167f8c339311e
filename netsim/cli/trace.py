"""`trace dump` and `replay`: what a trace holds, and whether it still comes out the same."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from netsim import tracefile
from netsim.cli.options import json_option
from netsim.commit import code_commit
from netsim.replay import Difference, compare, repeat
from netsim.trace import NOBODY, Kind, Record, unpack
from netsim.tracefile import TraceFile
from qbix_node.cli.output import Output
from qbix_node.errors import ExitCode
from qbix_node.wire import v8json
from qbix_node.wire.v8json import JsonValue

_FILE = click.Path(path_type=Path, dir_okay=False)
_LINES = 1000  # written at a time


@click.group()
def trace() -> None:
    """What a trace holds."""


@trace.command()
@click.argument("file", type=_FILE)
@click.option("--node", type=click.IntRange(min=0), help="Of this node only.")
@click.option("--kind", type=click.Choice([kind.name.lower() for kind in Kind]), help="Of this.")
@json_option
def dump(file: Path, node: int | None, kind: str | None, out: Output) -> None:
    """All records, a line each."""
    read = tracefile.read(file)
    lines = _lines(read, _chosen(read, node, kind), json=out.json)
    while block := b"".join(islice(lines, _LINES)):
        out.write(block)


def _chosen(read: TraceFile, node: int | None, kind: str | None) -> Iterator[Record]:
    wanted = None if kind is None else Kind[kind.upper()]
    for record in unpack(read.records):
        if node in (None, record.node) and wanted in (None, record.kind):
            yield record


def _lines(read: TraceFile, records: Iterator[Record], *, json: bool) -> Iterator[bytes]:
    words = read.words()
    for record in records:
        if json:
            yield v8json.compact(_data(record)) + b"\n"
        else:
            yield words.line(record).encode() + b"\n"


@click.command()
@click.argument("file", type=_FILE)
@json_option
def replay(file: Path, out: Output) -> int:
    """Run a trace again, with the code that is here. Ends with 1 if it goes another way."""
    read = tracefile.read(file)
    if read.commit != code_commit():
        told = f"warning: the trace is of commit {read.commit}, this code is {code_commit()}"
        click.echo(told, err=True)
    outcome = repeat(read)
    difference = compare(read.records, outcome.records)
    data: JsonValue = {
        "same": difference is None,
        "commit": code_commit(),
        "trace_sha256": outcome.trace_sha256,
        "difference": None if difference is None else _difference(difference),
    }
    out.show(data, _told(read, difference, outcome.trace_sha256))
    return ExitCode.DONE if difference is None else ExitCode.REFUSED


def _told(read: TraceFile, difference: Difference | None, sha256: str) -> Iterator[str]:
    if difference is None:
        yield f"the same: trace {sha256}"
        return
    words = read.words()
    yield f"another run: the first {difference.place:,} records are the same, then"
    for when, record in (("in the trace", difference.then), ("now", difference.now)):
        said = "it was over" if record is None else words.line(record)
        yield f"  {when:12}  {said}"


def _difference(difference: Difference) -> JsonValue:
    then, now = difference.then, difference.now
    return {
        "place": difference.place,
        "then": None if then is None else _data(then),
        "now": None if now is None else _data(now),
    }


def _data(record: Record) -> JsonValue:
    return {
        "at_s": record.at_s,
        "kind": record.kind.name.lower(),
        "node": record.node,
        "peer": None if record.peer == NOBODY else record.peer,
        "subject": None if record.subject == NOBODY else record.subject,
        "value": record.value,
    }
