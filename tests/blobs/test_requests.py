"""Notes and arguments as peers write them, pinned by the vectors of spec/blobs.md."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.blobs.messages import Have, Note, Want, note_json, read_notes
from qbix_node.blobs.requests import BlobRange, read_get, read_names, read_slice
from qbix_node.errors import Malformed, RemoteError
from qbix_node.wire.references import BlobId, format_blob, parse_blob
from qbix_node.wire.v8json import JsonValue, compact, parse

NOTES = json.loads(Path("spec/vectors/blobs-notes.json").read_text())
REQUESTS = json.loads(Path("spec/vectors/blobs-requests.json").read_text())
READERS = {"blobs.get": read_get, "blobs.getSlice": read_slice}

CAT = BlobId(b"c" * 32)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "key", "hash", "size", "max", "start", "end", format_blob(CAT)]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def shown(note: Note) -> list[JsonValue]:
    if isinstance(note, Want):
        return ["want", format_blob(note.blob), note.hops]
    return ["have", format_blob(note.blob), note.size]


@pytest.mark.parametrize("vector", NOTES["read"], ids=lambda vector: vector["what"])
def test_notes_of_the_vectors_are_read(vector: dict[str, Any]) -> None:
    notes = read_notes(parse(vector["json"].encode(), "notes"))
    assert [shown(note) for note in notes] == vector["notes"]


@pytest.mark.parametrize("text", NOTES["malformed"])
def test_what_is_no_object_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="expected an object"):
        read_notes(parse(text.encode(), "notes"))


@pytest.mark.parametrize("vector", NOTES["written"], ids=lambda vector: vector["json"])
def test_notes_are_written_as_in_the_vectors(vector: dict[str, Any]) -> None:
    kind, blob, number = vector["note"]
    note = (Want if kind == "want" else Have)(parse_blob(blob), number)
    assert compact(note_json(note)).decode() == vector["json"]


@pytest.mark.parametrize("vector", REQUESTS["read"], ids=lambda vector: vector["what"])
def test_arguments_of_the_vectors_are_read(vector: dict[str, Any]) -> None:
    wish = READERS[vector["method"]](vector["args"])
    expected = vector["means"]
    assert format_blob(wish.blob) == expected["blob"]
    for size, bytes_sent in expected["of_size"].items():
        if bytes_sent is None:
            with pytest.raises(RemoteError):
                wish.within(int(size))
        else:
            sent = wish.within(int(size))
            assert [sent.start, max(sent.start, sent.stop)] == bytes_sent


@pytest.mark.parametrize("vector", REQUESTS["malformed"], ids=lambda vector: vector["what"])
def test_malformed_arguments_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        READERS[vector["method"]](vector["args"])


def test_names_are_one_or_many() -> None:
    assert read_names([format_blob(CAT)], "blobs.has") == CAT
    assert read_names([[format_blob(CAT)] * 2], "blobs.has") == [CAT, CAT]
    assert read_names([[]], "blobs.has") == []


@given(JSON)
def test_any_json_is_read_or_malformed(value: JsonValue) -> None:
    for reader in (
        lambda: read_notes(value),
        lambda: read_get([value]),
        lambda: read_slice([value]),
        lambda: read_names([value], "blobs.has"),
    ):
        with suppress(Malformed):
            reader()


@given(
    st.integers(0, 2**60),
    st.integers(0, 2**60) | st.none(),
    st.integers(0, 2**60),
)
def test_a_range_never_leaves_the_blob(start: int, end: int | None, size: int) -> None:
    wanted = BlobRange(CAT, start, end).within(size)
    assert all(0 <= edge < size for edge in (*wanted[:1], *wanted[-1:]))
