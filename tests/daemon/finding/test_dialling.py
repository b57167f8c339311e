"""Which addresses of strangers' records are dialled: as an attacker who signs many records."""

import random
from ipaddress import ip_address

import pytest

from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.finding.dialling import (
    DIALS_MAX,
    HOST_DIALS_MAX,
    PERIOD_S,
    REST_S,
    SEARCH_PEERS_MAX,
    Dialling,
    Place,
)
from qbix_node.dht.endpoints import Endpoint, Scope
from qbix_node.machines import PeerId


def peer(number: int) -> PeerId:
    return PeerId(KeyPair.from_seed(number.to_bytes(32)).public)


def at(host: str, port: int = 8008) -> Endpoint:
    return Endpoint(ip_address(host).packed, port)


def dialling() -> Dialling:
    return Dialling(random.Random(1))


def public(number: int) -> Endpoint:
    return at(f"198.51.{number // 256}.{number % 256}")


def test_a_few_of_those_that_were_found_are_dialled_and_the_others_later() -> None:
    those = [Place(peer(number), (public(number),)) for number in range(2 * SEARCH_PEERS_MAX)]
    choice = dialling()
    first = choice.choose(those, Scope.PUBLIC, 0.0)
    second = choice.choose(those, Scope.PUBLIC, 1.0)
    assert len({each.key for each in first}) == len({each.key for each in second}) == 4
    assert {each.key for each in first + second} == {each.peer for each in those}
    assert choice.choose(those, Scope.PUBLIC, 2.0) == []


@pytest.mark.parametrize(
    ("host", "least"),
    [
        ("127.0.0.1", Scope.PRIVATE),
        ("::1", Scope.PRIVATE),
        ("10.0.0.1", Scope.PUBLIC),
        ("192.168.1.1", Scope.PUBLIC),
        ("169.254.169.254", Scope.PUBLIC),
        ("fd00::1", Scope.PUBLIC),
    ],
)
def test_nearer_addresses_than_may_be_believed_are_passed_over(host: str, least: Scope) -> None:
    place = Place(peer(1), (at(host), at("198.51.100.1")))
    (chosen,) = dialling().choose([place], least, 0.0)
    assert chosen.host == "198.51.100.1"
    near = Place(peer(1), (at(host),))
    assert dialling().choose([near], least, 0.0) == []
    (believed,) = dialling().choose([near], Scope.LOOPBACK, 0.0)
    assert believed.host == host


def test_addresses_of_one_record_have_their_turn_in_later_searches() -> None:
    place, choice = Place(peer(1), (at("198.51.100.1"), at("2001:db8::1", 9000))), dialling()
    hosts = [choice.choose([place], Scope.PUBLIC, now)[0].host for now in (0.0, 4.0, REST_S)]
    assert hosts == ["198.51.100.1", "2001:db8::1", "198.51.100.1"]


def test_many_records_that_name_one_victim_make_one_dial() -> None:
    liars = [Place(peer(number), (at("198.51.100.1"),)) for number in range(50)]
    choice = dialling()
    assert len(choice.choose(liars, Scope.PUBLIC, 0.0)) == 1
    assert choice.choose(liars, Scope.PUBLIC, REST_S - 1) == []


def test_the_ports_of_one_host_cannot_be_scanned_through_us() -> None:
    liars = [Place(peer(port), (at("198.51.100.1", port),)) for port in range(1, 1000)]
    choice = dialling()
    tried = [each for now in range(59) for each in choice.choose(liars, Scope.PUBLIC, now)]
    assert len(tried) == HOST_DIALS_MAX
    assert choice.choose(liars, Scope.PUBLIC, PERIOD_S)


def test_only_so_many_are_dialled_in_a_period() -> None:
    those = [Place(peer(number), (public(number),)) for number in range(300)]
    choice = dialling()
    tried = [each for now in range(59) for each in choice.choose(those, Scope.PUBLIC, now)]
    assert len(tried) == DIALS_MAX
    assert choice.choose(those, Scope.PUBLIC, PERIOD_S)


def test_who_is_connected_or_blocked_is_not_dialled() -> None:
    those = [Place(peer(1), (public(1),)), Place(peer(2), (public(2),))]
    (chosen,) = dialling().choose(those, Scope.PUBLIC, 0.0, lambda each: each != peer(1))
    assert chosen.key == peer(2)
