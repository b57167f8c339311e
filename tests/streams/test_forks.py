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
from qbix_node.streams.tree import (
    EMPTY_ROOT,
    LENGTH_MAX,
    Hash,
    Prefix,
    frontier_of,
    leaf_hash,
    path_of,
    peaks_of,
    places,
    prefix_of,
)
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
    root_only,
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


def refused(fork: StreamFork, reason: str) -> None:
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
            for at in range(common + 1, length + 1):
                fork_b = proof_b(one, length, other, longer, at)
                check_fork(fork_b)
                assert fork_b.compared_length == at
                assert fork_b.roots == (one.root(at), other.root(at))
                # The first that may differ: with its peak the branches stop to be the same.
                assert fork_b.forked_length <= common + 1
                peaks = [spot for spot in places(at) if spot[1] << spot[0] <= common]
                assert (peaks[-1][1] << peaks[-1][0]) + 1 == fork_b.forked_length
            fork_b = root_only(proof_b(one, length, other, longer))
            check_fork(fork_b)
            assert fork_b.forked_length == fork_b.compared_length == length


def test_both_who_find_a_fork_find_the_same_proof() -> None:
    one, other = forked_log(2, 6, 6)
    assert proof_a(one, other, 6) == proof_a(other, one, 6)


def test_a_log_that_continues_the_other_is_no_fork() -> None:
    log = Log(genesis_of()).write_many(11)
    for length in range(1, 12):
        for longer in range(length + 1, 13):
            for at in range(1, length + 1):
                refused(proof_b(log, length, log, longer, at), "the same")
            refused(root_only(proof_b(log, length, log, longer)), "the same")


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


def test_peaks_and_frontiers_of_a_proof_are_all_needed() -> None:
    one, other = forked_log(4, 7, 13)
    bound = again(proof_b(one, 7, other, 13, 5), one, 3, other).resolved
    assert bound is not None
    forks: list[HeadFork] = []
    for fork in (proof_b(one, 7, other, 13, at) for at in (5, 6, 7)):
        check_fork(replace(fork, resolved=bound))
        assert fork.prefixes is not None
        for side, prefix in enumerate(fork.prefixes):
            wrong = [prefix._replace(peaks=each) for each in spoiled(prefix.peaks)]
            wrong += [prefix._replace(frontier=each) for each in spoiled(prefix.frontier)]
            for each in wrong:
                pair = (each, fork.prefixes[1]) if side == 0 else (fork.prefixes[0], each)
                forks.append(replace(fork, prefixes=pair, resolved=bound))
    left, right = bound.frontiers
    unbound = [replace(bound, peaks=each) for each in spoiled(bound.peaks)]
    unbound += [replace(bound, frontiers=(each, right)) for each in spoiled(left)]
    unbound += [replace(bound, frontiers=(left, each)) for each in spoiled(right)]
    forks += [replace(proof_b(one, 7, other, 13, 5), resolved=each) for each in unbound]
    assert len(forks) > 60
    for fork in forks:
        assert not proves(encode_fork(fork))


def test_a_proof_with_other_peaks_than_its_length_has_is_malformed_at_once() -> None:
    """So where it forked can be said of whatever was read."""
    one, other = forked_log(4, 7, 12)
    fork = proof_b(one, 7, other, 12)
    assert fork.prefixes is not None
    first, second = fork.prefixes
    for others in (first.peaks[:-1], (*first.peaks, first.peaks[0])):
        for pair in ((first._replace(peaks=others), second), (first, first._replace(peaks=others))):
            with pytest.raises(Malformed, match="number of peaks"):
                read_fork(encode_fork(replace(fork, prefixes=pair)))


def test_a_root_alone_counts_only_where_its_head_ends() -> None:
    one, other = forked_log(4, 7, 12)
    check_fork(root_only(proof_b(one, 7, other, 12)))
    refused(root_only(proof_b(one, 7, other, 12, 6)), "doesn't lead")
    fork = proof_b(one, 7, other, 12)
    assert fork.prefixes is not None
    for bare in (Prefix(7, (), ()), Prefix(7, (), fork.prefixes[1].frontier)):
        refused(replace(fork, prefixes=(fork.prefixes[0], bare)), "doesn't lead")
    refused(replace(fork, prefixes=(Prefix(8, (), ()), Prefix(8, (), ()))), "doesn't lead")


def test_form_a_has_two_heads_of_one_length_the_smaller_root_first() -> None:
    one, other = forked_log(2, 6, 6)
    fork = proof_a(one, other, 6)
    refused(replace(fork, shown=fork.other, other=fork.shown), "the smaller root first")
    refused(replace(fork, other=fork.shown), "the smaller root first")
    refused(HeadFork(one.genesis, shown(one, 5), shown(other, 6)), "of one length")
    twice = ShownHead(one.head(6, stamp_ms=START_MS + 1))
    refused(replace(fork, shown=twice, other=shown(one, 6)), "the smaller root first")


def test_form_b_has_the_shorter_head_first() -> None:
    one, other = forked_log(2, 7, 7)
    fork = proof_b(one, 5, other, 7)
    assert fork.prefixes is not None
    swapped = replace(fork, shown=fork.other, other=fork.shown, prefixes=fork.prefixes[::-1])
    refused(swapped, "isn't the shorter")
    for at in (5, 7):  # two Heads of one length are form A, wherever they differ
        refused(proof_b(one, 7, other, 7, at), "isn't the shorter")


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
    nodes, at = HONEST.nodes, data.draw(LENGTHS)
    hashes = st.sampled_from(
        [*peaks_of(nodes, at), *peaks_of(nodes, length), *path_of(nodes, 0, at - 1, 40), EMPTY_ROOT]
    )
    drawn = st.lists(hashes, max_size=6).map(tuple)

    def prefix(total: int) -> Prefix:
        peaks = data.draw(st.just(peaks_of(nodes, at)) | drawn)
        known = st.just(frontier_of(nodes, at, total)) if at <= total else drawn
        return Prefix(at, peaks, data.draw(known | drawn))

    prefixes = prefix(length), prefix(longer)
    one, other = shown(HONEST, length), shown(HONEST, longer)
    later = ShownHead(HONEST.head(length, stamp_ms=START_MS + 1))
    for fork in (
        HeadFork(HONEST.genesis, one, other),
        HeadFork(HONEST.genesis, one, later),
        HeadFork(HONEST.genesis, one, other, prefixes),
        HeadFork(HONEST.genesis, one, later, prefixes),
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
@pytest.mark.parametrize("at", [999_999, 983_039, 2**19])
def test_a_proof_about_many_entries_is_small_and_costs_two_signatures(
    size: int, place: int, at: int
) -> None:
    leaf, at = leaf_hash(b"leaf"), max(at, place + 1)
    nodes, others = UniformNodes(leaf), UniformNodes(leaf, place)
    one, other = long_head(nodes, size - 1), long_head(others, size)
    mine, theirs = prefix_of(nodes, at, size - 1), prefix_of(others, at, size)
    fork = unequal_fork(genesis_of(), other, theirs, one, mine)
    assert fork.prefixes == (mine, theirs)
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
