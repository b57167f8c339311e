"""Proofs of forked classic feeds: what they take, and everything that they don't (streams 6)."""

import pytest

from qbix_node.errors import Malformed
from qbix_node.feeds.forks import (
    PROOF_BYTES_MAX,
    ClassicFork,
    check_classic_fork,
    encode_classic_fork,
    fork_of,
    read_classic_fork,
)
from qbix_node.feeds.messages import ClassicMessage
from qbix_node.feeds.records import Evidence
from qbix_node.wire.packing import Packable, pack
from qbix_node.wire.references import encode_base64
from tests.feeds.authors import START_MS, Author


def proves(encoded: bytes) -> ClassicFork:
    """Raises Malformed."""
    fork = read_classic_fork(encoded)
    check_classic_fork(fork)
    return fork


def row(*messages: ClassicMessage | str) -> bytes:
    texts = [each if isinstance(each, str) else each.encoded for each in messages]
    return pack((1, "c", *texts))


@pytest.fixture
def pair(alice: Author) -> tuple[ClassicMessage, ClassicMessage]:
    """Of sequence 3, the smaller id first."""
    alice.write_many(2)
    twin = alice.twin()
    both = alice.write(), twin.write({"type": "post", "text": "ünlike 🦊"})
    one, other = sorted(both, key=lambda each: each.id)
    return one, other


def test_a_proof_is_made_of_evidence_and_read_again(
    alice: Author, pair: tuple[ClassicMessage, ClassicMessage]
) -> None:
    one, other = pair
    forks = [fork_of(Evidence(START_MS, *both)) for both in ((one, other), (other, one))]
    assert forks[0] == forks[1], "who found it, and in which order, makes no difference"
    encoded = encode_classic_fork(forks[0])
    assert encoded == row(one, other)
    assert proves(encoded) == forks[0]
    assert (forks[0].feed, forks[0].sequence) == (alice.feed, 3)
    assert forks[0].convicted() == (alice.feed,)


def test_no_byte_of_a_proof_can_be_flipped(pair: tuple[ClassicMessage, ClassicMessage]) -> None:
    encoded = row(*pair)
    for place in range(len(encoded)):
        for mask in (0x01, 0x20, 0xFF):
            flipped = bytearray(encoded)
            flipped[place] ^= mask
            with pytest.raises(Malformed):
                proves(bytes(flipped))
    for cut in (encoded[:-1], encoded + b"\0", b"", encoded[1:]):
        with pytest.raises(Malformed):
            proves(cut)


def test_two_messages_of_a_proof_contradict_each_other(
    alice: Author, bob: Author, pair: tuple[ClassicMessage, ClassicMessage]
) -> None:
    one, other = pair
    later, stranger = alice.write(), bob.write_many(3)[2]
    for messages, reason in [
        ((other, one), "the smaller first"),
        ((one, one), "the smaller first"),
        ((one, later), "two sequences"),
        ((one, stranger), "two authors"),
    ]:
        with pytest.raises(Malformed, match=reason):
            proves(row(*messages))


def test_another_spelling_of_a_message_is_no_fork(
    pair: tuple[ClassicMessage, ClassicMessage],
) -> None:
    """Whatever decodes to the same signature, or parses to the same message."""
    one, _ = pair
    signature = encode_base64(one.signature)
    unused_bits_set = chr(ord(signature[-3]) + 1)
    spellings = [
        one.encoded.replace(signature, f"{signature[:-3]}{unused_bits_set}=="),
        one.encoded.replace(signature, signature.rstrip("=")),
        one.encoded.replace("\n  ", "\n\t"),
        one.encoded.replace('"sha256"', '"sha25\\u0036"'),
        one.encoded + "\n",
    ]
    for spelling in spellings:
        assert spelling != one.encoded
        for texts in ((one.encoded, spelling), (spelling, one.encoded)):
            with pytest.raises(Malformed):
                proves(row(*texts))


@pytest.mark.parametrize(
    "value",
    [
        (1, "c", "{}", "{}"),
        (1, "c", "", ""),
        (1, "c", b"{}", b"{}"),
        (1, "c", "[" * 9000, "{}"),
        (1, "c", "{}"),
        (1, "c", "{}", "{}", None),
        (1, "a", "{}", "{}"),
        (2, "c", "{}", "{}"),
        (True, "c", "{}", "{}"),
        (),
    ],
)
def test_what_is_no_pair_of_messages_is_malformed(value: Packable) -> None:
    with pytest.raises(Malformed):
        read_classic_fork(pack(value))


def test_a_proof_has_a_limit() -> None:
    with pytest.raises(Malformed, match="65536 are allowed"):
        read_classic_fork(bytes(PROOF_BYTES_MAX + 1))
