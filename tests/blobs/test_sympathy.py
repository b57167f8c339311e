"""Blobs that are here only because peers wanted them, and their quota."""

import pytest

from qbix_node.blobs import messages as b
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.machine import WANT
from qbix_node.blobs.quota import COUNTED_BYTES_MIN, MARK
from tests.blobs.nodes import Node, blob_id, peer_id

BOB, CAROL, DAVE = peer_id("bob"), peer_id("carol"), peer_id("dave")
CAT, DOG = blob_id("cat"), blob_id("dog")


def share(node: Node, name: str, size: int = COUNTED_BYTES_MIN) -> None:
    """Bob wants it and Carol has it."""
    node.hear(BOB, b.Want(blob_id(name), 1))
    node.hear(CAROL, b.Have(blob_id(name), size))
    for peer, get in node.take_gets():
        node.finish(peer, get)


QUOTA = Limits(blob_bytes_max=2**20, sympathy_bytes_max=3 * COUNTED_BYTES_MIN)


@pytest.fixture
def pub() -> Node:
    node = Node("pub", QUOTA)
    node.meet(BOB, CAROL)
    return node


def test_the_oldest_blob_gives_way_when_sympathy_has_used_its_disk(pub: Node) -> None:
    for name in ("one", "two", "three"):
        share(pub, name)
    assert len(pub.files) == 3
    share(pub, "four")
    assert b.Discard(blob_id("one")) in pub.findings
    assert set(pub.machine.held) == {blob_id("two"), blob_id("three"), blob_id("four")}
    share(pub, "large", 2 * COUNTED_BYTES_MIN)
    assert set(pub.machine.held) == {blob_id("four"), blob_id("large")}
    assert pub.disk.get(MARK + blob_id("one")) is None


def test_many_small_blobs_are_bounded_too(pub: Node) -> None:
    for n in range(9):
        share(pub, str(n), 10)
    assert len(pub.files) == 3


def test_what_is_on_its_way_does_not_give_way(pub: Node) -> None:
    for blob in (CAT, DOG):
        pub.hear(BOB, b.Want(blob, 1))
        pub.hear(CAROL, b.Have(blob, 2 * COUNTED_BYTES_MIN))
    assert [get.blob for _, get in pub.take_gets()] == [CAT]
    assert b.Discard(CAT) not in pub.findings


def test_a_blob_that_never_fits_is_not_fetched_by_sympathy(pub: Node) -> None:
    share(pub, "one")
    share(pub, "huge", 4 * COUNTED_BYTES_MIN)
    assert set(pub.machine.held) == {blob_id("one")}


def test_who_claims_a_size_that_never_fits_keeps_nobody_from_fetching_it_elsewhere(
    pub: Node,
) -> None:
    pub.meet(DAVE)
    pub.hear(BOB, b.Want(CAT, 1))
    pub.hear(DAVE, b.Have(CAT, 4 * COUNTED_BYTES_MIN))
    assert pub.take_gets() == []
    pub.hear(CAROL, b.Have(CAT, COUNTED_BYTES_MIN))
    assert [(peer, get.blob) for peer, get in pub.take_gets()] == [(CAROL, CAT)]


def test_what_the_operator_adds_or_wants_never_gives_way(pub: Node) -> None:
    for name in ("one", "two", "three"):
        share(pub, name)
    pub.add(blob_id("one"))
    pub.ask(b.WantBlob(blob_id("two")))
    pub.restart()
    pub.meet(BOB, CAROL)
    for name in ("four", "five", "six"):
        share(pub, name)
    assert {blob_id("one"), blob_id("two")} <= set(pub.machine.held)
    assert blob_id("three") not in pub.machine.held


def test_a_blob_of_sympathy_is_the_operators_once_that_is_durable() -> None:
    pub = Node("pub", QUOTA)
    pub.meet(BOB, CAROL)
    share(pub, "one")
    pub.take_findings()
    pub.hold_syncs = True
    pub.ask(b.WantBlob(blob_id("one")))
    assert pub.take_findings() == []
    pub.sync()
    assert pub.take_findings() == [b.Arrived(blob_id("one"), COUNTED_BYTES_MIN)]
    assert pub.disk.get(MARK + blob_id("one")) is None


def test_a_fetch_by_sympathy_turns_into_the_operators(pub: Node) -> None:
    pub.hear(BOB, b.Want(CAT, 1))
    pub.hear(CAROL, b.Have(CAT, 10))
    ((peer, get),) = pub.take_gets()
    pub.ask(b.WantBlob(CAT))
    pub.finish(peer, get)
    assert b.Arrived(CAT, 10) in pub.findings
    assert pub.disk.get(MARK + CAT) is None
    assert pub.disk.get(WANT + CAT) is None


def test_the_order_of_arrival_outlives_a_restart(pub: Node) -> None:
    for name in ("one", "two", "three"):
        share(pub, name)
    for name in ("four", "five"):
        pub.restart()
        pub.meet(BOB, CAROL)
        share(pub, name)
    assert set(pub.machine.held) == {blob_id("three"), blob_id("four"), blob_id("five")}
    pub.restart()
    pub.meet(BOB, CAROL)
    share(pub, "six")
    assert blob_id("three") not in pub.machine.held


def test_the_mark_of_sympathy_is_durable_before_the_first_byte() -> None:
    pub = Node("pub", QUOTA, hold_syncs=True)
    pub.meet(BOB, CAROL)
    pub.hear(BOB, b.Want(CAT, 1))
    pub.hear(CAROL, b.Have(CAT, 10))
    assert pub.take_gets() == []
    pub.sync()
    assert len(pub.take_gets()) == 1
    assert pub.disk.get(MARK + CAT) is not None


def test_a_failed_fetch_by_sympathy_gives_its_room_back(pub: Node) -> None:
    pub.hear(BOB, b.Want(CAT, 1))
    pub.hear(CAROL, b.Have(CAT, 3 * COUNTED_BYTES_MIN))
    ((peer, get),) = pub.take_gets()
    pub.fail(peer, get)
    assert pub.disk.get(MARK + CAT) is None
    share(pub, "other", 3 * COUNTED_BYTES_MIN)
    assert set(pub.machine.held) == {blob_id("other")}


def test_marks_without_their_file_are_cleared_at_start(pub: Node) -> None:
    share(pub, "one")
    pub.files.clear()
    pub.restart()
    assert pub.disk.get(MARK + blob_id("one")) is None


def test_a_removed_blob_is_forgotten_with_its_mark(pub: Node) -> None:
    share(pub, "one")
    for _ in range(2):
        pub.ask(b.Removed(blob_id("one")))
    assert pub.machine.held == {}
    assert pub.disk.get(MARK + blob_id("one")) is None
    share(pub, "large", 3 * COUNTED_BYTES_MIN)
    assert set(pub.machine.held) == {blob_id("large")}


def test_the_mark_of_a_blob_that_comes_again_stays(pub: Node) -> None:
    share(pub, "one")
    share(pub, "large", 3 * COUNTED_BYTES_MIN)  # "one" has to go
    pub.hear(BOB, b.Want(blob_id("one"), 1))
    pub.hear(CAROL, b.Have(blob_id("one"), 10))
    ((peer, get),) = pub.take_gets()
    pub.ask(b.Removed(blob_id("one")))  # said again, late
    pub.finish(peer, get)
    assert pub.disk.get(MARK + blob_id("one")) is not None
