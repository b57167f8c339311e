"""Each rule for the first leaf has an example that keeps it, and one that breaks it."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.streams.genesis import (
    GENESIS_BYTES_MAX,
    PARAM_BYTES_MAX,
    PARAMS_MAX,
    READERS_MAX,
    WRITERS_MAX,
    Genesis,
    Uniqueness,
    read_genesis,
)
from qbix_node.streams.owners import OWNERS_MAX, WEIGHT_MAX, Owners
from qbix_node.wire.packing import Packable, pack
from tests.streams.logs import ALICE, BOB, CAROL, SALT, genesis_of, owners_of

A, B, C = sorted([ALICE.public, BOB.public, CAROL.public])
ONE = ((A, 1),)
TWO = ((A, 1), (B, 1))
SEQUENCER = (("sequencer", A),)
NETWORK = b"n" * 32
EVERYBODY = tuple([(bytes([number]) * 32, 1) for number in range(OWNERS_MAX)])
FIELDS = (
    "version",
    "owners",
    "threshold",
    "kind",
    "uniqueness",
    "params",
    "salt",
    "network",
    "epoch",
)


Changes = dict[str, Packable]


def encoded(**changes: Packable) -> bytes:
    """Of a gossip stream of one owner, but for the changes."""
    usual = (1, ONE, 1, "notes", "gossip", (), SALT, None, None)
    return pack(tuple((dict(zip(FIELDS, usual, strict=True)) | changes).values()))


ACCEPTED: dict[str, Changes] = {
    "the usual": {},
    "no owner may change it: none": {"uniqueness": "none"},
    "the heaviest weight": {"owners": ((A, WEIGHT_MAX),), "threshold": WEIGHT_MAX},
    "as many owners as may be": {
        "owners": EVERYBODY,
        "threshold": 64,
        "params": (("sequencer", EVERYBODY[63][0]),),
    },
    "just above half": {"owners": ((A, 1), (B, 2)), "threshold": 2, "params": SEQUENCER},
    "below half, where forks are no matter": {
        "owners": TWO,
        "threshold": 1,
        "uniqueness": "none",
    },
    "several owners without a sequencer, where that is no matter": {
        "owners": TWO,
        "threshold": 2,
        "uniqueness": "none",
    },
    "a watched stream": {"uniqueness": "watched", "network": NETWORK, "epoch": 0},
    "the last epoch": {"uniqueness": "watched", "network": NETWORK, "epoch": 2**32 - 1},
    "a network": {"owners": (), "threshold": 0, "kind": "network", "uniqueness": "watched"},
    "a stream of kind network that is none": {"kind": "network"},
    "the longest name": {"kind": "a" + "z09._-".ljust(63, "x")},
    "as many params as may be": {
        "params": tuple([(f"p{number:02}", b"") for number in range(PARAMS_MAX)])
    },
    "the longest value": {"params": (("p", bytes(PARAM_BYTES_MAX)),)},
    "a sequencer of one": {"params": SEQUENCER},
    "no reader but the owners": {"params": (("readers", pack(())),)},
    "as many readers as may be": {
        "params": (("readers", pack(tuple([bytes([n]) * 32 for n in range(READERS_MAX)]))),)
    },
}

REFUSED: dict[str, Changes] = {
    "another version": {"version": 2},
    "a version that is true": {"version": True},
    "owners that are no array": {"owners": b""},
    "no owner": {"owners": (), "threshold": 0},
    "owners not in order": {"owners": ((B, 1), (A, 1)), "threshold": 2, "params": SEQUENCER},
    "an owner twice": {"owners": ((A, 1), (A, 1)), "threshold": 2, "params": SEQUENCER},
    "too many owners": {"owners": (*EVERYBODY, (b"z" * 32, 1)), "uniqueness": "none"},
    "an owner with a third field": {"owners": ((A, 1, 1),)},
    "a key that is too short": {"owners": ((A[1:], 1),)},
    "a key that is text": {"owners": (("k" * 32, 1),)},
    "an owner without weight": {"owners": ((A, 0),)},
    "a weight that is too heavy": {"owners": ((A, WEIGHT_MAX + 1),)},
    "a weight that is true": {"owners": ((A, True),)},
    "a threshold of nothing": {"threshold": 0, "uniqueness": "none"},
    "a negative threshold": {"threshold": -1},
    "a threshold that nobody reaches": {"threshold": 2},
    "half is enough": {"owners": TWO, "threshold": 1, "params": SEQUENCER},
    "half is enough to be watched": {
        "owners": TWO,
        "threshold": 1,
        "uniqueness": "watched",
        "network": NETWORK,
        "epoch": 0,
    },
    "a kind with a capital": {"kind": "Notes"},
    "a kind that begins with a digit": {"kind": "1notes"},
    "a kind without a character": {"kind": ""},
    "a kind of 65 characters": {"kind": "a" * 65},
    "a kind with a line feed": {"kind": "notes\n"},
    "a kind of bytes": {"kind": b"notes"},
    "another uniqueness": {"uniqueness": "some"},
    "no uniqueness": {"uniqueness": None},
    "uniqueness in bytes": {"uniqueness": b"none"},
    "params not in order": {"params": (("b", b""), ("a", b""))},
    "a param twice": {"params": (("a", b""), ("a", b""))},
    "too many params": {"params": tuple([(f"p{n:02}", b"") for n in range(PARAMS_MAX + 1)])},
    "a value that is too long": {"params": (("p", bytes(PARAM_BYTES_MAX + 1)),)},
    "a value of text": {"params": (("p", "text"),)},
    "a param whose name is none": {"params": (("P", b""),)},
    "a param with a third field": {"params": (("p", b"", b""),)},
    "salt that is too short": {"salt": SALT[1:]},
    "salt of text": {"salt": "s" * 16},
    "too much altogether": {
        "params": tuple([(f"p{n}", bytes(PARAM_BYTES_MAX)) for n in range(4)]),
    },
    "a network of a gossip stream": {"network": NETWORK, "epoch": 0},
    "an epoch of a gossip stream": {"epoch": 0},
    "a watched stream without a network": {"uniqueness": "watched"},
    "a watched stream without an epoch": {"uniqueness": "watched", "network": NETWORK},
    "a watched stream without the id": {"uniqueness": "watched", "epoch": 0},
    "a network id that is too short": {
        "uniqueness": "watched",
        "network": NETWORK[1:],
        "epoch": 0,
    },
    "an epoch too late": {"uniqueness": "watched", "network": NETWORK, "epoch": 2**32},
    "a network with owners": {"kind": "network", "uniqueness": "watched"},
    "a network of a network": {
        "owners": (),
        "threshold": 0,
        "kind": "network",
        "uniqueness": "watched",
        "network": NETWORK,
        "epoch": 0,
    },
    "a network that is not watched": {"owners": (), "threshold": 0, "kind": "network"},
    "a network with a threshold": {
        "owners": (),
        "threshold": 1,
        "kind": "network",
        "uniqueness": "watched",
    },
    "a network of another kind": {"owners": (), "threshold": 0, "uniqueness": "watched"},
    "a sequencer who is no owner": {"params": (("sequencer", C),)},
    "a sequencer who is no key": {"params": (("sequencer", b""),)},
    "several owners without a sequencer": {"owners": TWO, "threshold": 2},
    "readers that are no array": {"params": (("readers", pack(A)),)},
    "readers that are no msgpack": {"params": (("readers", b"\xc1"),)},
    "readers not in order": {"params": (("readers", pack((B, A))),)},
    "a reader twice": {"params": (("readers", pack((A, A))),)},
    "a reader who is no key": {"params": (("readers", pack((A[1:],))),)},
    "too many readers": {
        "params": (("readers", pack(tuple([bytes([n]) * 32 for n in range(READERS_MAX + 1)]))),)
    },
    "writers that are no array": {"params": (("writers", pack(A)),)},
    "writers that are no msgpack": {"params": (("writers", b"\xc1"),)},
    "writers not in order": {"params": (("writers", pack((B, A))),)},
    "a writer twice": {"params": (("writers", pack((A, A))),)},
    "a writer who is no key": {"params": (("writers", pack((A[1:],))),)},
    "too many writers": {
        "params": (("writers", pack(tuple([bytes([n]) * 32 for n in range(WRITERS_MAX + 1)]))),)
    },
}


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted_genesis_is_written_as_it_was_read(changes: Changes) -> None:
    given_bytes = encoded(**changes)
    assert read_genesis(given_bytes).encoded == given_bytes


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
def test_genesis_that_breaks_a_rule_is_malformed(changes: Changes) -> None:
    with pytest.raises(Malformed):
        read_genesis(encoded(**changes))


@pytest.mark.parametrize("size", [0, 1, 8, 10])
def test_genesis_of_another_number_of_fields_is_malformed(size: int) -> None:
    fields = (1, ONE, 1, "notes", "gossip", (), SALT, None, None, None)
    with pytest.raises(Malformed):
        read_genesis(pack(fields[:size]))


def test_a_genesis_may_have_16_kib_and_not_a_byte_more() -> None:
    def of_size(value_bytes: int) -> bytes:
        full = [(f"p{number}", bytes(PARAM_BYTES_MAX)) for number in range(3)]
        return encoded(params=(*full, ("q", bytes(value_bytes))))

    most = GENESIS_BYTES_MAX - len(of_size(3000)) + 3000
    assert len(of_size(most)) == GENESIS_BYTES_MAX
    assert read_genesis(of_size(most)).param("q") == bytes(most)
    with pytest.raises(Malformed, match="are allowed"):
        read_genesis(of_size(most + 1))


def test_the_name_of_a_stream_is_the_hash_of_its_genesis_in_its_domain() -> None:
    genesis = genesis_of()
    assert genesis.stream == sha256(b"qbix/stream/1\0" + genesis.encoded).digest()
    assert genesis.stream != replace(genesis, salt=b"t" * 16).stream


def test_the_sequencer_is_the_one_who_is_named_or_the_only_owner() -> None:
    assert genesis_of(ALICE).sequencer == ALICE.public
    several = genesis_of(owners=owners_of((ALICE, 1), (BOB, 1), threshold=2))
    assert several.sequencer == several.owners.weights[0][0]
    equal = Genesis(several.owners, "notes", Uniqueness.NONE, (), SALT)
    assert equal.sequencer is None


def test_owners_are_readers_and_without_the_param_everybody_is() -> None:
    assert genesis_of().readers is None
    named = replace(genesis_of(ALICE), params=(("readers", pack((BOB.public,))),))
    assert named.readers == frozenset([ALICE.public, BOB.public])


def test_owners_are_found_by_their_keys() -> None:
    owners = owners_of((ALICE, 1), (BOB, 5), threshold=6)
    assert owners.total == 6
    assert [owners.index(key) for key, _ in owners.weights] == [0, 1]
    assert (owners.index(CAROL.public), owners.only) == (None, None)
    assert Owners(owners.weights[:1], 1).only == owners.weights[0][0]


@given(st.data())
def test_a_genesis_with_other_bytes_is_another_stream_or_malformed(data: st.DataObject) -> None:
    whole = bytearray(encoded(owners=TWO, threshold=2, params=SEQUENCER))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    try:
        genesis = read_genesis(bytes(whole))
    except Malformed:
        return
    assert genesis.encoded == whole


@given(st.binary(max_size=200))
def test_any_bytes_are_a_genesis_in_its_only_form_or_malformed(data: bytes) -> None:
    try:
        genesis = read_genesis(data)
    except Malformed:
        return
    assert genesis.encoded == data


def test_writers_are_those_named_who_may_read_and_the_owners() -> None:
    def of(**params: tuple[bytes, ...]) -> Genesis:
        rows = tuple([(name, pack(keys)) for name, keys in sorted(params.items())])
        return replace(genesis_of(ALICE), params=rows)

    everybody = ALICE.public, BOB.public, CAROL.public

    def writers(genesis: Genesis) -> list[bool]:
        return [genesis.may_write(key) for key in everybody]

    assert writers(of()) == [True, False, False]
    assert writers(of(writers=(BOB.public,))) == [True, True, False]
    assert writers(of(writers=())) == [True, True, True]
    assert writers(of(writers=(), readers=(CAROL.public,))) == [True, False, True]
    assert writers(of(writers=(BOB.public,), readers=())) == [True, False, False]
    assert [of().sequenced, of(writers=()).sequenced] == [False, True]
