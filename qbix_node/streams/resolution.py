"""That the owners of a forked stream chose a branch, and what a stream is after forks
(spec/streams.md 6.1). How a log gets to that branch is decided in `switching.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from qbix_node.errors import DamagedStore, Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.ports import Put, Rows
from qbix_node.streams.forks import (
    PROOF_BYTES_MAX,
    HeadFork,
    ResolveFork,
    StreamFork,
    encode_fork,
    fork_id,
    read_fork,
    resolve_checks,
)
from qbix_node.streams.messages import SignedHead, SignedResolve, read_signed_resolve
from qbix_node.streams.records import LogState, scan_all
from qbix_node.streams.tree import Hash, Prefix
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import StreamId, format_stream

PROOF = b"s/x"
RESOLUTION = b"s/r"

FORKED = "its owners forked that stream"
CLOSED = "its owners forked that stream again after they had chosen a branch: it is closed for good"


@dataclass(frozen=True, slots=True)
class Resolution:
    """A Resolve and a proof with the two branches between which it chooses."""

    signed: SignedResolve
    fork: HeadFork

    @property
    def stream(self) -> StreamId:
        return self.signed.resolve.stream

    @property
    def fork_length(self) -> int:
        return self.signed.resolve.fork_length

    @property
    def chosen_root(self) -> Hash:
        return self.signed.resolve.chosen_root

    @property
    def chosen_head(self) -> SignedHead:
        """Of the proof's two Heads the one on the chosen branch."""
        return (self.fork.shown, self.fork.other)[self._side].signed

    @property
    def prefix(self) -> Prefix:
        """The first fork_length leaves under that Head."""
        prefixes = self.fork.prefixes
        return prefixes[self._side] if prefixes else Prefix(self.fork_length, (), ())

    @property
    def _side(self) -> int:
        return self.fork.roots.index(self.chosen_root)

    def log(self, peaks: tuple[Hash, ...]) -> LogState:
        """Of the chosen branch, up to fork_length; `peaks` are those there."""
        owners = self.fork.genesis.owners
        return LogState(self.fork_length, peaks, self.chosen_head, self.prefix.frontier, owners)

    def covers(self, state: LogState) -> bool:
        """Whether a log lies under the chosen Head, and so is the beginning of that branch."""
        return state.signed.head.identity == self.chosen_head.head.identity

    @property
    def fits(self) -> bool:
        """Whether the Resolve is about that very fork."""
        fork = self.fork
        same = fork.stream == self.stream and fork.compared_length == self.fork_length
        return same and fork.resolved is None and self.chosen_root in fork.roots

    @property
    def encoded(self) -> bytes:
        return pack((self.signed.packable(), encode_fork(self.fork)))

    def checks(self) -> tuple[SignatureCheck, ...]:
        """What has to hold for it to count. Raises Malformed."""
        signed = resolve_checks(self.fork.genesis, self.signed)
        checks = (*self.fork.checks(), *signed)
        if not self.fits:
            raise Malformed("the Resolve is not about the fork that its proof shows")
        return checks


def resolution_of(signed: SignedResolve, proof: bytes) -> Resolution:
    """Raises Malformed. Whether it counts is what its checks say."""
    fork = read_fork(proof)
    if not isinstance(fork, HeadFork):
        raise Malformed("Resolve: its proof shows no two Heads")
    return Resolution(signed, fork)


def standing(proofs: Iterable[StreamFork], resolution: Resolution | None) -> str | None:
    """Why a stream with these proofs takes nothing further; None: it goes on."""
    proofs = list(proofs)
    if any(closes(fork, resolution) for fork in proofs):
        return CLOSED
    return FORKED if proofs and resolution is None else None


def closes(fork: StreamFork, resolution: Resolution | None) -> bool:
    """Whether it shows that the owners broke their word again after they had chosen a branch."""
    if isinstance(fork, ResolveFork):
        return True
    if resolution is None or fork.resolved is None:
        return False
    return fork.resolved.signed.resolve == resolution.signed.resolve


# ---- in the store ----


def put_proof(stream: StreamId, encoded: bytes) -> Put:
    return Put(PROOF + stream + fork_id(encoded), encoded)


def put_resolution(resolution: Resolution) -> Put:
    return Put(RESOLUTION + resolution.stream, resolution.encoded)


def read_resolutions(rows: Rows) -> dict[StreamId, Resolution]:
    """Raises DamagedStore."""
    found = {}
    for key, encoded in scan_all(rows, RESOLUTION):
        stream = StreamId(key[len(RESOLUTION) :])
        try:
            signed, proof = fields.array(unpack(encoded, "Resolve"), "Resolve", size=2)
            proof = fields.data(proof, "Resolve: proof", most=PROOF_BYTES_MAX)
            found[stream] = resolution_of(read_signed_resolve(signed), proof)
        except Malformed as error:
            raise DamagedStore(f"the Resolve of {format_stream(stream)}: {error}") from error
    return found


def read_forks(rows: Rows) -> dict[StreamId, list[StreamFork]]:
    """All proofs about streams. Raises DamagedStore."""
    found: dict[StreamId, list[StreamFork]] = {}
    for key, encoded in scan_all(rows, PROOF):
        stream = StreamId(key[len(PROOF) :][:32])
        try:
            found.setdefault(stream, []).append(read_fork(encoded))
        except Malformed as error:
            raise DamagedStore(f"a fork proof of {format_stream(stream)}: {error}") from error
    return found


def read_stopped(rows: Rows) -> dict[StreamId, str]:
    """Streams that take nothing further, and why. Raises DamagedStore."""
    resolutions, forks = read_resolutions(rows), read_forks(rows)
    reasons = {stream: standing(held, resolutions.get(stream)) for stream, held in forks.items()}
    return {stream: reason for stream, reason in reasons.items() if reason is not None}
