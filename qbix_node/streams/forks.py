"""Proofs that the owners of a stream forked it: made, read and checked (spec/streams.md 6).

Nothing but the proof is needed to check one, and nobody who never signed twice can be accused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.keys import verify
from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.streams.genesis import (
    GENESIS_BYTES_MAX,
    Genesis,
    Uniqueness,
    read_genesis,
    stream_of,
)
from qbix_node.streams.messages import (
    Head,
    SignedHead,
    SignedResolve,
    read_hashes,
    read_prefix,
    read_signed_head,
    read_signed_resolve,
)
from qbix_node.streams.owners import AuthorId, Owners, Signatures
from qbix_node.streams.succession import Chain, read_chain, reign
from qbix_node.streams.tree import Hash, Prefix, bag, lead, places
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack, unpack, unpack_beginning
from qbix_node.wire.references import StreamId

PROOF_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class ShownHead:
    """A Head with what it takes to know whose signatures count."""

    signed: SignedHead
    chain: Chain = ()

    @property
    def head(self) -> Head:
        return self.signed.head

    def packable(self) -> Packable:
        return self.signed.packable(), tuple([link.packable() for link in self.chain])

    def checks(self, genesis: Genesis) -> tuple[SignatureCheck, ...]:
        """What has to hold for the Head to be the owners' word. Raises Malformed."""
        if self.head.stream != genesis.stream:
            raise Malformed("the Head is of another stream than the genesis")
        if genesis.uniqueness is Uniqueness.WATCHED:
            raise Malformed("the owners of a watched stream sign no Heads")
        ruling = reign(genesis, self.chain, self.head)
        signed = self.signed.checks(ruling.owners)
        if signed is None:
            raise Malformed("the Head isn't signed by exactly enough owners")
        return (*ruling.checks, *signed)

    def signers(self, genesis: Genesis) -> tuple[AuthorId, ...]:
        """Of a Head whose checks hold."""
        return _signers(reign(genesis, self.chain, self.head).owners, self.signed.signatures)


def read_shown_head(value: object) -> ShownHead:
    """Raises Malformed."""
    signed, chain = fields.array(value, "shown Head", size=2)
    return ShownHead(read_signed_head(signed), read_chain(chain))


@dataclass(frozen=True, slots=True)
class Resolved:
    """That both Heads of a proof contain the branch that the owners had chosen before."""

    signed: SignedResolve
    peaks: tuple[Hash, ...]
    frontiers: tuple[tuple[Hash, ...], tuple[Hash, ...]]

    def packable(self) -> Packable:
        return self.signed.packable(), self.peaks, *self.frontiers

    def checks(self, genesis: Genesis, *heads: Head) -> tuple[SignatureCheck, ...]:
        """Raises Malformed."""
        resolve = self.signed.resolve
        if resolve.stream != genesis.stream:
            raise Malformed("the Resolve is of another stream")
        if bag(self.peaks) != resolve.chosen_root:
            raise Malformed("these peaks are not those of the branch that the Resolve chose")
        for head, frontier in zip(heads, self.frontiers, strict=True):
            if lead(self.peaks, resolve.fork_length, frontier, head.length) != head.root:
                raise Malformed("a Head isn't shown to continue the branch that the Resolve chose")
        return resolve_checks(genesis, self.signed)


