"""Exports and proofs of single entries: written from a store, checked with nothing else."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import BadInput, LocalError, Malformed
from qbix_node.store.memory import MemoryStore
from qbix_node.streams.archive import OPENING, ArchiveReader, Frame, frame
from qbix_node.streams.audit import Audit
from qbix_node.streams.authoring import (
    make_genesis,
    make_genesis_segment,
    make_intent,
    make_segment,
    sign_head,
    sign_resolve,
)
from qbix_node.streams.forks import ResolveFork, encode_fork
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.growth import Growth, continue_log, read_headers
from qbix_node.streams.inclusion import check_inclusion, prove, read_inclusion
from qbix_node.streams.messages import Head, NewEntry, Resolve, Segment, read_header
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import LogState, Run, put_log, put_nodes, put_run
from qbix_node.streams.serving import make_segments
from qbix_node.streams.tree import Hash, bag, grow, leaf_hash
from qbix_node.wire.packing import pack

ALICE = KeyPair.from_seed(b"alice".ljust(32, b"."))
BOB = KeyPair.from_seed(b"bob".ljust(32, b"."))
GENESIS = make_genesis(ALICE, "test", Uniqueness.GOSSIP, salt=b"salt".ljust(16, b"."))


class Log:
    """Alice's stream in a store, as a StreamBook keeps it."""

    def __init__(self, genesis: Genesis = GENESIS) -> None:
        self.genesis = genesis
        self.store = MemoryStore()
        self.state: LogState | None = None

    async def keep(self, segment: Segment) -> LogState:
        length = self.state.length if self.state else 0
        growth = continue_log(self.genesis, self.state, segment, read_headers(segment, length))
        assert isinstance(growth, Growth)
        run, stream = Run(length, growth.leaves, None), segment.stream
        writes = put_run(stream, run, growth.contents) + put_nodes(stream, growth.made)
        await self.store.write([*writes, put_log(stream, growth.state)])
        self.state = growth.state
        return growth.state

    async def fill(self, *counts: int) -> LogState:
        state = await self.keep(make_genesis_segment(self.genesis, ALICE, 1))
        for count in counts:
            entries = [NewEntry("post", b"%d" % place) for place in range(count)]
            state = await self.keep(make_segment(state, ALICE, entries, 2))
        return state

    def segments(self) -> list[Segment]:
        assert self.state is not None
        return make_segments(self.store, self.state, 0, self.state.length)


@pytest.fixture
async def log() -> Log:
    log = Log()
    await log.fill(200, 256, 144)
    return log


def export(segments: list[Segment], *further: bytes) -> bytes:
    parts = [*[segment.encoded for segment in segments], *further]
    return OPENING + b"".join([frame(part) for part in parts])


def read(data: bytes, piece: int = 1000) -> Iterator[Frame]:
    reader = ArchiveReader()
    for start in range(0, len(data), piece):
        yield from reader.take(data[start : start + piece])
    reader.end()


@pytest.mark.parametrize("piece", [1, 3, 1000, 10**6])
async def test_an_export_is_read_in_pieces_of_any_size(log: Log, piece: int) -> None:
    frames = list(read(export(log.segments()), piece))
    assert [each.number for each in frames] == [1, 2, 3]
    assert [each.content for each in frames] == log.segments()


async def test_an_export_verifies_itself(log: Log) -> None:
    audit = Audit()
    for each in read(export(log.segments())):
        assert isinstance(each.content, Segment)
        audit.take(each.content)
    assert (audit.state, audit.contents_missing, audit.signatures) == (log.state, 0, 1)
    assert audit.state is not None
    assert audit.root_at(601) == bag(audit.state.peaks)


def resolves() -> tuple[bytes, bytes]:
    one, other = [
        sign_resolve(Resolve(GENESIS.stream, 2, Hash(bytes([n]) * 32)), (0, ALICE)) for n in (1, 2)
    ]
    return pack(one.packable()), encode_fork(ResolveFork(GENESIS, one, other))


async def test_what_is_known_of_forks_comes_after_the_segments(log: Log) -> None:
    frames = list(read(export(log.segments(), *resolves())))
    assert len(frames) == 5
    assert isinstance(frames[-1].content, ResolveFork)


def of_another_stream(segments: list[Segment]) -> bytes:
    other = make_genesis(ALICE, "test", Uniqueness.GOSSIP, salt=bytes(16))
    return export([segments[0], make_genesis_segment(other, ALICE, 1)])


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda segments: b"qbix stream 2\n", "no stream export"),
        (lambda segments: b"", "frame 1: the file ends in the midst"),
        (lambda segments: OPENING, "no entries"),
        (lambda segments: export(segments)[:-1], "frame 3: the file ends in the midst"),
        (lambda segments: export(segments[:2]), "frame 2: the file ends there with 512 of 601"),
        (lambda segments: export([segments[0], segments[2]]), "frame 2: expected the entries"),
        (lambda segments: export(segments[1:]), "frame 1: expected the entries from 0"),
        (lambda segments: export(segments) + bytes(4), "frame 4: 0 bytes are said"),
        (lambda segments: export(segments) + b"\xff" * 4, "frame 4: 4294967295 bytes"),
        (lambda segments: export(segments, b"\xc1"), "frame 4: frame: not valid msgpack"),
        (lambda segments: export(segments, b"\x90"), "frame 4: "),
        (lambda segments: export([], resolves()[0]), "frame 1: the first frame is no segment"),
        (
            lambda segments: export(segments, resolves()[0], segments[0].encoded),
            "frame 5: a segment after",
        ),
        (lambda segments: export(segments, *[resolves()[0]] * 17), "frame 20: more than 16"),
        (of_another_stream, "frame 2: it is of another stream"),
    ],
)
async def test_a_damaged_export_is_refused_and_says_where(
    log: Log, damage: object, told: str
) -> None:
    assert callable(damage)
    with pytest.raises(BadInput, match="(?s)" + told):
        list(read(damage(log.segments())))


