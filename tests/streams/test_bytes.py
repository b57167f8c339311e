"""Headers, Heads and segments as bytes: each rule has an example that keeps it, and one that breaks
it.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.streams.authoring import make_intent, sign_head
from qbix_node.streams.messages import (
    HEADER_BYTES_MAX,
    Head,
    NewEntry,
    SignedHead,
    read_header,
    read_segment,
    read_signed_head,
    read_signed_resolve,
)
from qbix_node.streams.owners import OWNERS_MAX, WEIGHT_MAX, Owners, decisive, read_signatures
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import LENGTH_MAX, Hash, grow
from qbix_node.wire.fields import NUMBER_MAX
from qbix_node.wire.packing import Packable, pack, unpack
from tests.streams.logs import ALICE, BOB, CAROL, START_MS, alices_log, genesis_of, owners_of

ROOT = Hash(b"r" * 32)
SIG = b"s" * 64
STREAM = genesis_of().stream
OWN = alices_log(4)
TOO_BIG = (NUMBER_MAX + 1, 2**63, 2**64 - 1, -1)

# ---- headers ----

HEADER_FIELDS = (
    *("version", "stream", "index", "author", "author_seq", "base_length", "base_root"),
    *("timestamp", "kind", "content_size", "content_hash", "author_sig"),
)
Changes = dict[str, Packable]


def own_header(**changes: Packable) -> bytes:
    """The only owner's fifth entry, but for the changes."""
    usual = 1, STREAM, 5, ALICE.public, 5, 5, None, START_MS, "note", 3, b"h" * 32, None
    return pack(tuple((dict(zip(HEADER_FIELDS, usual, strict=True)) | changes).values()))


def intent(**changes: Packable) -> bytes:
    """Carol's ninth intent, who had seen two leaves, in place 5; but for the changes."""
    carols: Changes = {"author": CAROL.public, "author_seq": 9, "base_length": 2}
    return own_header(**(carols | {"base_root": ROOT, "author_sig": SIG} | changes))


ACCEPTED_HEADERS = {
    "the usual": own_header(),
    "the first": own_header(index=1, author_seq=1, base_length=1),
    "the last": own_header(
        index=LENGTH_MAX - 1, author_seq=LENGTH_MAX - 1, base_length=LENGTH_MAX - 1
    ),
    "the earliest": own_header(timestamp=0),
    "the latest": own_header(timestamp=NUMBER_MAX),
    "of no content": own_header(content_size=0),
    "of the largest content": own_header(content_size=NUMBER_MAX),
    "of the longest kind": own_header(kind="k" * 64),
    "an intent": intent(),
    "an intent on the genesis": intent(base_length=1),
    "an intent on all before it": intent(base_length=5),
    "the first intent of an author": intent(author_seq=1),
    "the last intent of an author": intent(author_seq=NUMBER_MAX),
}
BROKEN: dict[str, Changes] = {
    "another version": {"version": 2},
    "a version that is true": {"version": True},
    "a stream that is too short": {"stream": STREAM[1:]},
    "a stream of text": {"stream": "s" * 32},
    "an author that is too long": {"author": b"a" * 33},
    "no author": {"author": None},
    "a timestamp before 1970": {"timestamp": -1},
    "a timestamp of text": {"timestamp": "now"},
    "a timestamp that is true": {"timestamp": True},
    "a kind with a capital": {"kind": "Note"},
    "a kind that begins with a dot": {"kind": ".note"},
    "no kind": {"kind": ""},
    "a kind of 65 characters": {"kind": "k" * 65},
    "a kind of bytes": {"kind": b"note"},
    "a hash that is too short": {"content_hash": b"h" * 31},
    "a hash that is too long": {"content_hash": b"h" * 33},
    "no hash": {"content_hash": None},
    "a size that is false": {"content_size": False},
    **{f"a timestamp of {n}": {"timestamp": n} for n in TOO_BIG},
    **{f"a content of {n}": {"content_size": n} for n in TOO_BIG},
    "index 0, the place of the genesis": {"index": 0, "author_seq": 0, "base_length": 0},
    "an index that no log has": {
        "index": LENGTH_MAX,
        "author_seq": LENGTH_MAX,
        "base_length": LENGTH_MAX,
    },
    "an array for a number": {"content_size": (1,)},
    "an array for bytes": {"stream": (1,) * 32},
}
BROKEN_OWN: dict[str, Changes] = {
    "author_seq that is not its index": {"author_seq": 4},
    "base_length that is not its index": {"base_length": 4},
    "only a root of its base": {"base_root": ROOT},
    "only a signature": {"author_sig": SIG},
    "an index that is true": {"index": True, "author_seq": True, "base_length": True},
}
BROKEN_INTENT: dict[str, Changes] = {
    "no root of its base": {"base_root": None},
    "no signature": {"author_sig": None},
    "a root that is too short": {"base_root": ROOT[1:]},
    "a root of text": {"base_root": "r" * 32},
    "a signature that is too short": {"author_sig": SIG[1:]},
    "a signature that is too long": {"author_sig": SIG + b"s"},
    "a signature of text": {"author_sig": "s" * 64},
    "number 0 of its author": {"author_seq": 0},
    "a base without the genesis": {"base_length": 0},
    "a base that it is part of": {"base_length": 6},
    **{f"number {n} of its author": {"author_seq": n} for n in TOO_BIG},
}
REFUSED_HEADERS = (
    {f"own: {name}": own_header(**changes) for name, changes in (BROKEN | BROKEN_OWN).items()}
    | {f"intent: {name}": intent(**changes) for name, changes in (BROKEN | BROKEN_INTENT).items()}
    | {
        "a field too few": pack(unpack(own_header(), "header")[:-1]),
        "a field too many": pack((*unpack(own_header(), "header"), None)),
        "no array": pack(b"header"),
        "something after it": own_header() + b"\0",
        "a number in a longer form": own_header().replace(b"\x05", b"\xcc\x05", 1),
    }
)


