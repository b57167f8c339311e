"""What the daemon answers is a row with fields of their types, or malformed."""

import json
from contextlib import suppress
from dataclasses import asdict, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.http.api import BlobRow, Entry, FeedRow, PeerRow, Status
from qbix_node.http.rows import read_row, read_rows
from qbix_node.wire.v8json import JsonValue
from tests.http.memory_api import MemoryApi

ROWS = [BlobRow, Entry, FeedRow, PeerRow, Status]
NAMES = sorted({field.name for row in ROWS for field in fields(row)})
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=8,
)
BLOB_ROWS = st.fixed_dictionaries({"blob": LEAVES, "bytes": LEAVES})


@given(JSON)
def test_any_json_is_a_row_or_malformed(value: JsonValue) -> None:
    for row in ROWS:
        with suppress(Malformed):
            read_row(value, row)


@given(BLOB_ROWS)
def test_members_of_another_type_are_malformed(value: dict[str, JsonValue]) -> None:
    if isinstance(value["blob"], str) and type(value["bytes"]) is int:
        assert asdict(read_row(value, BlobRow)) == value
    else:
        with pytest.raises(Malformed, match="another type"):
            read_row(value, BlobRow)


async def test_any_member_of_the_status_may_be_wrong() -> None:
    status: dict[str, JsonValue] = json.loads(json.dumps(asdict(await MemoryApi().status())))
    assert asdict(read_row(status | {"added": "later"}, Status)) == status
    for name in status:
        with pytest.raises(Malformed):
            read_row(status | {name: {"no": "such"}}, Status)


def test_rows_are_a_list() -> None:
    with pytest.raises(Malformed, match="no list of BlobRow"):
        read_rows({}, BlobRow)


def test_an_entry_may_lack_what_has_a_default() -> None:
    assert read_row({"key": "%", "value": [1]}, Entry) == Entry("%", [1])
