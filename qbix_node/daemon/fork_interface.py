"""Fork proofs as the HTTP interface sees them: all that the node holds, of streams and of feeds."""

from collections.abc import Iterator

from qbix_node.daemon.node import Node
from qbix_node.errors import BadInput, LocalError
from qbix_node.feeds.forks import ClassicFork, fork_of
from qbix_node.gossip.proofs import (
    Proof,
    encode_proof,
    form_of,
    log_of,
    place_of,
    proof_id,
    read_proof,
)
from qbix_node.http.fork_api import ForkRow
from qbix_node.streams.resolution import closes
from qbix_node.wire.references import encode_base64, format_feed


class ForkInterface:
    """Implements http.fork_api.ForkApi."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def forks(self) -> list[ForkRow]:
        return [self._row_of(encoded) for encoded in self._proofs()]

    def proof(self, name: str) -> bytes:
        if not name:
            raise BadInput("the id of a proof is missing")
        found = [each for each in self._proofs() if _name(each).startswith(name)]
        if len(found) == 1:
            return found[0]
        look = "qbix-node fork list shows what is here"
        if not found:
            raise LocalError(f"no proof here has an id that begins with {name[:48]!r}", hint=look)
        raise LocalError(f"{len(found)} proofs have ids that begin with {name!r}", hint=look)

    def _row_of(self, encoded: bytes) -> ForkRow:
        """Of a proof that was checked before it was stored."""
        proof: Proof = read_proof(encoded)
        convicted = [format_feed(key) for key in proof.convicted()]
        about = form_of(proof), log_of(proof), place_of(proof), convicted
        return ForkRow(_name(encoded), *about, resolved=self._resolved(proof))

    def _resolved(self, proof: Proof) -> bool:
        if isinstance(proof, ClassicFork):
            return False
        resolution = self._node.gossip.resolution(proof.stream)
        return resolution is not None and not closes(proof, resolution)

    def _proofs(self) -> Iterator[bytes]:
        for stream in self._node.gossip.accused():
            yield from self._node.gossip.proofs(stream)
        replication = self._node.replication
        for evidence in replication.evidence(replication.forked()):
            yield encode_proof(fork_of(evidence))


def _name(encoded: bytes) -> str:
    return encode_base64(proof_id(encoded))
