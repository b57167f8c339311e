"""Form B names the first peak that differs."""

import pytest

from qbix_node.errors import Malformed
from qbix_node.streams.forks import Contradiction, HeadFork, check_fork, unequal_fork
from qbix_node.streams.tree import path_of, places
from tests.streams.branches import Branch, genesis_of, keys_of, owned_by, signing

ALICE = keys_of("alice")
OWNERS = owned_by((ALICE, 1))
SIGNED = signing(OWNERS, ALICE)


def branches(common: int, short: int, long: int) -> tuple[Branch, Branch]:
    """Two logs of these lengths with so many first leaves in common."""
    one = Branch(genesis_of(OWNERS))
    while one.length < short:
        one.own(ALICE, content=b"one")
    other = one.branch(common)
    while other.length < long:
        other.own(ALICE, content=b"other")
    return one, other


def fork_at(place: int, one: Branch, other: Branch) -> HeadFork:
    level, index = places(one.length)[place]
    path = path_of(other, level, index, other.length)
    said = Contradiction(one.peaks(), place, other.node(level, index), path)
    return HeadFork(one.genesis, one.shown(SIGNED), other.shown(SIGNED), said)


@pytest.mark.parametrize("long", [8, 9, 12, 13, 16, 21])
@pytest.mark.parametrize(("common", "place", "forked"), [(1, 0, 1), (5, 1, 5), (6, 2, 7)])
def test_proofs_that_are_made_show_the_first_peak(
    common: int, place: int, forked: int, long: int
) -> None:
    one, other = branches(common, 7, long)
    made = unequal_fork(one.genesis, one.shown(SIGNED), one.peaks(), other.shown(SIGNED), other)
    assert made is not None
    check_fork(made)
    assert made == fork_at(place, one, other)
    assert made.forked_length == forked


@pytest.mark.parametrize("long", [8, 9, 12, 13, 16, 21])
def test_a_later_peak_that_differs_proves_nothing(long: int) -> None:
    one, other = branches(3, 7, long)
    check_fork(fork_at(0, one, other))
    for place in (1, 2):
        with pytest.raises(Malformed, match="first peak"):
            check_fork(fork_at(place, one, other))
