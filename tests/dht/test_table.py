"""Who is known (spec/dht.md 6)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId, closest, identity
from qbix_node.dht.table import (
    MISSES_MAX,
    PER_SUBNET_AND_BUCKET_MAX,
    PER_SUBNET_MAX,
    Contact,
    Table,
)
from qbix_node.machines import PeerId

OWN = identity(PeerId(b"own".ljust(32)))


def contact(number: int, ip: bytes = bytes((127, 0, 0, 1))) -> Contact:
    key = PeerId(number.to_bytes(32))
    return Contact(identity(key), Endpoint(ip, 1 + number % 60_000))


@given(
    st.lists(st.integers(1, 10**6), unique=True, max_size=300), st.binary(min_size=32, max_size=32)
)
def test_the_nearest_of_all_that_are_known_are_found_exactly(
    numbers: list[int], target: bytes
) -> None:
    table = Table(OWN, 20)
    known = [each for each in map(contact, numbers) if table.answered(each, 0.0)]
    assert len(table) == len(known) == len({*table})
    for count in (1, 16, 20, 400):
        found = [each.id for each in table.closest(int.from_bytes(target), count)]
        assert found == closest([each.id for each in known], NodeId(target), count)


@given(st.lists(st.integers(1, 10**6), unique=True, min_size=50, max_size=300))
def test_buckets_hold_the_whole_space_and_k_each(numbers: list[int]) -> None:
    table = Table(OWN, 20)
    for number in numbers:
        table.answered(contact(number), 0.0)
    edges = [(bucket.range.low, bucket.range.high) for bucket in table.buckets]
    assert (edges[0][0], edges[-1][1]) == (0, 2**256 - 1)
    assert all(one[1] + 1 == two[0] for one, two in pairwise(edges))
    assert max(map(len, table.buckets)) <= 20


def test_who_is_known_longest_stays_and_is_replaced_after_three_misses() -> None:
    table = Table(OWN, 2)
    far = [each for each in map(contact, range(1, 200)) if (each.long_id ^ OWN.number) >> 255]
    full = [each for each in far if table.answered(each, 0.0)]
    assert len(full) == 2
    assert full == far[:2]
    for _ in range(MISSES_MAX - 1):
        table.missed(full[0])
    assert table.get(full[0].id) is full[0]
    table.missed(full[0])
    assert table.get(full[0].id) is None
    assert len([each for each in table if each in far]) == 2, "one who waited took its place"


def test_one_answer_forgives_all_misses() -> None:
    table, one = Table(OWN, 20), contact(1)
    table.answered(one, 0.0)
    for _ in range(2 * MISSES_MAX):
        table.missed(one)
        table.answered(one, 1.0)
    assert table.get(one.id) is one


@pytest.mark.parametrize("ip", [bytes((8, 8, 8)), bytes.fromhex("20010db80001")])
def test_of_a_subnet_a_few_get_in(ip: bytes) -> None:
    table = Table(OWN, 20)
    rest = 4 - len(ip) if len(ip) == 3 else 16 - len(ip)
    for number in range(1, 400):
        table.answered(contact(number, ip + (number % 250 + 1).to_bytes(rest)), 0.0)
    assert len(table) <= PER_SUBNET_MAX
    assert max(map(len, table.buckets)) <= PER_SUBNET_AND_BUCKET_MAX
