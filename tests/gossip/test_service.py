"""Forks come to light among nodes that were shown different branches; virtual time."""

import pytest
import trio
import trio.testing

from qbix_node.errors import LocalError
from qbix_node.gossip.messages import ARGUMENTS, LISTENED_MAX, METHOD
from qbix_node.net.link import Body, BodyKind, RemoteRefusal, Stream
from qbix_node.replication.streams.messages import Format, format_arguments, format_stream_notes
from qbix_node.streams.forks import HeadFork, ShownHead, check_fork, equal_fork, read_fork
from qbix_node.streams.messages import Segment
from qbix_node.wire.references import StreamId
from tests.gossip import ahead
from tests.gossip.gossips import Author, Node, joined, running
from tests.net.links import linked
from tests.replication.network import keys_of
from tests.replication.streams.holders import peer_of

X = [["same"], ["x", "y"]]
EQUAL = [["same"], ["x", "z"]]
LONGER = [["same"], ["other"], ["and", "more", "of", "it"]]
FAR = [["same"], [f"entry {n}" for n in range(200)], [f"entry {n}" for n in range(250)]]


async def show(node: Node, segments: list[Segment], name: str) -> None:
    """As a peer that has the branch, and leaves."""
    stream = segments[0].stream
    async with peer_of(node, {}, dials=True, name=name) as peer:
        talk: Stream = await peer.open(
            "ebt.replicateFormat", format_arguments(Format.SEGMENTS), "duplex"
        )
        await talk.receive_many()
        note = {stream: segments[-1].stop << 1 | 1}
        await talk.send([Body(BodyKind.JSON, format_stream_notes(note))])
        await talk.send([Body(BodyKind.BINARY, segment.encoded) for segment in segments])
        await node.streams.wait_beyond(stream, segments[-1].stop - 1)


def proven(node: Node, author: Author) -> HeadFork | None:
    for encoded in node.gossip.proofs(author.stream):
        fork = read_fork(encoded)
        check_fork(fork)
        assert isinstance(fork, HeadFork)
        return fork
    return None


@pytest.mark.parametrize("other", [EQUAL, LONGER, FAR], ids=["equal", "longer", "far"])
async def test_a_fork_is_proven_to_everybody(
    other: list[list[str]], autojump_clock: trio.testing.MockClock
) -> None:
    """Two nodes were shown one branch each; two were shown nothing."""
    author = Author()
    alice, bob, carol, dave = nodes = [Node(name) for name in ("alice", "bob", "carol", "dave")]
    async with running(*nodes):
        for node in nodes:
            await node.streams.follow(author.stream)
        await show(alice, author.write(*X), "mallory")
        await show(bob, author.write(*other), "mallory")
        async with joined((alice, carol), (carol, bob), (bob, dave)):
            await trio.sleep(10)
            assert all(proven(node, author) for node in nodes)
            assert all(node.streams.status(author.stream).stopped for node in nodes)
    fork = proven(dave, author)
    assert fork is not None
    assert fork.forked_length <= 4
    # It outlives the process, and nothing further of the stream is taken.
    again = Node("dave", dave.store)
    assert again.gossip.proofs(author.stream) == dave.gossip.proofs(author.stream)
    assert again.streams.status(author.stream).stopped


