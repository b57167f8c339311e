"""Where a node is reached by UDP, and what may be believed and told of it (spec/dht.md 2). Pure."""

from enum import IntEnum
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


# By their first bytes, as forged sources come in any number.
_MAPPED = bytes(10) + b"\xff\xff"
_NAT64 = bytes.fromhex("0064ff9b") + bytes(8)
_TEREDO, _SIX_TO_FOUR = bytes.fromhex("20010000"), bytes.fromhex("2002")
_NOT_ALL_PUBLIC = bytes((10, 100, 127, 169, 172, 192))
_LOOPBACK_6 = bytes(15) + b"\x01"


def scope_of(ip: bytes) -> Scope:
    if len(ip) == 4:
        return Scope.PUBLIC if ip[0] not in _NOT_ALL_PUBLIC else _scope_of_4(ip[0], ip[1])
    if ip == _LOOPBACK_6:
        return Scope.LOOPBACK
    return Scope.PRIVATE if ip[0] & 0xFE == 0xFC else Scope.PUBLIC


def _scope_of_4(first: int, second: int) -> Scope:
    if first == 127:
        return Scope.LOOPBACK
    private = (
        first == 10
        or (first == 172 and second & 0xF0 == 16)
        or (first == 100 and second & 0xC0 == 64)
        or (first, second) in ((192, 168), (169, 254))
    )
    return Scope.PRIVATE if private else Scope.PUBLIC


def usable(ip: bytes) -> bool:
    """SPEC dht 2: not nobody's address, or everybody's, nor one that means something on one link
    only, nor an IPv4 address in another form: that would count as another network.
    """
    if len(ip) == 4:
        return 0 < ip[0] < 224
    if not any(ip[:12]):
        return ip == _LOOPBACK_6
    link_local = ip[0] == 0xFE and ip[1] & 0xC0 == 0x80
    other_form = ip.startswith((_MAPPED, _NAT64, _TEREDO, _SIX_TO_FOUR))
    return not (ip[0] == 0xFF or link_local or other_form)


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


def network_of(endpoint: Endpoint) -> bytes:
    """What counts as one owner, also where subnets are not counted."""
    return subnet_of(endpoint.ip) or sender_of(endpoint)


def read_endpoint(ip: object, port: object, what: str) -> Endpoint:
    """Raises Malformed."""
    if type(ip) is not bytes or len(ip) not in (4, 16) or not usable(ip):
        raise Malformed(f"{what}: expected an IPv4 or IPv6 address of one host")
    return Endpoint(ip, fields.number(port, f"{what}: port", 1, 65535))
