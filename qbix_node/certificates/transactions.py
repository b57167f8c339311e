"""What owners of watched streams want to happen, with the answers of those concerned
(spec/watchers.md 4).

Contents lead to headers, those to roots, those to the core, the core to the hash that is decided
about: no content can name the transaction that it is in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from qbix_node.certificates.slots import (
    Base,
    Slot,
    Transfer,
    named,
    optional_hash,
    read_epoch,
)
from qbix_node.crypto import domains
from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.streams.messages import ENTRIES_MAX, read_hashes
from qbix_node.streams.owners import (
    OWNERS_MAX,
    Owners,
    Signatures,
    decisive,
    read_signatures,
    require_ascending,
)
from qbix_node.streams.tree import LENGTH_MAX, Hash, bag, grow
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack, unpack
from qbix_node.wire.references import StreamId

SLOTS_MAX = 8
PARTIES_MAX = 16
TX_BYTES_MAX = 64 * 1024  # with its signatures


# ---- what is wanted ----


@dataclass(frozen=True)
class Change:
    """How one stream goes on."""

    stream: StreamId
    base_length: int
    base_peaks: tuple[Hash, ...]
    leaf_hashes: tuple[Hash, ...]
    new_root: Hash
    epoch: int
    next_epoch: int
    state_root: bytes | None
    owners_hash: bytes

    def packable(self) -> Packable:
        leaves = self.base_peaks, self.leaf_hashes, self.new_root
        state = self.epoch, self.next_epoch, self.state_root, self.owners_hash
        return self.stream, self.base_length, *leaves, *state

    @cached_property
    def new_peaks(self) -> tuple[Hash, ...]:
        return grow(self.base_peaks, self.base_length, self.leaf_hashes)[0]

    @property
    def new_length(self) -> int:
        return self.base_length + len(self.leaf_hashes)

    @property
    def base_after(self) -> Base:
        return Base(self.new_peaks, self.state_root, self.owners_hash, self.next_epoch)


@dataclass(frozen=True)
class Core:
    """All but the nonces."""

    network: bytes
    kind: str
    changes: tuple[Change, ...]
    parties: tuple[bytes, ...]
    watch_epoch: int
    expiry_epoch: int
    memo_hash: bytes | None

    def packable(self) -> Packable:
        changes = tuple([change.packable() for change in self.changes])
        epochs = self.watch_epoch, self.expiry_epoch
        return 1, self.network, self.kind, changes, self.parties, *epochs, self.memo_hash

    @cached_property
    def hash(self) -> bytes:
        return named(domains.CORE, self.packable())

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        return tuple([Slot(self.network, each.stream, each.base_length) for each in self.changes])


def read_core(value: object) -> Core:
    """Raises Malformed."""
    what = "core"
    row = fields.versioned(value, what, size=8)
    _, network, kind, changes, parties, watch_epoch, expiry_epoch, memo = row
    found = [read_change(each) for each in fields.array(changes, what, most=SLOTS_MAX)]
    if not found:
        raise Malformed(f"{what}: it changes no stream")
    require_ascending([each.stream for each in found], f"{what}: streams")
    keys = fields.hashes(parties, f"{what}: parties", most=PARTIES_MAX)
    require_ascending(keys, f"{what}: parties")
    return Core(
        fields.data(network, f"{what}: network", size=32),
        fields.name(kind, f"{what}: kind"),
        tuple(found),
        keys,
        read_epoch(watch_epoch, f"{what}: watch_epoch"),
        read_epoch(expiry_epoch, f"{what}: expiry_epoch"),
        optional_hash(memo, f"{what}: memo_hash"),
    )


def read_change(value: object) -> Change:
    """Raises Malformed; its root is computed again."""
    what = "change"
    row = fields.array(value, what, size=9)
    stream, base_length, base_peaks, leaves, new_root, epoch, next_epoch, state, owners = row
    change = Change(
        StreamId(fields.data(stream, f"{what}: stream", size=32)),
        fields.number(base_length, f"{what}: base_length", 1, LENGTH_MAX - 1),
        read_hashes(base_peaks, f"{what}: base_peaks"),
        tuple([Hash(each) for each in fields.hashes(leaves, f"{what}: leaves", most=ENTRIES_MAX)]),
        Hash(fields.data(new_root, f"{what}: new_root", size=32)),
        read_epoch(epoch, f"{what}: epoch"),
        read_epoch(next_epoch, f"{what}: next_epoch"),
        optional_hash(state, f"{what}: state_root"),
        fields.data(owners, f"{what}: owners_hash", size=32),
    )
    if len(change.base_peaks) != change.base_length.bit_count():
        raise Malformed(f"{what}: a log of that length has another number of peaks")
    if not change.leaf_hashes or change.new_length > LENGTH_MAX:
        raise Malformed(f"{what}: it brings no leaf, or more than a log may have")
    if bag(change.new_peaks) != change.new_root:
        raise Malformed(f"{what}: new_root is not that of these leaves")
    if change.next_epoch < change.epoch:
        raise Malformed(f"{what}: the pin goes back")
    return change


# ---- what those concerned are asked, and answer ----


class Accept(NamedTuple):
    """A party's nonce for one of the slots. It is drawn before the publisher shows its own."""

    party: bytes
    stream: StreamId
    base_length: int
    nonce: bytes
    signature: bytes


