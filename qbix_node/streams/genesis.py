"""The first leaf of a stream, which says for ever what it is (spec/streams.md 1)."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from qbix_node.crypto import domains
from qbix_node.errors import Malformed
from qbix_node.streams.owners import AuthorId, Owners, read_owners, require_ascending
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import StreamId

PARAMS_MAX = 32
PARAM_BYTES_MAX = 4096
GENESIS_BYTES_MAX = 16 * 1024
READERS_MAX = 100
WRITERS_MAX = 100
EPOCH_MAX = 2**32 - 1


class Uniqueness(StrEnum):
    NONE = "none"
    GOSSIP = "gossip"
    WATCHED = "watched"


@dataclass(frozen=True)
class Genesis:
    owners: Owners
    kind: str
    uniqueness: Uniqueness
    params: tuple[tuple[str, bytes], ...]
    salt: bytes
    network: bytes | None = None
    epoch: int | None = None

    @cached_property
    def encoded(self) -> bytes:
        weights, threshold = self.owners.packable()
        declared = self.kind, self.uniqueness.value, self.params
        return pack((1, weights, threshold, *declared, self.salt, self.network, self.epoch))

    @cached_property
    def stream(self) -> StreamId:
        return stream_of(self.encoded)

    def param(self, name: str) -> bytes | None:
        return dict(self.params).get(name)

    @cached_property
    def sequencer(self) -> AuthorId | None:
        """Who proposes what comes next; None where every owner may."""
        named = self.param("sequencer")
        return self.owners.only if named is None else AuthorId(named)

    @cached_property
    def readers(self) -> frozenset[bytes] | None:
        """Who may read it, owners included; None: everybody."""
        named = self.param("readers")
        if named is None:
            return None
        return frozenset(_read_readers(named)) | {key for key, _ in self.owners.weights}

    @cached_property
    def writers(self) -> frozenset[bytes] | None:
        """Whose entries the sequencer takes besides the owners'; empty: those of all readers.
        None: nobody's.
        """
        named = self.param("writers")
        return None if named is None else frozenset(_read_writers(named))

    @property
    def sequenced(self) -> bool:
        """Whether what comes next is put together by a sequencer, from what others hand to it."""
        several = self.writers is not None or self.owners.only is None
        return several and self.sequencer is not None

    def sequenced_under(self, owners: Owners) -> bool:
        """The same where `owners` sign what comes next: those of the genesis have a sequencer."""
        return self.sequenced and owners == self.owners

    def may_read(self, key: bytes) -> bool:
        return self.readers is None or key in self.readers

    def may_write(self, key: bytes) -> bool:
        """Whether the sequencer takes entries of this author (spec/sequencing.md 2)."""
        if self.owners.index(key) is not None:
            return True
        if self.writers is None or not self.may_read(key):
            return False
        return not self.writers or key in self.writers


def stream_of(genesis: bytes) -> StreamId:
    """The name of the stream that begins with it."""
    return StreamId(domains.hashed(domains.STREAM, genesis))


def read_genesis(encoded: bytes) -> Genesis:
    """Raises Malformed."""
    what = "genesis"
    if len(encoded) > GENESIS_BYTES_MAX:
        raise Malformed(f"{what}: {len(encoded)} bytes, {GENESIS_BYTES_MAX} are allowed")
    row = fields.versioned(unpack(encoded, what), what, size=9)
    _, weights, threshold, kind, uniqueness, params, salt, network, epoch = row
    if uniqueness not in list(Uniqueness):
        raise Malformed(f"{what}: uniqueness is none of none, gossip and watched")
    pairs = [_read_param(each) for each in fields.array(params, f"{what}: params", most=PARAMS_MAX)]
    require_ascending([name for name, _ in pairs], f"{what}: params")
    genesis = Genesis(
        read_owners(weights, threshold, what, least=0),
        fields.name(kind, f"{what}: kind"),
        Uniqueness(uniqueness),
        tuple(pairs),
        fields.data(salt, f"{what}: salt", size=16),
        None if network is None else fields.data(network, f"{what}: network", size=32),
        None if epoch is None else fields.number(epoch, f"{what}: epoch", 0, EPOCH_MAX),
    )
    _check_genesis(genesis)
    return genesis


def _read_param(value: object) -> tuple[str, bytes]:
    name, given = fields.array(value, "genesis: param", size=2)
    what = fields.name(name, "genesis: param")
    return what, fields.data(given, f"genesis: param {what}", most=PARAM_BYTES_MAX)


def _read_readers(encoded: bytes) -> tuple[bytes, ...]:
    rows = fields.hashes(unpack(encoded, "readers"), "readers", most=READERS_MAX)
    require_ascending(rows, "readers")
    return rows


def _read_writers(encoded: bytes) -> tuple[bytes, ...]:
    rows = fields.hashes(unpack(encoded, "writers"), "writers", most=WRITERS_MAX)
    require_ascending(rows, "writers")
    return rows


def _check_genesis(genesis: Genesis) -> None:
    owners, watched = genesis.owners, genesis.uniqueness is Uniqueness.WATCHED
    of_network = watched and genesis.kind == "network" and genesis.network is None
    if of_network != (not owners.weights):
        raise Malformed("genesis: only that of a network has no owners, and it has none")
    if (genesis.network is None) != (genesis.epoch is None):
        raise Malformed("genesis: network and epoch come together")
    if (genesis.network is not None) != (watched and not of_network):
        raise Malformed("genesis: watched streams name their network, and no others do")
    unique = genesis.uniqueness is not Uniqueness.NONE
    if unique and owners.weights and 2 * owners.threshold <= owners.total:
        raise Malformed("genesis: the threshold has to be above half of all weight")
    sequencer = genesis.param("sequencer")
    if sequencer is not None and owners.index(sequencer) is None:
        raise Malformed("genesis: the sequencer is no owner")
    several = genesis.uniqueness is Uniqueness.GOSSIP and len(owners.weights) > 1
    if several and sequencer is None:
        raise Malformed("genesis: a gossip stream of several owners names its sequencer")
    _ = genesis.readers
    _ = genesis.writers
