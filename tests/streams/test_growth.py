"""Runs of entries continue a log, or break a rule, or contradict it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.streams.authoring import make_header
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.growth import Contradicted, Facts, Growth, begin, cover, read_headers
from qbix_node.streams.messages import CONTENT_BYTES_MAX, NewEntry, Segment
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.tree import Hash, leaf_hash
from tests.streams.logs import (
    ALICE,
    BOB,
    CAROL,
    SALT,
    START_MS,
    Log,
    alices_log,
    genesis_of,
    owners_of,
    single,
)
from tests.streams.reader import Reader

LONG = alices_log(40)


@pytest.fixture
def log() -> Log:
    return Log(genesis_of()).write_many(2)


@pytest.fixture
def bob(log: Log) -> Reader:
    return Reader(log.genesis)


# ---- what continues a log ----


@given(st.lists(st.integers(1, 12), max_size=8), st.data())
def test_a_log_in_any_runs_ends_in_the_same_state(sizes: list[int], data: st.DataObject) -> None:
    bob, whole = Reader(LONG.genesis), Reader(LONG.genesis)
    for segment in LONG.segments(*sizes):
        later = data.draw(st.sampled_from([segment.stop, LONG.length]))
        earlier = data.draw(st.integers(0, segment.first))  # what he has already comes with it
        growth = bob.take(LONG.segment(earlier, segment.stop, later))
        assert growth.leaves == segment.leaves
        assert growth.contents == segment.contents
        assert growth.checks == ()
    once = whole.take(LONG.segment(0, 40))
    assert bob.state == whole.state == once.state
    assert single(bob.made) == single(once.made)
    assert bob.state is not None
    assert bob.state.signed.head.root == LONG.root(40)


def test_a_run_may_end_before_its_head_and_go_on_from_there(log: Log, bob: Reader) -> None:
    log.write_many(6)
    state = bob.take(log.segment(0, 3, 9)).state
    assert (state.length, state.signed.head.length) == (3, 9)
    assert len(state.frontier) > 0
    state = bob.take(log.segment(3, 9)).state
    assert (state.length, state.frontier) == (9, ())


def test_a_later_head_over_what_is_here_already_brings_no_leaves(log: Log, bob: Reader) -> None:
    bob.take(log.segment(0, 3))
    log.write()
    growth = bob.take(log.segment(1, 3, 4))
    assert growth.leaves == growth.contents == ()
    assert (growth.state.length, growth.state.signed) == (3, log.head(4))


def test_a_content_that_is_missing_changes_nothing(log: Log, bob: Reader) -> None:
    whole, missing = Reader(log.genesis), replace(log.segment(0, 3), contents=(None, None, None))
    growth = bob.take(missing)
    assert growth.contents == (None, None, None)
    assert growth.state == whole.take(log.segment(0, 3)).state


def test_the_head_is_checked_by_the_keys_of_all_who_signed(bob: Reader) -> None:
    owners = owners_of((ALICE, 1), (BOB, 1), threshold=2)
    keys = {pair.public: pair for pair in (ALICE, BOB)}
    signers = tuple([(index, keys[key]) for index, (key, _) in enumerate(owners.weights)])
    log = Log(genesis_of(owners=owners), signers)
    log.intend(1)
    growth = Reader(log.genesis).take(log.segment(0, 2))
    assert [check.key for check in growth.head_checks] == [key for key, _ in owners.weights]
    assert [check.key for check in growth.checks] == [CAROL.public]


# ---- what breaks a rule ----


def refused(reader: Reader, segment: Segment, reason: str) -> None:
    before = reader.state
    with pytest.raises(Malformed, match=reason):
        reader.take(segment)
    assert reader.state == before


@pytest.mark.parametrize("content", [b"entry 3", b"entry 22", b""])
def test_another_content_is_refused(log: Log, bob: Reader, content: bytes) -> None:
    segment = replace(log.segment(0, 3), contents=(None, b"entry 1", content))
    refused(bob, segment, "entry 2: this is not its content")


def test_the_content_of_another_size_than_it_says_is_refused(log: Log, bob: Reader) -> None:
    header = log.write()
    log.leaves[-1] = header._replace(content_size=header.content_size + 1).encoded
    refused(bob, log.segment(0, 4), "entry 3: this is not its content")
    bob.take(replace(log.segment(0, 4), contents=(None,) * 4))  # the log itself is right


def test_a_content_that_is_a_blob_does_not_come_with_its_entry(log: Log, bob: Reader) -> None:
    for size in (CONTENT_BYTES_MAX, CONTENT_BYTES_MAX + 1):
        entry = NewEntry("note", bytes(size))
        owner = AuthorId(ALICE.public)
        log.put(make_header(log.stream, log.length, owner, entry, START_MS), entry.beside)
    bob.take(log.segment(0, 4))
    refused(bob, log.segment(4, 5), "doesn't come with it")


def test_a_header_for_another_place_or_stream_is_refused(log: Log, bob: Reader) -> None:
    header = log.write()
    other = genesis_of(salt=b"t" * 16).stream
    moved = header._replace(place=2, author_seq=2, base_length=2)
    for wrong in (moved, header._replace(stream=other)):
        log.leaves[-1] = wrong.encoded
        refused(bob, log.twin(4).segment(0, 4), "entry 3: its header is for another place")


def test_entries_of_somebody_else_need_a_signature(log: Log, bob: Reader) -> None:
    header = log.write()
    log.leaves[-1] = header._replace(author=AuthorId(CAROL.public)).encoded
    refused(bob, log.segment(0, 4), "an entry of somebody else has no signature of its author")


def test_entries_of_several_owners_need_signatures() -> None:
    owners = owners_of((ALICE, 1), (BOB, 1), threshold=1)
    genesis = Genesis(owners, "notes", Uniqueness.NONE, (), SALT)
    place = owners.index(ALICE.public)
    assert place is not None
    log = Log(genesis, ((place, ALICE),))
    log.write()
    refused(Reader(genesis), log.segment(0, 2), "no signature of its author")
    log = log.twin(1)
    log.intend(1, author=ALICE)
    Reader(genesis).take(log.segment(0, 2))


def test_time_of_the_only_owner_does_not_run_backwards(log: Log, bob: Reader) -> None:
    log.write(stamp_ms=START_MS + 5)
    log.write(stamp_ms=START_MS + 5)
    log.write(stamp_ms=START_MS + 4)
    refused(bob, log.segment(0, 6), "entry 5: its author's time runs backwards")
    bob.take(log.segment(0, 5))
    refused(bob, log.segment(5, 6), "entry 5: its author's time runs backwards")


@pytest.mark.parametrize("kind", ["void", "reanchor", "owners.set"])
def test_a_kind_that_is_reserved_for_other_streams_is_refused(
    log: Log, bob: Reader, kind: str
) -> None:
    log.write(kind=kind)
    refused(bob, log.segment(0, 4), f"entry 3: {kind} is reserved")
    log = log.twin(3)
    log.intend(1, kind=kind)
    refused(bob, log.segment(0, 4), f"entry 3: {kind} is reserved")


def test_a_head_of_too_few_or_too_many_owners_is_refused() -> None:
    owners = owners_of((ALICE, 1), (BOB, 1), (CAROL, 1), threshold=2)
    pairs = {pair.public: pair for pair in (ALICE, BOB, CAROL)}
    everybody = tuple([(index, pairs[key]) for index, (key, _) in enumerate(owners.weights)])
    genesis = genesis_of(owners=owners)
    for count in (1, 3):
        log = Log(genesis, everybody[:count])
        refused(Reader(genesis), log.segment(0, 1), "exactly enough")
    Reader(genesis).take(Log(genesis, everybody[1:]).segment(0, 1))


def test_owners_of_a_watched_stream_sign_no_heads() -> None:
    watched = replace(genesis_of(), uniqueness=Uniqueness.WATCHED, network=b"n" * 32, epoch=1)
    refused(Reader(watched), Log(watched).segment(0, 1), "watched")


def test_a_log_begins_with_the_genesis_of_its_stream(log: Log, bob: Reader) -> None:
    begun = log.segment(0, 3)
    assert begin(begun) == log.genesis
    with pytest.raises(Malformed, match="not the genesis of this stream"):
        begin(replace(begun, leaves=(genesis_of(BOB).encoded, *begun.leaves[1:])))
    with pytest.raises(Malformed, match="not the genesis of this stream"):
        begin(replace(begun, first=1))
    with pytest.raises(Malformed):
        begin(log.segment(1, 3))


# ---- what contradicts it ----


def test_the_first_leaf_is_the_genesis_also_where_that_is_known(log: Log, bob: Reader) -> None:
    """As after a log was dropped: the owners may have signed another one in its place."""
    log.leaves[0] = b"no genesis at all"
    log.hashes[0] = leaf_hash(log.leaves[0])
    with pytest.raises(Malformed, match="not the genesis"):
        cover(log.genesis, None, log.segment(0, 3))


def test_a_head_over_other_entries_contradicts_and_names_what_proves_it(
    log: Log, bob: Reader
) -> None:
    bob.take(log.segment(0, 3))
    twin = log.twin(2)
    twin.write("another")
    twin.write()
    verdict = bob.judge(twin.segment(3, 4))
    assert isinstance(verdict, Contradicted)
    assert verdict.head_checks == twin.head(4).checks(log.genesis.owners)


@pytest.mark.parametrize("frontier", ["short", "long", "flipped"])
def test_a_frontier_that_does_not_lead_to_the_head_contradicts(bob: Reader, frontier: str) -> None:
    segment = alices_log(12).segment(0, 3, 12)
    proper = segment.frontier
    other = {
        "short": proper[:-1],
        "long": (*proper, proper[-1]),
        "flipped": (Hash(bytes(32)), *proper[1:]),
    }[frontier]
    verdict = Reader(alices_log(12).genesis).judge(replace(segment, frontier=other))
    assert isinstance(verdict, Contradicted)


# ---- intents ----


def test_intents_are_checked_one_by_one_and_their_numbers_kept(log: Log, bob: Reader) -> None:
    log.intend(3)
    log.intend(7, author=BOB, stamp_ms=5)
    log.intend(4, base=1, stamp_ms=START_MS + 1)
    growth = bob.take(log.segment(0, 6))
    assert [check.key for check in growth.checks] == [CAROL.public, BOB.public, CAROL.public]
    states = {author: (s.author_seq, s.timestamp_ms) for author, s in growth.authors.items()}
    assert states == {CAROL.public: (4, START_MS + 1), BOB.public: (7, 5)}


@pytest.mark.parametrize("numbers", [(2, 2), (2, 1), (5, 6, 5)])
@pytest.mark.parametrize("split", [False, True], ids=["in one run", "in two runs"])
def test_an_intent_is_put_in_only_once_and_in_order(
    log: Log, bob: Reader, numbers: tuple[int, ...], split: bool
) -> None:
    for number in numbers:
        log.intend(number)
    last = log.length
    first = last - 1 if split else 0
    if split:
        bob.take(log.segment(0, first))
    refused(bob, log.segment(first, last), f"entry {last - 1}: its author's numbers don't ascend")


@pytest.mark.parametrize("split", [False, True], ids=["in one run", "in two runs"])
def test_time_of_an_author_does_not_run_backwards(log: Log, bob: Reader, split: bool) -> None:
    log.intend(1, stamp_ms=START_MS + 1)
    log.intend(1, author=BOB, stamp_ms=START_MS)
    log.intend(2, stamp_ms=START_MS)
    if split:
        bob.take(log.segment(0, 5))
    segment = log.segment(5 if split else 0, 6)
    refused(bob, segment, "entry 5: its author's time runs backwards")


@pytest.mark.parametrize("base", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("first", [0, 3, 4, 5])
def test_the_base_of_an_intent_is_of_this_log_wherever_it_lies(
    log: Log, base: int, first: int
) -> None:
    log.write_many(2)
    log.intend(1, base=base)
    wrong = log.twin(5)
    wrong.intend(1, base=base, base_root=Hash(b"w" * 32))
    for other in (log, wrong):
        bob = Reader(log.genesis)
        if first:
            bob.take(log.segment(0, first))
        if other is log:
            bob.take(other.segment(first, 6))
        else:
            refused(bob, other.segment(first, 6), "entry 5: its author had seen another log")


def test_the_only_owner_signs_no_entries_of_its_own(log: Log, bob: Reader) -> None:
    log.intend(1, author=ALICE)
    refused(bob, log.segment(0, 4), "the only owner signs no entries of its own")


@given(
    st.lists(
        st.tuples(st.sampled_from([None, BOB, CAROL]), st.integers(0, 12), st.integers(0, 2)),
        max_size=12,
    ),
    st.lists(st.integers(1, 5), max_size=6),
)
def test_intents_in_any_runs_end_in_the_same_state(
    wishes: list[tuple[object, int, int]], sizes: list[int]
) -> None:
    log = Log(genesis_of())
    for number, (author, back, later) in enumerate(wishes):
        stamp_ms = START_MS + number + later % 2
        if author is None:
            log.write(stamp_ms=stamp_ms + number)
        else:
            keys = BOB if author is BOB else CAROL
            base = max(1, log.length - back)
            log.intend(number + 1, base=base, author=keys, stamp_ms=START_MS + number)
    bob, whole = Reader(log.genesis), Reader(log.genesis)
    for segment in log.segments(*sizes):
        bob.take(segment)
    whole.take(log.segment(0, log.length))
    assert bob.state == whole.state
    assert bob.authors == whole.authors
    assert bob.checks == whole.checks


def test_what_an_intent_says_of_a_base_that_nobody_answered_for_is_not_believed(
    log: Log, bob: Reader
) -> None:
    bob.take(log.segment(0, 3))
    log.intend(1, base=2)
    bob.facts = lambda _: Facts({}, {})
    refused(bob, log.segment(3, 4), "its author had seen another log")


def test_headers_are_read_from_the_length_that_is_here(log: Log) -> None:
    segment = log.segment(0, 3)
    bounds = [
        (headers.first, headers.stop)
        for headers in [read_headers(segment, length) for length in (0, 2, 3)]
    ]
    assert bounds == [(1, 3), (2, 3), (3, 3)]


def test_a_growth_counts_what_is_new_only(log: Log, bob: Reader) -> None:
    bob.take(log.segment(0, 2))
    verdict = bob.judge(log.segment(0, 3))
    assert isinstance(verdict, Growth)
    assert verdict.leaves == tuple(log.leaves[2:])


def test_of_two_heads_with_one_identity_the_first_is_kept_and_needs_no_other_check(
    log: Log, bob: Reader
) -> None:
    log.write()
    bob.take(log.segment(0, 3, 4))
    later = replace(log.segment(3, 4), signed_head=log.head(4, stamp_ms=START_MS + 1))
    growth = bob.take(later)
    assert growth.state.signed == log.head(4)
    assert growth.head_checks == ()
