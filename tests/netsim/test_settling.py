"""What is asked of nodes once all faults are over, and what is not; facts are told by hand."""

import pytest

from netsim import facts
from netsim.asking import blob_of
from netsim.checks import settling
from netsim.checks.settling import COMPLAINTS_MAX, RESTS_ON, kind_of
from netsim.plan import Do, Operation, blob_bytes
from qbix_node.feeds.messages import Published
from qbix_node.feeds.records import Evidence, put_evidence
from qbix_node.machines import Delete, Put
from qbix_node.net.messages import Done
from qbix_node.replication.messages import Granted, Unfollow
from tests.netsim.stage import HONEST, Stage

ADD = Operation(1.0, 0, Do.ADD_BLOB, number=1, size=1000)
WANT = Operation(2.0, 2, Do.WANT_BLOB, target=0, number=1, size=1000)


@pytest.fixture
def stage() -> Stage:
    """Three honest nodes that know and follow each other, all connected."""
    made = Stage()
    for node in range(HONEST):
        for other in range(HONEST):
            if other != node:
                made.tell(node, facts.LinkUp(made.peer(other), outgoing=node < other))
    return made


def complaints(stage: Stage) -> list[str]:
    """Each rests on a sentence of the specs."""
    found = stage.checks.unsettled()
    assert all(each.spec in RESTS_ON for each in found)
    return [each.what for each in found]


def unlink(stage: Stage, node: int, other: int) -> None:
    stage.tell(node, facts.LinkDown(stage.peer(other), "gone"))
    stage.tell(other, facts.LinkDown(stage.peer(node), "gone"))


def part(stage: Stage, node: int, other: int) -> None:
    """Neither knows the other's address any more."""
    for here, there in ((node, other), (other, node)):
        stage.write(here, Delete(b"p/a" + stage.peer(there)))
        stage.tell(here, Done(1))
    unlink(stage, node, other)


def test_all_is_well_where_all_have_the_same(stage: Stage) -> None:
    message = stage.publish(0)
    stage.store(1, message, source=0)
    stage.store(2, message, source=0)
    assert complaints(stage) == []


def test_a_message_that_has_not_arrived_is_waited_for(stage: Stage) -> None:
    stage.store(1, stage.publish(0), source=0)
    assert complaints(stage) == [
        "node 2 has 0 messages of node 0, node 0 has 1",
        "node 2 has 0 messages of node 0, node 1 has 1",
    ]


def test_a_feed_need_not_pass_over_who_does_not_follow_it(stage: Stage) -> None:
    part(stage, 0, 2)
    stage.write(1, Delete(b"r/f" + stage.site(0).feed))
    stage.tell(1, Granted(Unfollow(stage.site(0).feed)))
    stage.publish(0)
    assert complaints(stage) == []


def test_a_peer_that_is_known_has_to_be_connected(stage: Stage) -> None:
    unlink(stage, 0, 1)
    assert complaints(stage) == ["node 0 is not connected to node 1"]


def test_a_blocked_peer_need_not_be_connected(stage: Stage) -> None:
    unlink(stage, 0, 1)
    stage.write(0, Put(b"p/b" + stage.peer(1), b""))
    assert complaints(stage) == []


def test_where_nobody_knows_the_other_nobody_has_to_be_connected(stage: Stage) -> None:
    part(stage, 0, 1)
    assert complaints(stage) == []


def test_on_a_local_network_everybody_is_known() -> None:
    stage = Stage(lan=True)
    for node in range(HONEST):
        for other in range(HONEST):
            stage.write(node, Delete(b"p/a" + stage.peer(other)))
    assert "node 0 is not connected to node 1" in complaints(stage)


def test_a_node_that_is_full_need_not_be_connected() -> None:
    stage = Stage(settings={"connections_max": 1, "connections_reserved": 0})
    stage.tell(0, facts.LinkUp(stage.peer(3), outgoing=True))
    assert complaints(stage) == ["node 1 is not connected to node 2"]


