"""Whole nodes' blobs over links in memory."""

import hashlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import trio
import trio.testing

from qbix_node.blobs.fetches import STALL_S
from qbix_node.blobs.files import BlobFiles, DiskFiles, NoSuchBlob
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.machine import WANT
from qbix_node.blobs.memory import MemoryFiles
from qbix_node.blobs.messages import EMPTY, Want
from qbix_node.blobs.quota import MARK
from qbix_node.blobs.service import Blobs, HeldBlob, open_blobs
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import BadInput, DamagedStore, ExitCode, RemoteError, Temporary
from qbix_node.net.link import Body, BodyKind, Link, RemoteRefusal, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.ports import Put
from qbix_node.runtime import InlineExecutor, ThreadExecutor
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.wire.references import BlobId, encode_base64, format_blob
from qbix_node.wire.v8json import JsonValue
from tests.net.links import linked

T = TypeVar("T")

CAP = Limits().blob_bytes_max
HELLO = b"hello"


def blob_of(data: bytes) -> BlobId:
    return BlobId(hashlib.sha256(data).digest())


async def pieces_of(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def content(blobs: Blobs, blob: BlobId) -> bytes:
    return b"".join([chunk async for chunk in await blobs.get(blob)])


@asynccontextmanager
async def node(
    files: BlobFiles | None = None, disk: MemoryDisk | None = None, limits: Limits | None = None
) -> AsyncIterator[Blobs]:
    store = MemoryStore(disk or MemoryDisk())
    rng = random.Random(1)
    async with open_blobs(
        files or MemoryFiles(), store, limits or Limits(), executor=InlineExecutor(), rng=rng
    ) as blobs:
        yield blobs
    await store.aclose()


def keys(name: str) -> KeyPair:
    return KeyPair.from_seed(name.encode().ljust(32, b"."))


@asynccontextmanager
async def joined(a: Blobs, b: Blobs, names: str = "alice bob") -> AsyncIterator[tuple[Link, Link]]:
    """The link between two nodes, as each has it; both exchange wants over it."""
    one, other = names.split()
    async with (
        linked(a.methods(), b.methods(), keys_a=keys(one), keys_b=keys(other)) as (to_b, to_a),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(a.on_link, to_b)
        nursery.start_soon(b.on_link, to_a)
        yield to_b, to_a
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def strange(
    a: Blobs, methods: Methods, name: str = "mallory"
) -> AsyncIterator[tuple[Link, Link]]:
    """A link to a peer that behaves in its own way."""
    async with (
        linked(a.methods(), methods, keys_a=keys("alice"), keys_b=keys(name)) as (ours, theirs),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(a.on_link, ours)
        yield ours, theirs
        nursery.cancel_scope.cancel()


def put(files: MemoryFiles, data: bytes) -> None:
    with files.draft() as draft:
        draft.write([data])
        draft.place()


def having(
    blob: BlobId,
    size: int,
    *packets: bytes | trio.Event,
    then: str = "",
    wanted: bool = False,
) -> Methods:
    """Methods of a peer that says it has a blob (and wants it, so that others take it), and of what
    it sends when it is asked for it.
    """

    async def wants(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None
        notes = ([-1] if wanted else []) + [size]
        await stream.send([Body.of_json({format_blob(blob): note}) for note in notes])
        await trio.sleep_forever()

    async def get(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None
        for packet in packets:
            if isinstance(packet, trio.Event):
                packet.set()
                await trio.sleep_forever()
            else:
                await stream.send([Body(BodyKind.BINARY, packet)])
        if then:
            raise RemoteError(then)

    return {"blobs.createWants": Method("source", wants), "blobs.get": Method("source", get)}


# ---- the operator's own ----


async def test_what_is_added_can_be_read_listed_and_removed() -> None:
    async with node() as alice:
        blob = await alice.add(pieces_of(HELLO))
        assert blob == blob_of(HELLO)
        assert alice.has(blob)
        assert alice.held() == [HeldBlob(blob, 5, by_sympathy=False)]
        assert (alice.size(blob), alice.totals()) == (5, (1, 5))
        assert await content(alice, blob) == HELLO
        assert await alice.want(blob, patience_s=0)
        assert await alice.remove(blob)
        assert not alice.has(blob)
        assert not await alice.remove(blob)
        with pytest.raises(NoSuchBlob):
            await alice.get(blob)


async def test_the_empty_blob_can_be_added_and_wanted() -> None:
    async with node() as alice, node() as bob:
        assert await alice.add(pieces_of(b"")) == EMPTY
        assert await content(alice, EMPTY) == b""
        assert await bob.want(EMPTY)
        assert bob.held() == [HeldBlob(EMPTY, 0, by_sympathy=False)]


async def test_a_blob_may_have_the_cap_and_not_a_byte_more() -> None:
    files = MemoryFiles()
    async with node(files) as alice:
        blob = await alice.add(pieces_of(b"x" * CAP))
        with pytest.raises(BadInput, match="5242880 bytes") as refusal:
            await alice.add(pieces_of(b"x" * (CAP + 1)))
        assert refusal.value.exit_code == ExitCode.BAD_INPUT
        assert [held.blob for held in alice.held()] == [blob]
        assert files.used_bytes == CAP


async def test_a_full_disk_refuses_and_leaves_nothing() -> None:
    files = MemoryFiles(bytes_max=100_000)
    async with node(files) as alice:
        with pytest.raises(Temporary, match="no space left") as refusal:
            await alice.add(pieces_of(b"x" * 200_000))
        assert refusal.value.exit_code == ExitCode.TEMPORARY
        assert files.used_bytes == 0


async def test_damage_is_found_before_a_byte_is_given() -> None:
    files = MemoryFiles()
    async with node(files) as alice:
        blob = await alice.add(pieces_of(HELLO))
        assert b"".join([chunk async for chunk in await alice.get(blob, verify=True)]) == HELLO
        files.damage(blob)
        with pytest.raises(DamagedStore):
            await alice.get(blob, verify=True)


async def test_on_a_real_disk_with_threads(tmp_path: Path) -> None:
    store = MemoryStore()
    async with open_blobs(
        DiskFiles(tmp_path), store, Limits(), executor=ThreadExecutor(), rng=random.Random(1)
    ) as alice:
        data = random.Random(2).randbytes(1_000_000)
        blob = await alice.add(pieces_of(data))
        assert await content(alice, blob) == data
        assert await alice.remove(blob)
    assert DiskFiles(tmp_path).sizes() == {}
    await store.aclose()


async def test_what_was_placed_is_known_even_if_whoever_added_it_has_gone() -> None:
    async with node() as alice:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(alice.add, pieces_of(HELLO))
            while blob_of(HELLO) not in alice._files.sizes():
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert alice.has(blob_of(HELLO))


# ---- between two nodes ----


async def test_a_wanted_blob_comes_from_a_peer(autojump_clock: trio.testing.MockClock) -> None:
    data = random.Random(1).randbytes(CAP)
    async with node() as alice, node() as bob, joined(alice, bob):
        blob = await bob.add(pieces_of(data))
        assert await alice.want(blob, patience_s=5)
        assert await content(alice, blob) == data
        assert not alice.held()[0].by_sympathy


async def test_a_blob_that_is_added_later_comes_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with node() as alice, node() as bob, joined(alice, bob):
        assert not await alice.want(blob_of(HELLO), patience_s=5)
        assert alice.wanted() == {blob_of(HELLO): "no connected peer has said that it has it"}
        await bob.add(pieces_of(HELLO))
        assert await alice.want(blob_of(HELLO), patience_s=5)
        assert alice.wanted() == {}


async def test_a_want_of_before_a_restart_is_met(autojump_clock: trio.testing.MockClock) -> None:
    files, disk = MemoryFiles(), MemoryDisk()
    async with node(files, disk) as alice:
        assert not await alice.want(blob_of(HELLO), patience_s=0)
    async with node(files, disk) as alice, node() as bob, joined(alice, bob):
        await bob.add(pieces_of(HELLO))
        assert await alice.want(blob_of(HELLO), patience_s=5)
    assert disk.scan(b"b/", b"b0", limit=9) == []


async def test_a_blob_travels_over_others_by_sympathy(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        node() as alice,
        node() as bob,
        node() as carol,
        node() as dave,
        joined(alice, bob, "alice bob"),
        joined(bob, carol, "bob carol"),
        joined(carol, dave, "carol dave"),
    ):
        blob = await dave.add(pieces_of(HELLO))
        assert await alice.want(blob, patience_s=5)
        assert [each.held()[0].by_sympathy for each in (alice, bob, carol, dave)] == [
            False,
            True,
            True,
            False,
        ]


async def test_nobody_wants_what_is_wanted_no_longer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with node() as alice, node() as bob:
        assert not await alice.want(blob_of(HELLO), patience_s=0)
        assert await alice.unwant(blob_of(HELLO))
        assert not await alice.unwant(blob_of(HELLO))
        async with joined(alice, bob):
            await bob.add(pieces_of(HELLO))
            await trio.sleep(100)
            assert not alice.has(blob_of(HELLO))


async def test_too_many_wants_are_refused() -> None:
    async with node(limits=Limits(own_wants_max=1)) as alice:
        assert not await alice.want(blob_of(b"one"), patience_s=0)
        with pytest.raises(Temporary, match="1 blobs are wanted already"):
            await alice.want(blob_of(b"two"))


async def test_what_sympathy_brought_gives_way_on_disk(
    autojump_clock: trio.testing.MockClock,
) -> None:
    files = MemoryFiles()
    limits = Limits(sympathy_bytes_max=2 * 65536)
    async with (
        node() as alice,
        node(files, limits=limits) as pub,
        node() as carol,
        joined(alice, pub, "alice pub"),
        joined(pub, carol, "pub carol"),
    ):
        names = [await carol.add(pieces_of(bytes([n]))) for n in range(5)]
        for name in names:
            assert await alice.want(name, patience_s=5)
        await trio.testing.wait_all_tasks_blocked()
        assert set(files.sizes()) == set(names[-2:])
        assert [held.blob for held in pub.held()] == sorted(names[-2:])


class Gate(InlineExecutor):
    """An executor that stops before one kind of work until it is opened."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._open = trio.Event()

    def open(self) -> None:
        self._open.set()

    async def run(self, work: Callable[[], T]) -> T:
        function = getattr(work, "func", work)  # of a partial
        if function.__name__ == self._work:
            await self._open.wait()
        return await super().run(work)


@pytest.mark.parametrize("work", ["place", "remove"])
async def test_what_the_operator_adds_while_it_gives_way_stays(
    work: str, autojump_clock: trio.testing.MockClock
) -> None:
    """Whichever of the two is under way when the other begins."""
    files, disk = MemoryFiles(), MemoryDisk()
    put(files, b"first")
    disk.append([Put(MARK + blob_of(b"first"), (1).to_bytes(8, "big"))])
    disk.sync()
    gate = Gate(work)
    limits = Limits(sympathy_bytes_max=65536)
    second = having(blob_of(b"second"), 6, b"second", wanted=True)
    async with (
        open_blobs(files, MemoryStore(disk), limits, executor=gate, rng=random.Random(1)) as pub,
        trio.open_nursery() as nursery,
    ):
        if work == "place":
            nursery.start_soon(pub.add, pieces_of(b"first"))
            await trio.testing.wait_all_tasks_blocked()
        async with strange(pub, second):
            await trio.testing.wait_all_tasks_blocked()  # now "first" has to go
            assert not pub.has(blob_of(b"first"))
            if work == "remove":
                nursery.start_soon(pub.add, pieces_of(b"first"))
                await trio.testing.wait_all_tasks_blocked()
            gate.open()
            await trio.testing.wait_all_tasks_blocked()
        assert HeldBlob(blob_of(b"first"), 5, by_sympathy=False) in pub.held()
        assert await content(pub, blob_of(b"first")) == b"first"
        assert pub.has(blob_of(b"second"))


async def test_a_want_whose_blob_came_just_before_a_crash_is_cleared() -> None:
    files, disk = MemoryFiles(), MemoryDisk()
    async with node(files, disk) as alice:
        assert not await alice.want(blob_of(HELLO), patience_s=0)
    put(files, HELLO)
    async with node(files, disk) as alice:
        assert alice.has(blob_of(HELLO))
    assert disk.get(WANT + blob_of(HELLO)) is None


# ---- peers that misbehave ----


@pytest.mark.parametrize(
    ("packets", "then", "reason"),
    [
        ((b"hellO",), "", "it sent 5 bytes that have another hash"),
        ((b"hell",), "", "it sent 4 bytes that have another hash"),
        ((b"hello", b"!"), "", "it sent more than the 5 bytes that it announced"),
        ((b"hel",), "out of paper", "out of paper"),
        ((), "no", "no"),
    ],
)
async def test_what_a_peer_sends_instead_of_the_blob_is_not_kept(
    packets: tuple[bytes, ...],
    then: str,
    reason: str,
    autojump_clock: trio.testing.MockClock,
) -> None:
    files = MemoryFiles()
    methods = having(blob_of(HELLO), 5, *packets, then=then)
    async with node(files) as alice, strange(alice, methods) as (_, mallory):
        assert not await alice.want(blob_of(HELLO), patience_s=1)
        assert alice.wanted()[blob_of(HELLO)].endswith(f": {reason}")
        assert files.used_bytes == 0
        assert mallory.closed_because is None


async def test_after_a_liar_the_blob_comes_from_another(
    autojump_clock: trio.testing.MockClock,
) -> None:
    methods = having(blob_of(HELLO), 5, b"hellO")
    async with node() as alice, node() as bob, strange(alice, methods):
        assert not await alice.want(blob_of(HELLO), patience_s=1)
        async with joined(alice, bob):
            await bob.add(pieces_of(HELLO))
            assert await alice.want(blob_of(HELLO), patience_s=1)


async def test_a_peer_that_stops_in_the_middle_is_left_for_another(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stopped = trio.Event()
    methods = having(blob_of(HELLO), 5, b"hel", stopped)
    async with node() as alice, node() as bob, strange(alice, methods):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(alice.want, blob_of(HELLO))
            await stopped.wait()
            began = trio.current_time()
            async with joined(alice, bob):
                await bob.add(pieces_of(HELLO))
                assert await alice.want(blob_of(HELLO))
        assert trio.current_time() - began <= STALL_S + 1


async def test_a_peer_that_vanishes_in_the_middle_is_left_for_another(
    autojump_clock: trio.testing.MockClock,
) -> None:
    stopped = trio.Event()
    methods = having(blob_of(HELLO), 5, b"hel", stopped)
    async with node() as alice, node() as bob, joined(alice, bob), trio.open_nursery() as nursery:
        nursery.start_soon(alice.want, blob_of(HELLO))
        async with strange(alice, methods):
            await stopped.wait()
        began = trio.current_time()
        await bob.add(pieces_of(HELLO))
        assert await alice.want(blob_of(HELLO))
        assert trio.current_time() - began < 5


async def test_a_peer_that_sends_something_else_than_bytes_is_not_asked_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    asked = 0

    async def get(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        nonlocal asked
        asked += 1
        assert stream is not None
        await stream.send([Body.of_json("hello")])

    methods = {**having(blob_of(HELLO), 5), "blobs.get": Method("source", get)}
    async with node() as alice, strange(alice, methods):
        assert not await alice.want(blob_of(HELLO), patience_s=100)
    assert asked == 1


async def test_notes_that_are_no_notes_close_the_link(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def wants(link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None
        await stream.send([Body.of_json(["not", "notes"])])

    async with node() as alice:
        with pytest.raises(ExceptionGroup) as problems:
            async with strange(alice, {"blobs.createWants": Method("source", wants)}):
                await trio.sleep(1)
        assert problems.group_contains(RemoteError, match="createWants: expected an object")


async def test_a_peer_without_blobs_is_fine(autojump_clock: trio.testing.MockClock) -> None:
    async with node() as alice, strange(alice, {}) as (to_peer, _):
        assert not await alice.want(blob_of(HELLO), patience_s=1)
        assert to_peer.closed_because is None


async def test_when_the_disk_is_full_a_fetch_is_tried_again_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    files = MemoryFiles(bytes_max=3)
    async with node(files) as alice, node() as bob, joined(alice, bob):
        blob = await bob.add(pieces_of(HELLO))
        assert not await alice.want(blob, patience_s=50)
        files.bytes_max = None
        assert await alice.want(blob, patience_s=60)


# ---- what peers may ask ----


async def ask(link: Link, method: str, *args: JsonValue) -> JsonValue:
    body = await link.call(method, list(args), patience_s=5)
    return body.json("answer")


async def read(link: Link, method: str, *args: JsonValue) -> list[bytes]:
    stream = await link.open(method, list(args), "source")
    pieces = []
    while bodies := await stream.receive_many():
        pieces += [body.data for body in bodies]
    return pieces


async def test_peers_ask_for_one_blob_or_many(autojump_clock: trio.testing.MockClock) -> None:
    async with node() as alice, strange(alice, {}) as (_, peer):
        here, gone = format_blob(await alice.add(pieces_of(HELLO))), format_blob(EMPTY)
        assert await ask(peer, "blobs.has", here) is True
        assert await ask(peer, "blobs.has", gone) is False
        assert await ask(peer, "blobs.has", [here, gone]) == [True, False]
        assert await ask(peer, "blobs.size", here) == 5
        assert await ask(peer, "blobs.size", [gone, here]) == [None, 5]
        with pytest.raises(RemoteRefusal, match="no blob id"):
            await ask(peer, "blobs.has", [here, "../../secret"])


async def test_peers_read_blobs_in_packets_of_64_kib(
    autojump_clock: trio.testing.MockClock,
) -> None:
    data = random.Random(1).randbytes(600_000)
    async with node() as alice, strange(alice, {}) as (_, peer):
        name = format_blob(await alice.add(pieces_of(data)))
        packets = await read(peer, "blobs.get", name)
        assert b"".join(packets) == data
        assert {len(packet) for packet in packets[:-1]} == {65536}
        assert await read(peer, "blobs.get", {"hash": name, "size": 600_000}) == packets
        wish: JsonValue = {"key": name, "start": 65_530, "end": 65_540}
        assert await read(peer, "blobs.getSlice", wish) == [data[65_530:65_540]]
        refusals: list[JsonValue] = [{"key": name, "max": 599_999}, {"key": name, "size": 1}]
        for refused in refusals:
            with pytest.raises(RemoteRefusal, match="has 600000 bytes"):
                await read(peer, "blobs.get", refused)


async def test_the_empty_blob_is_served_without_a_packet(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with node() as alice, strange(alice, {}) as (_, peer):
        await alice.add(pieces_of(b""))
        assert await read(peer, "blobs.get", format_blob(EMPTY)) == []


async def test_a_blob_that_is_not_here_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    files = MemoryFiles()
    async with node(files) as alice, strange(alice, {}) as (_, peer):
        with pytest.raises(RemoteRefusal, match="is not here"):
            await read(peer, "blobs.get", format_blob(EMPTY))
        blob = await alice.add(pieces_of(HELLO))
        files.remove(blob)  # behind the node's back
        with pytest.raises(RemoteRefusal, match="can't be read now"):
            await read(peer, "blobs.get", format_blob(blob))


async def test_nothing_but_blobs_can_be_reached(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    (tmp_path / "secret").write_text("key")
    async with (
        node(DiskFiles(tmp_path / "blobs")) as alice,
        strange(alice, {}) as (_, peer),
    ):
        for name in (
            "../secret",
            "&../../secret.sha256",
            "/etc/passwd",
            "&" + encode_base64(b"../" * 11)[:44] + ".sha256",
            "&" + "A" * 43 + "=.ed25519",
            "",
        ):
            wishes: list[JsonValue] = [name, {"key": name}]
            for wish in wishes:
                with pytest.raises(RemoteRefusal, match=r"no blob id|is expected|is not here"):
                    await read(peer, "blobs.get", wish)


async def test_gets_of_one_peer_take_turns(autojump_clock: trio.testing.MockClock) -> None:
    limits = replace(Limits(), peer_gets_max=2)
    gate = trio.Event()
    running = 0
    most = 0

    class Slow(InlineExecutor):
        async def run(self, work: Callable[[], T]) -> T:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await gate.wait()
            running -= 1
            return work()

    files = MemoryFiles()
    put(files, HELLO)
    gate.set()
    async with open_blobs(
        files, MemoryStore(), limits, executor=Slow(), rng=random.Random(1)
    ) as alice:
        gate = trio.Event()
        async with strange(alice, {}) as (_, peer), trio.open_nursery() as nursery:
            answers: list[list[bytes]] = []

            async def get() -> None:
                answers.append(await read(peer, "blobs.get", format_blob(blob_of(HELLO))))

            for _ in range(6):
                nursery.start_soon(get)
            await trio.testing.wait_all_tasks_blocked()
            assert running == most == 2
            gate.set()
        assert answers == [[HELLO]] * 6


async def test_wants_reach_a_peer_as_notes(autojump_clock: trio.testing.MockClock) -> None:
    async with node() as alice, strange(alice, {}) as (_, peer):
        stream = await peer.open("blobs.createWants", [], "source")
        (first,) = await stream.receive_many()
        assert first.json("notes") == {}
        assert not await alice.want(blob_of(HELLO), patience_s=0)
        (second,) = await stream.receive_many()
        assert second.json("notes") == {format_blob(blob_of(HELLO)): -1}


async def test_a_peer_that_asks_for_wants_anew_is_told_all(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with node() as alice, strange(alice, {}) as (_, peer):
        await alice.want(blob_of(HELLO), patience_s=0)
        for _ in range(2):
            stream = await peer.open("blobs.createWants", [], "source")
            notes = []
            with trio.move_on_after(1):
                while bodies := await stream.receive_many():
                    notes += [body.json("notes") for body in bodies]
            assert notes == [{}, {format_blob(blob_of(HELLO)): -1}]


async def test_the_earlier_stream_of_wants_ends_when_a_peer_asks_anew(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with node() as alice, strange(alice, {}) as (_, peer):
        earlier = await peer.open("blobs.createWants", [], "source")
        assert len(await earlier.receive_many()) == 1
        await peer.open("blobs.createWants", [], "source")
        assert await earlier.receive_many() == []


async def test_a_peer_that_asks_for_wants_again_and_again_is_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with node(limits=Limits(peer_listens_max=2)) as alice, strange(alice, {}) as (_, peer):
        for _ in range(2):
            stream = await peer.open("blobs.createWants", [], "source")
            assert len(await stream.receive_many()) == 1
        refused = await peer.open("blobs.createWants", [], "source")
        with pytest.raises(RemoteRefusal, match="too often"):
            await refused.receive_many()


async def test_a_peer_that_does_not_read_its_notes_is_no_longer_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with node(limits=Limits(unsent_notes_max=3)) as alice, strange(alice, {}) as links:
        to_peer, peer = links
        stream = await peer.open("blobs.createWants", [], "source")
        await stream.receive_many()
        for n in (1, 2, 1, 3, 4):  # at once: none can leave in between
            alice.send(to_peer.peer, Want(blob_of(bytes([n])), 1))
        assert len(await stream.receive_many()) == 3
        assert await stream.receive_many() == []
