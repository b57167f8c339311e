"""Where a node is reached by UDP, and what may be believed and told of it (spec/dht.md 2). Pure."""

from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from qbix_node.errors import Malformed
from qbix_node.wire import fields


class Endpoint(NamedTuple):
    ip: bytes  # 4 bytes, or 16
    port: int


class Scope(IntEnum):
    """How far away an address can be reached from."""

    LOOPBACK = 0
    PRIVATE = 1
    PUBLIC = 2


_LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
_PRIVATE = [
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
]
# Nobody's address, everybody's address, or an IPv4 address in another form.
_UNUSABLE = [
    ip_network(text) for text in ("0.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8", "::ffff:0:0/96")
]


def _within(ip: bytes, networks: list[IPv4Network | IPv6Network]) -> bool:
    address = ip_address(ip)
    return any(address in each for each in networks)


@lru_cache(maxsize=8192)
def scope_of(ip: bytes) -> Scope:
    if _within(ip, _LOOPBACK):
        return Scope.LOOPBACK
    return Scope.PRIVATE if _within(ip, _PRIVATE) else Scope.PUBLIC


@lru_cache(maxsize=8192)
def usable(ip: bytes) -> bool:
    return not _within(ip, _UNUSABLE)


def may_tell(teller: bytes, ip: bytes) -> bool:
    """SPEC dht 2: nobody far away says what is near us, nor hears it."""
    return scope_of(ip) >= scope_of(teller)


def subnet_of(ip: bytes) -> bytes | None:
    """What counts as one owner of addresses: /24, or /48 of IPv6. None where that is not counted:
    on one machine or one local network.
    """
    if scope_of(ip) is not Scope.PUBLIC:
        return None
    return ip[:3] if len(ip) == 4 else ip[:6]


def sender_of(endpoint: Endpoint) -> bytes:
    """What has one allowance of requests: a host, an IPv6 /64, on loopback a socket."""
    if scope_of(endpoint.ip) is Scope.LOOPBACK:
        return endpoint.ip + endpoint.port.to_bytes(2)
    return endpoint.ip[:8]


def read_endpoint(ip: object, port: object, what: str) -> Endpoint:
    """Raises Malformed."""
    if type(ip) is not bytes or len(ip) not in (4, 16) or not usable(ip):
        raise Malformed(f"{what}: expected an IPv4 or IPv6 address of one host")
    return Endpoint(ip, fields.number(port, f"{what}: port", 1, 65535))
