"""`qbix-node fork`: proofs that somebody signed two histories (spec/streams.md 6)."""

from collections.abc import Iterator
from pathlib import Path

import click

from qbix_node.cli.frame import Context, Group
from qbix_node.cli.inputs import read_input
from qbix_node.cli.output import Output, time_text
from qbix_node.cli.transfer import write_file
from qbix_node.errors import LocalError, Malformed
from qbix_node.feeds.forks import FORM, ClassicFork
from qbix_node.gossip.proofs import Proof, check_proof, form_of, log_of, proof_id, read_proof
from qbix_node.http.fork_api import ForkRow
from qbix_node.http.rows import read_rows
from qbix_node.streams.forks import PROOF_BYTES_MAX, HeadFork, ResolveFork
from qbix_node.wire.references import encode_base64, format_feed, format_message, format_stream
from qbix_node.wire.v8json import JsonValue


@click.group(cls=Group)
def fork() -> None:
    """Proofs that somebody signed two histories."""


@fork.command()
@click.argument("file")
@click.pass_obj
def verify(context: Context, file: str) -> None:
    """Check a proof (- for stdin), without daemon or network. Ends with 1 if it proves nothing."""
    encoded = read_input(file, PROOF_BYTES_MAX)
    proof = _checked(encoded, file)
    context.out.show(_data(encoded, proof), _lines(proof, context.out))


@fork.command(name="list")
@click.pass_obj
def list_(context: Context) -> None:
    """All proofs that the node holds, of streams and of feeds."""
    with context.client() as client:
        answer = client.get("/forks")
    context.out.show(answer, _listed(read_rows(answer, ForkRow), context.out))


def _listed(rows: list[ForkRow], out: Output) -> Iterator[str]:
    for row in rows:
        yield f"{row.id}  {row.form}  {fork_text(row, out)}"
        for key in row.convicted:
            yield f"    signed both  {key}"


def fork_text(row: ForkRow, out: Output) -> str:
    place = f"two messages {row.length}" if row.form == FORM else f"at length {row.length}"
    if row.resolved:
        return out.paint(f"{row.log} forked: {place}, resolved since", "yellow")
    return out.paint(f"{row.log} forked: {place}", "red")


@fork.command()
@click.argument("name", metavar="ID")
@click.option("-o", "--output", metavar="FILE", help="Write the proof there, too.")
@click.pass_obj
def show(context: Context, name: str, output: str | None) -> None:
    """Check a proof that the node holds; the beginning of its ID is enough."""
    with context.client() as client, client.pieces("/forks/proof", {"id": name}) as pieces:
        encoded = b"".join(pieces)
    proof = _checked(encoded, f"what is stored as {name}")
    data, told = _data(encoded, proof), [*_lines(proof, context.out)]
    if output is not None:
        write_file(iter([encoded]), Path(output))
        data |= {"bytes": len(encoded), "file": output}
        told.append(f"{output}: {len(encoded)} bytes; qbix-node fork verify checks it")
    context.out.show(data, told)


def _checked(encoded: bytes, file: str) -> Proof:
    """Raises Malformed for what is no proof, LocalError for one that proves nothing."""
    proof = read_proof(encoded)
    try:
        check_proof(proof)
    except Malformed as error:
        raise LocalError(f"{file} proves nothing: {error}") from error
    return proof


def _data(encoded: bytes, proof: Proof) -> dict[str, JsonValue]:
    convicted: list[JsonValue] = [format_feed(key) for key in proof.convicted()]
    about: dict[str, JsonValue] = {
        "id": encode_base64(proof_id(encoded)),
        "form": form_of(proof),
    }
    if isinstance(proof, ClassicFork):
        about |= {"feed": format_feed(proof.feed), "sequence": proof.sequence}
    else:
        about |= {"stream": format_stream(proof.stream), "forked_length": proof.forked_length}
    if isinstance(proof, HeadFork):
        roots: list[JsonValue] = [encode_base64(root) for root in proof.roots]
        about |= {"compared_length": proof.compared_length, "roots": roots}
    return {**about, "convicted": convicted, "signed": [*_signed(proof)]}


def _signed(proof: Proof) -> Iterator[JsonValue]:
    """The two that contradict each other."""
    match proof:
        case HeadFork():
            for head in (proof.shown.head, proof.other.head):
                root = encode_base64(head.root)
                yield {"length": head.length, "root": root, "timestamp": head.timestamp_ms}
        case ResolveFork():
            for signed in (proof.signed, proof.other):
                chosen = encode_base64(signed.resolve.chosen_root)
                yield {"fork_length": signed.resolve.fork_length, "chosen_root": chosen}
        case ClassicFork():
            for message in (proof.message, proof.other):
                yield {"id": format_message(message.id), "timestamp": message.timestamp}


def _lines(proof: Proof, out: Output) -> Iterator[str]:
    yield f"{out.paint('forked', 'red')}  {log_of(proof)}"
    match proof:
        case HeadFork(resolved=resolved):
            yield from _head_lines(proof)
            if resolved is not None:
                yield "both continue the branch that was chosen after an earlier fork"
        case ResolveFork():
            yield "two different answers, both signed, to which branch goes on after a fork:"
            for signed in (proof.signed, proof.other):
                root = encode_base64(signed.resolve.chosen_root)
                yield f"  that with root {root} at length {signed.resolve.fork_length}"
        case ClassicFork():
            yield f"two messages {proof.sequence}, both signed:"
            for message in (proof.message, proof.other):
                yield f"  {format_message(message.id)}, {time_text(message.timestamp)}"
    signers = proof.convicted()
    for key in signers:
        yield f"signed both  {format_feed(key)}"
    if not signers:
        yield "nobody signed both: two groups of owners decided, each for itself"


def _head_lines(proof: HeadFork) -> Iterator[str]:
    yield "two Heads, both signed, that can't both be continued:"
    for head in (proof.shown.head, proof.other.head):
        root, time = encode_base64(head.root), time_text(head.timestamp_ms)
        yield f"  length {head.length}, root {root}, {time}"
    stop, roots = proof.compared_length, [encode_base64(root) for root in proof.roots]
    if proof.forked_length == stop:
        yield f"the logs differ somewhere before entry {stop}:"
    else:
        yield f"the logs differ somewhere from entry {proof.forked_length - 1} to {stop - 1}:"
    yield f"  at length {stop}, one has root {roots[0]}, the other {roots[1]}"
