"""Who has a seat in what, and how many decide (spec/watchers.md 2).

Everybody with the same list of members finds the same seats in the same order.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NewType

from qbix_node.crypto import domains
from qbix_node.crypto.boxes import sha256
from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.wire import fields
from qbix_node.wire.packing import Packable

NodeId = NewType("NodeId", bytes)  # SHA-256 of the public key, 32 bytes
CommunityId = NewType("CommunityId", bytes)  # its stream
Seed = NewType("Seed", bytes)  # R of an epoch, 32 bytes


@dataclass(frozen=True, slots=True)
class Member:
    """A node on the list of an epoch, with the key that it votes with in that epoch only."""

    node: NodeId
    community: CommunityId
    vote_key: bytes
    endpoints_hash: bytes

    def packable(self) -> Packable:
        return self.node, self.community, self.vote_key, self.endpoints_hash


def read_member(value: object) -> Member:
    """Raises Malformed."""
    node, community, vote_key, endpoints = fields.array(value, "member", size=4)
    return Member(
        NodeId(fields.data(node, "member: node", size=32)),
        CommunityId(fields.data(community, "member: community", size=32)),
        fields.data(vote_key, "member: vote key", size=32),
        fields.data(endpoints, "member: endpoints", size=32),
    )


@dataclass(frozen=True, slots=True)
class Share:
    """How many seats a committee has, and how many of them decide."""

    seats: int
    quorum: int


@dataclass(frozen=True, slots=True)
class Profile:
    """What a network has agreed on: its shares where there are more nodes than seats, and the
    fraction of byzantine seats, in thousandths, for which the published risks hold.
    """

    anchors: Share
    watchers: Share
    design_thousandths: int
    proportional: bool = False  # seats of a community grow with its nodes

    def packable(self) -> Packable:
        shares = [
            number for each in (self.anchors, self.watchers) for number in (each.seats, each.quorum)
        ]
        return (*shares, self.design_thousandths, self.proportional)


PILOT = Profile(Share(16, 12), Share(16, 10), 100)  # for tests only
STANDARD = Profile(Share(40, 30), Share(31, 19), 100)
VAULT = Profile(Share(100, 75), Share(61, 37), 200)
SEATS_MAX = 256


def read_profile(value: object) -> Profile:
    """Raises Malformed."""
    what = "profile"
    *numbers, design, proportional = fields.array(value, what, size=6)
    n_a, q_a, n_w, q_w = [fields.number(each, what, 1, SEATS_MAX) for each in numbers]
    if not (2 * n_a < 3 * q_a and q_a <= n_a):  # below 2/3, one liar among three could decide twice
        raise Malformed(f"{what}: the quorum of the anchors is not above two thirds")
    if not (n_w < 2 * q_w and q_w <= n_w):
        raise Malformed(f"{what}: the quorum of the watchers is not above one half")
    if type(proportional) is not bool:
        raise Malformed(f"{what}: proportional is true or false")
    thousandths = fields.number(design, f"{what}: design fraction", 0, 333)
    return Profile(Share(n_a, q_a), Share(n_w, q_w), thousandths, proportional)


@dataclass(frozen=True)
class Committee:
    """Members in the order of their seats."""

    seats: tuple[Member, ...]
    quorum: int

    @cached_property
    def places(self) -> dict[NodeId, int]:
        return {member.node: seat for seat, member in enumerate(self.seats)}

    def checks(
        self, bitmap: bytes, signatures: Sequence[bytes], body: bytes
    ) -> tuple[SignatureCheck, ...]:
        """What has to hold if exactly a quorum signed `body`. Raises Malformed."""
        voters = self.named_by(bitmap)
        if len(voters) != self.quorum or len(signatures) != len(voters):
            raise Malformed(f"a quorum is {self.quorum} seats, each with one signature")
        return tuple(
            [
                SignatureCheck(self.seats[seat].vote_key, body, signature)
                for seat, signature in zip(voters, signatures, strict=True)
            ]
        )

    def named_by(self, bitmap: bytes) -> list[int]:
        """The seats whose bits are set, least significant bit first. Raises Malformed."""
        count = len(self.seats)
        if len(bitmap) != -(-count // 8):
            raise Malformed(f"a bitmap of {count} seats has {-(-count // 8)} bytes")
        bits = int.from_bytes(bitmap, "little")
        if bits >> count:
            raise Malformed(f"there are only {count} seats")
        return [seat for seat in range(count) if bits >> seat & 1]

    def bitmap(self, seats: Sequence[int]) -> bytes:
        return sum(1 << seat for seat in seats).to_bytes(-(-len(self.seats) // 8), "little")


@dataclass(frozen=True)
class Electorate:
    """The members of one epoch, ascending by node, and its seed."""

    seed: Seed
    members: tuple[Member, ...]

    @cached_property
    def _positions(self) -> tuple[tuple[int, Member], ...]:
        return tuple(
            [
                (int.from_bytes(sha256(domains.POSITION, self.seed, member.node)), member)
                for member in self.members
            ]
        )

    @cached_property
    def _counts(self) -> Counter[CommunityId]:
        return Counter(member.community for member in self.members)

    def draw(self, target: bytes, share: Share, *, proportional: bool = False) -> Committee:
        """The members closest to `target` by XOR, up to `share.seats`, with at most so many of one
        community that all have to agree; everybody where there are no more (spec/watchers.md 2).
        """
        aim = int.from_bytes(target)
        near = [member for _, member in sorted(self._positions, key=lambda each: each[0] ^ aim)]
        if len(near) <= share.seats:
            return Committee(tuple(near), 2 * len(near) // 3 + 1)
        more = 0
        while True:
            seats = self._walk(near, share.seats, more, proportional=proportional)
            if len(seats) == share.seats:
                return Committee(tuple(seats), share.quorum)
            more += 1

    def _walk(
        self, near: list[Member], count: int, more: int, *, proportional: bool
    ) -> list[Member]:
        """The first `count`, with `more` than the usual seats a community."""
        taken, seats = Counter[CommunityId](), list[Member]()
        for member in near:
            if (
                taken[member.community]
                < self._cap(member.community, count, proportional=proportional) + more
            ):
                taken[member.community] += 1
                seats.append(member)
                if len(seats) == count:
                    break
        return seats

    def _cap(self, community: CommunityId, count: int, *, proportional: bool) -> int:
        if proportional:
            return max(1, -(-2 * count * self._counts[community] // len(self.members)))
        return max(1, -(-count // len(self._counts)))
