"""Proofs of forks: what is true is accepted, all else refused, and nobody honest can be accused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.crypto.keys import verify
from qbix_node.errors import Malformed
from qbix_node.streams.authoring import sign_head, sign_resolve
from qbix_node.streams.forks import (
    PROOF_BYTES_MAX,
    Contradiction,
    HeadFork,
    ResolveFork,
    ShownHead,
    StreamFork,
    check_fork,
    encode_fork,
    equal_fork,
    fork_id,
    read_fork,
    unequal_fork,
)
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import Head, Resolve
from qbix_node.streams.tree import LENGTH_MAX, Hash, leaf_hash, path_of, peaks_of, places
from qbix_node.wire.packing import pack
from tests.streams.forking import (
    again,
    flipped,
    forked_log,
    handed_over,
    log_of_two,
    proof_a,
    proof_b,
    proof_r,
    proofs,
    shown,
)
from tests.streams.logs import ALICE, BOB, START_MS, Log, UniformNodes, genesis_of

PROOFS = proofs()


def proves(encoded: bytes) -> bool:
    try:
        check_fork(read_fork(encoded))
    except Malformed:
        return False
    return True


def refused(fork: StreamFork | None, reason: str) -> None:
    assert fork is not None
    with pytest.raises(Malformed, match=reason):
        check_fork(read_fork(encode_fork(fork)))


# ---- what is true ----


@pytest.mark.parametrize("encoded", PROOFS.values(), ids=PROOFS)
def test_a_proof_made_from_real_logs_is_accepted(encoded: bytes) -> None:
    fork = read_fork(encoded)
    check_fork(fork)
    assert encode_fork(fork) == encoded
    assert len(fork_id(encoded)) == 32


@pytest.mark.parametrize("common", range(1, 9))
def test_two_branches_are_proven_forked_at_any_two_lengths(common: int) -> None:
    one, other = forked_log(common, 9, 12)
    for length in range(common + 1, 10):
        fork = proof_a(one, other, length)
        check_fork(fork)
        assert fork.forked_length == length
        for longer in range(length + 1, 13):
            fork_b = proof_b(one, length, other, longer)
            assert fork_b is not None
            check_fork(fork_b)
            assert fork_b.forked_length <= common + 1  # where the branches may differ
            assert fork_b.contradiction is not None
            level, index = places(length)[fork_b.contradiction.place]
            assert index << level <= common < (index + 1) << level


def test_both_who_find_a_fork_find_the_same_proof() -> None:
    one, other = forked_log(2, 6, 6)
    assert proof_a(one, other, 6) == proof_a(other, one, 6)


def test_a_log_that_continues_the_other_is_no_fork() -> None:
    log = Log(genesis_of()).write_many(11)
    for length in range(1, 12):
        for longer in range(length + 1, 13):
            assert proof_b(log, length, log, longer) is None


def test_owners_who_follow_each_other_are_shown_by_a_chain() -> None:
    one, other = handed_over()
    heads = shown(one, 6, 2, 3), shown(other, 6, 2, 3)
    check_fork(equal_fork(one.genesis, *heads))
    refused(equal_fork(one.genesis, heads[0], shown(other, 6)), "doesn't match")
    refused(equal_fork(one.genesis, shown(one, 6, 2), heads[1]), "doesn't match")


def test_a_fork_after_a_resolve_names_it() -> None:
    one, other = forked_log(3, 6, 6)
    fork = again(proof_a(one, other, 5), one, 3, other)
    check_fork(fork)
    assert fork.resolved is not None
    branch = again(proof_a(one, other, 5), one, 2, other).resolved
    assert branch is not None
    cases = {
        "continue the branch": replace(fork.resolved, frontiers=fork.resolved.frontiers[::-1]),
        "are not those of the branch": replace(fork.resolved, peaks=branch.peaks),
        "another stream": replace(
            fork.resolved,
            signed=sign_resolve(
                fork.resolved.signed.resolve._replace(stream=genesis_of(BOB).stream), (0, ALICE)
            ),
        ),
        "exactly enough": replace(
            fork.resolved, signed=fork.resolved.signed._replace(signatures=())
        ),
        "doesn't match": replace(
            fork.resolved, signed=sign_resolve(fork.resolved.signed.resolve, (0, BOB))
        ),
    }
    for reason, spoiled in cases.items():
        refused(replace(fork, resolved=spoiled), reason)


def test_a_resolve_over_the_other_branch_does_not_bind_both_heads() -> None:
    one, other = forked_log(3, 6, 6)
    with_other = again(proof_a(one, other, 6), one, 3, other)
    beyond = again(proof_a(one, other, 6), one, 5, other)  # only one Head contains it
    check_fork(with_other)
    refused(beyond, "continue the branch")


# ---- what is not ----


@pytest.mark.parametrize("encoded", PROOFS.values(), ids=PROOFS)
def test_no_flip_of_a_byte_leaves_a_proof(encoded: bytes) -> None:
    for place, byte in enumerate(encoded):
        for mask in (1, 0x80):
            other = encoded[:place] + bytes([byte ^ mask]) + encoded[place + 1 :]
            assert not proves(other), f"byte {place} of {len(encoded)}"


@pytest.mark.parametrize("encoded", PROOFS.values(), ids=PROOFS)
def test_a_cut_or_lengthened_proof_is_malformed(encoded: bytes) -> None:
    for other in (encoded[:-1], encoded[1:], encoded + b"\xc0", b"", pack(None)):
        with pytest.raises(Malformed):
            read_fork(other)


def spoiled(hashes: tuple[Hash, ...]) -> list[tuple[Hash, ...]]:
    found = [(*hashes, Hash(bytes(32))), hashes[:-1], hashes[1:], hashes[::-1]]
    found += [(*hashes[:at], flipped(hashes[at]), *hashes[at + 1 :]) for at in range(len(hashes))]
    return [each for each in found if each != hashes]


def test_peaks_node_path_and_frontiers_of_a_proof_are_all_needed() -> None:
    one, other = forked_log(4, 7, 12)
    fork = again(proof_b(one, 7, other, 12), one, 3, other)
    check_fork(fork)
    said, bound = fork.contradiction, fork.resolved
    assert said is not None
    assert bound is not None
    wrong = [replace(said, peaks=each) for each in spoiled(said.peaks)]
    wrong += [replace(said, path=each) for each in spoiled(said.path)]
    wrong += [replace(said, place=each) for each in range(3) if each != said.place]
    wrong += [replace(said, node=each) for each in (*said.peaks, flipped(said.node))]
    forks = [replace(fork, contradiction=each) for each in wrong]
    left, right = bound.frontiers
    unbound = [replace(bound, peaks=each) for each in spoiled(bound.peaks)]
    unbound += [replace(bound, frontiers=(each, right)) for each in spoiled(left)]
    unbound += [replace(bound, frontiers=(left, each)) for each in spoiled(right)]
    forks += [replace(fork, resolved=each) for each in unbound]
    assert len(forks) > 30
    for each in forks:
        assert not proves(encode_fork(each))


def test_a_proof_with_other_peaks_than_its_head_has_is_malformed_at_once() -> None:
    """So where it forked can be said of whatever was read."""
    one, other = forked_log(4, 7, 12)
    fork = proof_b(one, 7, other, 12)
    assert fork is not None
    assert fork.contradiction is not None
    peaks = fork.contradiction.peaks
    for others in ((), peaks[:-1], (*peaks, peaks[0])):
        wrong = replace(fork, contradiction=replace(fork.contradiction, peaks=others))
        with pytest.raises(Malformed):
            read_fork(encode_fork(wrong))


def test_only_the_first_peak_that_differs_is_named() -> None:
    """Else a proof could say that the branches are the same where they are not."""
    one, other = forked_log(2, 7, 12)
    fork = proof_b(one, 7, other, 12)
    assert fork is not None
    assert fork.contradiction is not None
    assert (fork.contradiction.place, fork.forked_length) == (0, 1)
    level, index = places(7)[1]
    node, path = other.nodes.node(level, index), path_of(other.nodes, level, index, 12)
    later = replace(fork.contradiction, place=1, node=node, path=path)
    refused(replace(fork, contradiction=later), "not the first peak that differs")


def test_form_a_has_two_heads_of_one_length_the_smaller_root_first() -> None:
    one, other = forked_log(2, 6, 6)
    fork = proof_a(one, other, 6)
    refused(replace(fork, shown=fork.other, other=fork.shown), "the smaller root first")
    refused(replace(fork, other=fork.shown), "the smaller root first")
    refused(HeadFork(one.genesis, shown(one, 5), shown(other, 6)), "of one length")
    twice = ShownHead(one.head(6, stamp_ms=START_MS + 1))
    refused(replace(fork, shown=twice, other=shown(one, 6)), "the smaller root first")


def test_form_b_has_the_shorter_head_first() -> None:
    one, other = forked_log(2, 6, 7)
    fork = proof_b(one, 5, other, 7)
    assert fork is not None
    refused(replace(fork, other=shown(other, 5)), "isn't the shorter")
    refused(replace(fork, shown=shown(other, 7), other=shown(one, 5)), "peaks|shorter")


def test_form_r_has_two_different_resolves_the_smaller_first() -> None:
    log = forked_log(2, 6, 6)[0]
    fork = proof_r(log)
    refused(replace(fork, signed=fork.other, other=fork.signed), "the smaller first")
    refused(replace(fork, other=fork.signed), "two different")
    strange = sign_resolve(Resolve(b"\xff" * 32, 2, log.root(2)), (0, ALICE))  # type: ignore[arg-type]
    refused(replace(fork, other=strange), "another stream")
    refused(replace(fork, other=fork.other._replace(signatures=())), "exactly enough")


def test_heads_and_resolves_are_of_the_stream_and_by_its_owners() -> None:
    one, other = forked_log(2, 6, 6)
    fork = proof_a(one, other, 6)
    bobs = sign_head(fork.other.head, (0, BOB))
    refused(replace(fork, other=ShownHead(bobs)), "doesn't match")
    unsigned = fork.other.signed._replace(signatures=())
    refused(replace(fork, other=ShownHead(unsigned)), "exactly enough")
    refused(replace(fork, genesis=genesis_of(BOB)), "another stream")
    two, twin = log_of_two(), log_of_two()
    two.intend(1)
    twin.intend(2)
    of_two = proof_a(two, twin, 2)
    half = of_two.shown.signed._replace(signatures=of_two.shown.signed.signatures[:1])
    refused(replace(of_two, shown=ShownHead(half)), "exactly enough")


def test_there_are_no_proofs_about_watched_streams_nor_resolves_where_forks_are_no_matter() -> None:
    watched = replace(genesis_of(), uniqueness=Uniqueness.WATCHED, network=b"n" * 32, epoch=0)
    for genesis, reason in ((watched, "watched"), (genesis_of(), None)):
        one, other = Log(genesis).write_many(1), Log(genesis)
        other.write("other")
        fork = proof_a(one, other, 2)
        if reason:
            refused(fork, reason)
            refused(proof_r(one), "gossip streams only")
        else:
            check_fork(fork)
    none = Log(genesis_of(uniqueness=Uniqueness.NONE)).write_many(1)
    refused(proof_r(none), "gossip streams only")


@pytest.mark.parametrize("form", ["c", "d", "", 1, None])
def test_other_forms_are_malformed(form: str | int | None) -> None:
    with pytest.raises(Malformed, match="none of a, b and r"):
        read_fork(pack((1, form, genesis_of().encoded, (), ())))


def test_a_proof_of_more_than_64_kib_is_malformed() -> None:
    with pytest.raises(Malformed, match="are allowed"):
        read_fork(bytes(PROOF_BYTES_MAX + 1))


# ---- the honest can't be accused ----

HONEST = Log(genesis_of()).write_many(39)
LENGTHS = st.integers(1, 40)


@given(LENGTHS, LENGTHS, st.data())
def test_nothing_made_of_an_honest_log_is_a_proof(
    length: int, longer: int, data: st.DataObject
) -> None:
    level = data.draw(st.integers(0, 5))
    index = data.draw(st.integers(0, (40 >> level) - 1))
    nodes, total = HONEST.nodes, max(longer, (index + 1) << level)
    hashes = st.sampled_from(
        [nodes.node(level, index), *peaks_of(nodes, length), *path_of(nodes, level, index, total)]
    )
    drawn = st.lists(hashes, max_size=6).map(tuple)
    peaks = data.draw(st.just(peaks_of(nodes, length)) | drawn)
    path = data.draw(st.just(path_of(nodes, level, index, total)) | drawn)
    place = data.draw(st.integers(0, max(len(peaks) - 1, 0)))
    said = Contradiction(peaks, place, data.draw(hashes), path)
    one, other = shown(HONEST, length), shown(HONEST, longer)
    later = ShownHead(HONEST.head(length, stamp_ms=START_MS + 1))
    for fork in (
        HeadFork(HONEST.genesis, one, other),
        HeadFork(HONEST.genesis, one, later),
        HeadFork(HONEST.genesis, one, other, said),
        HeadFork(HONEST.genesis, one, later, said),
    ):
        assert not proves(encode_fork(fork))


@given(LENGTHS, LENGTHS)
def test_one_resolve_is_no_proof(length: int, other: int) -> None:
    signed = sign_resolve(Resolve(HONEST.stream, length, HONEST.root(length)), (0, ALICE))
    forged = sign_resolve(Resolve(HONEST.stream, other, Hash(b"f" * 32)), (0, BOB))
    for pair in ((signed, signed), (signed, forged), (forged, signed)):
        assert not proves(encode_fork(ResolveFork(HONEST.genesis, *pair)))


# ---- size and cost ----


@pytest.mark.parametrize("size", [1_000_000, LENGTH_MAX])
@pytest.mark.parametrize("place", [0, 299_999, 999_000])
def test_a_proof_about_many_entries_is_small_and_costs_two_signatures(
    size: int, place: int
) -> None:
    leaf = leaf_hash(b"leaf")
    nodes, others = UniformNodes(leaf), UniformNodes(leaf, place)
    one, other = long_head(nodes, size - 1), long_head(others, size)
    fork = unequal_fork(genesis_of(), one, peaks_of(nodes, size - 1), other, others)
    assert fork is not None
    assert fork.forked_length <= place + 1
    encoded = encode_fork(fork)
    assert len(encoded) <= 4096
    checked = []

    def count(key: bytes, body: bytes, signature: bytes) -> bool:
        checked.append(body)
        return verify(key, body, signature)

    check_fork(read_fork(encoded), count)
    assert len(checked) == 2


def long_head(nodes: UniformNodes, length: int) -> ShownHead:
    head = Head(genesis_of().stream, length, nodes.root(length), START_MS)
    return ShownHead(sign_head(head, (0, ALICE)))
