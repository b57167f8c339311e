"""Owners who hand a stream over to others, and chains that show it (spec/streams.md 7)."""

from dataclasses import replace
from itertools import pairwise

import pytest

from qbix_node.crypto.keys import verify
from qbix_node.errors import Malformed
from qbix_node.streams.authoring import make_header
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.growth import Growth
from qbix_node.streams.messages import NewEntry, Segment, read_header
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.succession import (
    CHAIN_MAX,
    OWNERS_SET,
    Link,
    OwnersSet,
    read_chain,
    read_owners_set,
    reign,
)
from qbix_node.streams.tree import LENGTH_MAX, Hash
from qbix_node.wire.packing import Packable, pack, unpack
from tests.streams.logs import (
    ALICE,
    BOB,
    CAROL,
    START_MS,
    Log,
    alices_log,
    genesis_of,
    keys_of,
    owners_of,
)
from tests.streams.reader import Reader

BOBS = owners_of((BOB, 1), threshold=1)
CAROLS = owners_of((CAROL, 1), threshold=1)


def new_log() -> Log:
    return Log(genesis_of(uniqueness=Uniqueness.NONE)).write_many(2)


@pytest.fixture
def log() -> Log:
    """Alice's, then bob's from length 4, then carol's from 6."""
    log = new_log()
    log.hand_over(BOBS, (0, BOB))
    log.write()
    log.hand_over(CAROLS, (0, CAROL))
    return log.write_many(3)


def refused(reader: Reader, segment: Segment, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        reader.take(segment)


# ---- in a log ----


def test_others_sign_what_comes_after_an_entry_that_changes_the_owners(log: Log) -> None:
    dave = Reader(log.genesis)
    before = dave.take(log.segment(0, 4)).state
    assert before.owners == BOBS
    assert dave.take(log.segment(4, 6)).state.owners == CAROLS
    growth = dave.take(log.segment(6, 9))
    assert growth.state.owners == CAROLS
    assert [check.key for check in growth.head_checks] == [CAROL.public]


def test_the_change_is_signed_by_exactly_enough_of_those_before(log: Log) -> None:
    dave = Reader(log.genesis)
    growth = dave.take(log.segment(0, 4))
    assert [check.key for check in growth.checks] == [ALICE.public]
    assert all(verify(check.key, check.body, check.signature) for check in growth.checks)
    assert all(verify(check.key, check.body, check.signature) for check in growth.head_checks)


def test_the_head_of_owners_who_handed_over_does_not_count_any_more(log: Log) -> None:
    dave = Reader(log.genesis)
    dave.take(log.segment(0, 4))
    alice = replace(log.twin(4), signers=((0, ALICE),)).write_many(1)
    refused(dave, alice.segment(4, 5), "no signature of its author")
    bobs_entry = log.twin(5)
    bobs_entry.signers = ((0, ALICE),)
    growth = dave.judge(bobs_entry.segment(4, 5))
    assert isinstance(growth, Growth)
    check = growth.head_checks[0]
    assert check.key == BOB.public  # so the signature of alice does not match
    assert not verify(check.key, check.body, check.signature)


def test_owners_who_come_to_be_several_write_intents() -> None:
    log = new_log()
    both = owners_of((ALICE, 1), (BOB, 1), threshold=1)
    place = both.index(ALICE.public)
    assert place is not None
    log.hand_over(both, (place, ALICE))
    log.intend(1, author=ALICE)
    dave = Reader(log.genesis)
    dave.take(log.segment(0, 4))
    dave.take(log.segment(4, 5))
    wrong = log.twin(4)
    wrong.write()
    again = Reader(log.genesis)
    again.take(log.segment(0, 4))
    refused(again, wrong.segment(4, 5), "several owners has no signature")


def test_no_run_goes_past_a_change_of_owners() -> None:
    log = new_log()
    log.hand_over(BOBS, (0, ALICE))
    log.write()
    refused(Reader(log.genesis), log.segment(0, 5), "goes past a change of owners")


def test_the_head_over_a_change_of_owners_ends_with_it(log: Log) -> None:
    refused(Reader(log.genesis), log.segment(0, 4, 5), "goes past a change of owners")


def test_two_changes_of_owners_are_not_under_one_head() -> None:
    log = new_log()
    log.hand_over(BOBS, (0, ALICE))
    log.hand_over(BOBS, (0, ALICE))
    refused(Reader(log.genesis), log.segment(0, 5), "goes past a change of owners")


def test_a_change_of_owners_comes_with_its_content(log: Log) -> None:
    without = replace(log.segment(0, 4), contents=(None,) * 4)
    refused(Reader(log.genesis), without, "comes with its content")


def put_change(log: Log, change: OwnersSet) -> Log:
    entry = NewEntry(OWNERS_SET, change.encoded)
    author = AuthorId(ALICE.public)
    header = make_header(log.stream, log.length, author, entry, START_MS)
    log.put(header, entry.beside)
    return log


def test_a_change_for_another_place_or_stream_is_refused() -> None:
    other = genesis_of(BOB).stream
    for stream, place in ((new_log().stream, 2), (other, 3)):
        bare = OwnersSet(stream, place, BOBS, ())
        log = put_change(new_log(), replace(bare, signatures=((0, ALICE.sign(bare.body)),)))
        refused(Reader(log.genesis), log.segment(0, 4), "for another place")


@pytest.mark.parametrize("signatures", [(), ((1, b"s" * 64),)], ids=["none", "of nobody"])
def test_a_change_that_not_enough_signed_is_refused(
    signatures: tuple[tuple[int, bytes], ...],
) -> None:
    log = new_log()
    log = put_change(log, OwnersSet(log.stream, 3, BOBS, signatures))
    refused(Reader(log.genesis), log.segment(0, 4), "not enough owners signed")


def test_a_content_that_changes_no_owners_is_refused() -> None:
    log = new_log()
    log.write("text", kind=OWNERS_SET)
    refused(Reader(log.genesis), log.segment(0, 4), "owners.set")


# ---- the content ----

CHANGE = OwnersSet(genesis_of().stream, 3, BOBS, ((0, b"s" * 64),))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((0, 2), (0, True), (1, b""), (2, 0), (2, LENGTH_MAX), (2, None)),
        *((3, ()), (3, ((b"k" * 32, 0),)), (3, None), (4, 0), (4, 2), (5, None)),
        (5, ((0, b""),)),
    ],
    ids=repr,
)
def test_a_change_that_breaks_a_rule_is_malformed(place: int, value: Packable) -> None:
    assert read_owners_set(CHANGE.encoded) == CHANGE
    row = list(unpack(CHANGE.encoded, "change"))
    row[place] = value
    with pytest.raises(Malformed):
        read_owners_set(pack(tuple(row)))


