"""spec/vectors/gossip-messages.json is what the generator makes, and this package says the same."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from qbix_node.errors import Malformed
from qbix_node.gossip import messages as g
from qbix_node.machines import SignatureCheck
from qbix_node.runtime import verify_checks
from qbix_node.streams.forks import check_fork, read_fork
from qbix_node.streams.genesis import read_genesis
from qbix_node.streams.resolution import resolution_of
from qbix_node.streams.tree import Hash, Prefix
from qbix_node.wire.references import format_stream
from qbix_node.wire.v8json import JsonValue
from tests.gossip.make_vectors import NAME, fields_of, make
from tests.streams.long_hex import read as data
from tests.streams.make_vectors import FOLDER

MADE = make()[NAME]
VECTORS = json.loads(MADE)


def test_the_committed_file_is_the_one_that_is_made() -> None:
    assert (FOLDER / NAME).read_text() == MADE, "python -m tests.gossip.make_vectors"
    assert len(MADE) < 300 * 1024


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: str(vector["what"]))
def test_messages_are_read_and_written(vector: dict[str, Any]) -> None:
    encoded = data(vector["hex"])
    message = g.read_message(encoded)
    assert g.encode(message) == encoded
    assert fields_of(message) == vector["message"]


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: str(vector["what"]))
def test_what_they_show_holds(vector: dict[str, Any]) -> None:
    match g.read_message(data(vector["hex"])):
        case g.Compare(_, shown, prefix) | g.Shorter(_, shown, prefix):
            assert prefix.leads_to(shown.head.root, shown.head.length)
        case g.Continues(number, shown, frontier, peaks, end):
            asked = vector["asked"]
            shown_peaks = tuple([Hash(bytes.fromhex(each)) for each in asked["peaks"]])
            assert bool(peaks) == (not shown_peaks)
            prefix = Prefix(asked["length"], shown_peaks or peaks, frontier)
            assert prefix.leads_to(shown.head.root, shown.head.length)
            assert not end or Prefix(shown.head.length, end, ()).leads_to(
                shown.head.root, shown.head.length
            )
            assert number == asked["number"]
        case g.Geneses(geneses):
            named = [format_stream(read_genesis(each).stream) for each in geneses]
            assert named == vector["message"]["streams"]
        case g.Proofs(proofs):
            for proof in proofs:
                check_fork(read_fork(proof))
        case g.Resolve(signed, proof):
            assert all(verify_checks(resolution_of(signed, proof).checks()))
        case _:
            pass


@pytest.mark.parametrize("vector", VECTORS["uncounted"], ids=lambda vector: str(vector["what"]))
def test_what_does_not_count_is_well_formed(vector: dict[str, Any]) -> None:
    said = g.read_message(data(vector["hex"]))
    assert isinstance(said, g.Resolve)
    with pytest.raises(Malformed):
        require_true(resolution_of(said.signed, said.proof).checks())


def require_true(checks: Sequence[SignatureCheck]) -> None:
    if not all(verify_checks(checks)):
        raise Malformed("a signature doesn't match")


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: str(vector["rule"]))
def test_what_is_malformed_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        g.read_message(data(vector["hex"]))


@pytest.mark.parametrize("arguments", VECTORS["arguments"]["valid"])
def test_arguments(arguments: list[JsonValue]) -> None:
    g.check_arguments(arguments)
    assert arguments == g.ARGUMENTS


@pytest.mark.parametrize("arguments", VECTORS["arguments"]["invalid"], ids=str)
def test_other_arguments_are_refused(arguments: list[JsonValue]) -> None:
    with pytest.raises(Malformed):
        g.check_arguments(arguments)
