"""Segments as bytes: sizes, numbers and places that are checked on reading."""

from dataclasses import replace

import pytest

from qbix_node.errors import Malformed
from qbix_node.streams.genesis import GENESIS_BYTES_MAX
from qbix_node.streams.messages import (
    CONTENT_BYTES_MAX,
    ENTRIES_MAX,
    SEGMENT_BYTES_MAX,
    Segment,
    read_segment,
)
from qbix_node.streams.tree import HASHES_MAX, LENGTH_MAX, Hash
from qbix_node.wire.packing import Packable, pack, unpack
from tests.streams.logs import CAROL, alices_log, genesis_of

LOG = alices_log(6)
USUAL = LOG.segment(2, 4, 6)
SOME = Hash(b"s" * 32)


def with_field(place: int, value: Packable) -> bytes:
    row = list(unpack(USUAL.encoded, "segment"))
    row[place] = value
    return pack(tuple(row))


def of_length(length: int, segment: Segment) -> Segment:
    """The same under a Head of that length, which nobody signed."""
    signed = segment.signed_head
    head = signed.head._replace(length=length)
    return replace(segment, signed_head=signed._replace(head=head))


ACCEPTED = {
    "the usual": USUAL,
    "from the genesis": LOG.segment(0, 3),
    "one entry": LOG.segment(5, 6),
    "as many entries as may be": alices_log(ENTRIES_MAX).segment(0, ENTRIES_MAX),
    "without contents": replace(USUAL, contents=(None, None)),
    "a content of no bytes": replace(USUAL, contents=(b"", None)),
    "the largest content": replace(USUAL, contents=(bytes(CONTENT_BYTES_MAX), None)),
    "the longest leaf": replace(USUAL, leaves=(bytes(GENESIS_BYTES_MAX), b"")),
    "the longest frontier": replace(USUAL, frontier=(SOME,) * HASHES_MAX),
    "the last entry of the longest log": of_length(
        LENGTH_MAX, replace(LOG.segment(5, 6), first=LENGTH_MAX - 1)
    ),
}
REFUSED = {
    "another version": with_field(0, 2),
    "a version that is true": with_field(0, True),
    "a stream that is too short": with_field(1, LOG.stream[1:]),
    "another stream than the Head's": with_field(1, genesis_of(CAROL).stream),
    "a negative place": with_field(2, -1),
    "a place that no log has": of_length(
        LENGTH_MAX, replace(LOG.segment(5, 6), first=LENGTH_MAX)
    ).encoded,
    "a place that is false": with_field(2, False),
    "no entries": replace(USUAL, leaves=(), contents=()).encoded,
    "entries that are no array": with_field(3, b""),
    "an entry that is nil": with_field(3, (None, None)),
    "an entry that is an array": with_field(3, ((), ())),
    "an entry that is too long": with_field(3, (bytes(GENESIS_BYTES_MAX + 1), b"")),
    "too many entries": alices_log(ENTRIES_MAX + 1).segment(0, ENTRIES_MAX + 1).encoded,
    "fewer contents than entries": with_field(4, (None,)),
    "more contents than entries": with_field(4, (None, None, None)),
    "contents that are no array": with_field(4, None),
    "a content of text": with_field(4, ("entry 2", None)),
    "a content that is too large": with_field(4, (bytes(CONTENT_BYTES_MAX + 1), None)),
    "a content beside the genesis": replace(LOG.segment(0, 1), contents=(b"content",)).encoded,
    "a Head that is none": with_field(5, None),
    "a Head that ends before the entries": of_length(3, USUAL).encoded,
    "a frontier that is no array": with_field(6, b""),
    "a frontier that is too long": with_field(6, (SOME,) * (HASHES_MAX + 1)),
    "a frontier of what are no hashes": with_field(6, (SOME[1:],)),
    "a field too few": pack(unpack(USUAL.encoded, "segment")[:-1]),
    "a field too many": pack((*unpack(USUAL.encoded, "segment"), None)),
    "something after it": USUAL.encoded + b"\xc0",
}


@pytest.mark.parametrize("segment", ACCEPTED.values(), ids=ACCEPTED)
def test_a_segment_is_read_as_it_was_written(segment: Segment) -> None:
    assert read_segment(segment.encoded) == segment


@pytest.mark.parametrize("encoded", REFUSED.values(), ids=REFUSED)
def test_a_segment_that_breaks_a_rule_is_malformed(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        read_segment(encoded)


def test_a_segment_may_have_a_mebibyte_and_not_a_byte_more() -> None:
    full = (bytes(CONTENT_BYTES_MAX),) * 15
    log = alices_log(17)

    def of_rest(size: int) -> bytes:
        return replace(log.segment(1, 17), contents=(*full, bytes(size))).encoded

    rest = SEGMENT_BYTES_MAX - len(of_rest(40_000)) + 40_000
    assert len(of_rest(rest)) == SEGMENT_BYTES_MAX
    assert read_segment(of_rest(rest)).stop == 17
    with pytest.raises(Malformed, match="are allowed"):
        read_segment(of_rest(rest + 1))


def test_the_length_that_a_segment_ends_with_follows_from_its_entries() -> None:
    assert (USUAL.first, USUAL.stop, USUAL.signed_head.head.length) == (2, 4, 6)
