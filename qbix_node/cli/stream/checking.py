"""`qbix-node stream verify` and `prove`: nothing is believed because the daemon says it."""

from collections.abc import Iterator
from pathlib import Path

import click

from qbix_node.cli.frame import Command, Context
from qbix_node.cli.inputs import open_input, pieces_of, read_input
from qbix_node.cli.output import Progress, printable, size_text, time_text
from qbix_node.cli.transfer import write_file
from qbix_node.errors import LocalError, Malformed
from qbix_node.streams.archive import ArchiveReader, Frame
from qbix_node.streams.audit import Audit
from qbix_node.streams.inclusion import (
    PROOF_BYTES_MAX,
    Inclusion,
    check_inclusion,
    read_inclusion,
)
from qbix_node.streams.messages import Segment
from qbix_node.wire.references import (
    encode_base64,
    format_blob,
    format_feed,
    format_stream,
    parse_stream,
)
from qbix_node.wire.v8json import JsonValue


@click.command(cls=Command)
@click.argument("stream", required=False)
@click.option("--file", metavar="FILE", help="An export; no daemon is needed.")
@click.option("--proof", metavar="FILE", help="Of one entry; no daemon is needed.")
@click.pass_obj
def verify(context: Context, stream: str | None, file: str | None, proof: str | None) -> None:
    """Check every entry, hash and signature again: of a stored stream, an export or a proof."""
    match stream, file, proof:
        case str(), None, None:
            _verify_stored(context, format_stream(parse_stream(stream)))
        case None, str(), None:
            with open_input(file) as source, context.out.progress("checked") as progress:
                audit = audited(pieces_of(source), progress)
            _tell(context, audit)
        case None, None, str():
            _verify_proof(context, proof)
        case _:
            raise click.UsageError("give one of STREAM, --file and --proof")


def _verify_stored(context: Context, name: str) -> None:
    with (
        context.client() as client,
        context.out.progress("checked") as progress,
        client.pieces("/streams/export", {"stream": name}) as pieces,
    ):
        try:
            audit = audited(pieces, progress)
        except LocalError as error:
            hint = error.hint or "qbix-node doctor looks at the whole store"
            raise LocalError(f"{name}: {error}", hint=hint) from error
    assert audit.genesis is not None
    if format_stream(audit.genesis.stream) != name:
        raise LocalError(f"the daemon showed another stream than {name}")
    _tell(context, audit)


def audited(pieces: Iterator[bytes], progress: Progress) -> Audit:
    """Raises BadInput for what is no export, LocalError for one that doesn't hold."""
    reader, audit = ArchiveReader(), Audit()
    for piece in pieces:
        for frame in reader.take(piece):
            _take(audit, frame)
            progress.at(f"{audit.length - 1} entries")
    reader.end()
    return audit


def _take(audit: Audit, frame: Frame) -> None:
    try:
        if isinstance(frame.content, Segment):
            audit.take(frame.content)
        else:
            audit.take_further(frame.content)
    except Malformed as error:
        raise LocalError(f"frame {frame.number}: {error}") from error


def _tell(context: Context, audit: Audit) -> None:
    assert audit.genesis is not None
    assert audit.state is not None
    head = audit.state.signed.head
    entries, missing = audit.length - 1, audit.contents_missing
    data: JsonValue = {
        "stream": format_stream(audit.genesis.stream),
        "verified": entries,
        "length": head.length,
        "root": encode_base64(head.root),
        "signatures": audit.signatures,
        "contents_missing": missing,
        "forks": audit.forks,
        "resolved": audit.resolve is not None,
        "closed": audit.closed,
    }
    signatures = "1 signature" if audit.signatures == 1 else f"{audit.signatures} signatures"
    told = [f"{entries} entries, {signatures} over them, all good"]
    if missing:
        told.append(f"{missing} contents are not in it, so they were not looked at")
    told += _fork_lines(audit, context)
    context.out.show(data, told)


def _fork_lines(audit: Audit, context: Context) -> Iterator[str]:
    held = f"{audit.forks} proofs of that are in it"
    if audit.closed:
        yield context.out.paint(f"CLOSED, forked again after a branch was chosen: {held}", "red")
    elif audit.resolve is not None:
        at = f"at length {audit.resolve.resolve.fork_length}"
        yield context.out.paint(f"resolved fork: its owners chose this branch, {at}", "yellow")
    elif audit.forks:
        yield context.out.paint(f"FORKED: {held}", "red")


def _verify_proof(context: Context, path: str) -> None:
    proof = read_inclusion(read_input(path, PROOF_BYTES_MAX))
    try:
        check_inclusion(proof)
    except Malformed as error:
        raise LocalError(f"{path} proves nothing: {error}") from error
    header, head = proof.header, proof.shown.head
    data: dict[str, JsonValue] = {
        "stream": format_stream(header.stream),
        "index": header.place,
        "kind": header.kind,
        "author": format_feed(header.author),
        "timestamp": header.timestamp_ms,
        "bytes": header.content_size,
        "content_hash": format_blob(header.content_hash),
        "length": head.length,
        "root": encode_base64(head.root),
    }
    if proof.content is not None:
        data["base64"] = encode_base64(proof.content)
    context.out.show(data, _proof_text(proof))


def _proof_text(proof: Inclusion) -> Iterator[str]:
    header, head = proof.header, proof.shown.head
    yield f"entry {header.place} stands in {format_stream(header.stream)}"
    yield f"  as its owners signed under a Head of length {head.length}"
    yield f"  {header.kind}, {time_text(header.timestamp_ms)}, {format_feed(header.author)}"
    yield f"  {size_text(header.content_size)}, {format_blob(header.content_hash)}"
    if proof.content is not None:
        try:
            yield from ["    " + line for line in printable(proof.content.decode()).split("\n")]
        except UnicodeDecodeError:
            yield "    (binary)"


@click.command(cls=Command)
@click.argument("stream")
@click.argument("index", type=click.IntRange(min=1))
@click.option("-o", "--output", metavar="FILE", help="Else stdout.")
@click.pass_obj
def prove(context: Context, stream: str, index: int, output: str | None) -> None:
    """Prove that this entry stands in the stream. Who has the proof needs nothing else."""
    if output is None and context.out.json:
        raise click.UsageError("--json needs -o FILE, because the proof would go to stdout")
    name = format_stream(parse_stream(stream))
    wanted: dict[str, str | int] = {"stream": name, "index": index}
    with context.client() as client, client.pieces("/streams/prove", wanted) as pieces:
        encoded = b"".join(pieces)
    try:
        check_inclusion(read_inclusion(encoded))
    except Malformed as error:
        raise LocalError(
            f"what is stored here proves nothing: {error}",
            hint="qbix-node stream verify looks at the whole stream",
        ) from error
    if output is None:
        context.out.write(encoded)
        return
    write_file(iter([encoded]), Path(output))
    size = len(encoded)
    data: JsonValue = {"stream": name, "index": index, "bytes": size, "file": output}
    context.out.show(data, f"{output}: {size} bytes; qbix-node stream verify --proof checks it")
