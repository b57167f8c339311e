"""Where a node says that it is, and whose addresses it believes."""

from ipaddress import ip_address

import pytest

from qbix_node.daemon.finding.addresses import (
    least_scope,
    own_addresses,
    resolve,
    resolve_all,
    ways_in,
)
from qbix_node.dht.endpoints import Endpoint, Scope
from qbix_node.dht.messages import Told
from qbix_node.dht.upkeep import BOOTSTRAP_MAX
from qbix_node.machines import PeerId
from qbix_node.net.address import Address

KEY = PeerId(b"k" * 32)


def at(host: str, port: int = 8008) -> Endpoint:
    return Endpoint(ip_address(host).packed, port)


OUTWARD = at("192.168.1.5")


@pytest.mark.parametrize(
    ("announced", "bound", "seen_at", "expected"),
    [
        ([at("198.51.100.1")], [at("127.0.0.1")], at("203.0.113.1", 9), [at("198.51.100.1")]),
        ([], [at("127.0.0.1"), at("::1")], at("203.0.113.1", 9), [at("127.0.0.1"), at("::1")]),
        ([], [], at("203.0.113.1", 9), [at("203.0.113.1")]),
        ([], [], None, [OUTWARD]),
    ],
)
def test_own_addresses(
    announced: list[Endpoint],
    bound: list[Endpoint],
    seen_at: Endpoint | None,
    expected: list[Endpoint],
) -> None:
    assert own_addresses(announced, bound, seen_at, OUTWARD) == tuple(expected)


def test_a_node_that_does_not_know_where_it_is_says_nothing() -> None:
    assert own_addresses([], [], None, None) == ()


@pytest.mark.parametrize(
    ("hosts", "dial_private", "expected"),
    [
        ([], False, Scope.PUBLIC),
        (["127.0.0.1"], False, Scope.LOOPBACK),
        (["127.0.0.1", "10.0.0.1"], False, Scope.PRIVATE),
        (["127.0.0.1", "10.0.0.1", "198.51.100.1"], False, Scope.PUBLIC),
        (["198.51.100.1"], True, Scope.PRIVATE),
        (["127.0.0.1"], True, Scope.LOOPBACK),
    ],
)
def test_an_address_is_believed_no_nearer_than_the_farthest_contact(
    hosts: list[str], dial_private: bool, expected: Scope
) -> None:
    contacts = [Told(KEY, *at(host)) for host in hosts]
    assert least_scope(contacts, dial_private=dial_private) == expected


async def test_ways_in_are_found_by_address_or_name() -> None:
    told = await ways_in([Address("127.0.0.1", 7, KEY), Address("localhost", 8, KEY)])
    assert [each.port for each in told] == [7, 8]
    assert told[0] == Told(KEY, bytes([127, 0, 0, 1]), 7)


async def test_of_many_ways_in_the_last_ones_count() -> None:
    told = await ways_in([Address("127.0.0.1", port, KEY) for port in range(1, BOOTSTRAP_MAX + 9)])
    assert [each.port for each in told] == [*range(9, BOOTSTRAP_MAX + 9)]


async def test_an_address_that_stands_for_all_is_none() -> None:
    assert await resolve_all([("0.0.0.0", 8008), ("::", 8008), ("127.0.0.1", 1)]) == [
        at("127.0.0.1", 1)
    ]


async def test_a_name_that_nobody_knows_is_no_way_in() -> None:
    assert await resolve("nobody.invalid", 8008) == []
