import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.wire.packing import Packable, pack, unpack, unpack_fields

VECTORS = json.loads(Path("spec/vectors/encoding.json").read_text())

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(max_size=20),
    lambda items: st.lists(items, max_size=5).map(tuple),
    max_leaves=20,
)


@pytest.mark.parametrize("vector", VECTORS["valid"], ids=lambda vector: vector["value"])
def test_valid_vector_is_read_and_written_alike(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["hex"])
    assert pack(unpack(data, "vector")) == data


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=lambda vector: vector["rule"])
def test_invalid_vector_is_malformed(vector: dict[str, str]) -> None:
    with pytest.raises(Malformed, match="vector"):
        unpack(bytes.fromhex(vector["hex"]), "vector")


@given(VALUES)
def test_value_survives_the_wire(value: object) -> None:
    assert unpack(pack(value), "value") == value  # type: ignore[arg-type]  # drawn to be packable


@given(st.binary(max_size=64))
def test_any_bytes_are_a_value_in_its_only_form_or_malformed(data: bytes) -> None:
    try:
        value = unpack(data, "bytes")
    except Malformed:
        return
    assert pack(value) == data


PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary() | st.text()


@given(st.lists(PLAIN, max_size=20))
def test_a_flat_array_is_read_by_the_short_way_too(items: list[Packable]) -> None:
    data = pack(items)
    assert unpack_fields(data, "array") == unpack(data, "array") == tuple(items)


@pytest.mark.parametrize("value", [None, 1, b"bytes", "text", True])
def test_the_short_way_takes_arrays_only(value: Packable) -> None:
    with pytest.raises(Malformed, match="array"):
        unpack_fields(pack(value), "value")


@given(st.binary(max_size=64))
def test_the_short_way_takes_nothing_but_arrays_in_their_only_form(data: bytes) -> None:
    try:
        value = unpack_fields(data, "bytes")
    except Malformed:
        return
    assert type(value) is tuple
    assert pack(value) == data
