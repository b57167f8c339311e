"""Write the vectors of contents anew: `python -m tests.replication.streams.make_vectors`.

What is invalid breaks the one rule that it names.
"""

from typing import Any

from qbix_node.replication.streams.contents import messages as c
from qbix_node.streams.messages import CONTENT_BYTES_MAX
from qbix_node.streams.shelf import PLACES_MAX
from qbix_node.wire.packing import pack
from qbix_node.wire.references import StreamId, format_stream
from tests.streams.make_vectors import FOLDER, text_of
from tests.streams.vectors_of_bytes import changed, forms, refused

NAME = "streams-contents.json"
ONE, OTHER = StreamId(bytes(32)), StreamId(bytes(range(200, 232)))
LAST = 2**30 - 2

QUESTIONS = [
    ("one place", c.WantContents(ONE, (1,))),
    ("the last place that there can be", c.WantContents(ONE, (LAST,))),
    ("places in no order", c.WantContents(OTHER, (300, 5, 70_000, 5))),
    ("256 places", c.WantContents(OTHER, tuple(range(256, 0, -1)))),
]
ANSWERS = [
    ("nothing", c.Contents((None,))),
    ("an empty content", c.Contents((b"",))),
    ("two of three", c.Contents((b"one", None, b"three"))),
    ("the largest content", c.Contents((bytes(CONTENT_BYTES_MAX),))),
    ("256 contents", c.Contents((b"x", None) * 128)),
]


def make() -> dict[str, str]:
    return {
        NAME: text_of(
            {
                "spec": "spec/replication.md section 10.1",
                "arguments": {
                    "valid": [c.ARGUMENTS],
                    "invalid": [[], [{}], [{"version": 2}], [{"version": 1, "x": 1}], [1]],
                },
                "choices": choices(),
                "questions": {"valid": [asked(*each) for each in QUESTIONS], "invalid": unasked()},
                "answers": {"valid": [told(*each) for each in ANSWERS], "invalid": untold()},
            }
        )
    }


def choices() -> dict[str, Any]:
    one, other = format_stream(ONE), format_stream(OTHER)
    return {
        "written": [
            {"json": c.format_choice({ONE: False}).decode(), "wants": {one: False}},
            {
                "json": c.format_choice({ONE: True, OTHER: False}).decode(),
                "wants": {one: True, other: False},
            },
        ],
        "read": [
            {"what": "nothing", "json": '{"contents":{}}', "wants": {}},
            {"what": "no object", "json": '{"contents":[]}', "wants": {}},
            {
                "what": "what is no stream and no truth value",
                "json": f'{{"contents":{{"@x":false,"{one}":0,"{other}":true}},"more":1}}',
                "wants": {other: True},
            },
        ],
    }


def asked(what: str, question: c.WantContents) -> dict[str, Any]:
    fields = {"stream": format_stream(question.stream), "places": list(question.places)}
    return {"what": what, **fields, "hex": c.encode_question(question).hex()}


def told(what: str, answer: c.Contents) -> dict[str, Any]:
    sizes = [None if each is None else len(each) for each in answer.contents]
    data = refused(what, c.encode_answer(answer))["hex"]
    return {"what": what, "sizes": sizes, "hex": data}


def unasked() -> list[dict[str, Any]]:
    row = [1, ONE, (1, 2)]
    wrong = [
        ("a stream of 31 bytes", changed(row, (1, ONE[:31]))),
        ("a stream as text", changed(row, (1, format_stream(ONE)))),
        ("no places", changed(row, (2, ()))),
        ("257 places", changed(row, (2, tuple(range(1, PLACES_MAX + 2))))),
        ("the genesis", changed(row, (2, (0,)))),
        ("a place that no log has", changed(row, (2, (LAST + 1,)))),
        ("a place as text", changed(row, (2, ("1",)))),
        ("a place that is true", changed(row, (2, (True,)))),
        ("one place in no array", changed(row, (2, 1))),
    ]
    rows = [*forms(row), *[(rule, pack(each)) for rule, each in wrong]]
    return [refused(rule, data) for rule, data in rows]


def untold() -> list[dict[str, Any]]:
    row = [1, (b"one", None)]
    wrong = [
        ("a content as text", changed(row, (1, ("one",)))),
        ("a content of 65537 bytes", changed(row, (1, (bytes(CONTENT_BYTES_MAX + 1),)))),
        ("a content in no array", changed(row, (1, b"one"))),
        ("257 contents", changed(row, (1, (None,) * (PLACES_MAX + 1)))),
        ("more than 1 MiB", changed(row, (1, (bytes(CONTENT_BYTES_MAX),) * 16))),
    ]
    rows = [*forms(row), *[(rule, pack(each)) for rule, each in wrong]]
    return [refused(rule, data) for rule, data in rows]


if __name__ == "__main__":
    for name, text in make().items():
        (FOLDER / name).write_text(text)