@dataclass(frozen=True, slots=True)
class HeadFork:
    """Forms A (the Heads have one length) and B, with the first leaves under each of them."""

    genesis: Genesis
    shown: ShownHead
    other: ShownHead
    prefixes: tuple[Prefix, Prefix] | None = None
    resolved: Resolved | None = None

    @property
    def stream(self) -> StreamId:
        return self.genesis.stream

    @property
    def compared_length(self) -> int:
        """At which the branches differ: what a Resolve decides about."""
        return self.prefixes[0].length if self.prefixes else self.shown.head.length

    @property
    def roots(self) -> tuple[Hash, Hash]:
        """Of the two branches there."""
        shown, other = self.shown.head.root, self.other.head.root
        if self.prefixes is None:
            return shown, other
        return self.prefixes[0].root(shown), self.prefixes[1].root(other)

    @property
    def forked_length(self) -> int:
        """The log of this length is the first that may differ between the branches."""
        if self.prefixes is None:
            return self.compared_length
        one, other = self.prefixes
        for (level, index), *peaks in zip(places(one.length), one.peaks, other.peaks, strict=False):
            if peaks[0] != peaks[1]:
                return (index << level) + 1
        return self.compared_length  # a side shows its root only

    def convicted(self) -> tuple[AuthorId, ...]:
        """Who signed both, if the checks hold; together they decide where the stream is unique."""
        theirs = self.other.signers(self.genesis)
        return tuple([key for key in self.shown.signers(self.genesis) if key in theirs])

    def packable(self) -> tuple[Packable, ...]:
        heads = self.shown.packable(), self.other.packable()
        resolved = self.resolved.packable() if self.resolved else None
        if self.prefixes is None:
            return 1, "a", self.genesis.encoded, *heads, resolved
        one, other = self.prefixes
        shown = one.length, one.peaks, other.peaks, one.frontier, other.frontier
        return 1, "b", self.genesis.encoded, *heads, *shown, resolved

    def checks(self) -> tuple[SignatureCheck, ...]:
        shown, other = self.shown.head, self.other.head
        if self.prefixes is not None:
            self._require_difference(self.prefixes)
        elif shown.length != other.length or not shown.root < other.root:
            raise Malformed("form a: expected two Heads of one length, the smaller root first")
        checks = (*self.shown.checks(self.genesis), *self.other.checks(self.genesis))
        if self.resolved is not None:
            checks += self.resolved.checks(self.genesis, shown, other)
        return checks

    def _require_difference(self, prefixes: tuple[Prefix, Prefix]) -> None:
        """Raises Malformed."""
        heads = self.shown.head, self.other.head
        if not heads[0].length < heads[1].length:
            raise Malformed("form b: the first Head isn't the shorter one")
        for prefix, head in zip(prefixes, heads, strict=True):
            if not prefix.leads_to(head.root, head.length):
                raise Malformed("form b: what is shown doesn't lead to the root of its Head")
        if self.roots[0] == self.roots[1]:
            raise Malformed("form b: both Heads have the same in their first leaves")


@dataclass(frozen=True, slots=True)
class ResolveFork:
    """Two different Resolves of one stream."""

    genesis: Genesis
    signed: SignedResolve
    other: SignedResolve

    @property
    def stream(self) -> StreamId:
        return self.genesis.stream

    @property
    def forked_length(self) -> int:
        return self.signed.resolve.fork_length

    def convicted(self) -> tuple[AuthorId, ...]:
        """Who signed both, if the checks hold."""
        owners = self.genesis.owners
        theirs = _signers(owners, self.other.signatures)
        return tuple([key for key in _signers(owners, self.signed.signatures) if key in theirs])

    def packable(self) -> tuple[Packable, ...]:
        return 1, "r", self.genesis.encoded, self.signed.packable(), self.other.packable()

    def checks(self) -> tuple[SignatureCheck, ...]:
        bodies = [each.resolve.body for each in (self.signed, self.other)]
        if any(earlier >= later for earlier, later in pairwise(bodies)):
            raise Malformed("form r: expected two different Resolves, the smaller first")
        if any(each.resolve.stream != self.stream for each in (self.signed, self.other)):
            raise Malformed("form r: a Resolve is of another stream")
        return (
            *resolve_checks(self.genesis, self.signed),
            *resolve_checks(self.genesis, self.other),
        )


StreamFork = HeadFork | ResolveFork


def encode_fork(fork: StreamFork) -> bytes:
    return pack(fork.packable())


def fork_id(encoded: bytes) -> bytes:
    return sha256(encoded)


def read_fork(encoded: bytes) -> StreamFork:
    """Raises Malformed. Whether it proves anything is what `check_fork` says."""
    if len(encoded) > PROOF_BYTES_MAX:
        raise Malformed(f"fork proof: {len(encoded)} bytes, {PROOF_BYTES_MAX} are allowed")
    row = fields.array(unpack(encoded, "fork proof"), "fork proof")
    match row[1:2]:
        case ("a",):
            return _read_head_fork(fields.versioned(row, "fork proof", size=6))
        case ("b",):
            return _read_head_fork(fields.versioned(row, "fork proof", size=11))
        case ("r",):
            _, _, genesis, signed, other = fields.versioned(row, "fork proof", size=5)
            known = _read_genesis(genesis)
            return ResolveFork(known, read_signed_resolve(signed), read_signed_resolve(other))
        case _:
            raise Malformed("fork proof: its form is none of a, b and r")


