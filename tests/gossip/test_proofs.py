"""One way to read the fork proofs of all forms."""

import pytest

from qbix_node.errors import Malformed
from qbix_node.feeds.forks import fork_of
from qbix_node.feeds.records import Evidence
from qbix_node.gossip.proofs import (
    Proof,
    check_proof,
    encode_proof,
    form_of,
    log_of,
    place_of,
    proof_id,
    read_proof,
)
from qbix_node.streams.forks import PROOF_BYTES_MAX, ShownHead, equal_fork
from qbix_node.wire.packing import pack
from qbix_node.wire.references import format_feed, format_stream
from tests.feeds import authors
from tests.gossip.gossips import Author


def of_stream() -> tuple[Proof, str, str, int]:
    author = Author()
    heads = [ShownHead(author.write([text])[-1].signed_head) for text in ("one", "other")]
    fork = equal_fork(author.genesis, heads[0], heads[1])
    return fork, "a", format_stream(author.stream), 2


def of_feed() -> tuple[Proof, str, str, int]:
    author = authors.Author("mallory")
    author.write_many(4)
    messages = author.twin().write(), author.write({"type": "post", "text": "other"})
    return fork_of(Evidence(0, *messages)), "c", format_feed(author.feed), 5


@pytest.mark.parametrize("made", [of_stream(), of_feed()], ids=["stream", "feed"])
def test_a_proof_is_read_and_checked_whatever_it_is_of(made: tuple[Proof, str, str, int]) -> None:
    proof, form, log, place = made
    encoded = encode_proof(proof)
    again = read_proof(encoded)
    check_proof(again)
    assert again == proof
    assert (form_of(again), log_of(again), place_of(again)) == (form, log, place)
    assert len(proof_id(encoded)) == 32
    with pytest.raises(Malformed, match="a signature"):
        check_proof(again, lambda key, body, signature: False)


@pytest.mark.parametrize(
    "encoded",
    [b"", b"\x90", pack((1, "d", "{}", "{}")), pack(7), bytes(PROOF_BYTES_MAX + 1)],
)
def test_what_is_no_proof_is_malformed(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        read_proof(encoded)
