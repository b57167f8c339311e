"""Streams of several owners, decided by machines that talk over a simulated wire."""

from qbix_node.sequencing import messages as q
from qbix_node.wire.references import StreamId
from tests.sequencing.town import ALICE, BOB, CAROL, Member, Town, genesis_of


def trio_of_owners(threshold: int = 2) -> tuple[Town, StreamId]:
    genesis = genesis_of(ALICE, BOB, CAROL, threshold=threshold)
    alice, bob, carol = members = [Member(name) for name in (ALICE, BOB, CAROL)]
    town = Town(*members, stream=genesis.stream)
    request = alice.begin(genesis)
    town.settle()
    assert alice.outcome(request) == q.Done(request)
    for member in (bob, carol):
        member.follow(genesis.stream)
    town.live()
    return town, genesis.stream


def test_a_stream_begins_once_enough_owners_follow_it() -> None:
    genesis = genesis_of(ALICE, BOB, CAROL, threshold=2)
    alice, bob, carol = members = [Member(name) for name in (ALICE, BOB, CAROL)]
    town = Town(*members, stream=genesis.stream)
    alice.begin(genesis)
    town.live()
    assert [member.length(genesis.stream) for member in members] == [0, 0, 0]
    assert bob.signed == carol.signed == []
    bob.follow(genesis.stream)
    town.live()
    assert [member.length(genesis.stream) for member in members] == [1, 1, 0]
    assert not alice.machine.proposals


def test_each_owner_writes_and_all_have_the_same() -> None:
    town, stream = trio_of_owners()
    members = list(town.members.values())
    requests = [member.write(stream, f"from {member.name}", "more") for member in members]
    town.live()
    for member, request in zip(members, requests, strict=True):
        done = member.outcome(request)
        assert isinstance(done, q.Done)
        assert [member.authors(stream)[place - 1] for place in done.places] == [member.id] * 2
    assert len({tuple(member.leaves(stream)) for member in members}) == 1
    assert members[0].length(stream) == 7
