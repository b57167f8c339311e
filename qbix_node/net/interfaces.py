"""The IPv4 addresses of this machine on local networks, and where to broadcast there (Linux)."""

import fcntl
import ipaddress
import socket
import struct
from dataclasses import dataclass

from qbix_node.net.address import is_local

# netdevice(7): an ifreq has the name in 16 bytes, then a sockaddr_in with the address at its byte 4
_SIOCGIFADDR = 0x8915
_SIOCGIFBRDADDR = 0x8919
_IFREQ = struct.Struct("16s24x")
_ADDRESS = slice(20, 24)


@dataclass(frozen=True, slots=True)
class Interface:
    address: str
    broadcast: str


def local_interfaces() -> list[Interface]:
    """Those with a private or link-local address that can broadcast."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            try:
                address = _ask(asked, _SIOCGIFADDR, name)
                broadcast = _ask(asked, _SIOCGIFBRDADDR, name)
            except OSError:
                continue  # it has no IPv4 address, or it went away
            if is_local(address) and not ipaddress.ip_address(broadcast).is_unspecified:
                found.append(Interface(address, broadcast))
    return found


def _ask(asked: socket.socket, what: int, name: str) -> str:
    answer = fcntl.ioctl(asked, what, _IFREQ.pack(name.encode()[:15]))
    return socket.inet_ntoa(answer[_ADDRESS])