def test_a_change_is_signed_in_its_domain_over_all_but_the_signatures() -> None:
    said = 1, CHANGE.stream, 3, ((BOB.public, 1),), 1
    assert CHANGE.body == b"qbix/owners-set/1\0" + pack(said)


# ---- chains ----


def owners_at(log: Log, *places: int, length: int) -> Owners:
    links = [log.link(place, length) for place in places]
    ruling = reign(log.genesis, links, log.head(length).head)
    assert all(verify(check.key, check.body, check.signature) for check in ruling.checks)
    assert len(ruling.checks) == len(places)
    return ruling.owners


def test_a_chain_shows_who_owns_the_stream_at_a_length(log: Log) -> None:
    assert owners_at(log, length=3) == log.genesis.owners
    assert owners_at(log, length=4) == log.genesis.owners  # those before sign the change itself
    assert owners_at(log, 3, length=5) == BOBS
    assert owners_at(log, 3, length=6) == BOBS
    assert owners_at(log, 3, 5, length=7) == CAROLS
    assert owners_at(log, 3, 5, length=9) == CAROLS


CHAINS_THAT_SHOW_NOTHING = {
    "in another order": (5, 3),
    "one of them twice": (3, 3),
    "without the one before": (5,),
}


@pytest.mark.parametrize("places", CHAINS_THAT_SHOW_NOTHING.values(), ids=CHAINS_THAT_SHOW_NOTHING)
def test_a_chain_that_is_not_whole_or_in_order_shows_nothing(
    log: Log, places: tuple[int, ...]
) -> None:
    links = [log.link(place, 9) for place in places]
    head = log.head(9).head
    if places == (5,):  # bob signed the second change, not alice
        checks = reign(log.genesis, links, head).checks
        assert not all(verify(check.key, check.body, check.signature) for check in checks)
        return
    with pytest.raises(Malformed, match="in order"):
        reign(log.genesis, links, head)


def test_a_change_that_the_head_itself_ends_with_is_no_link_of_its_chain(log: Log) -> None:
    for place, length in ((3, 4), (5, 6)):
        with pytest.raises(Malformed, match="no place before the Head"):
            reign(log.genesis, [log.link(place, length)], log.head(length).head)


