"""How the store keeps peers: b"p/a" + key -> address, or nothing where it is not known;
b"p/b" + key -> nothing (blocked).
"""

from qbix_node.errors import DamagedStore, Malformed
from qbix_node.machines import PeerId
from qbix_node.net.address import Address, parse_address
from qbix_node.ports import Delete, Put, Rows, Write

_ADDRESS = b"p/a"
_BLOCKED = b"p/b"
_SCAN_MAX = 100_000


def remember(address: Address) -> Write:
    return Put(_ADDRESS + address.key, str(address).encode())


def remember_key(peer: PeerId) -> Write:
    return Put(_ADDRESS + peer, b"")


def forget(peer: PeerId) -> Write:
    return Delete(_ADDRESS + peer)


def block(peer: PeerId) -> Write:
    return Put(_BLOCKED + peer, b"")


def unblock(peer: PeerId) -> Write:
    return Delete(_BLOCKED + peer)


def read_peers(rows: Rows) -> tuple[dict[PeerId, Address | None], set[PeerId]]:
    """The addresses of the peers that a person added, and the blocked ones."""
    known: dict[PeerId, Address | None] = {}
    for key, value in _scan(rows, _ADDRESS):
        if not value:
            known[PeerId(key.removeprefix(_ADDRESS))] = None
            continue
        try:
            address = parse_address(value.decode())
        except (Malformed, UnicodeDecodeError) as error:
            raise DamagedStore(
                f"the address of a peer in the store can't be read: {error}"
            ) from error
        known[address.key] = address
    blocked = {PeerId(key.removeprefix(_BLOCKED)) for key, _ in _scan(rows, _BLOCKED)}
    return known, blocked


def _scan(rows: Rows, prefix: bytes) -> list[tuple[bytes, bytes]]:
    return rows.scan(prefix, prefix + b"\xff" * 33, limit=_SCAN_MAX)
