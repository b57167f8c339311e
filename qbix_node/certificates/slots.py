"""Places in watched streams, what may be decided for them, and the state they start from
(spec/watchers.md 3).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from qbix_node.crypto import domains
from qbix_node.crypto.boxes import sha256
from qbix_node.errors import Malformed
from qbix_node.streams.genesis import EPOCH_MAX
from qbix_node.streams.messages import read_hashes
from qbix_node.streams.tree import LENGTH_MAX, Hash, bag, grow, leaf_hash
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack
from qbix_node.wire.references import StreamId

VIEW_MAX = 2**20


class Slot(NamedTuple):
    """The next place in a watched stream: what follows its first `base_length` leaves."""

    network: bytes
    stream: StreamId
    base_length: int


def read_slot(value: object, what: str = "slot") -> Slot:
    """Raises Malformed."""
    network, stream, length = fields.array(value, what, size=3)
    return Slot(
        fields.data(network, f"{what}: network", size=32),
        StreamId(fields.data(stream, f"{what}: stream", size=32)),
        fields.number(length, f"{what}: base_length", 0, LENGTH_MAX - 1),
    )


# ---- what may be decided ----


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transaction, by its hash."""

    tx: bytes

    def packable(self) -> Packable:
        return 0, self.tx


@dataclass(frozen=True, slots=True)
class Void:
    """Nothing happens, and the place is used up."""

    def packable(self) -> Packable:
        return (1,)


@dataclass(frozen=True, slots=True)
class Reanchor:
    """Nothing happens, but another epoch's committee decides from here on."""

    to_epoch: int

    def packable(self) -> Packable:
        return 2, self.to_epoch


@dataclass(frozen=True, slots=True)
class Founding:
    """The genesis: the only value of slot 0."""

    def packable(self) -> Packable:
        return (3,)


@dataclass(frozen=True, slots=True)
class Empty:
    """Nothing was decided when somebody asked: never a decision itself."""

    def packable(self) -> Packable:
        return (4,)


@dataclass(frozen=True, slots=True)
class Manifested:
    """The manifest of the network's next epoch, by its hash."""

    manifest: bytes

    def packable(self) -> Packable:
        return 5, self.manifest


Value = Transfer | Void | Reanchor | Founding | Empty | Manifested


def read_value(value: object, what: str = "value") -> Value:
    """Raises Malformed."""
    match fields.array(value, what, most=2):
        case (int(kind), bytes(hashed)) if kind in (0, 5) and len(hashed) == 32:
            return Transfer(hashed) if kind == 0 else Manifested(hashed)
        case (2, int(epoch)) if 0 <= epoch <= EPOCH_MAX:
            return Reanchor(epoch)
        case (int(kind),) if kind in _ALONE:
            return _ALONE[kind]
    raise Malformed(f"{what}: it is none of those that can be decided")


_ALONE: dict[int, Value] = {1: Void(), 3: Founding(), 4: Empty()}


# ---- the state before and after ----


@dataclass(frozen=True)
class Base:
    """What is certain of a stream before a slot: all that its next transaction is judged by."""

    peaks: tuple[Hash, ...]
    state_root: bytes | None
    owners_hash: bytes
    pin: int  # the epoch whose anchors decide

    def packable(self) -> Packable:
        return self.peaks, self.state_root, self.owners_hash, self.pin

    @cached_property
    def digest(self) -> bytes:
        return named(domains.BASE, self.packable())


def read_base(value: object, what: str = "base") -> Base:
    """Raises Malformed."""
    peaks, state, owners, pin = fields.array(value, what, size=4)
    return Base(
        read_hashes(peaks, f"{what}: peaks"),
        optional_hash(state, f"{what}: state_root"),
        fields.data(owners, f"{what}: owners_hash", size=32),
        read_epoch(pin, f"{what}: pin"),
    )


def decision_digest(slot: Slot, base_digest: bytes, value: Value) -> bytes:
    """Names what was decided, whoever signed it and in whichever view."""
    return named(domains.DECISION, *slot, base_digest, value.packable())


def after_nothing(slot: Slot, base: Base, value: Void | Reanchor) -> Base:
    """The base that follows a decision without an author: one leaf more, and nothing else new."""
    pin = value.to_epoch if isinstance(value, Reanchor) else base.pin
    leaf = leaf_hash(authorless_leaf(slot, value))
    peaks, _ = grow(base.peaks, slot.base_length, [leaf])
    return Base(peaks, base.state_root, base.owners_hash, pin)


def authorless_leaf(slot: Slot, value: Void | Reanchor) -> bytes:
    """The header of VOID and REANCHOR, which anybody can write."""
    match value:
        case Void():
            kind, content = "void", b""
        case Reanchor(to_epoch):
            kind, content = "reanchor", pack((to_epoch,))
    index = slot.base_length
    place = 1, slot.stream, index, None, 0, index, None, 0
    return pack((*place, kind, len(content), sha256(content), None))


def root_of(base: Base, length: int) -> Hash:
    """Raises Malformed where no log of that length has such peaks."""
    if len(base.peaks) != length.bit_count():
        raise Malformed("base: a log of that length has another number of peaks")
    return bag(base.peaks)


# ---- small parts of many bodies ----


def named(domain: bytes, *parts: Packable) -> bytes:
    """H(domain, parts…) of spec/encoding.md 2."""
    return domains.hashed(domain, pack(parts))


def read_epoch(value: object, what: str) -> int:
    return fields.number(value, what, 0, EPOCH_MAX)


def optional_hash(value: object, what: str) -> bytes | None:
    return None if value is None else fields.data(value, what, size=32)
