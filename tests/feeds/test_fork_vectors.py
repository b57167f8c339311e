"""spec/vectors/feeds-forks.json is what the generator makes, and this package says the same."""

import json
from typing import Any

import pytest

from qbix_node.errors import Malformed
from qbix_node.feeds.forks import ClassicFork
from qbix_node.gossip.proofs import check_proof, proof_id, read_proof
from qbix_node.wire.references import format_feed
from tests.feeds.make_vectors import FOLDER, NAME, make

MADE = make()[NAME]
VECTORS = json.loads(MADE)


def test_the_committed_file_is_the_one_that_is_made() -> None:
    assert (FOLDER / NAME).read_text() == MADE, "python -m tests.feeds.make_vectors"


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: str(vector["what"]))
def test_a_proof_is_accepted(vector: dict[str, Any]) -> None:
    encoded = bytes.fromhex(vector["hex"])
    fork = read_proof(encoded)
    check_proof(fork)
    assert isinstance(fork, ClassicFork)
    assert proof_id(encoded).hex() == vector["id"]
    assert (format_feed(fork.feed), fork.sequence) == (vector["feed"], vector["sequence"])


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: str(vector["rule"]))
def test_what_proves_nothing_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        check_proof(read_proof(bytes.fromhex(vector["hex"])))
