"""Where a peer listens and who it is (spec/transport.md 1). Pure.

`net:HOST:PORT~shs:BASE64KEY` is written; `HOST:PORT:@BASE64KEY.ed25519` is read as well.
"""

import ipaddress
import re
from dataclasses import dataclass

from qbix_node.crypto.keys import curve_public
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.wire.references import decode_base64, encode_base64

TEXT_MAX = 1024  # characters, with all addresses of a peer
EXPECTED = "net:HOST:PORT~shs:BASE64KEY or HOST:PORT:@BASE64KEY.ed25519"

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
_INTERFACE = r"%(?=.{1,16}\Z)[a-z0-9_-]+(\.[a-z0-9_-]+)*"
_IP = re.compile(rf"[0-9a-f:.]+({_INTERFACE})?", re.IGNORECASE)
_LOCAL_NETWORKS = [
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
]


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int
    key: PeerId

    def __str__(self) -> str:
        return f"net:{self.host}:{self.port}~shs:{encode_base64(self.key)}"


def parse_address(text: str) -> Address:
    """The first address in it that can be dialled. Raises Malformed."""
    for part in text[:TEXT_MAX].split(";") if len(text) <= TEXT_MAX else []:
        if address := _parse_one(part.strip()):
            return address
    shown = text if len(text) <= 80 else text[:77] + "..."
    raise Malformed(f"{shown!r} is no address of a peer: expected {EXPECTED}")


def _parse_one(text: str) -> Address | None:
    if text.startswith("net:"):
        place, _, key_text = text.removeprefix("net:").partition("~shs:")
        key_text, _, _ = key_text.partition(":")  # an invitation has a seed behind it
        place = place.removesuffix(":")
    else:
        place, _, key_text = text.partition(":@")
        if not key_text.endswith(".ed25519"):
            return None
        key_text = key_text.removesuffix(".ed25519")
    host, _, port_text = place.replace("!:", ":").rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    key = decode_base64(key_text, 32)
    if key is None or curve_public(key) is None or not is_host(host) or not _is_port(port_text):
        return None
    return Address(host, int(port_text), PeerId(key))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536


def is_host(text: str) -> bool:
    """An IP address, or a name of labels that every resolver takes (RFC 1035 2.3.4)."""
    if _NAME.fullmatch(text):
        return True
    return _IP.fullmatch(text) is not None and _as_ip(text) is not None


def host_group(host: str) -> str:
    """What counts as one host: an IPv4 address, or an IPv6 /64, which one person has to spare."""
    ip = _as_ip(host)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(ip), 64), strict=False))
    return host if ip is None else str(ip)


def is_local(host: str) -> bool:
    """Whether it is an address of a private network or of one link."""
    ip = _as_ip(host)
    return ip is not None and any(ip in network for network in _LOCAL_NETWORKS)


def _as_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip
