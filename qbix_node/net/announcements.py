"""What peers shout on the local network: an address each, as text (spec/transport.md 7). Pure."""

from qbix_node.errors import Malformed
from qbix_node.net.address import Address, is_local, parse_address

DATAGRAM_BYTES_MAX = 1024


def announce(address: Address) -> bytes:
    return str(address).encode()


def parse_announcement(datagram: bytes, source: str) -> Address:
    """Whom it announces, at the host that it came from: the port and the key are believed for a
    try, another host is not, or anyone here could have us dial anyone anywhere. Raises Malformed.
    """
    if not is_local(source):
        raise Malformed(f"announcement from {source}, which is not on the local network")
    if len(datagram) > DATAGRAM_BYTES_MAX:
        raise Malformed(f"announcement of more than {DATAGRAM_BYTES_MAX} bytes")
    try:
        text = datagram.decode("ascii")
    except UnicodeDecodeError as error:
        raise Malformed("announcement that is no text") from error
    announced = parse_address(text)
    return Address(source, announced.port, announced.key)
