"""spec/vectors/streams-contents.json is what the generator makes; this package says the same."""

import json
from typing import Any

import pytest

from qbix_node.errors import Malformed
from qbix_node.replication.streams.contents import messages as c
from qbix_node.wire.references import format_stream, parse_stream
from qbix_node.wire.v8json import JsonValue, parse
from tests.replication.streams.make_vectors import NAME, make
from tests.streams.long_hex import read as data
from tests.streams.make_vectors import FOLDER

MADE = make()[NAME]
VECTORS = json.loads(MADE)
QUESTIONS, ANSWERS, CHOICES = VECTORS["questions"], VECTORS["answers"], VECTORS["choices"]


def test_the_committed_file_is_the_one_that_is_made() -> None:
    made_by = "python -m tests.replication.streams.make_vectors"
    assert (FOLDER / NAME).read_text() == MADE, made_by


@pytest.mark.parametrize(
    "vector", CHOICES["written"] + CHOICES["read"], ids=lambda v: str(v["json"])
)
def test_choices_are_read(vector: dict[str, Any]) -> None:
    value = parse(vector["json"].encode(), "a choice")
    assert isinstance(value, dict)
    wants = c.parse_choice(value[c.CHOICE]).streams
    assert {format_stream(stream): want for stream, want in wants.items()} == vector["wants"]


@pytest.mark.parametrize("vector", CHOICES["written"], ids=lambda vector: str(vector["json"]))
def test_choices_are_written(vector: dict[str, Any]) -> None:
    wants = {parse_stream(name): want for name, want in vector["wants"].items()}
    assert c.format_choice(wants).decode() == vector["json"]


@pytest.mark.parametrize("vector", QUESTIONS["valid"], ids=lambda vector: str(vector["what"]))
def test_questions(vector: dict[str, Any]) -> None:
    question = c.WantContents(parse_stream(vector["stream"]), tuple(vector["places"]))
    assert c.read_question(data(vector["hex"])) == question
    assert c.encode_question(question) == data(vector["hex"])


@pytest.mark.parametrize("vector", ANSWERS["valid"], ids=lambda vector: str(vector["what"]))
def test_answers(vector: dict[str, Any]) -> None:
    answer = c.read_answer(data(vector["hex"]))
    assert [None if each is None else len(each) for each in answer.contents] == vector["sizes"]
    assert c.encode_answer(answer) == data(vector["hex"])


@pytest.mark.parametrize("vector", QUESTIONS["invalid"], ids=lambda vector: str(vector["rule"]))
def test_what_is_no_question(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        c.read_question(data(vector["hex"]))


@pytest.mark.parametrize("vector", ANSWERS["invalid"], ids=lambda vector: str(vector["rule"]))
def test_what_is_no_answer(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        c.read_answer(data(vector["hex"]))


@pytest.mark.parametrize("arguments", VECTORS["arguments"]["invalid"], ids=str)
def test_other_arguments_are_refused(arguments: list[JsonValue]) -> None:
    c.check_arguments(VECTORS["arguments"]["valid"][0])
    with pytest.raises(Malformed):
        c.check_arguments(arguments)