def commitment_to(nonce: bytes) -> bytes:
    return named(domains.NONCE, nonce)


def accept_body(core_hash: bytes, commitment: bytes, accept: Accept) -> bytes:
    """What the party signs."""
    party, stream, base_length, nonce, _ = accept
    return domains.ACCEPT + pack((core_hash, commitment, party, stream, base_length, nonce))


def read_accept(value: object) -> Accept:
    """Raises Malformed."""
    what = "accept"
    party, stream, base_length, nonce, signature = fields.array(value, what, size=5)
    return Accept(
        fields.data(party, f"{what}: party", size=32),
        StreamId(fields.data(stream, f"{what}: stream", size=32)),
        fields.number(base_length, f"{what}: base_length", 1, LENGTH_MAX - 1),
        fields.data(nonce, f"{what}: nonce", size=32),
        fields.data(signature, f"{what}: signature", size=64),
    )


@dataclass(frozen=True)
class Invite:
    """Asks the parties for their nonces, for one slot. `previous`: the certificate that the slot
    rests on, as bytes.
    """

    core: Core
    commitment: bytes
    stream: StreamId
    base_length: int
    previous: bytes
    signatures: Signatures

    def packable(self) -> Packable:
        place = self.stream, self.base_length
        return self.core.packable(), self.commitment, *place, self.previous, self.signatures

    @property
    def body(self) -> bytes:
        place = self.stream, self.base_length
        return domains.INVITE + pack((self.core.hash, self.commitment, *place))

    def checks(self, owners: Owners) -> tuple[SignatureCheck, ...] | None:
        return decisive(self.signatures, owners, self.body)


def read_invite(value: object) -> Invite:
    """Raises Malformed. The previous certificate is bytes still."""
    what = "invite"
    core, commitment, stream, length, previous, signatures = fields.array(value, what, size=6)
    invite = Invite(
        read_core(core),
        fields.data(commitment, f"{what}: commitment", size=32),
        StreamId(fields.data(stream, f"{what}: stream", size=32)),
        fields.number(length, f"{what}: base_length", 1, LENGTH_MAX - 1),
        fields.data(previous, f"{what}: previous certificate", most=2 * TX_BYTES_MAX),
        read_signatures(signatures, what),
    )
    if Slot(invite.core.network, invite.stream, invite.base_length) not in invite.core.slots:
        raise Malformed(f"{what}: its slot is none of the core's")
    return invite


@dataclass(frozen=True)
class Tx:
    core: Core
    accepts: tuple[Accept, ...]
    nonce: bytes  # the publisher's

    def packable(self) -> Packable:
        return 1, self.core.packable(), self.accepts, self.nonce

    @cached_property
    def hash(self) -> bytes:
        return domains.hashed(domains.TX, pack(self.packable()))

    @property
    def value(self) -> Transfer:
        return Transfer(self.hash)

    @property
    def nonces(self) -> tuple[bytes, ...]:
        """From which the watchers are drawn."""
        return self.nonce, *[accept.nonce for accept in self.accepts]

    @property
    def accompanied(self) -> bool:
        """Whether each party has answered for every slot."""
        return len(self.accepts) == len(self.core.parties) * len(self.core.changes)

    def accept_checks(self) -> tuple[SignatureCheck, ...]:
        core_hash, commitment = self.core.hash, commitment_to(self.nonce)
        return tuple(
            [
                SignatureCheck(each.party, accept_body(core_hash, commitment, each), each.signature)
                for each in self.accepts
            ]
        )


