"""Fork proofs (spec/streams.md 6), without classic feeds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qbix_node.crypto.keys import KeyPair
from qbix_node.streams.authoring import sign_head, sign_resolve
from qbix_node.streams.forks import (
    HeadFork,
    Resolved,
    ResolveFork,
    ShownHead,
    StreamFork,
    encode_fork,
    equal_fork,
    fork_id,
    unequal_fork,
)
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import Head, Header, Resolve, SignedResolve, read_header
from qbix_node.streams.owners import Owners
from qbix_node.streams.succession import OWNERS_SET, Link
from qbix_node.streams.tree import Hash, Prefix
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import format_stream
from tests.streams import long_hex
from tests.streams.branches import Branch, Signers, genesis_of, keys_of, owned_by, signing
from tests.streams.vectors_of_bytes import changed, forms

ALICE, BOB, CAROL = [keys_of(name) for name in ("alice", "bob", "carol")]
ONE, OF_BOB = owned_by((ALICE, 1)), owned_by((BOB, 1))
SEVERAL = owned_by((ALICE, 2), (BOB, 1), (CAROL, 1), threshold=3)
BY_ALICE = signing(ONE, ALICE)
OTHER_HASH = Hash(bytes(32))

Invalid = list[tuple[str, bytes]]
Valid = list[tuple[str, StreamFork]]


def grown(log: Branch, length: int, word: bytes, keys: KeyPair = ALICE) -> Branch:
    """Entries of the only owner up to this length."""
    while log.length < length:
        log.own(keys, content=word)
    return log


def branches(
    common: int, one: int, other: int, uniqueness: Uniqueness = Uniqueness.GOSSIP
) -> tuple[Branch, Branch]:
    trunk = grown(Branch(genesis_of(ONE, uniqueness)), common, b"common")
    return grown(trunk.branch(common), one, b"one"), grown(trunk.branch(common), other, b"other")


def of_unequal(
    short: Branch,
    long: Branch,
    signers: Signers = BY_ALICE,
    length: int | None = None,
    at: int | None = None,
) -> HeadFork:
    """Compared `at` a length, else where the shorter ends."""
    shorter, longer = short.shown(signers, length), long.shown(signers)
    at = at or shorter.head.length
    prefixes = short.prefix(at, shorter.head.length), long.prefix(at)
    return unequal_fork(short.genesis, shorter, prefixes[0], longer, prefixes[1])


def by_root(fork: HeadFork) -> HeadFork:
    """Of the first Head, nothing but its root is shown."""
    assert fork.prefixes is not None
    one, other = fork.prefixes
    return replace(fork, prefixes=(Prefix(one.length, (), ()), other))


def several() -> tuple[Branch, Branch]:
    """Two logs of three owners, which differ from entry 3 on."""
    log = Branch(genesis_of(SEVERAL, Uniqueness.GOSSIP, ("sequencer", ALICE.public)))
    log.intent(ALICE, 1).intent(BOB, 1)
    one, other = log.branch(3), log.branch(3)
    return one.intent(CAROL, 1), other.intent(BOB, 2).intent(CAROL, 1)


# ---- forms A and B ----


def equal_forks() -> tuple[Valid, Invalid]:
    one, other = branches(3, 5, 5)
    shown = one.shown(BY_ALICE)
    fork = equal_fork(one.genesis, shown, other.shown(BY_ALICE))
    later = sign_head(shown.head._replace(timestamp_ms=1), *BY_ALICE)
    longer = grown(other.branch(5), 6, b"more").shown(BY_ALICE)
    elsewhere = genesis_of(ONE, Uniqueness.GOSSIP, ("a", b""))
    away = shown.head._replace(stream=elsewhere.stream)
    first, second = sorted([shown, longer], key=lambda each: each.head.root)
    x, y = several()
    two, others = signing(SEVERAL, ALICE, BOB), signing(SEVERAL, ALICE, CAROL)
    together = equal_fork(x.genesis, x.shown(two, 4), y.shown(others, 4))
    watched = genesis_of(ONE, Uniqueness.WATCHED, network=bytes(32))
    of_watched = [Branch(watched).own(ALICE, content=word).shown(BY_ALICE) for word in (b"1", b"2")]
    near = branches(1, 2, 2)
    valid: Valid = [
        ("one owner, one length", fork),
        (
            "from the first entry on",
            equal_fork(near[0].genesis, *[log.shown(BY_ALICE) for log in near]),
        ),
        ("several owners, one length", together),
    ]
    bad: list[tuple[str, HeadFork]] = [
        ("the greater root comes first", replace(fork, shown=fork.other, other=fork.shown)),
        ("both have one root", replace(fork, other=fork.shown)),
        ("both have one identity", replace(fork, shown=shown, other=ShownHead(later))),
        ("form a of different lengths", HeadFork(fork.genesis, first, second)),
        ("the genesis is of another stream", replace(fork, genesis=elsewhere)),
        (
            "one Head is of another stream",
            equal_fork(one.genesis, other.shown(BY_ALICE), resigned(away)),
        ),
        (
            "a Head is signed by somebody else",
            equal_fork(one.genesis, shown, other.shown(((0, BOB),))),
        ),
        ("a Head isn't signed", equal_fork(one.genesis, shown, other.shown(()))),
        ("a signature is of another Head", mixed(fork)),
        ("not enough owners signed", equal_fork(x.genesis, x.shown(two, 4), y.shown(two[:1], 4))),
        (
            "more than enough signed",
            equal_fork(x.genesis, x.shown(two, 4), y.shown(everybody(), 4)),
        ),
        ("owners of a watched stream sign no Heads", equal_fork(watched, *of_watched)),
    ]
    return valid, [(rule, encode_fork(each)) for rule, each in bad]


def resigned(head: Head) -> ShownHead:
    return ShownHead(sign_head(head, *BY_ALICE))


def everybody() -> Signers:
    return signing(SEVERAL, ALICE, BOB, CAROL)


def mixed(fork: HeadFork) -> HeadFork:
    """Both Heads with the signature of the first."""
    signed = fork.other.signed._replace(signatures=fork.shown.signed.signatures)
    return replace(fork, other=ShownHead(signed))


def unequal_forks() -> tuple[Valid, Invalid]:
    shapes = [(1, 2, 3), (3, 7, 8), (5, 7, 12), (6, 7, 9), (6, 7, 13), (4, 6, 21), (5, 8, 11)]
    valid: Valid = [
        (f"{common} leaves in common, then up to {short} and {long}", of_unequal(*found))
        for common, short, long in shapes
        for found in [branches(common, short, long)]
    ]
    for common, short, long, at in [(9, 10, 12, 10), (5, 7, 12, 6), (6, 13, 21, 8), (6, 13, 21, 7)]:
        found = of_unequal(*branches(common, short, long), at=at)
        what = f"{common} leaves in common, Heads of {short} and {long}, compared at {at}"
        valid.append((what, found))
    valid.append(("the first Head by its root alone", by_root(of_unequal(*branches(5, 7, 12)))))
    x, y = several()
    valid.append(("several owners, two lengths", of_unequal(x, y, signing(SEVERAL, ALICE, BOB))))
    return valid, wrong_prefixes() + wrong_pairs()


def wrong_prefixes() -> Invalid:
    """Of a log of 9 and one of 13 that have 5 leaves in common, compared at 7."""
    one, other = branches(5, 9, 13)
    fork = of_unequal(one, other, at=7)
    assert fork.prefixes is not None
    first, second = fork.prefixes
    peaks, frontier = second.peaks, second.frontier
    changes: list[tuple[str, Prefix]] = [
        ("a peak is another", second._replace(peaks=(*peaks[:2], OTHER_HASH))),
        ("a peak is missing", second._replace(peaks=peaks[:2])),
        ("a peak too many", second._replace(peaks=(*peaks, OTHER_HASH))),
        ("the peaks are in another order", second._replace(peaks=peaks[::-1])),
        ("the peaks are those of the other log", second._replace(peaks=first.peaks)),
        ("there are no peaks", second._replace(peaks=())),
        ("a peak has 31 bytes", second._replace(peaks=(*peaks[:2], Hash(bytes(31))))),
        ("the frontier is too short", second._replace(frontier=frontier[:-1])),
        ("the frontier is too long", second._replace(frontier=(*frontier, OTHER_HASH))),
        ("the frontier is in another order", second._replace(frontier=frontier[::-1])),
        (
            "a hash of the frontier is another",
            second._replace(frontier=(OTHER_HASH, *frontier[1:])),
        ),
    ]
    found = [(rule, encode_fork(replace(fork, prefixes=(first, each)))) for rule, each in changes]
    swapped = replace(fork, prefixes=(second, first))
    bare = Prefix(7, (), ())
    row: Any = list(fork.packable())
    return [
        *found,
        ("what is shown of the Heads is exchanged", encode_fork(swapped)),
        (
            "a root alone before the Head ends",
            encode_fork(replace(fork, prefixes=(bare, second))),
        ),
        ("roots alone", encode_fork(replace(fork, prefixes=(bare, bare)))),
        ("compared at length 0", pack(changed(row, (5, 0), (6, ()), (7, ())))),
        ("compared at a longer length", pack(changed(row, (5, 11)))),
        ("compared at a length that is text", pack(changed(row, (5, "7")))),
        ("the frontier is nil", pack(changed(row, (8, None)))),
    ]


def wrong_pairs() -> Invalid:
    one, other = branches(5, 7, 12)
    fork, longer = of_unequal(one, other), grown(one.branch(7), 12, b"one")
    assert fork.prefixes is not None
    root = by_root(fork).prefixes
    assert root is not None
    with_frontier = root[0]._replace(frontier=(OTHER_HASH,)), root[1]
    same = branches(5, 7, 7)
    others: list[tuple[str, HeadFork]] = [
        ("both Heads have one length", of_unequal(*same, at=7)),
        ("both Heads have one length, compared before", of_unequal(*same, at=6)),
        (
            "the longer Head comes first",
            replace(fork, shown=fork.other, other=fork.shown, prefixes=fork.prefixes[::-1]),
        ),
        ("the second continues the first", of_unequal(one, longer)),
        (
            "the second continues the first, of which a root is shown",
            by_root(of_unequal(one, longer)),
        ),
        ("both continue what is shown", of_unequal(one, other, at=5)),
        ("a root with a frontier", replace(fork, prefixes=with_frontier)),
        ("the frontier is to another length", replace(fork, other=other.shown(BY_ALICE, 11))),
        (
            "the second Head is signed by somebody else",
            replace(fork, other=other.shown(((0, BOB),))),
        ),
        ("the first Head is signed by somebody else", replace(fork, shown=one.shown(((0, BOB),)))),
    ]
    return [(rule, encode_fork(each)) for rule, each in others]


# ---- after a Resolve ----


def resolve_of(log: Branch, length: int, signers: Signers = BY_ALICE) -> SignedResolve:
    return sign_resolve(Resolve(log.genesis.stream, length, log.root(length)), *signers)


def resolved_by(signed: SignedResolve, log: Branch, fork: HeadFork, other: Branch) -> Resolved:
    """`log`: with the shown Head."""
    length = signed.resolve.fork_length
    frontiers = [
        each.frontier(length, shown.head.length)
        for each, shown in ((log, fork.shown), (other, fork.other))
    ]
    return Resolved(signed, log.peaks(length), (frontiers[0], frontiers[1]))


def resolved_forks() -> tuple[Valid, Invalid]:
    """The log of 5 was chosen, and later forked again."""
    one, other = branches(6, 8, 11)
    fork, signed = of_unequal(one, other), resolve_of(one, 5)
    resolved = resolved_by(signed, one, fork, other)
    good = replace(fork, resolved=resolved)
    x, y = branches(5, 6, 6)
    equal = equal_fork(x.genesis, x.shown(BY_ALICE), y.shown(BY_ALICE))
    first, second = sorted((x, y), key=lambda each: each.root())
    at_five = resolved_by(resolve_of(x, 5), first, equal, second)
    valid: Valid = [
        ("form b after a Resolve", good),
        ("form a after a Resolve", replace(equal, resolved=at_five)),
        (
            "a Resolve over the first entry",
            replace(good, resolved=resolved_by(resolve_of(one, 1), one, fork, other)),
        ),
    ]
    return valid, wrong_resolved(good, one, other)


def wrong_resolved(good: HeadFork, one: Branch, other: Branch) -> Invalid:
    right = good.resolved
    assert right is not None
    own, theirs = right.frontiers
    late = resolve_of(one, 7)  # not on the other branch any more
    beyond = replace(
        resolved_by(late, one, good, other), frontiers=(one.frontier(7), other.frontier(7))
    )
    past = resolve_of(grown(one.branch(8), 9, b"one"), 9)
    elsewhere = Branch(genesis_of(ONE, Uniqueness.GOSSIP, ("a", b"")))
    away = sign_resolve(right.signed.resolve._replace(stream=elsewhere.genesis.stream), *BY_ALICE)
    changes: list[tuple[str, Resolved]] = [
        (
            "the Resolve is signed by somebody else",
            replace(right, signed=resolve_of(one, 5, ((0, BOB),))),
        ),
        ("the Resolve isn't signed", replace(right, signed=resolve_of(one, 5, ()))),
        ("the Resolve is of another stream", replace(right, signed=away)),
        (
            "the peaks are not those of chosen_root",
            replace(right, peaks=(*right.peaks[:-1], OTHER_HASH)),
        ),
        ("the peaks are of another length", replace(right, peaks=one.peaks(4))),
        ("the first frontier is too short", replace(right, frontiers=(own[:-1], theirs))),
        ("the first frontier is too long", replace(right, frontiers=((*own, OTHER_HASH), theirs))),
        (
            "the second frontier is another",
            replace(right, frontiers=(own, (OTHER_HASH, *theirs[1:]))),
        ),
        ("the frontiers are exchanged", replace(right, frontiers=(theirs, own))),
        ("the second Head doesn't contain chosen_root", beyond),
        (
            "the first Head ends before fork_length",
            Resolved(past, grown(one.branch(8), 9, b"one").peaks(), ((), ())),
        ),
    ]
    found = [(rule, encode_fork(replace(good, resolved=each))) for rule, each in changes]
    row = list(good.packable())
    found.append(("resolved has three fields", pack((*row[:-1], tuple(right.packable())[:3]))))  # type: ignore[arg-type]
    found.append(("resolved is empty", pack((*row[:-1], ()))))
    free, forked = branches(6, 8, 11, Uniqueness.NONE)
    fork = of_unequal(free, forked)
    resolved = resolved_by(resolve_of(free, 5), free, fork, forked)
    found.append(
        (
            "streams of uniqueness none have no Resolve",
            encode_fork(replace(fork, resolved=resolved)),
        )
    )
    return found


def resolve_forks() -> tuple[Valid, Invalid]:
    one, other = branches(3, 5, 6)
    pair = resolves(resolve_of(one, 5), resolve_of(other, 5))
    fork = ResolveFork(one.genesis, *pair)
    lengths = ResolveFork(one.genesis, *resolves(resolve_of(one, 5), resolve_of(one, 4)))
    x, _ = several()
    two, others = signing(SEVERAL, ALICE, BOB), signing(SEVERAL, ALICE, CAROL)
    of_two = resolve_of(x, 3, two), resolve_of(x, 4, others)
    elsewhere = genesis_of(ONE, Uniqueness.GOSSIP, ("a", b""))
    away = sign_resolve(pair[1].resolve._replace(stream=elsewhere.stream), *BY_ALICE)
    free, forked = branches(3, 5, 5, Uniqueness.NONE)
    valid: Valid = [
        ("two Resolves that chose different branches", fork),
        ("two Resolves of different lengths", lengths),
        ("two Resolves of several owners", ResolveFork(x.genesis, *resolves(*of_two))),
    ]
    same = resolve_of(x, 3, two), resolve_of(x, 3, others)
    bad = [
        ("the greater Resolve comes first", ResolveFork(one.genesis, *pair[::-1])),
        ("one Resolve twice", ResolveFork(one.genesis, pair[0], pair[0])),
        ("one Resolve signed by different owners", ResolveFork(x.genesis, *same)),
        ("the genesis is of another stream", replace(fork, genesis=elsewhere)),
        ("a Resolve is of another stream", ResolveFork(one.genesis, *resolves(pair[0], away))),
        (
            "a Resolve is signed by somebody else",
            ResolveFork(one.genesis, *resolves(pair[0], resolve_of(other, 4, ((0, BOB),)))),
        ),
        (
            "a Resolve is signed by not enough owners",
            ResolveFork(x.genesis, *resolves(of_two[0], resolve_of(x, 4, two[:1]))),
        ),
        (
            "a Resolve is signed by more than enough owners",
            ResolveFork(x.genesis, *resolves(of_two[0], resolve_of(x, 4, everybody()))),
        ),
        (
            "streams of uniqueness none have no Resolve",
            ResolveFork(free.genesis, *resolves(resolve_of(free, 5), resolve_of(forked, 5))),
        ),
    ]
    return valid, [(rule, encode_fork(each)) for rule, each in bad]


def resolves(*signed: SignedResolve) -> tuple[SignedResolve, SignedResolve]:
    one, other = sorted(signed, key=lambda each: each.resolve.body)
    return one, other


# ---- with chains ----


def succession() -> tuple[Branch, Branch]:
    """Alice, from 3 leaves on alice and bob, from 5 on bob alone: then he forks it."""
    pair = owned_by((ALICE, 1), (BOB, 1), threshold=2)
    log = Branch(genesis_of(ONE, Uniqueness.NONE)).own(ALICE)
    log.pass_on(ALICE, pair, BY_ALICE).intent(BOB, 1)
    content = log.change(OF_BOB, signing(pair, ALICE, BOB)).encoded
    log.intent(ALICE, 1, 0, content, lambda each: each._replace(kind=OWNERS_SET))
    one, other = log.branch(5), log.branch(5)
    return grown(one, 7, b"one", BOB), grown(other, 7, b"other", BOB)


BY_BOB = signing(OF_BOB, BOB)
Edit = Callable[[Link], Link]


def chained_forks() -> tuple[Valid, Invalid]:
    one, other = succession()
    fork = equal_fork(one.genesis, one.shown(BY_BOB, None, 2, 4), other.shown(BY_BOB, None, 2, 4))
    early = grown(Branch(one.genesis, one.leaves[:2], one.contents[:2]), 5, b"alone")
    cut = unequal_fork(
        one.genesis,
        early.shown(BY_ALICE, 3),
        early.prefix(3, 3),
        fork.shown,
        (one if fork.shown.head.root == one.root() else other).prefix(3),
    )
    before = one.branch(5).shown(signing(owned_by((ALICE, 1), (BOB, 1)), ALICE, BOB), None, 2)
    at_change = unequal_fork(
        one.genesis, before, one.prefix(5, 5), early_of(one), early_log(one).prefix(5)
    )
    swapped = intent_forged(one, other)
    valid: Valid = [
        ("owners that changed twice", fork),
        ("the owner before forked what a change followed", cut),
        ("a Head that ends with a change is of those before", at_change),
        ("a change whose author's signature is wrong", swapped),
        ("eight changes of owners", many_changes(8, 1)),
    ]
    return valid, wrong_chains(fork, one, other)


def early_log(one: Branch) -> Branch:
    return grown(one.branch(2), 6, b"alone")


def early_of(one: Branch) -> ShownHead:
    return early_log(one).shown(BY_ALICE)


def intent_forged(one: Branch, other: Branch) -> HeadFork:
    """Only the form of a header in a chain counts."""
    found = []
    for log in (one, other):
        forged = log.branch(4)
        header = read_header(log.leaves[4])._replace(author_sig=bytes(64))
        forged.put(header.encoded, log.contents[4])
        found.append(grown(forged, 7, log.contents[6] or b"", BOB).shown(BY_BOB, None, 2, 4))
    return equal_fork(one.genesis, found[0], found[1])


def passed_on(changes: int, size: int) -> tuple[Branch, list[int], Signers]:
    """Owners that are replaced so often by others, who are so many."""
    log, places_of = Branch(genesis_of(ONE, Uniqueness.NONE)), list[int]()
    owners, writers = ONE, [ALICE]
    for number in range(changes):
        new = [keys_of(f"{number} {each}") for each in range(size)]
        after = owned_by(*[(keys, 1) for keys in new], threshold=size)
        content = log.change(after, signing(owners, *writers)).encoded
        places_of.append(log.length)
        if size == 1 or number == 0:
            log.own(writers[0], 0, content, lambda each: each._replace(kind=OWNERS_SET))
        else:
            log.intent(writers[0], 1, 0, content, lambda each: each._replace(kind=OWNERS_SET))
        owners, writers = after, new
    return log, places_of, signing(owners, *writers)


def many_changes(changes: int, size: int) -> HeadFork:
    trunk, changed_in, signers = passed_on(changes, size)
    both = []
    for word in (b"one", b"other"):
        log = trunk.branch(trunk.length)
        who = signers[0][1]
        _ = log.own(who, 0, word) if size == 1 else log.intent(who, 1, 0, word)
        both.append(log.shown(signers, None, *changed_in))
    return equal_fork(trunk.genesis, both[0], both[1])


def wrong_chains(fork: HeadFork, one: Branch, other: Branch) -> Invalid:
    first, second = fork.shown.chain
    log = one if fork.shown.head.root == one.root() else other

    def with_chain(*chain: Link) -> HeadFork:
        return replace(fork, shown=replace(fork.shown, chain=chain))

    def content_of(owners: Owners, signers: Signers, place: int = 2) -> bytes:
        return log.branch(place).change(owners, signers).encoded

    bad: list[tuple[str, HeadFork]] = [
        ("the chain is missing", with_chain()),
        ("the first change is missing", with_chain(second)),
        ("the last change is missing", with_chain(first)),
        ("the changes are not in their order", with_chain(second, first)),
        ("a change comes twice", with_chain(first, first, second)),
        (
            "a path leads elsewhere",
            with_chain(replace(first, path=(OTHER_HASH, *first.path[1:])), second),
        ),
        ("a path is too short", with_chain(replace(first, path=first.path[:-1]), second)),
        ("a path is too long", with_chain(replace(first, path=(*first.path, OTHER_HASH)), second)),
        (
            "the content is another",
            with_chain(replace(first, content=content_of(OF_BOB, BY_ALICE)), second),
        ),
        ("the header is no header", with_chain(replace(first, header=b"\xc0"), second)),
        ("more than eight changes", many_changes(9, 1)),
        *wrong_links(),
    ]
    found = [(rule, encode_fork(each)) for rule, each in bad]
    row: Any = unpack(encode_fork(fork), "fork")
    longer = (*row[3][1][0], None)
    four = changed(row, (3, (row[3][0], (longer, *row[3][1][1:]))))
    found.append(("a change has four fields", pack(four)))
    found.append(("a Head has no chain", pack(changed(row, (3, (row[3][0],))))))
    return [*found, ("the owners of gossip streams never change", encode_fork(gossip_chain()))]


def wrong_links() -> list[tuple[str, HeadFork]]:
    """Forks of bob, who came to be the owner by what is no change of owners."""

    def fork(edit: Callable[[Header], Header], content: bytes | None = None) -> HeadFork:
        both = []
        for word in (b"one", b"other"):
            log = Branch(genesis_of(ONE, Uniqueness.NONE))
            said = content or log.change(OF_BOB, BY_ALICE).encoded
            log.own(ALICE, 0, said, lambda each: edit(each._replace(kind=OWNERS_SET)))
            both.append(log.own(BOB, 0, word).own(BOB).shown(BY_BOB, None, 1))
        return equal_fork(both_genesis(), both[0], both[1])

    log = Branch(both_genesis())
    elsewhere = Branch(genesis_of(ONE, Uniqueness.NONE, ("a", b"")))
    same: Callable[[Header], Header] = lambda each: each  # noqa: E731
    ends = []
    for word in (b"one", b"other"):
        end = Branch(both_genesis()).own(ALICE, 0, word).pass_on(ALICE, OF_BOB, BY_ALICE)
        ends.append(end.shown(BY_BOB, None, 2))
    return [
        ("the header is of another kind", fork(lambda each: each._replace(kind="post"))),
        (
            "the header is of another stream",
            fork(lambda each: each._replace(stream=elsewhere.genesis.stream)),
        ),
        (
            "the header is of another place",
            fork(lambda each: each._replace(place=2, author_seq=2, base_length=2)),
        ),
        ("the header says another size", fork(lambda each: each._replace(content_size=1))),
        ("a change is of another place", fork(same, log.change(OF_BOB, BY_ALICE, 2).encoded)),
        (
            "a change is of another stream",
            fork(same, elsewhere.change(OF_BOB, BY_ALICE, 1).encoded),
        ),
        ("a change is signed by those after it", fork(same, log.change(OF_BOB, BY_BOB).encoded)),
        ("a change is signed by nobody", fork(same, log.change(OF_BOB, ()).encoded)),
        ("a change is no change", fork(same, b"\xc0")),
        (
            "a Head that ends with a change is of those after it",
            equal_fork(both_genesis(), ends[0], ends[1]),
        ),
    ]


def both_genesis() -> Genesis:
    return genesis_of(ONE, Uniqueness.NONE)


def gossip_chain() -> HeadFork:
    both = []
    for word in (b"one", b"other"):
        log = Branch(genesis_of(ONE)).pass_on(ALICE, OF_BOB, BY_ALICE).own(BOB, 0, word)
        both.append(log.shown(BY_BOB, None, 1))
    return equal_fork(genesis_of(ONE), both[0], both[1])


# ----


def malformed() -> Invalid:
    one, other = branches(3, 5, 6)
    row: Any = unpack(encode_fork(of_unequal(one, other)), "fork")
    equal = branches(3, 5, 5)
    short: Any = unpack(
        encode_fork(equal_fork(equal[0].genesis, *[each.shown(BY_ALICE) for each in equal])), "fork"
    )
    genesis: Any = unpack(row[2], "genesis")
    found = forms(list(short))
    return [
        *found,
        ("there is no such form", pack(changed(short, (1, "d")))),
        ("the form is bytes", pack(changed(short, (1, b"a")))),
        ("form a with the fields of b", pack(changed(row, (1, "a")))),
        ("form b with the fields of a", pack(changed(short, (1, "b")))),
        ("form r with the fields of a", pack(changed(short, (1, "r")))),
        ("the genesis is an array", pack(changed(short, (2, genesis)))),
        ("the genesis is malformed", pack(changed(short, (2, pack(changed(genesis, (6, b""))))))),
        ("a Head is nil", pack(changed(short, (3, None)))),
        ("more than 64 KiB", encode_fork(many_changes(5, 64))),
    ]


def make() -> dict[str, Any]:
    valid: Valid = []
    invalid: Invalid = []
    for part in (equal_forks, unequal_forks, resolved_forks, resolve_forks, chained_forks):
        good, bad = part()
        valid += good
        invalid += bad
    invalid += malformed()
    return {
        "hex": long_hex.NOTE,
        "valid": [shown(what, fork) for what, fork in valid],
        "invalid": [{"rule": rule, "hex": long_hex.write(encoded)} for rule, encoded in invalid],
    }


def shown(what: str, fork: StreamFork) -> dict[str, Any]:
    encoded = encode_fork(fork)
    said = {"what": what, "id": fork_id(encoded).hex(), "stream": format_stream(fork.stream)}
    return {**said, "forked_length": fork.forked_length, "hex": long_hex.write(encoded)}
