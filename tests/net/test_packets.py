from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.net.packets import (
    END,
    HEADER_BYTES,
    STREAM,
    Body,
    BodyKind,
    PacketParser,
    body_of,
    encode,
)
from tests.net.test_boxstream import CUTS, cut
from tests.net.vectors import vectors

FLAGS = st.sampled_from([0, END, STREAM, STREAM | END])
REQUESTS = st.integers(-(2**31) + 1, 2**31 - 1)
BODIES = st.builds(Body, st.sampled_from(BodyKind), st.binary(max_size=300))


@given(st.lists(st.tuples(FLAGS, REQUESTS, BODIES), max_size=10), CUTS)
def test_packets_are_read_however_they_arrive(
    sent: list[tuple[int, int, Body]], cuts: list[int]
) -> None:
    parser = PacketParser(1000)
    wire = b"".join([encode(flags, request, body) for flags, request, body in sent])
    read = [packet for piece in cut(wire, cuts) for packet in parser.feed(piece)]
    assert read == [(flags | body.kind, request, body.data) for flags, request, body in sent]


def test_a_longer_body_than_allowed_is_refused_before_it_arrives() -> None:
    header = encode(STREAM, 1, Body(BodyKind.JSON, bytes(1001)))[:HEADER_BYTES]
    with pytest.raises(Malformed, match="1001 bytes, where 1000 are allowed"):
        PacketParser(1000).feed(header)
    assert PacketParser(1001).feed(header) == []


def test_the_fourth_kind_of_body_is_refused() -> None:
    with pytest.raises(Malformed, match="kind 3"):
        PacketParser(10).feed(b"\x0b\0\0\0\0\0\0\0\1")


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_junk_is_read_or_malformed(pieces: list[bytes]) -> None:
    parser = PacketParser(100)
    try:
        for piece in pieces:
            parser.feed(piece)
    except Malformed:
        pass


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (Body(BodyKind.JSON, b'{"a":[1]}'), {"a": [1]}),
        (Body(BodyKind.TEXT, "{é".encode()), "{é"),
        (Body.of_json([None, True]), [None, True]),
    ],
)
def test_a_body_has_a_value(body: Body, value: object) -> None:
    assert body.json("body") == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (Body(BodyKind.BINARY, b"1"), "body: a binary packet"),
        (Body(BodyKind.TEXT, b"\xff"), "body: text that is not UTF-8"),
        (Body(BodyKind.JSON, b"{"), "body: not JSON"),
        (Body(BodyKind.JSON, b""), "body: not JSON"),
    ],
)
def test_a_body_without_a_value_is_malformed(body: Body, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        body.json("body")


@pytest.mark.parametrize("case", vectors("muxrpc-packets")["packets"], ids=lambda c: c["what"])
def test_the_vectors_of_the_specification_hold(case: dict[str, Any]) -> None:
    flags = STREAM * case["stream"] | END * case["end"]
    body = Body(BodyKind[case["kind"].upper()], bytes.fromhex(case["body"]))
    assert encode(flags, case["request"], body).hex() == case["packet"]
    ((read_flags, request, data),) = PacketParser(1000).feed(bytes.fromhex(case["packet"]))
    assert (read_flags, request) == (flags | body.kind, case["request"])
    assert body_of(read_flags, data) == body
