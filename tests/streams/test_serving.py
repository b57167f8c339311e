"""Segments of a log whose owners changed, for who has none of it."""

from dataclasses import replace

import pytest

from qbix_node.errors import DamagedStore
from qbix_node.machines import Delete
from qbix_node.store.memory import MemoryStore
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import Segment
from qbix_node.streams.records import LEAVES
from qbix_node.streams.serving import make_segments, stripped
from tests.streams.branches import Branch, genesis_of, keys_of, owned_by, signing
from tests.streams.desk import Desk
from tests.streams.takers import Taker

ALICE, CAROL = keys_of("alice"), keys_of("carol")
OF_ALICE, OF_CAROL = owned_by((ALICE, 1)), owned_by((CAROL, 1))
BY_ALICE, BY_CAROL = signing(OF_ALICE, ALICE), signing(OF_CAROL, CAROL)


@pytest.fixture
def log() -> Branch:
    """Alice's up to 3 leaves, Carol's up to 6, then Alice's again."""
    log = Branch(genesis_of(OF_ALICE, Uniqueness.NONE)).own(ALICE)
    log.pass_on(ALICE, OF_CAROL, BY_ALICE).own(CAROL).own(CAROL)
    return log.pass_on(CAROL, OF_ALICE, BY_CAROL).own(ALICE).own(ALICE)


@pytest.fixture
def holder(log: Branch) -> Desk:
    """It got the log entry by entry."""
    desk = Desk([log.genesis.stream])
    heads = [(BY_ALICE, 3)] * 3 + [(BY_CAROL, 6)] * 3 + [(BY_ALICE, log.length)] * 2
    for place, (signers, length) in enumerate(heads):
        desk.offer(log.segment(signers, place, place + 1, length))
        desk.settle()
    return desk


def served(
    holder: Desk, log: Branch, first: int, entries_max: int, *, bare: bool = False
) -> list[Segment]:
    state = holder.book.logs[log.genesis.stream]
    rows = MemoryStore(holder.disk)
    return make_segments(rows, state, first, log.length, entries_max=entries_max, bare=bare)


@pytest.mark.parametrize(("entries_max", "segments"), [(256, 3), (2, 5), (1, 8)])
def test_each_part_comes_under_a_head_of_those_who_owned_it(
    holder: Desk, log: Branch, entries_max: int, segments: int
) -> None:
    taker = Taker()
    made = served(holder, log, 0, entries_max)
    for segment in made:
        state = taker.take(segment.encoded)
    assert len(made) == segments
    assert (taker.leaves, state) == (log.leaves, holder.book.logs[log.genesis.stream])


def test_what_follows_the_last_change_is_under_the_newest_head(holder: Desk, log: Branch) -> None:
    [segment] = served(holder, log, 6, 256)
    assert segment.signed_head.head.length == log.length
    assert (segment.first, segment.leaves) == (6, tuple(log.leaves[6:]))


@pytest.mark.parametrize(("entries_max", "segments"), [(256, 3), (2, 5), (1, 8)])
def test_without_contents_those_of_changes_come_all_the_same(
    holder: Desk, log: Branch, entries_max: int, segments: int
) -> None:
    taker, changes = Taker(), (2, 5)
    bare = served(holder, log, 0, entries_max, bare=True)
    for segment in bare:
        state = taker.take(segment.encoded)
    assert len(bare) == segments
    assert (taker.leaves, state) == (log.leaves, holder.book.logs[log.genesis.stream])
    contents = [content for segment in bare for content in segment.contents]
    assert [place for place, content in enumerate(contents) if content is not None] == [*changes]
    whole = served(holder, log, 0, entries_max)
    assert bare == [stripped(segment) for segment in whole]
    assert bare != whole


def test_what_is_no_header_has_no_content_to_be_kept(holder: Desk, log: Branch) -> None:
    [first, *_] = served(holder, log, 0, 1)
    assert stripped(first) == first
    odd = replace(first, leaves=(b"odd",), contents=(b"x",))
    assert stripped(odd).contents == (None,)


def test_a_change_whose_head_is_gone_is_damage(holder: Desk, log: Branch) -> None:
    key = LEAVES + log.genesis.stream + (2).to_bytes(4, "big")
    holder.disk.append([Delete(key)])
    holder.disk.sync()
    with pytest.raises(DamagedStore):
        served(holder, log, 0, 256)
