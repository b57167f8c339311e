"""V8 itself is the specification: tens of thousands of texts, read and written by both."""

import base64
import json
import math
import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import pytest

from qbix_node.errors import Malformed
from qbix_node.feeds.validation import message_id, units
from qbix_node.wire.v8json import JsonValue, compact, parse, stringify

ORACLE = Path(__file__).parent / "v8_oracle.cjs"
SEED = 20
NASTY = '"\\/\b\f\n\r\t\x00\x1f\x7f\x80\xffé\u0141\u2028\u2029\ufeff\uffff😀'
NAMES = ["0", "1", "00", "10", "-1", "1e3", "4294967294", "4294967295", "9999999999", "__proto__"]
CHARACTERS = '{}[]",:.-+eE019aftn\\u \t\n'

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")


class Written(TypedDict):
    indented: str
    compact: str
    units: int
    sha256: str


def ask_v8(texts: list[str]) -> list[Written | None]:
    lines = "\n".join(base64.b64encode(text.encode()).decode() for text in texts)
    run = subprocess.run(
        ["node", ORACLE], input=lines, check=True, capture_output=True, text=True, timeout=60
    )
    answers = [json.loads(line) for line in run.stdout.split("\n")]
    assert len(answers) == len(texts)
    return [answer or None for answer in answers]


def ask_ourselves(text: str) -> Written | None:
    try:
        value = parse(text.encode(), "text")
    except Malformed:
        return None
    indented = stringify(value)
    return {
        "indented": base64.b64encode(indented.encode()).decode(),
        "compact": base64.b64encode(compact(value)).decode(),
        "units": units(indented),
        "sha256": message_id(indented).hex(),
    }


def compare(texts: list[str]) -> None:
    wrong = [
        (text, ours, theirs)
        for text, theirs in zip(texts, ask_v8(texts), strict=True)
        if (ours := ask_ourselves(text)) != theirs
    ]
    assert not wrong


def numbers(rng: random.Random) -> Iterator[str]:
    for _ in range(20_000):
        (value,) = struct.unpack("<d", rng.randbytes(8))
        if math.isfinite(value):
            yield repr(value)
        yield repr((rng.random() - 0.5) * 10.0 ** rng.randint(-12, 24))
        yield str(rng.getrandbits(rng.randint(1, 90)) - 2**52)
    for exponent in range(-345, 330):
        for mantissa in ("1", "-1.0", "9.999999999999999", "1.2345678901234567", "5", "-0.7"):
            yield f"{mantissa}{rng.choice('eE')}{exponent}"


def text(rng: random.Random) -> str:
    """A JSON string: escapes of all kinds, halves of pairs among them."""
    units = []
    for _ in range(rng.randint(0, 8)):
        match rng.randrange(4):
            case 0:
                units.append(f"\\u{rng.randrange(0x10000):04x}")
            case 1:
                units.append(f"\\u{rng.randrange(0xD800, 0xE000):04X}")
            case 2:
                units.append(json.dumps(rng.choice(NASTY), ensure_ascii=rng.random() < 0.5)[1:-1])
            case _:
                units.append(
                    chr(rng.choice([rng.randrange(0x23, 0x5B), rng.randrange(0xA0, 0xD800)]))
                )
    return '"' + "".join(units) + '"'


def document(rng: random.Random, depth: int = 0) -> str:
    match rng.randrange(8 if depth < 4 else 4):
        case 0:
            return rng.choice(
                ["null", "true", "false", "0", "-0", "1.50", "1e21", "12e-9", "1E400"]
            )
        case 1:
            return repr(rng.uniform(-1e3, 1e18))
        case 2 | 3:
            return text(rng)
        case 4:
            items = [document(rng, depth + 1) for _ in range(rng.randrange(4))]
            return "[" + rng.choice([",", " , ", "\n,"]).join(items) + "]"
        case _:
            names = [
                rng.choice([json.dumps(rng.choice(NAMES)), text(rng)])
                for _ in range(rng.randrange(6))
            ]
            return "{" + ",".join(f"{name} :{document(rng, depth + 1)}" for name in names) + "}"


def broken(rng: random.Random) -> str:
    """A document with one character more, less or changed: sometimes still one, mostly none."""
    source = document(rng)
    place = rng.randrange(len(source) + 1)
    return (
        source[:place]
        + rng.choice(["", rng.choice(CHARACTERS)])
        + source[place + rng.randrange(2) :]
    )


def test_numbers_are_those_of_v8() -> None:
    compare(list(numbers(random.Random(SEED))))


def test_documents_are_those_of_v8() -> None:
    rng = random.Random(SEED)
    compare([document(rng) for _ in range(10_000)])


def test_v8_and_we_agree_on_what_is_json() -> None:
    rng = random.Random(SEED)
    compare([broken(rng) for _ in range(10_000)])


def test_a_difference_would_be_noticed() -> None:
    rest: JsonValue = {"10": 1, "2": -0.0}
    (theirs,) = ask_v8(['{"10":1,"2":-0}'])
    assert theirs is not None
    assert json.dumps(rest, indent=2) != base64.b64decode(theirs["indented"]).decode()
    assert stringify(rest) == base64.b64decode(theirs["indented"]).decode()