@pytest.mark.parametrize("header", ACCEPTED_HEADERS.values(), ids=ACCEPTED_HEADERS)
def test_header_is_written_as_it_was_read(header: bytes) -> None:
    assert read_header(header).encoded == header


@pytest.mark.parametrize("header", REFUSED_HEADERS.values(), ids=REFUSED_HEADERS)
def test_header_that_breaks_a_rule_is_malformed(header: bytes) -> None:
    with pytest.raises(Malformed):
        read_header(header)


def test_no_header_reaches_the_limit_of_its_bytes_and_what_is_longer_is_not_unpacked() -> None:
    longest = intent(
        index=LENGTH_MAX - 1,
        author_seq=NUMBER_MAX,
        base_length=LENGTH_MAX - 1,
        kind="k" * 64,
        timestamp=NUMBER_MAX,
        content_size=NUMBER_MAX,
    )
    assert read_header(longest).encoded == longest
    assert len(longest) <= HEADER_BYTES_MAX
    with pytest.raises(Malformed, match="are allowed"):
        read_header(own_header(content_hash=bytes(HEADER_BYTES_MAX)))


def test_an_intent_is_signed_over_all_that_its_author_decides_but_not_its_place() -> None:
    state = LogState(2, grow((), 0, OWN.hashes[:2])[0], OWN.head(2), (), OWN.genesis.owners)
    made = make_intent(state, CAROL, 1, NewEntry("note", b"hello"), START_MS)
    check = made.check()
    assert check is not None
    said = STREAM, CAROL.public, 1, 2, OWN.root(2), START_MS, "note", 5, made.content_hash
    assert check.body == b"qbix/intent/1\0" + pack(said)
    assert CAROL.sign(check.body) == check.signature == made.author_sig
    assert made._replace(place=7).check() == check
    assert read_header(own_header()).check() is None


# ---- exactly enough signatures ----

HEAVY = owners_of((ALICE, 3), (BOB, 2), (CAROL, 1), threshold=4)
WEIGHTS = [weight for _, weight in HEAVY.weights]
BY_WEIGHT = {weight: index for index, weight in enumerate(WEIGHTS)}


def signed_by(*weights: int) -> bool:
    signatures = tuple([(index, SIG) for index in sorted(BY_WEIGHT[weight] for weight in weights)])
    return decisive(signatures, HEAVY, b"body") is not None


def test_exactly_enough_signatures_reach_the_threshold_and_none_can_be_left_out() -> None:
    assert signed_by(3, 1)
    assert signed_by(3, 2)
    assert not signed_by(3, 2, 1)  # without the last one they'd decide as well
    assert not signed_by(2, 1)
    assert not signed_by(3)
    assert not signed_by()


def test_what_is_checked_are_the_keys_of_those_who_signed() -> None:
    checks = decisive(
        ((0, SIG), (2, SIG)), owners_of((ALICE, 1), (BOB, 1), (CAROL, 1), threshold=2), b"b"
    )
    assert checks is not None
    keys = sorted([ALICE.public, BOB.public, CAROL.public])
    assert [(check.key, check.body) for check in checks] == [(keys[0], b"b"), (keys[2], b"b")]


def test_an_owner_who_is_not_there_signs_nothing() -> None:
    assert decisive(((1, SIG),), owners_of((ALICE, 1), threshold=1), b"body") is None
    assert decisive(((0, SIG), (3, SIG)), HEAVY, b"body") is None


@given(st.lists(st.integers(1, 6) | st.just(WEIGHT_MAX), min_size=1, max_size=6), st.data())
def test_signatures_are_enough_by_the_definition(weights: list[int], data: st.DataObject) -> None:
    total = sum(weights)
    threshold = data.draw(st.integers(1, total))
    rows = tuple([(bytes([n]) * 32, weight) for n, weight in enumerate(weights)])
    owners = Owners(rows, threshold)  # type: ignore[arg-type]  # keys that are nobody's
    chosen = sorted(data.draw(st.sets(st.integers(0, len(weights) - 1))))
    weight = sum([weights[index] for index in chosen])
    needed = all(weight - weights[index] < threshold for index in chosen)
    enough = decisive(tuple([(index, SIG) for index in chosen]), owners, b"body") is not None
    assert enough == (weight >= threshold and needed)


