"""Peaks, frontiers and paths against the definitions of RFC 9162, for all small logs."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.streams.tree import (
    EMPTY_ROOT,
    HASHES_MAX,
    LENGTH_MAX,
    Hash,
    Prefix,
    bag,
    climb,
    frontier_of,
    grow,
    known_prefixes,
    lead,
    leaf_hash,
    node_hash,
    path_of,
    peaks_of,
    places,
    prefix_of,
)
from tests.streams.logs import (
    ListedNodes,
    UniformNodes,
    inner,
    listed_frontier,
    listed_path,
    single,
    tree_root,
)

LEAVES = [leaf_hash(b"leaf %d" % number) for number in range(70)]
NODES = ListedNodes(LEAVES)
ROOTS = [tree_root(LEAVES[:length]) for length in range(71)]
PEAKS = [grow((), 0, LEAVES[:length])[0] for length in range(71)]
STRANGE = Hash(sha256(b"strange").digest())
LENGTHS = range(1, 71)

Hashes = tuple[Hash, ...]


def test_hashes_of_leaves_and_nodes_are_those_of_the_rfc() -> None:
    assert leaf_hash(b"x") == sha256(b"\x00x").digest()
    assert node_hash(b"l" * 32, b"r" * 32) == inner(b"l" * 32, b"r" * 32)
    assert sha256(b"").digest() == EMPTY_ROOT == bag(())


def test_the_bag_of_the_peaks_is_the_root_of_every_length() -> None:
    for length in LENGTHS:
        assert PEAKS[length] == peaks_of(NODES, length)
        assert len(PEAKS[length]) == length.bit_count()
        assert bag(PEAKS[length]) == ROOTS[length]


def test_peaks_are_the_full_subtrees_of_the_binary_digits() -> None:
    assert places(0) == []
    assert places(0b1011) == [(3, 0), (1, 4), (0, 10)]
    for length in LENGTHS:
        bounds = [(index << level, (index + 1) << level) for level, index in places(length)]
        starts, stops = zip(*bounds, strict=True)
        assert [0, *stops] == [*starts, length]  # they lie beside each other and leave nothing out
        assert [tree_root(LEAVES[start:stop]) for start, stop in bounds] == list(PEAKS[length])


def test_a_log_that_grows_in_parts_has_the_peaks_and_nodes_of_the_whole() -> None:
    peaks, whole = grow((), 0, LEAVES)
    roots = single(whole)
    assert len(roots) == 70 - (70).bit_count()  # all full subtrees above the leaves, once
    assert all(NODES.node(level, index) == root for level, index, root in roots)
    for length in LENGTHS:
        before, made = grow((), 0, LEAVES[:length])
        after, more = grow(before, length, LEAVES[length:])
        assert after == peaks
        assert single(made + more) == roots


def test_the_frontier_leads_from_every_length_to_every_later_one() -> None:
    for total in LENGTHS:
        for length in range(1, total + 1):
            frontier = frontier_of(NODES, length, total)
            assert frontier == listed_frontier(LEAVES[:total], length)
            assert (frontier == ()) == (length == total)
            assert lead(PEAKS[length], length, frontier, total) == ROOTS[total]


def test_the_path_of_every_full_subtree_leads_to_every_root() -> None:
    for total in LENGTHS:
        for level in range(7):
            for index in range(total >> level):
                path = path_of(NODES, level, index, total)
                bounds = index << level, (index + 1) << level
                assert path == listed_path(LEAVES[:total], *bounds)
                node = NODES.node(level, index)
                assert climb(node, level, index, path, total) == ROOTS[total]


def test_a_frontier_shows_the_peaks_wherever_one_of_its_hashes_ends() -> None:
    for total in LENGTHS:
        for length in range(1, total + 1):
            known = known_prefixes(prefix_of(NODES, length, total), total)
            ends = [length]
            while ends[-1] < total:
                ends.append(min(ends[-1] + (ends[-1] & -ends[-1]), total))
            assert [prefix.length for prefix in known] == ends
            for prefix in known:
                assert prefix.leads_to(ROOTS[total], total)
                assert prefix.root(ROOTS[total]) == ROOTS[prefix.length]
                if prefix.peaks:
                    assert prefix == prefix_of(NODES, prefix.length, total)
                else:  # what ends there is cut off, so only the root is known
                    assert prefix == Prefix(total, (), ())
                    assert ends[-2] + (ends[-2] & -ends[-2]) > total


def test_a_prefix_leads_to_nothing_else() -> None:
    for total in LENGTHS:
        for length in range(1, total + 1):
            prefix = prefix_of(NODES, length, total)
            assert not prefix.leads_to(STRANGE, total)
            assert Prefix(length, (), ()).leads_to(STRANGE, total) == (length == total)
            assert not Prefix(length, (), (STRANGE,)).leads_to(STRANGE, total)


def test_a_node_that_is_no_full_subtree_of_the_log_has_no_path() -> None:
    for total in LENGTHS:
        for level in range(7):
            for index in range(total >> level, (total >> level) + 3):
                for path in ((), (STRANGE,), (STRANGE, STRANGE)):
                    assert climb(STRANGE, level, index, path, total) is None


def spoiled(hashes: Hashes) -> list[Hashes]:
    """All ways to take one away, put one in, turn one into another or swap two neighbours."""
    places_in = range(len(hashes))
    found = [hashes[:place] + hashes[place + 1 :] for place in places_in]
    found += [(*hashes[:at], STRANGE, *hashes[at:]) for at in range(len(hashes) + 1)]
    found += [(*hashes[:at], hashes[at], *hashes[at:]) for at in places_in]
    found += [(*hashes[:at], STRANGE, *hashes[at + 1 :]) for at in places_in]
    for at in places_in:
        flipped = Hash(bytes([hashes[at][0] ^ 1]) + hashes[at][1:])
        found.append((*hashes[:at], flipped, *hashes[at + 1 :]))
    for at in places_in[1:]:
        found.append((*hashes[: at - 1], hashes[at], hashes[at - 1], *hashes[at + 1 :]))
    return found


@pytest.mark.parametrize("total", [1, 2, 3, 7, 8, 13, 32, 37, 64, 70])
def test_a_spoiled_frontier_or_peak_never_leads_to_the_root(total: int) -> None:
    for length in range(1, total + 1):
        peaks, frontier = PEAKS[length], frontier_of(NODES, length, total)
        for other in spoiled(frontier):
            assert lead(peaks, length, other, total) != ROOTS[total]
        for other in spoiled(peaks):
            assert lead(other, length, frontier, total) != ROOTS[total]


@pytest.mark.parametrize("total", [1, 2, 3, 7, 8, 13, 32, 37, 64, 70])
def test_a_spoiled_path_or_node_never_leads_to_the_root(total: int) -> None:
    for level, index in [(0, place) for place in range(total)] + places(total):
        node, path = NODES.node(level, index), path_of(NODES, level, index, total)
        for other in spoiled(path):
            assert climb(node, level, index, other, total) != ROOTS[total]
        assert climb(STRANGE, level, index, path, total) != ROOTS[total]


def test_a_frontier_for_other_lengths_never_leads_to_the_root() -> None:
    for total in range(1, 40):
        for length in range(1, total + 1):
            frontier = frontier_of(NODES, length, total)
            for other in range(41):
                claimed = lead(PEAKS[length], other, frontier, total)
                assert (claimed == ROOTS[total]) == (other == length)


def test_a_path_for_another_place_never_leads_to_the_root() -> None:
    for total in range(1, 20):
        for index in range(total):
            path = path_of(NODES, 0, index, total)
            for other in range(21):
                claimed = climb(LEAVES[index], 0, other, path, total)
                assert (claimed == ROOTS[total]) == (other == index)


def test_lengths_that_no_log_has_lead_nowhere() -> None:
    assert lead((), 0, (), 0) is None
    assert lead((STRANGE,), 2, (), 1) is None
    assert lead((STRANGE,), -1, (), 1) is None
    assert climb(STRANGE, 0, 0, (), 0) is None


# ---- logs too long for lists ----


UNIFORM = UniformNodes(STRANGE, 5)
BIG = st.integers(1, LENGTH_MAX)


@given(BIG, BIG)
def test_big_logs_are_led_to_by_few_hashes(one: int, other: int) -> None:
    length, total = sorted((one, other))
    frontier = frontier_of(UNIFORM, length, total)
    assert len(frontier) <= HASHES_MAX
    peaks = peaks_of(UNIFORM, length)
    assert len(peaks) <= HASHES_MAX
    assert bag(peaks) == UNIFORM.root(length)
    assert lead(peaks, length, frontier, total) == UNIFORM.root(total)


@given(BIG, st.data())
def test_big_logs_are_climbed_by_few_hashes(total: int, data: st.DataObject) -> None:
    level = data.draw(st.integers(0, total.bit_length() - 1))
    index = data.draw(st.integers(0, (total >> level) - 1))
    path = path_of(UNIFORM, level, index, total)
    assert len(path) <= HASHES_MAX
    node = UNIFORM.node(level, index)
    assert climb(node, level, index, path, total) == UNIFORM.root(total)
    assert climb(node, level, index, (*path, STRANGE), total) is None


@given(st.lists(st.integers(0, 40), max_size=6), st.integers(0, 200))
def test_peaks_do_not_depend_on_the_parts_in_which_a_log_grew(parts: list[int], more: int) -> None:
    sizes = [*parts, more]
    leaves = [leaf_hash(b"%d" % number) for number in range(sum(sizes))]
    peaks, length = Hashes(()), 0
    for size in sizes:
        peaks, _ = grow(peaks, length, leaves[length : length + size])
        length += size
    assert bag(peaks) == tree_root(leaves)