def test_a_node_that_is_down_is_waited_for(stage: Stage) -> None:
    stage.puppets[1].up = False
    assert "node 1 is down" in complaints(stage)


def test_who_knows_of_a_fork_need_not_have_more(stage: Stage) -> None:
    ours, theirs = stage.compose(3, "here"), stage.compose(3, "there")
    stage.store(1, ours)
    stage.store(2, ours)
    stage.write(0, put_evidence(Evidence(1, ours, theirs)))
    assert complaints(stage) == []


def test_a_shorter_branch_has_to_find_the_fork_and_equal_ones_need_not(stage: Stage) -> None:
    here, there = stage.compose(3, "here"), stage.compose(3, "there")
    stage.store(0, here)
    stage.store(1, there)
    stage.store(2, there)
    assert complaints(stage) == []
    further = stage.compose(3, "further", after=there.head)
    stage.store(1, further)
    stage.store(2, further)
    assert set(complaints(stage)) == {
        "node 0 has 1 messages of node 3, node 1 has 2",
        "node 0 has 1 messages of node 3, node 2 has 2",
    }


def test_what_was_to_be_published_is_waited_for(stage: Stage) -> None:
    stage.tell(0, facts.Asked(Operation(1.0, 0, Do.PUBLISH)))
    (complaint,) = complaints(stage)
    assert complaint.startswith("node 0 has 1 messages to publish")
    message = stage.compose(0)
    stage.tell(0, Published(1, message))
    assert complaints(stage) == []


def test_what_a_crash_swallowed_is_not_waited_for(stage: Stage) -> None:
    stage.tell(0, facts.Asked(Operation(1.0, 0, Do.PUBLISH)))
    stage.tell(0, facts.Crashed(power=False), facts.Started(clean=False))
    assert [each for each in complaints(stage) if "publish" in each] == []


def test_a_blob_within_three_links_is_waited_for(stage: Stage) -> None:
    part(stage, 0, 2)
    stage.site(0).files.put(blob_of(ADD), blob_bytes(0, 1, 1000))
    stage.write(2, Put(b"b/w" + blob_of(WANT), b""))
    (complaint,) = complaints(stage)
    assert complaint.endswith("which node 0 has")
    part(stage, 1, 2)
    assert complaints(stage) == []


def test_who_was_put_back_and_lost_nothing_of_its_own_may_lack_others(stage: Stage) -> None:
    message = stage.publish(0)
    stage.store(1, message, source=0)
    stage.store(2, message, source=0)
    stage.write(1, Delete(b"f/h" + message.author))
    stage.write(1, Delete(b"f/m" + message.author + (1).to_bytes(8, "big")))
    stage.tell(1, facts.RolledBack(1, noticed=False), facts.Started(clean=True))
    for other in (0, 2):
        stage.tell(1, facts.LinkUp(stage.peer(other), outgoing=True))
    assert complaints(stage) == []


def test_no_more_is_told_than_anybody_reads(stage: Stage) -> None:
    for number in range(HONEST):
        stage.puppets[number].up = False
        stage.tell(number, facts.Crashed(power=False))
        stage.store(number, stage.publish(number))
    assert 0 < len(complaints(stage)) <= COMPLAINTS_MAX


def test_all_is_counted_in_the_end_and_one_of_each_kind_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "COMPLAINTS_MAX", 4)
    for number in range(HONEST):
        stage.puppets[number].up = False
        stage.tell(number, facts.Crashed(power=False))
        stage.store(number, stage.publish(number))
    found = stage.checks.unsettled_at_the_end()
    assert found.count > len(found.told) == 4
    assert {kind_of(each.what) for each in found.told} == {
        "N is down",
        "N is not connected to N",
        "N has N messages of N, N has N",
    }
    assert [each.what for each in found.told[:2]] == ["node 0 is down", "node 1 is down"]
    assert all(each.spec in RESTS_ON for each in found.told)
