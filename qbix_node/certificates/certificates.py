"""Quorums of votes as one piece: AC, that a quorum locked; FC, that it is final
(spec/watchers.md 6).

Form is checked on reading. Whether it holds is what the signature checks say that `checks` gives;
they rest on nothing but the epochs' manifests.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from qbix_node.certificates.committees import SEATS_MAX
from qbix_node.certificates.epochs import Epochs, epoch_of
from qbix_node.certificates.slots import (
    Base,
    Empty,
    Founding,
    Manifested,
    Reanchor,
    Slot,
    Transfer,
    Value,
    Void,
    after_nothing,
    decision_digest,
    optional_hash,
    read_base,
    read_epoch,
    read_slot,
    read_value,
)
from qbix_node.certificates.transactions import (
    SignedTx,
    Tx,
    signed_tx_of,
)
from qbix_node.certificates.votes import (
    Ballot,
    commit_body,
    confirm_body,
    lock_body,
    read_ballot,
    read_view,
)
from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.keys import SIGNATURE_BYTES
from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack, unpack
from qbix_node.wire.references import StreamId

FC_BYTES_MAX = 1024 * 1024
MANIFEST_BYTES_MAX = 512 * 1024
Checks = tuple[SignatureCheck, ...]


class Quorum(NamedTuple):
    bitmap: bytes  # over the seats, least significant bit first
    signatures: tuple[bytes, ...]

    def packable(self) -> tuple[bytes, bytes]:
        return self.bitmap, b"".join(self.signatures)


def read_quorum(bitmap: object, signatures: object, what: str) -> Quorum:
    """Raises Malformed."""
    joined = fields.data(signatures, f"{what}: signatures", most=SIGNATURE_BYTES * SEATS_MAX)
    if len(joined) % SIGNATURE_BYTES:
        raise Malformed(f"{what}: signatures have {SIGNATURE_BYTES} bytes each")
    starts = range(0, len(joined), SIGNATURE_BYTES)
    return Quorum(
        fields.data(bitmap, f"{what}: bitmap", most=SEATS_MAX // 8),
        tuple([joined[start : start + SIGNATURE_BYTES] for start in starts]),
    )


# ---- a quorum has locked ----


@dataclass(frozen=True)
class Ac:
    ballot: Ballot
    value: Value
    newview_digest: bytes | None
    quorum: Quorum

    def packable(self) -> Packable:
        slot, base_digest, epoch, view = self.ballot
        decided = self.value.packable(), self.newview_digest
        return slot, base_digest, epoch, view, *decided, *self.quorum.packable()

    @cached_property
    def digest(self) -> bytes:
        """Names this very AC, with those who signed it."""
        return sha256(pack(self.packable()))

    def checks(self, epochs: Epochs) -> Checks:
        """Raises Malformed."""
        slot = self.ballot.slot
        anchors = epoch_of(epochs, slot.network, self.ballot.epoch).anchors(slot.stream)
        return anchors.checks(*self.quorum, lock_body(self.ballot, self.value, self.newview_digest))


def read_ac(value: object) -> Ac:
    """Raises Malformed."""
    what = "AC"
    row = fields.array(value, what, size=8)
    slot, digest, epoch, view, decided, newview, bitmap, signatures = row
    ac = Ac(
        read_ballot(slot, digest, epoch, view, what),
        read_value(decided, what),
        optional_hash(newview, f"{what}: newview_digest"),
        read_quorum(bitmap, signatures, what),
    )
    if isinstance(ac.value, Empty):
        raise Malformed(f"{what}: nobody locks nothing")
    if (ac.ballot.view == 0) != (ac.newview_digest is None):
        raise Malformed(f"{what}: views above 0, and no others, rest on a NEWVIEW")
    return ac


# ---- it is final ----


class Commits(NamedTuple):
    """The quorum of one slot."""

    slot: Slot
    base: Base
    view: int
    value: Value
    quorum: Quorum

    def checks(self, epochs: Epochs) -> Checks:
        """Raises Malformed."""
        epoch = self.base.pin
        ballot = Ballot(self.slot, self.base.digest, epoch, self.view)
        anchors = epoch_of(epochs, self.slot.network, epoch).anchors(self.slot.stream)
        return anchors.checks(*self.quorum, commit_body(ballot, self.value))

    @property
    def decision(self) -> bytes:
        return decision_digest(self.slot, self.base.digest, self.value)


@dataclass(frozen=True)
class PaidFc:
    """A transaction is final in all of its slots: a quorum of COMMITs for each, and one of
    CONFIRMs, by the same watchers, for each.
    """

    signed: SignedTx
    commits: tuple[Commits, ...]
    draw_epoch: int
    confirms: tuple[Quorum, ...]

    def packable(self) -> Packable:
        rows = [
            (row.base.state_root, row.base.owners_hash, row.view, *row.quorum.packable())
            for row in self.commits
        ]
        signatures = tuple([quorum.packable()[1] for quorum in self.confirms])
        watchers = self.draw_epoch, self.confirms[0].bitmap, signatures
        return 0, self.signed.packable(), tuple(rows), *watchers

    @cached_property
    def encoded(self) -> bytes:
        return pack(self.packable())

    @property
    def epochs(self) -> frozenset[int]:
        """Whose manifests are needed to check it."""
        return frozenset([self.draw_epoch, *[row.base.pin for row in self.commits]])

    def checks(self, epochs: Epochs) -> Checks:
        """Of all votes in it. What owners and parties signed is left to `SignedTx.checks`: the
        anchors have judged that. Raises Malformed.
        """
        tx, found = self.signed.tx, list[SignatureCheck]()
        for row in self.commits:
            found += row.checks(epochs)
        watchers = epoch_of(epochs, tx.core.network, self.draw_epoch).watchers(tx)
        for row, quorum in zip(self.commits, self.confirms, strict=True):
            body = confirm_body(row.slot, row.base.pin, row.view, tx.hash, self.draw_epoch)
            found += watchers.checks(*quorum, body)
        return tuple(found)

    def base_after(self, stream: StreamId) -> Base:
        """What the next slot of one of its streams starts from."""
        return {each.stream: each.base_after for each in self.signed.tx.core.changes}[stream]


@dataclass(frozen=True)
class BareFc:
    """One slot is decided by COMMITs alone: nothing that an owner would have to be watched for."""

    commits: Commits
    manifest: bytes | None = None  # that was decided, in the slots of a network

    def packable(self) -> Packable:
        slot, base, view, value, quorum = self.commits
        decided = slot, base.packable(), view, value.packable(), self.manifest
        return 1, *decided, *quorum.packable()

    @cached_property
    def encoded(self) -> bytes:
        return pack(self.packable())

    @property
    def epochs(self) -> frozenset[int]:
        return frozenset([self.commits.base.pin])

    def checks(self, epochs: Epochs) -> Checks:
        """Raises Malformed."""
        return self.commits.checks(epochs)

    def base_after(self) -> Base:
        """What the next slot starts from, after VOID and REANCHOR."""
        slot, base, _, value, _ = self.commits
        if not isinstance(value, Void | Reanchor):
            raise TypeError(f"{value} has an author")
        return after_nothing(slot, base, value)


Fc = PaidFc | BareFc


def read_fc(encoded: bytes) -> Fc:
    """Raises Malformed."""
    if len(encoded) > FC_BYTES_MAX:
        raise Malformed(f"FC: {len(encoded)} bytes, {FC_BYTES_MAX} are allowed")
    return fc_of(unpack(encoded, "FC"))


def fc_of(value: object) -> Fc:
    """Raises Malformed."""
    match fields.array(value, "FC", most=8):
        case (0, *row):
            return _paid(tuple(row))
        case (1, *row):
            return _bare(tuple(row))
        case _:
            raise Malformed("FC: it is neither of a transaction nor of anything else")


def _paid(row: object) -> PaidFc:
    what = "FC of a transaction"
    signed_tx, commits, draw, bitmap, confirms = fields.array(row, what, size=5)
    signed = signed_tx_of(signed_tx)
    core = signed.tx.core
    count = len(core.changes)
    rows = fields.array(commits, f"{what}: COMMITs", size=count)
    signatures = fields.array(confirms, f"{what}: CONFIRMs", size=count)
    fc = PaidFc(
        signed,
        tuple([_commits_to(signed.tx, place, each) for place, each in enumerate(rows)]),
        read_epoch(draw, f"{what}: draw"),
        tuple([read_quorum(bitmap, each, f"{what}: CONFIRMs") for each in signatures]),
    )
    if fc.draw_epoch < core.watch_epoch:
        raise Malformed(f"{what}: its watchers were drawn before its watch_epoch")
    return fc


def _commits_to(tx: Tx, place: int, row: object) -> Commits:
    """The transaction says the rest of the base."""
    what = "COMMITs"
    state, owners, view, bitmap, signatures = fields.array(row, what, size=5)
    change = tx.core.changes[place]
    base = Base(
        change.base_peaks,
        optional_hash(state, f"{what}: state_root"),
        fields.data(owners, f"{what}: owners_hash", size=32),
        change.epoch,
    )
    quorum = read_quorum(bitmap, signatures, what)
    return Commits(tx.core.slots[place], base, read_view(view, what), tx.value, quorum)


def _bare(row: object) -> BareFc:
    what = "FC without a transaction"
    slot, base, view, value, manifest, bitmap, signatures = fields.array(row, what, size=7)
    commits = Commits(
        read_slot(slot, what),
        read_base(base, what),
        read_view(view, what),
        read_value(value, what),
        read_quorum(bitmap, signatures, what),
    )
    if manifest is not None:
        fields.data(manifest, f"{what}: manifest", most=MANIFEST_BYTES_MAX)
    if len(commits.base.peaks) != commits.slot.base_length.bit_count():
        raise Malformed(f"{what}: a log of that length has another number of peaks")
    _check_alone(commits.value, commits, manifest)
    return BareFc(commits, manifest)


def _check_alone(value: Value, commits: Commits, manifest: bytes | None) -> None:
    """Raises Malformed."""
    if isinstance(value, Transfer | Empty):
        raise Malformed("FC without a transaction: that is not decided so")
    if (commits.slot.base_length == 0) != isinstance(value, Founding):
        raise Malformed("FC: slot 0 gets the genesis, and no other slot does")
    if isinstance(value, Reanchor) and value.to_epoch <= commits.base.pin:
        raise Malformed("FC of REANCHOR: it does not go on to a later epoch")
    if (manifest is not None) != isinstance(value, Manifested):
        raise Malformed("FC: a manifest, and nothing else, comes with its bytes")
    if isinstance(value, Manifested) and value.manifest != sha256(manifest or b""):
        raise Malformed("FC: it is another manifest that was decided")
