"""Verdicts and bytes of other implementations (tests/vectors/SOURCES.md)."""

import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from qbix_node.feeds.messages import ClassicMessage, Head, Refused
from qbix_node.feeds.validation import read_message, validate
from qbix_node.wire.references import decode_base64, format_message, parse_message
from qbix_node.wire.v8json import parse
from tests.feeds.authors import value_of

GO_SSB = Path("tests/vectors/go-ssb-legacy/testdata.zip")
DATASET = Path("tests/interop/peers/node_modules/ssb-validation-dataset/data.json")


@cache
def go_ssb_files() -> dict[str, bytes]:
    with zipfile.ZipFile(GO_SSB) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def go_ssb_numbers() -> list[str]:
    return sorted(name.removesuffix(".input") for name in go_ssb_files() if ".input" in name)


def test_the_data_of_go_ssb_is_complete() -> None:
    assert len(go_ssb_numbers()) == 235


def test_messages_of_go_ssb_are_valid_byte_for_byte() -> None:
    files = go_ssb_files()
    for number in go_ssb_numbers():
        signed = files[number + ".input"]
        value = parse(signed, number)
        assert isinstance(value, dict)
        previous, sequence = value["previous"], value["sequence"]
        head = Head(sequence - 1, parse_message(previous)) if previous else None  # type: ignore[operator, arg-type]
        message = validate(value, head)
        assert isinstance(message, ClassicMessage), (number, message)
        assert message.encoded.encode() == signed
        assert message.signed_body == files[number + ".noSig"]
        assert format_message(message.id) == json.loads(files[number + ".full"])["key"]


def test_messages_of_go_ssb_with_another_text_are_refused() -> None:
    for number in go_ssb_numbers()[::10]:
        message = read_message(parse(go_ssb_files()[number + ".input"], number))
        assert isinstance(message, ClassicMessage)
        head = Head(message.sequence - 1, message.previous) if message.previous else None
        changed = value_of(message, timestamp=message.timestamp + 1)
        assert validate(changed, head) == Refused("signature does not match")


@cache
def dataset() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = parse(DATASET.read_bytes(), "dataset")  # type: ignore[assignment]
    return cases


def holds(case: dict[str, Any]) -> bool:
    """Whether our verdict on it is the published one."""
    hmac_key = None
    if case["hmacKey"] is not None:
        hmac_key = decode_base64(case["hmacKey"], 32) if isinstance(case["hmacKey"], str) else None
        if hmac_key is None:
            return not case["valid"]
    state = case["state"]
    head = Head(state["sequence"], parse_message(state["id"])) if state else None
    match validate(case["message"], head, hmac_key):
        case Refused():
            return not case["valid"]
        case message:
            return case["valid"] and case["id"] in (None, format_message(message.id))


@pytest.mark.skipif(not DATASET.exists(), reason="ssb-validation-dataset is not installed (npm)")
def test_verdicts_of_the_validation_dataset_are_ours() -> None:
    assert len(dataset()) == 126
    assert [case for case in dataset() if not holds(case)] == []
