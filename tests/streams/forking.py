"""Streams that were forked, and the proofs of it."""

from dataclasses import replace

from qbix_node.crypto.keys import KeyPair
from qbix_node.streams.authoring import sign_resolve
from qbix_node.streams.forks import (
    HeadFork,
    Resolved,
    ResolveFork,
    ShownHead,
    StreamFork,
    encode_fork,
    equal_fork,
    unequal_fork,
)
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import Resolve
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.tree import Hash, Prefix, peaks_of, prefix_of
from tests.streams.logs import (
    ALICE,
    BOB,
    CAROL,
    Log,
    genesis_of,
    listed_frontier,
    owners_of,
)


def forked_log(common: int, one: int, other: int) -> tuple[Log, Log]:
    """Two branches of alice's log with so many leaves, of which the first `common` are the same."""
    log = Log(genesis_of()).write_many(common - 1)
    twin = log.twin(common)
    for _ in range(other - common):
        twin.write(f"other {twin.length}")
    return log.write_many(one - common), twin


def log_of_two() -> Log:
    """Owned by alice and bob together."""
    owners = owners_of((ALICE, 1), (BOB, 1), threshold=2)
    pairs: dict[bytes, KeyPair] = {pair.public: pair for pair in (ALICE, BOB)}
    signers = tuple([(index, pairs[key]) for index, (key, _) in enumerate(owners.weights)])
    return Log(genesis_of(owners=owners), signers)


def shown(log: Log, length: int, *links: int) -> ShownHead:
    """The Head of that length, with these entries as its chain of owners."""
    return ShownHead(log.head(length), tuple([log.link(place, length) for place in links]))


def proof_a(one: Log, other: Log, length: int) -> HeadFork:
    return equal_fork(one.genesis, shown(one, length), shown(other, length))


def proof_b(one: Log, length: int, other: Log, longer: int, at: int | None = None) -> HeadFork:
    """`at`: where they are compared, else where the shorter ends."""
    at = at or length
    prefixes = prefix_of(one.nodes, at, length), prefix_of(other.nodes, at, longer)
    return unequal_fork(
        one.genesis, shown(one, length), prefixes[0], shown(other, longer), prefixes[1]
    )


def root_only(fork: HeadFork) -> HeadFork:
    """Of a proof that compares where the first Head ends: nobody knows its peaks."""
    assert fork.prefixes is not None
    one, other = fork.prefixes
    return replace(fork, prefixes=(Prefix(one.length, (), ()), other))


def proof_r(log: Log) -> ResolveFork:
    both = [Resolve(log.stream, length, log.root(length)) for length in (1, 2)]
    one, other = [sign_resolve(each, *log.signers) for each in sorted(both, key=lambda r: r.body)]
    return ResolveFork(log.genesis, one, other)


def resolution(fork: HeadFork, chosen: Log) -> Resolution:
    """Of that fork, by the owners."""
    length = fork.compared_length
    body = Resolve(chosen.stream, length, chosen.root(length))
    return Resolution(sign_resolve(body, *chosen.signers), fork)


def resolved(log: Log, fork_length: int, *shown_in: tuple[Log, int]) -> Resolved:
    """That `log` was chosen at `fork_length`, and that these Heads go on from there."""
    signed = sign_resolve(Resolve(log.stream, fork_length, log.root(fork_length)), *log.signers)
    one, other = [listed_frontier(each.hashes[:n], fork_length) for each, n in shown_in]
    return Resolved(signed, peaks_of(log.nodes, fork_length), (one, other))


def again(fork: HeadFork, log: Log, fork_length: int, other: Log) -> HeadFork:
    """The proof of a fork after the Resolve that chose `log` there."""
    first, second = fork.shown.head, fork.other.head
    branches = [log if log.root(head.length) == head.root else other for head in (first, second)]
    heads = [(branch, head.length) for branch, head in zip(branches, (first, second), strict=True)]
    return replace(fork, resolved=resolved(log, fork_length, *heads))


def handed_over() -> tuple[Log, Log]:
    """Two branches of a stream that alice handed to bob, and bob to carol, who forked it."""
    log = Log(genesis_of(uniqueness=Uniqueness.NONE)).write_many(1)
    log.hand_over(owners_of((BOB, 1), threshold=1), (0, BOB))
    log.hand_over(owners_of((CAROL, 1), threshold=1), (0, CAROL))
    log.write()
    twin = log.twin(5)
    twin.write("other")
    twin.write("other")
    return log.write_many(1), twin


def proofs() -> dict[str, bytes]:
    """A small one of each kind."""
    one, other = forked_log(2, 6, 7)
    two, twin = log_of_two(), log_of_two()
    two.intend(1)
    twin.intend(2)
    carols, carols_twin = handed_over()
    chain_a = equal_fork(carols.genesis, shown(carols, 6, 2, 3), shown(carols_twin, 6, 2, 3))
    chain_b = replace(
        proof_b(carols, 6, carols_twin, 7),
        shown=shown(carols, 6, 2, 3),
        other=shown(carols_twin, 7, 2, 3),
    )
    deeper = proof_b(*deep_fork())
    made: dict[str, StreamFork] = {
        "a": proof_a(one, other, 3),
        "a of two owners": proof_a(two, twin, 2),
        "a with a chain": chain_a,
        "a after a Resolve": again(proof_a(one, other, 4), one, 2, other),
        "b": proof_b(one, 3, other, 7),
        "b before both Heads": proof_b(one, 6, other, 7, 3),
        "b with a root": root_only(proof_b(one, 6, other, 7)),
        "b with a chain": chain_b,
        "b after a Resolve": again(deeper, deep_fork()[0], 3, deep_fork()[2]),
        "r": proof_r(one),
        "r of two owners": proof_r(two),
    }
    return {name: encode_fork(proof) for name, proof in made.items()}


def deep_fork() -> tuple[Log, int, Log, int]:
    """Branches that part in the second peak of the shorter one."""
    one, other = forked_log(4, 7, 12)
    return one, 7, other, 12


def flipped(node: Hash) -> Hash:
    return Hash(bytes([node[0] ^ 1]) + node[1:])
