"""Streams as they live: take in and append entry by entry, and check a proof of a fork.

The StreamBook is driven without a runner: this is what streams and the store cost, not the event
loop. One stream that says much is what feeds are measured with, too (ingest.py, append.py); of many
streams that say something at a time, nothing but the write is done together. Catching up is
measured in catchup.py.
"""

import json
import random
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import trio
from nacl import bindings as sodium

from bench import Figure
from bench.measure import medians
from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.ports import Store
from qbix_node.runtime import verify_checks
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.streams.authoring import make_genesis, make_genesis_segment, make_segment, sign_head
from qbix_node.streams.forks import ShownHead, check_fork, encode_fork, read_fork, unequal_fork
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.line import OFFERS_PER_STREAM_MAX
from qbix_node.streams.machine import StreamBook
from qbix_node.streams.messages import (
    Append,
    Create,
    Head,
    NewEntry,
    OfferedSegment,
    Segment,
    read_segment,
)
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import (
    Prefix,
    bag,
    frontier_of,
    grow,
    leaf_hash,
    leaf_hashes,
    peaks_of,
)
from tests.streams.logs import UniformNodes

ENTRIES = 2048  # taken in, or appended, in a round
BATCH = OFFERS_PER_STREAM_MAX  # of one stream at a time
BURST = 200  # wishes that come while a write is under way
STREAMS = 64  # of which each grows by one entry at a time
ROUNDS = 7
CONTENT_BYTES = 300
STAMP_MS = 1_700_000_000_000
FORK_LENGTH = 1_000_000
PROOFS = 200  # checked in a round
PEER = m.PeerId(bytes(32))
RNG = random.Random(0)
NODE, OWNER = KeyPair.from_seed(b"n" * 32), KeyPair.from_seed(b"o" * 32)


def new_genesis(owner: KeyPair, chance: random.Random) -> Genesis:
    return make_genesis(owner, "bench", Uniqueness.GOSSIP, salt=chance.randbytes(16))


def grown(before: LogState | None, genesis: Genesis, segment: Segment) -> LogState:
    """The log with a segment of ours."""
    peaks, length = (before.peaks, before.length) if before else ((), 0)
    peaks, _ = grow(peaks, length, leaf_hashes(segment.leaves))
    return LogState(segment.stop, peaks, segment.signed_head, (), genesis.owners, STAMP_MS)


def write_stream(count: int, chance: random.Random) -> list[Segment]:
    """Of one entry and one Head each."""
    genesis = new_genesis(OWNER, chance)
    made = [make_genesis_segment(genesis, OWNER, STAMP_MS)]
    state = grown(None, genesis, made[0])
    for _ in range(count):
        entry = NewEntry("post", chance.randbytes(CONTENT_BYTES))
        made.append(make_segment(state, OWNER, [entry], STAMP_MS))
        state = grown(state, genesis, made[-1])
    return made


@dataclass(slots=True)
class Driver:
    """What a runner does: writes that wait go to the store as one."""

    book: StreamBook
    store: Store
    checks: int = 0
    writes: int = 0

    async def drive(self, events: Sequence[m.Event]) -> None:
        effects = deque(each for event in events for each in self.book.handle(event, 0.0, RNG))
        persists = list[m.Persist]()
        while effects or persists:
            if not effects:
                writes = [write for each in persists for write in each.writes]
                await self.store.write(writes, marked=any(each.marked for each in persists))
                done, persists = persists, []
                self.writes += 1
                for each in done:
                    effects += self.book.handle(m.Persisted(each.token), 0.0, RNG)
                continue
            match effects.popleft():
                case m.Verify(token, checks):
                    self.checks += len(checks)
                    oks = verify_checks(checks)
                    effects += self.book.handle(m.Verified(token, oks), 0.0, RNG)
                case m.Persist() as persist:
                    persists.append(persist)
                case _:
                    pass


