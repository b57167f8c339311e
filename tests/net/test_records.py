"""The peers in the store, whatever stands there."""

from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import DamagedStore
from qbix_node.machines import PeerId
from qbix_node.net.address import Address, parse_address
from qbix_node.net.records import block, read_peers, remember
from qbix_node.ports import Put
from qbix_node.store.memory import MemoryStore

PEERS = [PeerId(KeyPair.from_seed(bytes([seed]) * 32).public) for seed in range(3)]
ADDRESSES = st.builds(
    Address,
    st.sampled_from(["example.org", "127.0.0.1", "::1", "fe80::1%eth0"]),
    st.integers(1, 65535),
    st.sampled_from(PEERS),
)
PARTS = ["net:", "~shs:", ":8008", "[::1]", ";", ":@", ".ed25519", "A" * 43 + "=", "\N{SNOWMAN}"]
NEARLY = st.lists(st.sampled_from(PARTS), max_size=6).map("".join).map(str.encode)


@example(b"")
@given(st.binary() | NEARLY | ADDRESSES.map(str).map(str.encode))
async def test_any_record_is_an_address_or_damaged(record: bytes) -> None:
    store = MemoryStore()
    await store.write([Put(b"p/a" + PEERS[0], record)])
    with suppress(DamagedStore):
        ((peer, address),) = read_peers(store)[0].items()
        if address is None:
            assert (peer, record) == (PEERS[0], b"")
        else:
            assert parse_address(str(address)) == address
            assert address.key == peer


@given(ADDRESSES, st.sets(st.sampled_from(PEERS)))
async def test_peers_come_back_as_they_were_kept(address: Address, blocked: set[PeerId]) -> None:
    store = MemoryStore()
    await store.write([remember(address), *map(block, blocked)])
    assert read_peers(store) == ({address.key: address}, blocked)
