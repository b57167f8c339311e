"""An owner that is put back to an earlier state appends only where nothing stands yet."""

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from qbix_node.errors import Temporary
from qbix_node.gossip import messages as g
from qbix_node.net.link import Body, BodyKind
from qbix_node.store.memory import MemoryDisk, MemoryStore
from qbix_node.streams.authoring import sign_head
from qbix_node.streams.caution import APPEND_WAITS, PATIENCE_S, Doubt, read_doubts
from qbix_node.streams.forks import ShownHead, equal_fork
from qbix_node.streams.messages import Head
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import StreamId
from tests.gossip.gossips import Author, Node, joined, running
from tests.gossip.test_service import show
from tests.net.links import linked
from tests.replication.network import keys_of

SOON_S = 1.0  # after which peers have long answered


class Owner:
    """Alice's stream, which Bob follows: two entries, and two more after her backup."""

    def __init__(self) -> None:
        self.alice, self.bob = Node("alice"), Node("bob")

    async def begin(self) -> None:
        async with running(self.alice, self.bob):
            self.stream = await self.alice.create()
            await self.bob.streams.follow(self.stream)
            async with joined((self.alice, self.bob)):
                await self.alice.append(self.stream, 2)
                self.backup = self.alice.store.disk.snapshot()
                await self.alice.append(self.stream, 2)
                await self.bob.streams.wait_beyond(self.stream, 4)

    def put_back(self, *, clean: bool, alone: bool = False) -> Node:
        disk = MemoryDisk()
        disk.roll_back(self.backup)
        return Node("alice", MemoryStore(disk), clean=clean, alone=alone)


@pytest.fixture
async def owner() -> Owner:
    made = Owner()
    await made.begin()
    return made


async def appended_at(node: Node, stream: StreamId) -> float:
    """How long that takes."""
    began = trio.current_time()
    await node.append(stream, 1)
    return trio.current_time() - began


@pytest.mark.parametrize("clean", [True, False])
async def test_its_entries_come_back_before_it_appends(
    owner: Owner, autojump_clock: MockClock, *, clean: bool
) -> None:
    alice, bob = owner.put_back(clean=clean), owner.bob
    async with running(alice, bob), trio.open_nursery() as nursery:
        nursery.start_soon(alice.append, owner.stream, 1)
        await trio.sleep(PATIENCE_S - SOON_S)  # held, while nobody is there
        assert alice.length(owner.stream) == 3
        async with joined((alice, bob)):
            await bob.streams.wait_beyond(owner.stream, 5)
            await trio.sleep(PATIENCE_S)
    assert alice.log(owner.stream) == bob.log(owner.stream)
    assert alice.length(owner.stream) == 6
    assert [bob.gossip.proofs(owner.stream), alice.gossip.proofs(owner.stream)] == [[], []]


async def test_after_a_clean_stop_nobody_is_waited_for_longer_than_ten_seconds(
    owner: Owner, autojump_clock: MockClock
) -> None:
    alice = Node("alice", owner.alice.store, clean=True)
    async with running(alice):
        assert await appended_at(alice, owner.stream) == pytest.approx(PATIENCE_S, abs=0.1)


async def test_the_operator_may_set_how_long_it_waits(
    owner: Owner, autojump_clock: MockClock
) -> None:
    patient = Node("alice", owner.alice.store, clean=True, patience_s=60.0)
    async with running(patient):
        assert await appended_at(patient, owner.stream) == pytest.approx(60.0, abs=0.1)
    hasty = Node("alice", patient.store, clean=False, patience_s=1.0)
    async with running(hasty):
        began = trio.current_time()
        with pytest.raises(Temporary, match="cut off or put back"):
            await hasty.append(owner.stream, 1)
        assert trio.current_time() - began == pytest.approx(APPEND_WAITS, abs=0.1)


async def test_who_knows_nobody_appends_at_once(owner: Owner, autojump_clock: MockClock) -> None:
    alice = Node("alice", owner.alice.store, clean=True, alone=True)
    async with running(alice):
        assert await appended_at(alice, owner.stream) < SOON_S


async def test_with_a_peer_that_answers_it_takes_no_time(
    owner: Owner, autojump_clock: MockClock
) -> None:
    for clean in (True, False):
        alice = Node("alice", owner.alice.store, clean=clean)
        async with running(alice, owner.bob), joined((alice, owner.bob)):
            assert await appended_at(alice, owner.stream) < SOON_S


