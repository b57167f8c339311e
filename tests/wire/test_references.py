import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.wire import references

Parse = Callable[[str], bytes]
Format = Callable[[bytes], str]
KINDS: list[tuple[Parse, Format, str]] = [
    (references.parse_feed, references.format_feed, "ssb:feed/classic/"),
    (references.parse_message, references.format_message, "ssb:message/classic/"),
    (references.parse_blob, references.format_blob, "ssb:blob/classic/"),
]


@pytest.mark.parametrize(("parse", "write", "prefix"), KINDS)
@given(data=st.binary(min_size=32, max_size=32))
def test_reference_and_uri_name_the_same_thing(
    parse: Parse, write: Format, prefix: str, data: bytes
) -> None:
    assert parse(write(data)) == data
    assert parse(prefix + base64.urlsafe_b64encode(data).decode()) == data


GOOD = references.format_feed(bytes(32))


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", GOOD[:-1], GOOD + " ", "%" + GOOD[1:], GOOD.replace("=", "")),
        GOOD.replace("A=", "B="),  # not canonical
        GOOD.replace("AA", "A\n", 1),
        GOOD.replace("A", "é", 1),
        "ssb:feed/ed25519/" + "A" * 43,
        "ssb:feed/ed25519/" + GOOD[1:-8].replace("A=", "B="),
        "ssb:message/sha256/" + GOOD[1:-8],
    ],
)
def test_what_is_no_feed_id_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="is no feed id"):
        references.parse_feed(text)


def test_long_nonsense_is_shortened_in_the_error() -> None:
    with pytest.raises(Malformed) as caught:
        references.parse_feed("x" * 1000)
    assert len(str(caught.value)) < 250


@given(st.text(max_size=60) | st.from_regex(r"@[A-Za-z0-9+/]{43}=\.ed25519"))
def test_any_text_is_the_only_form_of_its_feed_or_malformed(text: str) -> None:
    try:
        feed = references.parse_feed(text)
    except Malformed:
        return
    assert text in (references.format_feed(feed), *_uris(feed))


def _uris(feed: bytes) -> list[str]:
    encoded = base64.urlsafe_b64encode(feed).decode()
    return [f"ssb:feed/{format_}/{encoded}" for format_ in ("ed25519", "classic")]


@given(st.binary(max_size=70))
def test_only_canonical_base64_is_read(data: bytes) -> None:
    text = references.encode_base64(data)
    assert references.decode_base64(text) == data
    assert references.decode_base64(text, len(data)) == data
    assert references.decode_base64(text, len(data) + 1) is None
    assert references.decode_base64(text + "\n") is None
    if text.endswith("="):
        last = text.rstrip("=")[-1]
        following = chr(ord(last) + 1)  # the same bytes, other unused bits
        tail = following + "=" * (len(text) - len(text.rstrip("=")))
        assert references.decode_base64(text.rstrip("=")[:-1] + tail) is None


# ---- streams, which have the URI form only ----

STREAM = references.format_stream(bytes(32))


@given(st.binary(min_size=32, max_size=32))
def test_a_stream_id_is_read_as_it_was_written(data: bytes) -> None:
    text = references.format_stream(data)
    assert text.startswith("ssb:feed/qbix-v1/")
    assert len(text) == len("ssb:feed/qbix-v1/") + 44
    assert references.parse_stream(text) == data


@pytest.mark.parametrize(
    "text",
    [
        *("", "ssb:feed/qbix-v1/", STREAM[:-1], STREAM + "=", STREAM + "\n", STREAM[17:]),
        STREAM.replace("A=", "B="),  # not canonical
        STREAM.replace("AA", "A/", 1),  # the other alphabet
        STREAM.replace("AA", "A\n", 1),
        STREAM.replace("A", "é", 1),
        STREAM.replace("qbix-v1", "qbix-v2"),
        STREAM.upper(),
        "ssb:feed/classic/" + STREAM[17:],
        references.format_feed(bytes(32)),
        references.format_stream(bytes(31)),
        references.format_stream(bytes(33)),
    ],
)
def test_what_is_no_stream_id_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="is no stream id"):
        references.parse_stream(text)


@given(st.text(max_size=60) | st.from_regex(r"\Assb:feed/qbix-v1/[A-Za-z0-9_-]{43}=\Z"))
def test_any_text_is_the_only_form_of_its_stream_or_malformed(text: str) -> None:
    try:
        stream = references.parse_stream(text)
    except Malformed:
        return
    assert references.format_stream(stream) == text
