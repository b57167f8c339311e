"""Who decides in a stream: keys with weights, and what they have signed (spec/streams.md 1, 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NewType, TypeVar

from qbix_node.crypto import domains
from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable, pack

AuthorId = NewType("AuthorId", bytes)  # Ed25519 public key, 32 bytes
Signatures = tuple[tuple[int, bytes], ...]  # index of the owner, signature; ascending

OWNERS_MAX = 64
WEIGHT_MAX = 2**32 - 1

T = TypeVar("T", bytes, str, int)


@dataclass(frozen=True, slots=True)
class Owners:
    """Keys with weights, ascending by key, and the weight that decides."""

    weights: tuple[tuple[AuthorId, int], ...]
    threshold: int

    @property
    def only(self) -> AuthorId | None:
        """The one owner, where there is no other."""
        return self.weights[0][0] if len(self.weights) == 1 else None

    @property
    def total(self) -> int:
        return sum([weight for _, weight in self.weights])

    def index(self, key: bytes) -> int | None:
        keys = [owner for owner, _ in self.weights]
        return keys.index(AuthorId(key)) if key in keys else None

    def packable(self) -> tuple[Packable, int]:
        return self.weights, self.threshold

    @property
    def hash(self) -> bytes:
        """owners_hash (spec/streams.md 7)."""
        return domains.hashed(domains.OWNERS, pack(self.packable()))


def read_owners(weights: object, threshold: object, what: str, *, least: int = 1) -> Owners:
    rows = fields.array(weights, f"{what}: owners", most=OWNERS_MAX)
    found = []
    for row in rows:
        key, weight = fields.array(row, f"{what}: owner", size=2)
        number = fields.number(weight, f"{what}: weight", 1, WEIGHT_MAX)
        found.append((AuthorId(fields.data(key, f"{what}: owner", size=32)), number))
    if len(found) < least:
        raise Malformed(f"{what}: it has no owner")
    require_ascending([key for key, _ in found], f"{what}: owners")
    owners = Owners(tuple(found), fields.number(threshold, f"{what}: threshold"))
    if not min(owners.total, 1) <= owners.threshold <= owners.total:
        raise Malformed(f"{what}: the threshold is not between 1 and the sum of the weights")
    return owners


def require_ascending(keys: Sequence[T], what: str) -> None:
    """Raises Malformed."""
    if any(earlier >= later for earlier, later in pairwise(keys)):
        raise Malformed(f"{what} are not in strictly ascending order")


def decisive(
    signatures: Signatures, owners: Owners, body: bytes
) -> tuple[SignatureCheck, ...] | None:
    """What has to be checked if exactly enough owners signed, else None (SPEC streams 5)."""
    if any(index >= len(owners.weights) for index, _ in signatures):
        return None
    weights = [owners.weights[index][1] for index, _ in signatures]
    spare = sum(weights) - owners.threshold
    if not signatures or spare < 0 or min(weights) <= spare:
        return None
    return tuple(
        [
            SignatureCheck(owners.weights[index][0], body, signature)
            for index, signature in signatures
        ]
    )


def read_signatures(value: object, what: str) -> Signatures:
    found = []
    for row in fields.array(value, f"{what}: signatures", most=OWNERS_MAX):
        index, signature = fields.array(row, f"{what}: signature", size=2)
        place = fields.number(index, f"{what}: owner", 0, OWNERS_MAX - 1)
        found.append((place, fields.data(signature, f"{what}: signature", size=64)))
    require_ascending([place for place, _ in found], f"{what}: owners who signed")
    return tuple(found)
