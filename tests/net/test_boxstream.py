from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.crypto import boxes
from qbix_node.errors import Malformed
from qbix_node.net.boxstream import BODY_BYTES_MAX, HEADER_BYTES, Opener, Sealer
from tests.net.vectors import vectors

KEY = b"k" * 32
NONCE = b"n" * 24


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """The data in pieces, cut at these places."""
    places = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


CUTS = st.lists(st.integers(0, 10**6), max_size=8)


@given(st.lists(st.binary(max_size=3 * BODY_BYTES_MAX), max_size=4), CUTS)
def test_what_is_sealed_is_opened_however_it_arrives(plains: list[bytes], cuts: list[int]) -> None:
    sealer, opener = Sealer(KEY, NONCE), Opener(KEY, NONCE)
    wire = b"".join([sealer.seal(plain) for plain in plains]) + sealer.goodbye()
    assert b"".join([opener.feed(piece) for piece in cut(wire, cuts)]) == b"".join(plains)
    assert opener.ended


def test_a_packet_that_fits_is_one_box() -> None:
    sealed = Sealer(KEY, NONCE).seal(bytes(BODY_BYTES_MAX))
    assert len(sealed) == HEADER_BYTES + BODY_BYTES_MAX
    assert len(Sealer(KEY, NONCE).seal(bytes(BODY_BYTES_MAX + 1))) == len(sealed) + HEADER_BYTES + 1


def test_a_cut_is_no_end() -> None:
    opener = Opener(KEY, NONCE)
    opener.feed(Sealer(KEY, NONCE).seal(b"half a story"))
    assert not opener.ended


def test_nothing_is_read_after_a_goodbye() -> None:
    opener = Opener(KEY, NONCE)
    assert opener.feed(Sealer(KEY, NONCE).goodbye() + b"forged" * 100) == b""
    assert opener.feed(b"forged" * 100) == b""


def test_a_repeated_box_is_refused() -> None:
    box = Sealer(KEY, NONCE).seal(b"pay bob")
    opener = Opener(KEY, NONCE)
    assert opener.feed(box) == b"pay bob"
    with pytest.raises(Malformed, match="a header"):
        opener.feed(box)


def test_exchanged_and_dropped_boxes_are_refused() -> None:
    sealer = Sealer(KEY, NONCE)
    first, second = sealer.seal(b"first"), sealer.seal(b"second")
    for wire in (second + first, second):
        with pytest.raises(Malformed, match="a header"):
            Opener(KEY, NONCE).feed(wire)


def test_the_header_of_one_box_does_not_fit_the_body_of_another() -> None:
    one, other = Sealer(KEY, NONCE).seal(b"one"), Sealer(KEY, NONCE).seal(b"two")
    with pytest.raises(Malformed, match="a body"):
        Opener(KEY, NONCE).feed(one[:HEADER_BYTES] + other[HEADER_BYTES:])


def test_a_longer_box_than_allowed_is_refused_before_its_body_arrives() -> None:
    header = (BODY_BYTES_MAX + 1).to_bytes(2, "big") + b"m" * boxes.MAC_BYTES
    with pytest.raises(Malformed, match="more than 4096"):
        Opener(KEY, NONCE).feed(boxes.seal(header, NONCE, KEY))


@given(st.binary(min_size=HEADER_BYTES, max_size=200))
def test_junk_is_malformed(junk: bytes) -> None:
    with pytest.raises(Malformed):
        Opener(KEY, NONCE).feed(junk)


@given(st.integers(0, 8 * (HEADER_BYTES + 5) - 1))
def test_one_flipped_bit_anywhere_is_refused(bit: int) -> None:
    box = bytearray(Sealer(KEY, NONCE).seal(b"hello"))
    box[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Malformed):
        Opener(KEY, NONCE).feed(bytes(box))


def test_no_repr_shows_a_key() -> None:
    assert "kkkk" not in repr([Sealer(KEY, NONCE), Opener(KEY, NONCE)])


@pytest.mark.parametrize("case", vectors("boxstream-boxes")["streams"], ids=lambda c: c["what"])
def test_the_vectors_of_the_specification_hold(case: dict[str, Any]) -> None:
    key, nonce = bytes.fromhex(case["key"]), bytes.fromhex(case["nonce"])
    sealer, opener = Sealer(key, nonce), Opener(key, nonce)
    for plain, sealed in zip(case["plain"], case["sealed"], strict=True):
        assert sealer.seal(bytes.fromhex(plain)).hex() == sealed
        assert opener.feed(bytes.fromhex(sealed)).hex() == plain
    assert sealer.goodbye().hex() == case["goodbye"]
    opener.feed(bytes.fromhex(case["goodbye"]))
    assert opener.ended