def read_tx(value: object) -> Tx:
    """Raises Malformed."""
    what = "transaction"
    _, core, accepts, nonce = fields.versioned(value, what, size=4)
    rows = fields.array(accepts, f"{what}: accepts", most=PARTIES_MAX * SLOTS_MAX)
    tx = Tx(
        read_core(core),
        tuple([read_accept(each) for each in rows]),
        fields.data(nonce, f"{what}: nonce", size=32),
    )
    require_ascending([each.party + each.stream for each in tx.accepts], f"{what}: accepts")
    slots = {(each.stream, each.base_length) for each in tx.core.changes}
    for each in tx.accepts:
        if each.party not in tx.core.parties or (each.stream, each.base_length) not in slots:
            raise Malformed(f"{what}: an accept of a party or a slot that is not in it")
    return tx


# ---- signed by the owners of every slot ----


class OwnerSignature(NamedTuple):
    change: int  # index in the core
    owner: int  # index among the owners of that stream
    signature: bytes


@dataclass(frozen=True)
class SignedTx:
    tx: Tx
    signatures: tuple[OwnerSignature, ...]

    def packable(self) -> Packable:
        return self.tx.packable(), self.signatures

    @cached_property
    def encoded(self) -> bytes:
        return pack(self.packable())

    @property
    def body(self) -> bytes:
        return domains.TXSIG + self.tx.hash

    def checks(self, owners: Mapping[StreamId, Owners]) -> tuple[SignatureCheck, ...] | None:
        """All signatures in it, those of the parties too. None: these can't decide for exactly
        these owners, or the owners of one of its streams are not known.
        """
        found = list(self.tx.accept_checks())
        for index, change in enumerate(self.tx.core.changes):
            checks = self.slot_checks(index, owners.get(change.stream))
            if checks is None:
                return None
            found += checks
        return tuple(found)

    def slot_checks(self, index: int, owners: Owners | None) -> tuple[SignatureCheck, ...] | None:
        """Those of the owners of one slot."""
        if owners is None:
            return None
        signed = [(each.owner, each.signature) for each in self.signatures if each.change == index]
        return decisive(tuple(signed), owners, self.body)


def read_signed_tx(encoded: bytes) -> SignedTx:
    """Raises Malformed."""
    if len(encoded) > TX_BYTES_MAX:
        raise Malformed(f"transaction: {len(encoded)} bytes, {TX_BYTES_MAX} are allowed")
    return signed_tx_of(unpack(encoded, "transaction"))


def signed_tx_of(value: object) -> SignedTx:
    """Raises Malformed."""
    what = "signed transaction"
    tx, signatures = fields.array(value, what, size=2)
    read = read_tx(tx)
    rows = fields.array(signatures, f"{what}: signatures", most=SLOTS_MAX * OWNERS_MAX)
    found = [_read_signature(each, len(read.core.changes)) for each in rows]
    places = [each.change * OWNERS_MAX + each.owner for each in found]
    require_ascending(places, f"{what}: signatures")
    signed = SignedTx(read, tuple(found))
    if len(signed.encoded) > TX_BYTES_MAX:
        raise Malformed(f"{what}: {len(signed.encoded)} bytes, {TX_BYTES_MAX} are allowed")
    return signed


def _read_signature(value: object, changes: int) -> OwnerSignature:
    what = "owner's signature"
    change, owner, signature = fields.array(value, what, size=3)
    return OwnerSignature(
        fields.number(change, f"{what}: slot", 0, changes - 1),
        fields.number(owner, f"{what}: owner", 0, OWNERS_MAX - 1),
        fields.data(signature, f"{what}: signature", size=64),
    )
