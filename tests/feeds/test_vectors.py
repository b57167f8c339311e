"""The vectors of spec/classic-feeds.md and spec/private-messages.md."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import Malformed
from qbix_node.feeds import box1, box2
from qbix_node.feeds.messages import ClassicMessage, ForkFound, Head, Refused
from qbix_node.feeds.validation import message_id, units, validate
from qbix_node.wire.references import (
    FeedId,
    decode_base64,
    encode_base64,
    format_message,
    parse_feed,
    parse_message,
)
from qbix_node.wire.v8json import compact, parse, stringify
from tests.feeds.desk import Desk

Vector = dict[str, Any]


def load(name: str) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads(Path(f"spec/vectors/{name}.json").read_text())
    return vectors


ENCODING, MESSAGES = load("feeds-encoding"), load("feeds-messages")
BOX1, BOX2 = load("box1-messages"), load("box2-messages")


def named(vector: Vector) -> str:
    return str(vector.get("what"))


def person(seed: str) -> KeyPair:
    return KeyPair.from_seed(bytes.fromhex(seed))


# ---- encoding ----


@pytest.mark.parametrize("vector", ENCODING["valid"], ids=named)
def test_text_is_read_and_written(vector: Vector) -> None:
    value = parse(vector["text"].encode(), "vector")
    assert stringify(value) == vector["indented"]
    assert compact(value).decode() == vector["compact"]
    assert units(vector["indented"]) == vector["units"]
    assert message_id(vector["indented"]).hex() == vector["sha256"]


@pytest.mark.parametrize("vector", ENCODING["invalid"], ids=named)
def test_text_is_refused(vector: Vector) -> None:
    with pytest.raises(Malformed):
        parse(vector["text"].encode(), "vector")


# ---- messages ----


def verdict(vector: Vector) -> ClassicMessage | Refused:
    head = vector["head"]
    return validate(
        parse(vector["message"].encode(), "vector"),
        Head(head["sequence"], parse_message(head["id"])) if head else None,
        decode_base64(vector["hmac_key"], 32) if "hmac_key" in vector else None,
    )


@pytest.mark.parametrize("vector", MESSAGES["valid"], ids=named)
def test_message_is_valid(vector: Vector) -> None:
    message = verdict(vector)
    assert isinstance(message, ClassicMessage)
    assert format_message(message.id) == vector["id"]
    assert message.signed_body.decode() == vector["signed"]
    assert message.author == person(MESSAGES["author_seed"]).public


@pytest.mark.parametrize("vector", MESSAGES["invalid"], ids=named)
def test_message_is_refused(vector: Vector) -> None:
    assert isinstance(verdict(vector), Refused)


def forks(texts: list[str]) -> list[ForkFound]:
    """What a node finds that is offered these, and what they rest on."""
    first = MESSAGES["valid"][0]["message"]
    values = [json.loads(text) for text in [first, *texts]]
    desk = Desk([parse_feed(value["author"]) for value in values])
    for value in values:
        desk.offer(parse(json.dumps(value).encode(), "vector"))  # type: ignore[arg-type]
        desk.settle()
    return desk.findings(ForkFound)


@pytest.mark.parametrize("vector", MESSAGES["forks"], ids=named)
def test_two_messages_are_a_fork(vector: Vector) -> None:
    (fork,) = forks(vector["messages"])
    assert [fork.ours.encoded, fork.theirs.encoded] == vector["messages"]
    assert fork.sequence == vector["sequence"]


@pytest.mark.parametrize("vector", MESSAGES["no_forks"], ids=named)
def test_two_messages_are_no_fork(vector: Vector) -> None:
    assert forks(vector["messages"]) == []


# ---- private messages ----


def drawing(*values: str) -> Callable[[int], bytes]:
    """In place of chance."""
    queue = [bytes.fromhex(value) for value in values]

    def draw(size: int) -> bytes:
        assert len(queue[0]) == size
        return queue.pop(0)

    return draw


@pytest.mark.parametrize("vector", BOX1["boxes"], ids=named)
def test_box1(vector: Vector) -> None:
    plain, readers = vector["plain"].encode(), [person(seed) for seed in vector["reader_seeds"]]
    draw = drawing(vector["one_time_secret"], vector["nonce"], vector["body_key"])
    box = box1.seal(plain, [FeedId(reader.public) for reader in readers], draw)
    assert box.hex() == vector["box"]
    assert encode_base64(box) + ".box" == vector["content"]
    assert [box1.unseal(box, reader) for reader in readers] == [plain] * len(readers)
    assert [box1.unseal(box, person(seed)) for seed in vector["others"]] == [None]


@pytest.mark.parametrize("vector", BOX2["boxes"], ids=named)
def test_box2(vector: Vector) -> None:
    previous = parse_message(vector["previous"]) if vector["previous"] else None
    context = box2.Context(parse_feed(vector["author"]), previous)
    slots = [box2.SlotKey(bytes.fromhex(each["key"]), each["scheme"]) for each in vector["slots"]]
    plain = vector["plain"].encode()
    box = box2.seal(plain, context, slots, drawing(vector["message_key"]))
    assert box.hex() == vector["box"]
    assert encode_base64(box) + ".box2" == vector["content"]
    assert [box2.unseal(box, context, [slot]) for slot in slots] == [plain] * len(slots)


@pytest.mark.parametrize("vector", BOX2["direct_keys"])
def test_direct_keys(vector: Vector) -> None:
    one, other = (person(seed) for seed in vector["seeds"])
    for mine, theirs in ((one, other), (other, one)):
        keys = box2.direct_keys(mine, FeedId(theirs.public))
        assert [key.key.hex() for key in keys] == vector["keys"]


@pytest.mark.parametrize("vector", BOX2["own_keys"])
def test_own_key(vector: Vector) -> None:
    assert box2.own_key(person(vector["seed"])).key.hex() == vector["key"]
