"""`trace dump` and `replay`: what a trace holds, and whether it still comes out the same."""

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click

from netsim import tracefile
from netsim.cli.options import json_option
from netsim.commit import code_commit
from netsim.replay import Difference, compare, repeat
from netsim.scenario.reading import shown
from netsim.trace import FIELDS, NOBODY, Kind, Record, unpack
from netsim.tracefile import TraceFile
from netsim.words import Words
from qbix_node.cli.output import Output
from qbix_node.errors import ExitCode, UsageError
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
    numbers = [each.number for each in read.plan().nodes]
    if node is not None and node not in numbers:
        raise UsageError(f"{file}: there is no node {node}", hint=f"nodes: {shown(numbers)}")
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
    for warning in _warnings(read):
        click.echo(warning, err=True)
    outcome = repeat(read)
    difference = compare(read.records, outcome.records)
    data: JsonValue = {
        "same": difference is None,
        "commit": code_commit(),
        "trace_sha256": outcome.trace_sha256,
        "difference": None if difference is None else _difference(difference),
    }
    if difference is not None and out.json:
        click.echo("\n".join(_failure(read, outcome.trace_sha256)), err=True)
    out.show(data, _told(read, difference, outcome.trace_sha256))
    return ExitCode.DONE if difference is None else ExitCode.REFUSED


def _warnings(read: TraceFile) -> Iterator[str]:
    """Of all that may make it another run."""
    if read.commit != code_commit():
        yield f"warning: the trace is of commit {read.commit}, this code is {code_commit()}"
    for what, here in tracefile.versions().items():
        if (there := read.header.get(what, "unknown")) != here:
            yield f"warning: the trace is of {what} {there}, this is {what} {here}"


def _told(read: TraceFile, difference: Difference | None, sha256: str) -> Iterator[str]:
    if difference is None:
        yield f"the same: trace {sha256}"
        return
    failed = _failure(read, sha256)
    yield from [*failed, ""]
    yield f"another run: the first {difference.place:,} records are the same, then"
    yield from _records(read.words(), difference)
    yield from ["", *failed]


def _failure(read: TraceFile, now: str) -> list[str]:
    header, then = read.header, hashlib.sha256(read.records).hexdigest()
    return [
        "FAILED: another run (exit 1)",
        f"  scenario {header['scenario']}, seed {header['seed']}, commit {read.commit}",
        f"  trace then {then}, now {now}",
        f"  repeat it: {header.get('command', 'unknown')}",
    ]


def _records(words: Words, difference: Difference) -> Iterator[str]:
    then, now = difference.then, difference.now
    said = ["it was over" if each is None else words.line(each) for each in (then, now)]
    for when, text in zip(("in the trace", "now"), said, strict=True):
        yield f"  {when:12}  {text}"
    if then is not None and now is not None and said[0] == said[1]:
        fields = [
            f"{name}: {was} in the trace, {value} now"
            for name, was, value in zip(FIELDS, then, now, strict=True)
            if was != value
        ]
        yield f"  they differ in {'; '.join(fields)}"


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
