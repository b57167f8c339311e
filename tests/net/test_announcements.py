import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.net.address import Address, is_local
from qbix_node.net.announcements import DATAGRAM_BYTES_MAX, announce, parse_announcement
from tests.net.links import BOB

BOBS = Address("192.168.1.7", 8008, PeerId(BOB.public))


def test_what_is_announced_is_heard() -> None:
    assert parse_announcement(announce(BOBS), BOBS.host) == BOBS


def test_nobody_can_send_us_to_another_host() -> None:
    elsewhere = Address("192.0.2.99", 22, PeerId(BOB.public))
    heard = parse_announcement(announce(elsewhere), "192.168.1.66")
    assert heard == Address("192.168.1.66", 22, PeerId(BOB.public))


def test_one_of_several_addresses_is_taken() -> None:
    several = b"ws://192.168.1.7:8989~shs:junk;" + announce(BOBS)
    assert parse_announcement(several, BOBS.host) == BOBS


@pytest.mark.parametrize("source", ["192.0.2.1", "127.0.0.1", "8.8.8.8", "junk"])
def test_announcements_from_elsewhere_are_refused(source: str) -> None:
    with pytest.raises(Malformed, match="not on the local network"):
        parse_announcement(announce(BOBS), source)


def test_a_long_datagram_is_refused() -> None:
    with pytest.raises(Malformed, match="more than 1024 bytes"):
        parse_announcement(announce(BOBS).ljust(DATAGRAM_BYTES_MAX + 1, b";"), BOBS.host)


@given(st.binary(max_size=200) | st.builds(lambda junk: announce(BOBS) + junk, st.binary()))
def test_any_datagram_is_heard_or_malformed(datagram: bytes) -> None:
    try:
        heard = parse_announcement(datagram, "10.1.2.3")
    except Malformed:
        return
    assert is_local(heard.host)