@pytest.mark.parametrize(
    "rows",
    [
        None,
        ((0, SIG, 1),),
        ((OWNERS_MAX, SIG),),
        ((-1, SIG),),
        ((False, SIG),),
        ((0, SIG[1:]),),
        ((0, "s" * 64),),
        ((1, SIG), (0, SIG)),
        ((0, SIG), (0, SIG)),
        tuple([(index, SIG) for index in range(OWNERS_MAX + 1)]),
    ],
    ids=repr,
)
def test_signatures_in_another_form_are_malformed(rows: Packable) -> None:
    with pytest.raises(Malformed):
        read_signatures(rows, "Head")
    assert len(read_signatures(tuple([(n, SIG) for n in range(OWNERS_MAX)]), "Head")) == OWNERS_MAX


# ---- Heads and Resolves ----


def head_row(*changes: tuple[int, Packable]) -> Packable:
    body: list[Packable] = [1, STREAM, 5, ROOT, START_MS]
    for place, value in changes:
        body[place] = value
    return tuple(body), ((0, SIG),)


@pytest.mark.parametrize("length", [1, LENGTH_MAX])
@pytest.mark.parametrize("stamp_ms", [0, NUMBER_MAX])
def test_a_head_is_written_as_it_was_read(length: int, stamp_ms: int) -> None:
    row = head_row((2, length), (4, stamp_ms))
    signed = read_signed_head(row)
    assert signed == SignedHead(Head(STREAM, length, ROOT, stamp_ms), ((0, SIG),))
    assert signed.packable() == row


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((0, 2), (0, True), (1, STREAM[1:]), (1, "s" * 32), (3, ROOT + b"r"), (3, None)),
        *((2, 0), (2, LENGTH_MAX + 1), (2, True), (2, None)),
        *[(4, stamp) for stamp in (*TOO_BIG, None, False)],
    ],
    ids=repr,
)
def test_a_head_that_breaks_a_rule_is_malformed(place: int, value: Packable) -> None:
    with pytest.raises(Malformed):
        read_signed_head(head_row((place, value)))


@pytest.mark.parametrize("body", [(1, STREAM, 5, ROOT), (1, STREAM, 5, ROOT, 0, 0), b""], ids=len)
def test_a_head_of_another_number_of_fields_is_malformed(body: Packable) -> None:
    for row in ((body, ()), (head_row(),), None):
        with pytest.raises(Malformed):
            read_signed_head(row)


def test_a_head_is_signed_in_its_domain_over_all_of_it() -> None:
    signed = sign_head(Head(STREAM, 5, ROOT, START_MS), (0, ALICE))
    checks = signed.checks(genesis_of().owners)
    assert checks is not None
    assert checks[0].body == b"qbix/head/1\0" + pack((1, STREAM, 5, ROOT, START_MS))
    assert signed.signatures == ((0, ALICE.sign(checks[0].body)),)
    assert signed.head.identity == (STREAM, 5, ROOT)


@pytest.mark.parametrize(
    "body",
    [
        *((2, STREAM, 5, ROOT), (1, STREAM[1:], 5, ROOT), (1, STREAM, 0, ROOT)),
        *((1, STREAM, LENGTH_MAX + 1, ROOT), (1, STREAM, 5, b""), (1, STREAM, 5, ROOT, 0)),
    ],
    ids=repr,
)
def test_a_resolve_that_breaks_a_rule_is_malformed(body: Packable) -> None:
    with pytest.raises(Malformed):
        read_signed_resolve((body, ((0, SIG),)))
    good = (1, STREAM, 5, ROOT), ((0, SIG),)
    assert read_signed_resolve(good).packable() == good


# ---- any bytes ----

READERS: dict[str, tuple[Callable[[bytes], bytes], bytes]] = {
    "header": (lambda data: read_header(data).encoded, own_header()),
    "intent": (lambda data: read_header(data).encoded, intent()),
    "segment": (lambda data: read_segment(data).encoded, OWN.segment(1, 2, 4).encoded),
    "head": (
        lambda data: pack(read_signed_head(unpack(data, "head")).packable()),
        pack(head_row()),
    ),
}


@pytest.mark.parametrize(("read", "whole"), READERS.values(), ids=READERS)
@given(data=st.data())
def test_other_bytes_are_malformed_or_encode_to_themselves(
    read: Callable[[bytes], bytes], whole: bytes, data: st.DataObject
) -> None:
    assert read(whole) == whole
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed) - 1))
        cut = data.draw(st.integers(0, 2))
        changed[place : place + cut] = data.draw(st.binary(max_size=2))
    for other in (bytes(changed), data.draw(st.binary(max_size=100))):
        try:
            again = read(other)
        except Malformed:
            continue
        assert again == other
