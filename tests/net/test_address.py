import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.errors import Malformed
from qbix_node.net.address import Address, host_group, is_local, parse_address
from qbix_node.wire.references import encode_base64
from tests.net.links import BOB

KEY = encode_base64(BOB.public)


def at(host: str, port: int = 8008) -> Address:
    return Address(host, port, BOB.public)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (f"net:192.0.2.1:8008~shs:{KEY}", at("192.0.2.1")),
        (f"net:pub.example.org:1~shs:{KEY}", at("pub.example.org", 1)),
        (f"net:2001:db8::1:8008~shs:{KEY}", at("2001:db8::1")),
        (f"net:[2001:db8::1]:8008~shs:{KEY}", at("2001:db8::1")),
        (f"net:2001!:db8!:!:1:8008~shs:{KEY}", at("2001:db8::1")),
        (f"net:fe80::1%eth0:8008~shs:{KEY}", at("fe80::1%eth0")),
        (f"net:192.0.2.1:8008:~shs:{KEY}", at("192.0.2.1")),  # as the protocol guide prints it
        (f"net:192.0.2.1:8008~shs:{KEY}:{KEY}", at("192.0.2.1")),  # with the seed of an invitation
        (f"192.0.2.1:8008:@{KEY}.ed25519", at("192.0.2.1")),
        (f"localhost:65535:@{KEY}.ed25519", at("localhost", 65535)),
        (f"ws://192.0.2.1:8989~shs:{KEY};net:192.0.2.1:8008~shs:{KEY}", at("192.0.2.1")),
    ],
)
def test_addresses_are_read_as_peers_write_them(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "net:",
        f"net:192.0.2.1:8008~shs:{KEY[:-1]}",
        f"net:192.0.2.1:8008~shs:{KEY[:-2]}9=",  # not canonical
        f"net:192.0.2.1:0~shs:{KEY}",
        f"net:192.0.2.1:65536~shs:{KEY}",
        f"net:192.0.2.1:٣~shs:{KEY}",
        f"net:192.0.2.1:+1~shs:{KEY}",
        f"net::8008~shs:{KEY}",
        f"net:a b:8008~shs:{KEY}",
        f"net:fe80::1%a b:8008~shs:{KEY}",
        f"net:fe80::1%a..b:8008~shs:{KEY}",
        f"net:a..b:8008~shs:{KEY}",
        f"net:{'a' * 64}:8008~shs:{KEY}",
        f"net:{'a.' * 126}aa:8008~shs:{KEY}",
        f"net:192.0.2.1:8008~shs:{encode_base64(bytes(32))}",  # of small order
        f"ws:192.0.2.1:8008~shs:{KEY}",
        f"192.0.2.1:8008:@{KEY}",
        f"net:192.0.2.1:8008~shs:{KEY}" + ";" * 1024,
    ],
)
def test_anything_else_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="is no address of a peer: expected net:HOST:PORT~shs:"):
        parse_address(text)


def test_a_long_text_is_not_repeated_in_the_error() -> None:
    with pytest.raises(Malformed) as caught:
        parse_address("x" * 100_000)
    assert len(str(caught.value)) < 250


PIECES = ["net:", "~shs:", KEY, ".ed25519", ":@", ":8008", ";", "10.0.0.1", "::1", "[", "]", "!:"]
NEARLY = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join)


@given(st.text(max_size=100) | NEARLY)
def test_any_text_is_read_or_malformed(text: str) -> None:
    try:
        address = parse_address(text)
    except Malformed:
        return
    assert parse_address(str(address)) == address


def test_an_ipv6_network_of_64_bits_counts_as_one_host() -> None:
    assert host_group("2001:db8::1") == host_group("2001:db8::ffff:2") == "2001:db8::/64"
    assert host_group("2001:db8:0:1::1") != host_group("2001:db8::1")
    assert host_group("::ffff:192.0.2.1") == host_group("192.0.2.1") == "192.0.2.1"
    assert host_group("192.0.2.2") != host_group("192.0.2.1")
    assert host_group("fe80::1%eth0") == host_group("fe80::2%eth1")
    assert host_group("memory") == "memory"


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "192.168.1.2", "172.31.0.1", "169.254.1.1", "fe80::1"]
)
def test_private_and_link_local_hosts_are_local(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "127.0.0.1", "172.32.0.1", "0.0.0.0", "::1", "name"])
def test_others_are_not(host: str) -> None:
    assert not is_local(host)
