"""What seats sign (spec/watchers.md 5). Every kind of vote has its own domain."""

from typing import NamedTuple

from qbix_node.certificates.slots import VIEW_MAX, Slot, Value, read_epoch, read_slot
from qbix_node.crypto import domains
from qbix_node.machines import SignatureCheck
from qbix_node.streams.owners import Owners, Signatures, decisive
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack


class Ballot(NamedTuple):
    """One view of one slot, from one base."""

    slot: Slot
    base_digest: bytes
    epoch: int
    view: int

    def packable(self) -> tuple[Packable, ...]:
        return *self.slot, self.base_digest, self.epoch, self.view


def read_ballot(
    slot: object, base_digest: object, epoch: object, view: object, what: str
) -> Ballot:
    """Raises Malformed."""
    return Ballot(
        read_slot(slot, what),
        fields.data(base_digest, f"{what}: base_digest", size=32),
        read_epoch(epoch, f"{what}: epoch"),
        read_view(view, what),
    )


def read_view(value: object, what: str) -> int:
    """Raises Malformed."""
    return fields.number(value, f"{what}: view", 0, VIEW_MAX)


def lock_body(ballot: Ballot, value: Value, newview_digest: bytes | None) -> bytes:
    """An anchor votes for nothing else in this view."""
    return domains.LOCK + pack((*ballot.packable(), value.packable(), newview_digest))


def commit_body(ballot: Ballot, value: Value) -> bytes:
    """An anchor has seen that a quorum locked it."""
    return domains.COMMIT + pack((*ballot.packable(), value.packable()))


def confirm_body(slot: Slot, epoch: int, view: int, tx_hash: bytes, draw_epoch: int) -> bytes:
    """A watcher has asked for other transactions, and heard of none."""
    return domains.CONFIRM + pack((*slot, epoch, view, tx_hash, draw_epoch))


def empty_body(slot: Slot, base_digest: bytes, epoch: int, nonce: bytes) -> bytes:
    """An anchor has nothing in this slot, now that it was asked with this nonce."""
    return domains.EMPTY + pack((*slot, base_digest, epoch, (4,), nonce))


class Cancel(NamedTuple):
    """The owners take back what they may have signed for a slot."""

    slot: Slot
    signatures: Signatures

    def packable(self) -> Packable:
        return self.slot, self.signatures

    def checks(self, owners: Owners) -> tuple[SignatureCheck, ...] | None:
        return decisive(self.signatures, owners, domains.CANCEL + pack(self.slot))
