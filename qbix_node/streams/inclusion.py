"""Proofs that an entry stands in a stream: made, read and checked (spec/streams.md 9.1).

Nothing but the proof is needed to check one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from qbix_node.crypto.keys import verify
from qbix_node.errors import LocalError, Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.ports import Rows
from qbix_node.streams.forks import ShownHead, read_shown_head
from qbix_node.streams.genesis import GENESIS_BYTES_MAX, Genesis, read_genesis
from qbix_node.streams.messages import (
    CONTENT_BYTES_MAX,
    HEADER_BYTES_MAX,
    Header,
    read_hashes,
    read_header,
)
from qbix_node.streams.records import LogState, StoredNodes
from qbix_node.streams.serving import read_entries
from qbix_node.streams.succession import CHAIN_MAX, OWNERS_SET, Link, read_owners_set
from qbix_node.streams.tree import Hash, climb, leaf_hash, path_of
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack

PROOF_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Inclusion:
    """`content`: None where it is not shown."""

    genesis: Genesis
    shown: ShownHead
    leaf: bytes
    content: bytes | None
    path: tuple[Hash, ...]

    @property
    def header(self) -> Header:
        return read_header(self.leaf)

    @property
    def encoded(self) -> bytes:
        said = self.leaf, self.content, self.path
        return pack((1, "i", self.genesis.encoded, self.shown.packable(), *said))

    def checks(self) -> tuple[SignatureCheck, ...]:
        """What has to hold beside. Raises Malformed with the reason why it proves nothing."""
        header, head = self.header, self.shown.head
        checks = self.shown.checks(self.genesis)
        if header.stream != head.stream:
            raise Malformed("the entry is of another stream")
        if climb(leaf_hash(self.leaf), 0, header.place, self.path, head.length) != head.root:
            raise Malformed("the path doesn't lead from the entry to the root of the Head")
        if self.content is not None:
            found = len(self.content), sha256(self.content).digest()
            if found != (header.content_size, header.content_hash):
                raise Malformed("this is not the content of the entry")
        if (signed := header.check()) is not None:
            return (*checks, signed)
        if header.author != self._only_owner(header.place):
            raise Malformed("the entry isn't signed by its author, who is not the only owner")
        return checks

    def _only_owner(self, place: int) -> bytes | None:
        owners = self.genesis.owners
        for link in self.shown.chain:
            change = read_owners_set(link.content)
            if change.place < place:
                owners = change.owners
        return owners.only


def read_inclusion(encoded: bytes) -> Inclusion:
    """Raises Malformed. Whether it proves anything is what `check_inclusion` says."""
    what = "inclusion proof"
    if len(encoded) > PROOF_BYTES_MAX:
        raise Malformed(f"{what}: {len(encoded)} bytes, {PROOF_BYTES_MAX} are allowed")
    row = fields.versioned(unpack(encoded, what), what, size=7)
    _, form, genesis, shown, leaf, content, path = row
    if form != "i":
        raise Malformed(f"{what}: its form is not i")
    if content is not None:
        fields.data(content, f"{what}: content", most=CONTENT_BYTES_MAX)
    proof = Inclusion(
        read_genesis(fields.data(genesis, f"{what}: genesis", most=GENESIS_BYTES_MAX)),
        read_shown_head(shown),
        fields.data(leaf, f"{what}: header", most=HEADER_BYTES_MAX),
        content,
        read_hashes(path, f"{what}: path"),
    )
    _ = proof.header
    return proof


def check_inclusion(
    proof: Inclusion, verify_one: Callable[[bytes, bytes, bytes], bool] = verify
) -> None:
    """Raises Malformed with the reason why it proves nothing."""
    if not all(verify_one(check.key, check.body, check.signature) for check in proof.checks()):
        raise Malformed("inclusion proof: a signature doesn't match")


def prove(rows: Rows, genesis: Genesis, state: LogState, place: int) -> Inclusion:
    """Of an entry of a log that is here whole. Raises LocalError where that can't be."""
    if not 1 <= place < state.length:
        raise LocalError(f"there is no entry {place}: the last one here is {state.length - 1}")
    assert not state.frontier
    stream, total = genesis.stream, state.signed.head.length
    nodes = StoredNodes(rows, stream)
    [entry] = read_entries(rows, stream, place, place + 1)
    chain = tuple(_chain(rows, nodes, state)) if state.owners != genesis.owners else ()
    if len(chain) > CHAIN_MAX:
        raise LocalError(f"the owners changed {len(chain)} times: a proof shows {CHAIN_MAX}")
    shown = ShownHead(state.signed, chain)
    return Inclusion(genesis, shown, entry.leaf, entry.content, path_of(nodes, 0, place, total))


def _chain(rows: Rows, nodes: StoredNodes, state: LogState) -> Iterator[Link]:
    stream, total = state.signed.head.stream, state.signed.head.length
    for entry in read_entries(rows, stream, 1, total - 1):
        if read_header(entry.leaf).kind == OWNERS_SET:
            assert entry.content is not None  # SPEC streams 7: it is never left out
            yield Link(entry.leaf, entry.content, path_of(nodes, 0, entry.place, total))
