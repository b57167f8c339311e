"""Nodes move to the branch that the owners of a forked stream chose; virtual time."""

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from qbix_node.errors import Temporary
from qbix_node.streams.authoring import sign_resolve
from qbix_node.streams.forks import HeadFork, read_fork
from qbix_node.streams.messages import Resolve, Segment
from qbix_node.streams.resolution import CLOSED, FORKED, Resolution
from qbix_node.streams.switching import LogDropped
from tests.gossip.gossips import Author, Node, joined, running
from tests.gossip.test_service import show

SAME = [f"same {n}" for n in range(20)]
ONE = [SAME, ["x", "y"]]
OTHER = [SAME, ["other"], [f"entry {n}" for n in range(150)], [f"entry {n}" for n in range(150)]]
LATER = ["more", "and more"]


def leaves_of(segments: Sequence[Segment]) -> list[bytes]:
    return [leaf for segment in segments for leaf in segment.leaves]


def leaves_in(node: Node, author: Author) -> list[bytes]:
    return [leaf for leaf, _ in node.log(author.stream)]


def stopped(node: Node, author: Author) -> str | None:
    return node.streams.status(author.stream).stopped


def choose(node: Node, author: Author, segments: Sequence[Segment]) -> Resolution:
    """By the owner, of the fork that the node knows."""
    fork = read_fork(node.gossip.proofs(author.stream)[0])
    assert isinstance(fork, HeadFork)
    heads = {segment.signed_head.head.root for segment in segments}
    side = 0 if fork.shown.head.root in heads else 1
    body = Resolve(author.stream, fork.compared_length, fork.roots[side])
    return Resolution(sign_resolve(body, (0, author.keys)), fork)


@pytest.mark.parametrize(("chosen", "lost"), [(ONE, OTHER), (OTHER, ONE)], ids=["short", "long"])
async def test_all_nodes_move_to_the_branch_that_the_owner_chose_and_go_on_with_it(
    chosen: list[list[str]], lost: list[list[str]], autojump_clock: trio.testing.MockClock
) -> None:
    author = Author()
    alice, bob, carol, dave, erin = nodes = [
        Node(name) for name in ("alice", "bob", "carol", "dave", "erin")
    ]
    branch = author.write(*chosen)
    async with running(*nodes):
        for node in nodes[:4]:
            await node.streams.follow(author.stream)
        await show(alice, branch, "mallory")
        await show(bob, author.write(*lost), "mallory")
        async with joined((alice, carol), (carol, bob), (bob, dave)):
            await trio.sleep(10)
            assert [stopped(node, author) for node in nodes[:4]] == [FORKED] * 4
            await carol.gossip.submit(choose(carol, author, branch))
            await trio.sleep(20)
            for node in nodes[:4]:
                assert stopped(node, author) is None
                assert leaves_in(node, author) == leaves_of(branch)
                assert sum(isinstance(each, LogDropped) for each in node.findings) <= 1
            longer = author.write(*chosen, LATER)
            await show(dave, longer[-1:], "mallory")
            await trio.sleep(10)
            for node in nodes[:4]:
                assert leaves_in(node, author) == leaves_of(longer)
            # Who comes later gets the same, and learns of the choice.
            async with joined((erin, dave)):
                await erin.streams.follow(author.stream)
                await trio.sleep(10)
                assert leaves_in(erin, author) == leaves_of(longer)
        # A second fork closes it, for good.
        await show(alice, author.write(*chosen, LATER, ["one"])[-1:], "mallory")
        await show(dave, author.write(*chosen, LATER, ["two"], ["b", "c"])[-2:], "mallory")
        async with joined((alice, carol), (carol, bob), (bob, dave)):
            await trio.sleep(20)
            assert [stopped(node, author) for node in nodes[:4]] == [CLOSED] * 4
    for node in nodes[:4]:
        again = Node("again", node.store)
        assert stopped(again, author) == CLOSED
        assert again.gossip.resolution(author.stream) is not None