async def test_after_any_other_stop_it_is_refused_after_a_while(
    owner: Owner, autojump_clock: MockClock
) -> None:
    alice = Node("alice", owner.alice.store, clean=False)
    async with running(alice):
        began = trio.current_time()
        with pytest.raises(Temporary, match="cut off or put back"):
            await alice.append(owner.stream, 1)
        assert trio.current_time() - began == pytest.approx(APPEND_WAITS * PATIENCE_S, abs=0.1)
        assert alice.streams.status(owner.stream).waits is Doubt.CUT_OFF
        await alice.gossip.end_doubt(owner.stream)
        assert await appended_at(alice, owner.stream) < SOON_S


async def test_a_stream_that_was_made_since_the_start_is_not_doubted(
    owner: Owner, autojump_clock: MockClock
) -> None:
    alice = Node("alice", MemoryStore(), clean=False)
    async with running(alice):
        stream = await alice.create()
        assert await appended_at(alice, stream) < SOON_S


async def test_own_streams_that_come_from_others_are_here_whole_before_they_go_on(
    owner: Owner, autojump_clock: MockClock
) -> None:
    alice, bob = Node("alice", MemoryStore(), clean=True), owner.bob
    async with running(alice, bob), joined((alice, bob)):
        await alice.streams.follow(owner.stream)
        await alice.streams.wait_beyond(owner.stream, 0)
        assert await appended_at(alice, owner.stream) < SOON_S
        await bob.streams.wait_beyond(owner.stream, 5)
    assert alice.log(owner.stream) == bob.log(owner.stream)


async def test_a_head_that_it_never_signed_is_warned_of_once_and_holds_it(
    owner: Owner, autojump_clock: MockClock
) -> None:
    """Somebody has only the Heads: not even an operator may go on then."""
    heads = [own_head(owner.stream, length) for length in (5, 9)]
    alice = owner.put_back(clean=True, alone=True)
    links = linked({}, alice.methods(), keys_a=keys_of("dave"), keys_b=alice.keys)
    with capture_logs() as logs:
        async with running(alice), links as (peer, link), trio.open_nursery() as nursery:
            nursery.start_soon(alice.attend, link)
            talk = await peer.open(g.METHOD, g.ARGUMENTS, "duplex")
            for head in heads:
                await talk.send([Body(BodyKind.BINARY, g.encode(g.Heads((head,))))])
            await trio.sleep(SOON_S)
            with pytest.raises(Temporary, match="shown a Head of length 9"):
                await alice.append(owner.stream, 1)
            await alice.gossip.end_doubt(owner.stream)
            with pytest.raises(Temporary, match="shown a Head of length 9"):
                await alice.append(owner.stream, 1)
            nursery.cancel_scope.cancel()
    assert [log["event"] for log in logs].count("stream.signed_elsewhere") == 1


async def test_an_own_stream_that_came_waits_if_nobody_compares(
    autojump_clock: MockClock,
) -> None:
    author, alice = Author("alice"), Node("alice", clean=True, alone=True)
    async with running(alice):
        await alice.streams.follow(author.stream)
        await show(alice, author.write(["one"]), "dave")
        with pytest.raises(Temporary, match="came from others"):
            await alice.append(author.stream, 1)


async def test_a_stream_that_was_forked_is_not_asked_about(
    owner: Owner, autojump_clock: MockClock
) -> None:
    alice = Node("alice", owner.alice.store, clean=False)
    genesis = alice.streams.geneses[owner.stream]
    fork = equal_fork(genesis, own_head(owner.stream, 9), own_head(owner.stream, 9, root=b"other"))
    async with running(alice):
        assert alice.streams.caution.doubts == {owner.stream: Doubt.CUT_OFF}
        await alice.gossip.submit(fork)
        await trio.sleep(SOON_S)
        assert alice.streams.caution.doubts == {}
        assert read_doubts(alice.store) == {}
        assert alice.streams.status(owner.stream).stopped
    # But whether a branch was chosen since is not known after a start.
    again = Node("alice", owner.alice.store, clean=False)
    assert again.streams.caution.doubts == {owner.stream: Doubt.CUT_OFF}


def own_head(stream: StreamId, length: int, root: bytes = b"root") -> ShownHead:
    """Whatever Alice's key may have signed elsewhere."""
    head = Head(stream, length, Hash(root.ljust(32)), 1)
    return ShownHead(sign_head(head, (0, keys_of("alice"))))