def forged_content(segment: Segment) -> Segment:
    return replace(segment, contents=(*segment.contents[:-1], b"forged"))


def forged_head(segment: Segment) -> Segment:
    head = segment.signed_head.head
    return replace(segment, signed_head=sign_head(head._replace(timestamp_ms=9), (0, BOB)))


def forged_entry(segment: Segment) -> Segment:
    last = read_header(segment.leaves[-1])
    return replace(segment, leaves=(*segment.leaves[:-1], last._replace(kind="other").encoded))


@pytest.mark.parametrize(
    ("forge", "told"),
    [
        (forged_content, "entry 255: this is not its content"),
        (forged_head, "a signature does not match"),
        (forged_entry, "don't lead to the Head"),
    ],
)
async def test_an_audit_finds_what_the_owner_did_not_write(
    log: Log, forge: object, told: str
) -> None:
    assert callable(forge)
    audit = Audit()
    with pytest.raises(Malformed, match=told):
        audit.take(forge(log.segments()[0]))
    assert audit.length == 0


async def test_an_audit_wants_the_entries_in_their_order(log: Log) -> None:
    with pytest.raises(Malformed, match="expected the entries from 0 on"):
        Audit().take(log.segments()[1])


async def test_an_audit_knows_the_roots_that_authors_had_seen() -> None:
    log = Log()
    state = await log.fill(200, 100)
    intent = make_intent(state, BOB, 1, NewEntry("post", b"from bob"), 5)
    later = await log.keep(make_segment(state, ALICE, [NewEntry("post", b"between")], 6))
    leaf = intent._replace(place=later.length).encoded
    peaks, _ = grow(later.peaks, later.length, [leaf_hash(leaf)])
    signed = sign_head(Head(GENESIS.stream, later.length + 1, bag(peaks), 7), (0, ALICE))
    run = Segment(GENESIS.stream, later.length, (leaf,), (b"from bob",), signed, ())
    audit = Audit()
    for segment in [*log.segments(), run]:
        audit.take(segment)
    assert audit.signatures == 3  # two Heads and the intent
    false = replace(run, leaves=(intent._replace(place=later.length, base_length=7).encoded,))
    audit = Audit()
    for segment in log.segments():
        audit.take(segment)
    with pytest.raises(Malformed):
        audit.take(false)


@pytest.mark.parametrize("place", [1, 200, 256, 257, 511, 600])
async def test_an_entry_is_proven_without_the_others(log: Log, place: int) -> None:
    assert log.state is not None
    encoded = prove(log.store, GENESIS, log.state, place).encoded
    proof = read_inclusion(encoded)
    check_inclusion(proof)
    assert (proof.header.place, proof.encoded) == (place, encoded)
    check_inclusion(replace(proof, content=None))


@pytest.mark.parametrize("place", [0, 601])
async def test_what_is_no_entry_is_not_proven(log: Log, place: int) -> None:
    assert log.state is not None
    with pytest.raises(LocalError, match="there is no entry"):
        prove(log.store, GENESIS, log.state, place)


async def test_a_proof_that_was_changed_proves_nothing(log: Log) -> None:
    assert log.state is not None
    proof = prove(log.store, GENESIS, log.state, 300)
    bob = make_genesis(BOB, "test", Uniqueness.GOSSIP, salt=b"salt".ljust(16, b"."))
    stranger = proof.header._replace(author=AuthorId(BOB.public), stream=bob.stream)
    unsigned = replace(proof.shown, signed=sign_head(proof.shown.head, (0, BOB)))
    changed = [
        (replace(proof, content=b"forged"), "not the content"),
        (replace(proof, path=proof.path[:-1]), "path doesn't lead"),
        (replace(proof, leaf=proof.header._replace(kind="x").encoded), "path doesn't lead"),
        (replace(proof, leaf=stranger.encoded), "of another stream"),
        (replace(proof, genesis=bob), "of another stream"),
        (replace(proof, shown=unsigned), "signature doesn't match"),
    ]
    for forged, told in changed:
        with pytest.raises(Malformed, match=told):
            check_inclusion(forged)


@pytest.mark.parametrize("encoded", [b"", b"\x90", pack((1, "i")), pack((1, *["a"] * 6))])
def test_what_is_no_proof_is_malformed(encoded: bytes) -> None:
    with pytest.raises(Malformed, match="inclusion proof"):
        read_inclusion(encoded)
