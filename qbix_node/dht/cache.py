"""How the store keeps contacts, as ways back into the network: b"n/c" + key -> [ip, port]
(spec/dht.md 6).
"""

from collections.abc import Iterable

from qbix_node.dht.endpoints import read_endpoint
from qbix_node.dht.messages import Told
from qbix_node.errors import DamagedStore, Malformed
from qbix_node.machines import PeerId
from qbix_node.ports import Delete, Put, Rows, Write
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack

CONTACTS_MAX = 256

_CONTACT = b"n/c"


def read_contacts(rows: Rows) -> list[Told]:
    """Raises DamagedStore."""
    try:
        return [_read(key.removeprefix(_CONTACT), value) for key, value in _scan(rows)]
    except Malformed as error:
        raise DamagedStore(f"a contact in the store can't be read: {error}") from error


def remember(contacts: Iterable[Told], rows: Rows) -> list[Write]:
    """What to write so that the store holds these, at most CONTACTS_MAX, and no others."""
    wanted = {
        _CONTACT + each.key: pack([each.ip, each.port])
        for _, each in zip(range(CONTACTS_MAX), contacts, strict=False)
    }
    there = dict(_scan(rows))
    gone: list[Write] = [Delete(key) for key in there if key not in wanted]
    return gone + [Put(key, value) for key, value in wanted.items() if there.get(key) != value]


def _read(key: bytes, value: bytes) -> Told:
    ip, port = fields.array(unpack(value, "contact"), "contact", size=2)
    endpoint = read_endpoint(ip, port, "contact")
    return Told(PeerId(fields.data(key, "contact: key", size=32)), *endpoint)


def _scan(rows: Rows) -> list[tuple[bytes, bytes]]:
    return rows.scan(_CONTACT, _CONTACT + b"\xff" * 33, limit=2 * CONTACTS_MAX)