async def test_who_was_away_moves_when_it_is_back(autojump_clock: trio.testing.MockClock) -> None:
    author = Author()
    alice, bob, carol = nodes = [Node(name) for name in ("alice", "bob", "carol")]
    branch = author.write(*ONE)
    async with running(*nodes):
        for node in nodes:
            await node.streams.follow(author.stream)
        await show(alice, branch, "mallory")
        await show(bob, author.write(*OTHER), "mallory")
        await show(carol, author.write(*OTHER), "mallory")
        async with joined((alice, bob)):
            await trio.sleep(10)
            await alice.gossip.submit(choose(alice, author, branch))
            await trio.sleep(10)
        async with joined((carol, bob)):
            await trio.sleep(10)
    for node in nodes:
        assert leaves_in(node, author) == leaves_of(branch)
        assert stopped(node, author) is None


async def test_two_that_drop_their_logs_at_once_still_hear_of_each_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    author = Author()
    alice, bob, carol = nodes = [Node(name) for name in ("alice", "bob", "carol")]
    branch = author.write(*ONE)
    async with running(*nodes):
        for node in nodes:
            await node.streams.follow(author.stream)
        await show(alice, author.write(*OTHER), "mallory")
        await show(bob, author.write(*OTHER), "mallory")
        await show(carol, branch, "mallory")
        async with joined((alice, carol)):
            await trio.sleep(10)
        choice = choose(carol, author, branch)
        async with joined((alice, bob)):
            await trio.sleep(10)
            async with trio.open_nursery() as nursery:
                for node in (alice, bob):
                    nursery.start_soon(node.gossip.submit, choice)
            await trio.sleep(10)
            assert [node.length(author.stream) for node in nodes[:2]] == [0, 0]
            await carol.gossip.submit(choice)
            async with joined((alice, carol)):
                await trio.sleep(10)
    assert leaves_in(bob, author) == leaves_of(branch)


async def test_a_peer_that_keeps_offering_the_other_branch_is_no_hindrance(
    autojump_clock: trio.testing.MockClock,
) -> None:
    author = Author()
    alice, bob = nodes = [Node(name) for name in ("alice", "bob")]
    branch, lost = author.write(*ONE), author.write(*OTHER)
    async with running(*nodes):
        for node in nodes:
            await node.streams.follow(author.stream)
        await show(alice, branch, "mallory")
        await show(bob, lost, "mallory")
        async with joined((alice, bob)):
            await trio.sleep(10)
        await alice.gossip.submit(choice := choose(alice, author, branch))
        await bob.gossip.submit(choice)
        await trio.sleep(10)
        assert bob.length(author.stream) == 0
        async with trio.open_nursery() as nursery:
            for name in ("mallory", "mike"):
                nursery.start_soon(_insist, bob, lost, name)
            await trio.sleep(30)
            assert bob.length(author.stream) == 0
            async with joined((alice, bob)):
                await trio.sleep(60)
                assert leaves_in(bob, author) == leaves_of(branch)
            nursery.cancel_scope.cancel()
    assert sum(isinstance(each, LogDropped) for each in bob.findings) == 1


async def _insist(node: Node, segments: list[Segment], name: str) -> None:
    while True:
        with trio.move_on_after(1):
            await show(node, segments, name)


async def test_what_reads_a_log_meanwhile_goes_on_or_says_why(
    autojump_clock: trio.testing.MockClock,
) -> None:
    author = Author()
    alice, bob = nodes = [Node(name) for name in ("alice", "bob")]
    branch = author.write(*ONE)
    async with running(*nodes):
        for node in nodes:
            await node.streams.follow(author.stream)
        await show(alice, branch, "mallory")
        await show(bob, author.write(*OTHER), "mallory")
        async with joined((alice, bob)), trio.open_nursery() as nursery:
            await trio.sleep(10)
            exported = bob.streams.export(author.stream)
            next(exported)
            next(exported)
            nursery.start_soon(bob.streams.wait_beyond, author.stream, 322)
            await alice.gossip.submit(choose(alice, author, branch))
            await trio.sleep(10)
            with pytest.raises(Temporary, match="moved to the branch"):
                list(exported)
            longer = author.write(*ONE, [f"later {n}" for n in range(250)], ["a"] * 80)
            await show(alice, longer[-2:], "mallory")
        assert bob.length(author.stream) == 353
