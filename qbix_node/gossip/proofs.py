"""Fork proofs of all forms, of streams and of classic feeds (spec/streams.md 6)."""

from collections.abc import Callable

from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.keys import verify
from qbix_node.errors import Malformed
from qbix_node.feeds.forks import (
    ClassicFork,
    check_classic_fork,
    encode_classic_fork,
    read_classic_fork,
)
from qbix_node.streams.forks import PROOF_BYTES_MAX, StreamFork, check_fork, encode_fork, read_fork
from qbix_node.wire import fields
from qbix_node.wire.packing import unpack
from qbix_node.wire.references import format_feed, format_stream

Proof = StreamFork | ClassicFork


def proof_id(encoded: bytes) -> bytes:
    return sha256(encoded)


def form_of(proof: Proof) -> str:
    return str(proof.packable()[1])


def log_of(proof: Proof) -> str:
    """The name of what was forked."""
    if isinstance(proof, ClassicFork):
        return format_feed(proof.feed)
    return format_stream(proof.stream)


def place_of(proof: Proof) -> int:
    """The forked length, or the sequence."""
    return proof.sequence if isinstance(proof, ClassicFork) else proof.forked_length


def encode_proof(proof: Proof) -> bytes:
    return encode_classic_fork(proof) if isinstance(proof, ClassicFork) else encode_fork(proof)


def read_proof(encoded: bytes) -> Proof:
    """Raises Malformed. Whether it proves anything is what `check_proof` says."""
    if len(encoded) > PROOF_BYTES_MAX:
        raise Malformed(f"fork proof: {len(encoded)} bytes, {PROOF_BYTES_MAX} are allowed")
    row = fields.array(unpack(encoded, "fork proof"), "fork proof")
    match row[1:2]:
        case ("a" | "b" | "r",):
            return read_fork(encoded)
        case ("c",):
            return read_classic_fork(encoded)
        case _:
            raise Malformed("fork proof: its form is none of a, b, c and r")


def check_proof(proof: Proof, verify_one: Callable[[bytes, bytes, bytes], bool] = verify) -> None:
    """Raises Malformed with the reason why it proves nothing."""
    if isinstance(proof, ClassicFork):
        check_classic_fork(proof, verify_one)
    else:
        check_fork(proof, verify_one)
