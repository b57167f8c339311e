"""Private messages of other programs: public vectors, and the JavaScript libraries themselves."""

import base64
import json
import os
import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from qbix_node.crypto.keys import KeyPair
from qbix_node.feeds import box1, box2, private
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.messages import ClassicMessage, Head, Readers
from qbix_node.feeds.validation import read_message
from qbix_node.wire.references import FeedId, MessageId, format_feed, format_message
from qbix_node.wire.v8json import JsonValue

PACKAGES = Path("tests/interop/peers/node_modules")
ENVELOPE = PACKAGES / "envelope-spec/vectors"
GROUPS = PACKAGES / "private-group-spec/vectors"
ORACLE = Path(__file__).parent / "private_oracle.cjs"

needs_vectors = pytest.mark.skipif(
    not (ENVELOPE.exists() and GROUPS.exists()),
    reason="envelope-spec and private-group-spec are not installed (npm)",
)
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (PACKAGES / "envelope-js").exists(),
    reason="Node.js or the JavaScript peers are not installed",
)

bytes_of = base64.b64decode


def vector(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    content = json.loads(path.read_text())
    return content["input"], content["output"]


def context_of(given: dict[str, Any]) -> box2.Context:
    feed, previous = bytes_of(given["feed_id"]), bytes_of(given["prev_msg_id"])
    assert (feed[:2], previous[:2]) == (b"\0\0", b"\1\0")
    return box2.Context(FeedId(feed[2:]), MessageId(previous[2:]))


# ---- vectors of envelope-spec and private-group-spec ----


@needs_vectors
def test_keys_are_derived_as_in_the_vector() -> None:
    given, expected = vector(ENVELOPE / "derive_secret1.json")
    context = context_of(given)
    read_key = context.derive(bytes_of(given["msg_key"]), "read_key")
    assert read_key == bytes_of(expected["read_key"])
    assert context.derive(read_key, "header_key") == bytes_of(expected["header_key"])
    assert context.derive(read_key, "body_key") == bytes_of(expected["body_key"])


@needs_vectors
def test_box_is_made_as_in_the_vector() -> None:
    given, expected = vector(ENVELOPE / "box1.json")
    slots = [box2.SlotKey(bytes_of(each["key"]), each["scheme"]) for each in given["recp_keys"]]
    plain, message_key = bytes_of(given["plain_text"]), bytes_of(given["msg_key"])
    box = box2.seal(plain, context_of(given), slots, lambda _: message_key)
    assert box == bytes_of(expected["ciphertext"])
    assert all(box2.unseal(box, context_of(given), [slot]) == plain for slot in slots)


@needs_vectors
def test_box_is_opened_as_in_the_vector() -> None:
    given, expected = vector(ENVELOPE / "unbox1.json")
    slot = box2.SlotKey(bytes_of(given["recipient"]["key"]), given["recipient"]["scheme"])
    plain = box2.unseal(bytes_of(given["ciphertext"]), context_of(given), [slot])
    assert plain == bytes_of(expected["plain_text"])


@needs_vectors
@pytest.mark.parametrize("name", ["unbox1.classic.json", "unbox2.classic.json"])
def test_group_messages_are_opened_as_in_the_vector(name: str) -> None:
    given, expected = vector(GROUPS / name)
    keys = [bytes_of(each["key"]) for each in given["trial_keys"]]
    stranger = KeyPair.from_seed(bytes(32))
    messages = [read_message(row["value"]) for row in given["msgs"]]
    opened = [
        private.unseal(message, stranger, keys)
        for message in messages
        if isinstance(message, ClassicMessage)
    ]
    assert opened == expected["msgsContent"]


# ---- the libraries of ssb-box and ssb-box2 ----

CONTENT: dict[str, JsonValue] = {"type": "post", "text": "psst: é 語 😀"}


def person(name: object) -> KeyPair:
    return KeyPair.from_seed(random.Random(str(name)).randbytes(32))


def seed_of(keys: KeyPair) -> str:
    return keys.secret[:32].hex()


def ask(*tasks: dict[str, Any]) -> list[Any]:
    run = subprocess.run(
        ["node", ORACLE],
        input="\n".join(json.dumps(task) for task in tasks),
        env={**os.environ, "NODE_PATH": str(PACKAGES.resolve())},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


WRITER, OTHERS = person("writer"), [person(number) for number in range(40)]
HEADS = (None, make_message(WRITER, None, {"type": "post"}, 1).head)


def previous(head: Head | None) -> str | None:
    return format_message(head.id) if head else None


@needs_node
def test_box1_of_each_side_is_opened_by_the_other() -> None:
    feeds = tuple(FeedId(other.public) for other in OTHERS[:6])
    ours = private.seal(CONTENT, Readers(feeds), WRITER, None, os.urandom)
    names = [format_feed(feed) for feed in feeds]
    theirs, *opened = ask(
        {"task": "box1", "content": CONTENT, "readers": names},
        *({"task": "unbox1", "content": ours, "seed": seed_of(each)} for each in OTHERS[:7]),
    )
    ids = [*names, format_feed(WRITER.public)]
    assert opened == [{**CONTENT, "recps": ids}] * 6 + [None]
    message = make_message(WRITER, None, theirs, 1)
    assert [private.unseal(message, each) for each in OTHERS[:7]] == [CONTENT] * 6 + [None]


@needs_node
def test_direct_keys_are_those_of_javascript() -> None:
    pairs = list(pairwise(OTHERS))
    tasks = [
        {"task": "direct", "seed": seed_of(one), "other": format_feed(other.public)}
        for one, other in pairs
    ]
    found = [box2.direct_keys(one, FeedId(other.public)) for one, other in pairs]
    assert [bytes_of(key) for key in ask(*tasks)] == [keys[-1].key for keys in found]
    assert {len(keys) for keys in found} == {1, 2}


@needs_node
@pytest.mark.parametrize("head", HEADS)
def test_box2_of_ours_is_opened_by_each_reader(head: Head | None) -> None:
    tasks = []
    for writer, reader in pairwise(OTHERS):  # in some of these pairs there are two keys
        readers = Readers((FeedId(reader.public),), "box2")
        sealed = private.seal(CONTENT, readers, writer, head, os.urandom)
        author = format_feed(writer.public)
        slot = {"seed": seed_of(reader), "other": author}
        place = {"author": author, "previous": previous(head)}
        tasks.append({"task": "unbox2", "content": sealed, "slot": slot, **place})
    assert {opened["text"] for opened in ask(*tasks)} == {CONTENT["text"]}


@needs_node
@pytest.mark.parametrize("head", HEADS)
def test_box2_of_theirs_is_opened_by_us(head: Head | None) -> None:
    group = bytes(range(32))
    us = OTHERS[0]
    slots = [
        {"group": base64.b64encode(group).decode()},
        {"seed": seed_of(WRITER), "other": format_feed(us.public)},
    ]
    place = {"author": format_feed(WRITER.public), "previous": previous(head)}
    (sealed,) = ask({"task": "box2", "content": CONTENT, "slots": slots, **place})
    message = make_message(WRITER, head, sealed, 1)
    assert private.unseal(message, us) == CONTENT
    assert private.unseal(message, OTHERS[1]) is None
    assert private.unseal(message, OTHERS[1], [group]) == CONTENT


@needs_node
def test_group_message_of_ours_is_opened_by_them() -> None:
    group = bytes(range(32))
    sealed = private.seal(CONTENT, Readers((), "box2", group), WRITER, None, os.urandom)
    slot = {"group": base64.b64encode(group).decode()}
    place = {"author": format_feed(WRITER.public), "previous": None}
    (opened,) = ask({"task": "unbox2", "content": sealed, "slot": slot, **place})
    assert opened == {**CONTENT, "recps": []}


def test_slots_of_the_first_kind_are_those_of_private_box() -> None:
    """The layout: nonce, one-time key, 49 bytes a reader, body."""
    box = box1.seal(b"plain", [FeedId(each.public) for each in OTHERS[:3]], os.urandom)
    assert len(box) == 24 + 32 + 3 * 49 + 16 + len(b"plain")