def stream_of_fork(encoded: bytes) -> StreamId:
    """What it is about, if it is a proof: that costs little to know. Raises Malformed."""
    _, _, genesis = unpack_beginning(encoded, 3, "fork proof")
    return stream_of(fields.data(genesis, "fork proof: genesis", most=GENESIS_BYTES_MAX))


def check_fork(
    fork: StreamFork, verify_one: Callable[[bytes, bytes, bytes], bool] = verify
) -> None:
    """Raises Malformed with the reason why it proves nothing."""
    if not all(verify_one(check.key, check.body, check.signature) for check in fork.checks()):
        raise Malformed("fork proof: a signature doesn't match")


def check_resolve(
    genesis: Genesis,
    signed: SignedResolve,
    verify_one: Callable[[bytes, bytes, bytes], bool] = verify,
) -> None:
    """Raises Malformed where it is not the owners' word."""
    checks = resolve_checks(genesis, signed)
    if not all(verify_one(check.key, check.body, check.signature) for check in checks):
        raise Malformed("Resolve: a signature doesn't match")


def resolve_checks(genesis: Genesis, signed: SignedResolve) -> tuple[SignatureCheck, ...]:
    """What has to hold for it to be the owners' word. Raises Malformed."""
    if genesis.uniqueness is not Uniqueness.GOSSIP:
        raise Malformed("a Resolve is of gossip streams only")
    checks = signed.checks(genesis.owners)
    if checks is None:
        raise Malformed("the Resolve isn't signed by exactly enough owners")
    return checks


# ---- made from what two peers say ----


def equal_fork(genesis: Genesis, one: ShownHead, other: ShownHead) -> HeadFork:
    """Form A, of two Heads of one length with different roots."""
    shown, other = sorted((one, other), key=lambda each: each.head.root)
    return HeadFork(genesis, shown, other)


def unequal_fork(
    genesis: Genesis, one: ShownHead, prefix: Prefix, other: ShownHead, other_prefix: Prefix
) -> HeadFork:
    """Form B, of two Heads of different lengths and what differs in their first leaves."""
    if one.head.length > other.head.length:
        return HeadFork(genesis, other, one, (other_prefix, prefix))
    return HeadFork(genesis, one, other, (prefix, other_prefix))


def two_resolves(genesis: Genesis, one: SignedResolve, other: SignedResolve) -> ResolveFork:
    """Form r, of two that are different."""
    signed, other = sorted((one, other), key=lambda each: each.resolve.body)
    return ResolveFork(genesis, signed, other)


# ----


def _signers(owners: Owners, signatures: Signatures) -> tuple[AuthorId, ...]:
    return tuple([owners.weights[index][0] for index, _ in signatures])


def _read_head_fork(row: tuple[Any, ...]) -> HeadFork:  # its caller has checked the number
    genesis, shown, other = _read_genesis(row[2]), read_shown_head(row[3]), read_shown_head(row[4])
    prefixes = None
    if len(row) > 6:
        length, peaks, other_peaks, frontier, other_frontier = row[5:10]
        prefixes = (
            read_prefix(length, peaks, frontier, "fork proof"),
            read_prefix(length, other_peaks, other_frontier, "fork proof"),
        )
    resolved = None if row[-1] is None else _read_resolved(row[-1])
    return HeadFork(genesis, shown, other, prefixes, resolved)


def _read_genesis(value: object) -> Genesis:
    return read_genesis(fields.data(value, "fork proof: genesis", most=GENESIS_BYTES_MAX))


def _read_resolved(value: object) -> Resolved:
    signed, peaks, *frontiers = fields.array(value, "fork proof: resolved", size=4)
    shown, other = [read_hashes(each, "fork proof: frontier") for each in frontiers]
    return Resolved(
        read_signed_resolve(signed), read_hashes(peaks, "fork proof: peaks"), (shown, other)
    )
