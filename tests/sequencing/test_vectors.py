"""spec/vectors/sequencing-messages.json is what the generator makes, and what is read here."""

import json
from typing import Any

import pytest

from qbix_node.errors import Malformed
from qbix_node.sequencing import messages as q
from qbix_node.sequencing import packets
from qbix_node.wire.v8json import JsonValue
from tests.sequencing.make_vectors import NAME, fields_of, make
from tests.streams.long_hex import read as data
from tests.streams.make_vectors import FOLDER

MADE = make()[NAME]
VECTORS = json.loads(MADE)


def test_the_committed_file_is_the_one_that_is_made() -> None:
    assert (FOLDER / NAME).read_text() == MADE, "python -m tests.sequencing.make_vectors"
    assert len(MADE) < 300 * 1024


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: str(vector["what"]))
def test_messages_are_read_and_written(vector: dict[str, Any]) -> None:
    encoded = data(vector["hex"])
    message = packets.read_message(encoded)
    assert packets.encode(message) == encoded
    assert fields_of(message) == vector["message"]


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: str(vector["rule"]))
def test_what_is_malformed_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        packets.read_message(data(vector["hex"]))


@pytest.mark.parametrize("arguments", VECTORS["arguments"]["valid"])
def test_arguments(arguments: list[JsonValue]) -> None:
    packets.check_arguments(arguments)
    assert arguments == packets.ARGUMENTS


@pytest.mark.parametrize("arguments", VECTORS["arguments"]["invalid"], ids=str)
def test_other_arguments_are_refused(arguments: list[JsonValue]) -> None:
    with pytest.raises(Malformed):
        packets.check_arguments(arguments)


def test_a_reason_is_cut_where_a_character_ends() -> None:
    read = packets.read_message(packets.encode(q.Declined(1, "ä" * 150)))
    assert read == q.Declined(1, "ä" * 100)