async def test_heads_ahead_of_their_entries_do_not_hide_a_fork(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Alice and bob have the same nine entries, and Heads of two branches over more."""
    one, other = ahead.COMMON, ahead.branch_off(9)
    alice, bob, carol = nodes = [Node(name) for name in ("alice", "bob", "carol")]
    async with running(*nodes):
        for node in nodes:
            await node.streams.follow(ahead.STREAM)
        await show(alice, [one.segment(ahead.SIGNED, 0, 9, 10)], "mallory")
        await show(bob, [other.segment(ahead.SIGNED, 0, 9, 12)], "mallory")
        async with joined((alice, carol), (carol, bob)):
            await trio.sleep(10)
    for node in nodes:
        proofs = node.gossip.proofs(ahead.STREAM)
        assert proofs
        for encoded in proofs:
            check_fork(read_fork(encoded))
        assert node.streams.status(ahead.STREAM).stopped


async def test_a_head_that_contradicts_the_one_before_stops_the_stream(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Alice was shown both, one after the other; no peer is needed."""
    alice, other = Node("alice"), ahead.branch_off(9)
    async with running(alice):
        await alice.streams.follow(ahead.STREAM)
        await show(alice, [ahead.COMMON.segment(ahead.SIGNED, 0, 9, 12)], "mallory")
        await show(alice, [other.segment(ahead.SIGNED, 9, 10, 10)], "mallory")
        await trio.sleep(1)
        assert len(alice.gossip.proofs(ahead.STREAM)) == 1
        assert alice.streams.status(ahead.STREAM).stopped


async def test_an_honest_stream_is_never_accused(autojump_clock: trio.testing.MockClock) -> None:
    author = Author()
    branch = author.write(["a"], ["b", "c"], [f"{n}" for n in range(200)], ["d"])
    alice, bob, carol = nodes = [Node(name) for name in ("alice", "bob", "carol")]
    async with running(*nodes):
        for node in nodes:
            await node.streams.follow(author.stream)
        await show(alice, branch[:3], "mallory")
        await show(bob, branch, "mallory")
        async with joined((alice, bob), (bob, carol), (carol, alice)):
            await alice.streams.wait_beyond(author.stream, branch[-1].stop - 1)
            await trio.sleep(30)
    assert [proven(node, author) for node in nodes] == [None] * 3
    assert not any(node.streams.status(author.stream).stopped for node in nodes)
    assert [node.gossip.pending(author.stream) for node in nodes] == [[]] * 3


async def test_who_calls_gossip_again_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    """Else a peer gets another allowance of signatures with every call."""
    alice = Node("alice")
    links = linked({}, alice.methods(), keys_a=keys_of("mallory"), keys_b=alice.keys)
    async with running(alice), links as (peer, link), trio.open_nursery() as nursery:
        nursery.start_soon(alice.attend, link)
        first = await peer.open(METHOD, ARGUMENTS, "duplex")
        await trio.sleep(1)
        await first.end()
        await trio.sleep(1)
        again = await peer.open(METHOD, ARGUMENTS, "duplex")
        with pytest.raises(RemoteRefusal, match="once"):
            await again.receive_many()
        nursery.cancel_scope.cancel()


async def test_who_follows_a_forked_stream_later_learns_that_it_is_forked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Although the proof is told before anything of the stream is here."""
    author = Author()
    alice, bob = nodes = [Node(name) for name in ("alice", "bob")]
    async with running(*nodes):
        await alice.streams.follow(author.stream)
        await show(alice, author.write(*X), "mallory")
        heads = [ShownHead(author.write(*each)[-1].signed_head) for each in (X, EQUAL)]
        await alice.gossip.submit(equal_fork(author.genesis, *heads))
        await bob.streams.follow(author.stream)
        async with joined((bob, alice)):
            await trio.sleep(10)
    assert proven(bob, author) is not None
    assert bob.streams.status(author.stream).stopped
    assert bob.length(author.stream) == 4


# ---- Heads only ----


async def until_head(node: Node, author: Author, length: int) -> None:
    state = node.gossip.heads_only.logs.get(author.stream)
    while state is None or state.signed.head.length < length:
        await trio.sleep(0.5)
        state = node.gossip.heads_only.logs.get(author.stream)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_stream_of_which_a_fork_is_known_stops_once_something_of_it_is_here(
    restarted: bool, autojump_clock: trio.testing.MockClock
) -> None:
    author = Author()
    alice, bob, carol = nodes = [Node(name) for name in ("alice", "bob", "carol")]
    async with running(*nodes):
        await bob.streams.follow(author.stream)
        await show(bob, author.write(*X), "mallory")
        await carol.streams.follow(author.stream)
        await show(carol, author.write(*LONGER), "mallory")
        await alice.gossip.hear_of(author.stream, wanted=True)
        async with joined((alice, bob)):
            await until_head(alice, author, 4)
        async with joined((alice, carol)):
            await trio.sleep(20)
        assert proven(alice, author)
        assert author.stream not in alice.streams.geneses
    again = Node("alice", alice.store) if restarted else alice
    dave = Node("dave")
    async with running(again, dave):
        await dave.streams.follow(author.stream)
        await show(dave, author.write(*X), "mallory")
        assert again.gossip.proofs(author.stream)
        await again.streams.follow(author.stream)
        async with joined((again, dave)):
            await again.streams.wait_beyond(author.stream, 0)
            await trio.sleep(10)
            assert again.streams.status(author.stream).stopped
            assert author.stream not in again.gossip.heads_only


async def test_how_many_there_may_be_is_said(autojump_clock: trio.testing.MockClock) -> None:
    alice = Node("alice")
    async with running(alice):
        for number in range(LISTENED_MAX):
            await alice.gossip.hear_of(StreamId(number.to_bytes(32, "big")), wanted=True)
        with pytest.raises(LocalError, match="1024"):
            await alice.gossip.hear_of(Author().stream, wanted=True)