def spoiled_links(log: Log) -> dict[str, Link]:
    link, other = log.link(3, 9), log.link(5, 9)
    note = Link(log.leaves[4], log.contents[4] or b"", log.link(4, 9).path)
    return {
        "another content": replace(link, content=other.content),
        "another header": replace(link, header=other.header),
        "another path": replace(link, path=other.path),
        "no path": replace(link, path=()),
        "a hash too many": replace(link, path=(*link.path, Hash(bytes(32)))),
        "an entry of another kind": note,
    }


@pytest.mark.parametrize("name", spoiled_links(new_log().write_many(6)))
def test_a_spoiled_link_shows_nothing(log: Log, name: str) -> None:
    with pytest.raises(Malformed):
        reign(log.genesis, [spoiled_links(log)[name]], log.head(9).head)


def test_a_change_for_another_place_shows_nothing() -> None:
    log = new_log()
    bare = OwnersSet(log.stream, 2, BOBS, ())
    put_change(log, replace(bare, signatures=((0, ALICE.sign(bare.body)),))).write_many(2)
    with pytest.raises(Malformed, match="another place"):
        reign(log.genesis, [log.link(3, 6)], log.head(6).head)


@pytest.mark.parametrize("field", ["kind", "stream", "content_size"])
def test_a_change_whose_header_says_otherwise_shows_nothing(field: str) -> None:
    log = new_log()
    log.hand_over(BOBS, (0, BOB))
    header, other = read_header(log.leaves[-1]), genesis_of(BOB).stream
    wrong = {
        "kind": header._replace(kind="note"),
        "stream": header._replace(stream=other),
        "content_size": header._replace(content_size=header.content_size + 1),
    }
    log.leaves[-1] = wrong[field].encoded
    log.write()
    with pytest.raises(Malformed, match="header and content don't belong together"):
        reign(log.genesis, [log.link(3, 5)], log.head(5).head)


def test_a_change_that_nobody_signed_shows_nothing() -> None:
    log = new_log()
    put_change(log, OwnersSet(log.stream, 3, BOBS, ())).write_many(2)
    with pytest.raises(Malformed, match="isn't signed by those before"):
        reign(log.genesis, [log.link(3, 6)], log.head(6).head)


def test_owners_of_other_streams_never_change() -> None:
    gossip = alices_log(9)
    with pytest.raises(Malformed, match="never change"):
        reign(gossip.genesis, [gossip.link(3, 9)], gossip.head(9).head)


def test_a_chain_is_read_as_it_was_written_and_has_at_most_eight_links() -> None:
    log, names = new_log(), [f"owner {number}" for number in range(CHAIN_MAX + 1)]
    for name in names:
        log.hand_over(owners_of((keys_of(name), 1), threshold=1), (0, keys_of(name)))
    log.write()
    places = range(3, 3 + CHAIN_MAX)
    chain = tuple([log.link(place, log.length) for place in places])
    assert read_chain(tuple([link.packable() for link in chain])) == chain
    ruling = reign(log.genesis, chain, log.head(log.length).head)
    assert ruling.owners.only == keys_of(names[CHAIN_MAX - 1]).public
    more = (*chain, log.link(3 + CHAIN_MAX, log.length))
    with pytest.raises(Malformed, match="are allowed"):
        read_chain(tuple([link.packable() for link in more]))


@pytest.mark.parametrize(
    "row",
    [
        None,
        ((b"", b""),),
        ((bytes(513), b"", ()),),
        (("", b"", ()),),
        ((b"", bytes(64 * 1024 + 1), ()),),
        ((b"", b"", (b"",)),),
        ((b"", b"", (bytes(32),) * 31),),
    ],
    ids=["nil", "two fields", "long header", "text", "large content", "no hash", "long path"],
)
def test_a_chain_in_another_form_is_malformed(row: Packable) -> None:
    with pytest.raises(Malformed):
        read_chain(row)


def test_runs_between_changes_of_any_number_of_owners_end_in_the_same_state(log: Log) -> None:
    bounds = [0, 1, 4, 5, 6, 8, 9]
    in_parts, whole = Reader(log.genesis), Reader(log.genesis)
    for first, stop in pairwise(bounds):
        in_parts.take(log.segment(first, stop))
    for first, stop in pairwise([0, 4, 6, 9]):
        whole.take(log.segment(first, stop))
    assert in_parts.state == whole.state
    assert in_parts.state is not None
    assert in_parts.state.owners == CAROLS