class Arrival:
    """Entries of streams, as peers send them when they are new."""

    def __init__(self, streams: int, seed: int) -> None:
        chance = random.Random(seed)
        logs = [write_stream(ENTRIES // streams, chance) for _ in range(streams)]
        self.geneses = [log[0] for log in logs]
        self.packets = [[each.encoded for each in log[1:]] for log in logs]

    async def begin(self, store: Store) -> Driver:
        """The streams are here, and nothing in them."""
        book = StreamBook(NODE, m.Tokens(), {}, {}, {})
        for segment in self.geneses:
            book.accept(segment.stream)
        driver = Driver(book, store)
        for segment in self.geneses:
            await driver.drive([offered(segment.encoded)])
        return driver

    def turns(self) -> list[Sequence[bytes]]:
        """What comes at a time: BATCH entries of the one stream, or one entry of each."""
        if len(self.packets) > 1:
            return [*zip(*self.packets, strict=True)]
        (packets,) = self.packets
        return [packets[first : first + BATCH] for first in range(0, ENTRIES, BATCH)]


def offered(packet: bytes) -> m.Event:
    return m.Received(PEER, OfferedSegment(read_segment(packet)))


async def ingest(store: Store, streams: int) -> tuple[float, float]:
    """Microseconds an entry: ours, and a bare check of its signature."""
    arrivals = [Arrival(streams, seed) for seed in range(ROUNDS + 1)]
    begun = iter([(await arrival.begin(store), arrival.turns()) for arrival in arrivals])
    signed = sodium.crypto_sign(bytes(CONTENT_BYTES), OWNER.secret)

    async def take() -> None:
        driver, turns = next(begun)
        for turn in turns:
            await driver.drive([offered(packet) for packet in turn])
        assert sum(log.length - 1 for log in driver.book.logs.values()) == ENTRIES

    async def check() -> None:
        for _ in range(ENTRIES):
            sodium.crypto_sign_open(signed, OWNER.public)

    return each_us(await medians(take, check, rounds=ROUNDS))


async def append(store: Store, streams: int) -> tuple[float, float]:
    """The same of appending, beside a bare signature."""
    book = StreamBook(NODE, m.Tokens(), {}, {}, {})
    driver, geneses = Driver(book, store), [new_genesis(NODE, RNG) for _ in range(streams)]
    await driver.drive([m.Requested(Create(0, each, STAMP_MS)) for each in geneses])
    contents = [RNG.randbytes(CONTENT_BYTES) for _ in range(ENTRIES)]
    together = streams if streams > 1 else BURST

    async def ours() -> None:
        for first in range(0, ENTRIES, together):
            wishes = [
                Append(0, geneses[number % streams].stream, (NewEntry("post", each),), STAMP_MS)
                for number, each in enumerate(contents[first : first + together])
            ]
            await driver.drive([m.Requested(wish) for wish in wishes])

    async def sign() -> None:
        for content in contents:
            sodium.crypto_sign(content, NODE.secret)

    return each_us(await medians(ours, sign, rounds=ROUNDS))


def each_us(seconds: Sequence[float]) -> tuple[float, float]:
    ours, limit = seconds
    return ours / ENTRIES * 1e6, limit / ENTRIES * 1e6


def long_fork() -> bytes:
    """Form B, of two Heads that are compared far below both."""
    genesis, length = new_genesis(OWNER, RNG), (1 << (FORK_LENGTH.bit_length() - 1)) - 1
    leaf = leaf_hash(bytes(134))
    sides: list[tuple[ShownHead, Prefix]] = []
    for total, strange in ((FORK_LENGTH - 1, None), (FORK_LENGTH, length - 1)):
        nodes = UniformNodes(leaf, strange=strange)
        head = Head(genesis.stream, total, bag(peaks_of(nodes, total)), STAMP_MS)
        prefix = Prefix(length, peaks_of(nodes, length), frontier_of(nodes, length, total))
        sides.append((ShownHead(sign_head(head, (0, OWNER))), prefix))
    return encode_fork(unequal_fork(genesis, *sides[0], *sides[1]))


def check_proof() -> tuple[int, float, float]:
    """Its bytes, and milliseconds to check it; beside those for its signatures."""
    encoded = long_fork()
    checks = read_fork(encoded).checks()
    spent, bare = list[float](), list[float]()
    for _ in range(PROOFS):
        start = time.process_time()
        check_fork(read_fork(encoded))
        spent.append(time.process_time() - start)
        start = time.process_time()
        verify_checks(checks)
        bare.append(time.process_time() - start)
    return len(encoded), 1e3 * median(spent), 1e3 * median(bare)


Spent = tuple[float, float]  # ours, and the limit


async def measure() -> list[Spent]:
    with tempfile.TemporaryDirectory() as folder:
        LevelDbStore.create(Path(folder, "store"))
        async with LevelDbStore.open(Path(folder, "store")) as store:
            return [await do(store, many) for do in (ingest, append) for many in (1, STREAMS)]


def run() -> dict[str, Figure]:
    live, live_each, appended, appended_each = trio.run(measure)
    proof_bytes, proof_ms, signatures_ms = check_proof()

    def figure(spent: Spent, limit_is: str, goal: float | None) -> Figure:
        return Figure(value=spent[0], unit="us", limit=spent[1], limit_is=limit_is, goal=goal)

    verify, sign = "bare crypto_sign_open", "bare crypto_sign"
    both = f"ms; its two signatures alone: {signatures_ms:.3g}"
    return {
        f"an entry and its Head, {BATCH} at a time": figure(live, verify, 1.3),
        f"the same, one each of {STREAMS} streams": figure(live_each, verify, None),
        f"append an entry, {BURST} at a time": figure(appended, sign, 1.5),
        f"the same, one each to {STREAMS} streams": figure(appended_each, sign, None),
        f"fork proof at {FORK_LENGTH:,}": Figure(
            value=proof_bytes, unit="bytes", limit=None, limit_is="", goal=4096
        ),
        "check it": Figure(value=proof_ms, unit="ms", limit=1.0, limit_is=both, goal=1.0),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
