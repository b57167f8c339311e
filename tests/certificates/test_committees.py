"""Who gets a seat: against brute force, and what the caps promise."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.certificates.committees import (
    PILOT,
    STANDARD,
    VAULT,
    Committee,
    CommunityId,
    Electorate,
    Member,
    Profile,
    Share,
    read_profile,
)
from qbix_node.crypto.boxes import sha256
from qbix_node.errors import Malformed
from qbix_node.wire.packing import pack, unpack
from tests.certificates.hall import electorate

TARGET = sha256(b"target")


def distance(members: Electorate, member: Member, target: bytes) -> int:
    place = sha256(b"qbix/position/1\0", members.seed, member.node)
    return int.from_bytes(place) ^ int.from_bytes(target)


def ordered(members: Electorate, target: bytes) -> list[Member]:
    return sorted(members.members, key=lambda each: distance(members, each, target))


@pytest.mark.parametrize(
    ("nodes", "quorum"), [(1, 1), (2, 2), (3, 3), (4, 3), (7, 5), (10, 7), (16, 11)]
)
def test_in_a_small_network_everybody_has_a_seat(nodes: int, quorum: int) -> None:
    members = electorate(nodes, 2)
    committee = members.draw(TARGET, Share(16, 12))
    assert committee.seats == tuple(ordered(members, TARGET))
    assert committee.quorum == quorum


def test_where_no_community_has_many_the_closest_have_the_seats() -> None:
    members = electorate(300, 300)
    committee = members.draw(TARGET, STANDARD.anchors)
    assert committee.seats == tuple(ordered(members, TARGET)[:40])
    assert committee.quorum == 30


def brute_force(members: Electorate, target: bytes, count: int) -> list[Member]:
    """The rule as the spec says it."""
    sizes = Counter(each.community for each in members.members)
    cap = max(1, -(-count // len(sizes)))
    while True:
        chosen: list[Member] = []
        for member in ordered(members, target):
            if (
                sum(each.community == member.community for each in chosen) < cap
                and len(chosen) < count
            ):
                chosen.append(member)
        if len(chosen) == count:
            return chosen
        cap += 1


@given(
    st.lists(st.integers(0, 3), min_size=5, max_size=24),
    st.integers(1, 4),
    st.binary(min_size=32, max_size=32),
)
def test_seats_a_community_are_capped(homes: list[int], count: int, target: bytes) -> None:
    members = electorate(len(homes), 1)
    rows = [
        replace(member, community=CommunityId(sha256(b"community %d" % home)))
        for member, home in zip(members.members, homes, strict=True)
    ]
    members = Electorate(members.seed, tuple(rows))
    seats = members.draw(target, Share(count, count)).seats
    assert list(seats) == brute_force(members, target, count)


def test_one_community_with_a_thousand_nodes_has_no_more_seats_than_the_others() -> None:
    members = electorate(1100, 1)
    rows = [
        replace(member, community=CommunityId(sha256(b"community %d" % max(0, place - 999))))
        for place, member in enumerate(members.members)
    ]
    crowded = Electorate(members.seed, tuple(rows))
    seats = crowded.draw(TARGET, STANDARD.anchors).seats
    assert max(Counter(seat.community for seat in seats).values()) == 1


def test_proportional_seats_grow_with_the_nodes() -> None:
    members = electorate(120, 1)
    rows = [
        replace(member, community=CommunityId(sha256(b"community %d" % (place >= 90))))
        for place, member in enumerate(members.members)
    ]
    two = Electorate(members.seed, tuple(rows))
    equal = Counter(seat.community for seat in two.draw(TARGET, PILOT.anchors).seats)
    assert sorted(equal.values()) == [8, 8]
    free = two.draw(TARGET, PILOT.anchors, proportional=True).seats
    assert free == tuple(ordered(two, TARGET)[:16])


def test_another_epoch_seats_others() -> None:
    drawn = [electorate(300, 300, epoch).draw(TARGET, STANDARD.anchors) for epoch in (0, 1)]
    both = {each.node for each in drawn[0].seats} & {each.node for each in drawn[1].seats}
    assert len(both) < 20  # 5.3 on average


@pytest.mark.parametrize("profile", [PILOT, STANDARD, VAULT])
def test_a_profile_comes_back_from_its_bytes(profile: Profile) -> None:
    assert read_profile(unpack(pack(profile.packable()), "profile")) == profile


@pytest.mark.parametrize(
    "row",
    [
        (16, 10, 16, 10, 100, False),  # two quorums of anchors may share a third, all of it liars
        (16, 17, 16, 10, 100, False),
        (16, 12, 16, 8, 100, False),
        (16, 12, 16, 17, 100, False),
        (0, 0, 16, 10, 100, False),
        (257, 200, 16, 10, 100, False),
        (16, 12, 16, 10, 334, False),
        (16, 12, 16, 10, 100, 0),
        (16, 12, 16, 10, 100),
    ],
)
def test_profiles_that_could_not_be_safe_are_refused(row: tuple[int, ...]) -> None:
    with pytest.raises(Malformed, match="profile"):
        read_profile(row)


def committee(nodes: int = 10) -> Committee:
    return electorate(nodes, nodes).draw(TARGET, PILOT.anchors)


@pytest.mark.parametrize(
    ("bitmap", "signatures"),
    [
        (b"\x7f", 7),
        (b"\x7f\0\0", 7),
        (b"\x3f\x04", 7),  # there is no eleventh seat
        (b"\x3f\0", 6),
        (b"\xff\0", 8),
        (b"\x7f\0", 6),
        (b"\x7f\0", 8),
    ],
)
def test_a_quorum_is_exactly_so_many_seats(bitmap: bytes, signatures: int) -> None:
    with pytest.raises(Malformed):
        committee().checks(bitmap, [b"s" * 64] * signatures, b"body")


def test_bits_name_the_seats_in_their_order() -> None:
    found = committee()
    bitmap = found.bitmap([0, 2, 3, 4, 5, 8, 9])
    assert bitmap == b"\x3d\x03"
    checks = found.checks(bitmap, [bytes([each]) * 64 for each in range(7)], b"body")
    assert [each.key for each in checks] == [
        found.seats[seat].vote_key for seat in (0, 2, 3, 4, 5, 8, 9)
    ]
    assert [each.signature[0] for each in checks] == list(range(7))
