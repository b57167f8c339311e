from dataclasses import replace

import pytest

from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.blobs.fetches import BYTES_PER_S_MIN, PAUSE_S, STALL_S
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.machine import WANT
from qbix_node.blobs.wanted import ATTEMPTS_MAX, BARRED_MAX, RETRY_S
from qbix_node.wire.references import format_feed
from tests.blobs.nodes import Node, blob_id, peer_id

BOB, CAROL, DAVE = peer_id("bob"), peer_id("carol"), peer_id("dave")
CAT, DOG = blob_id("cat"), blob_id("dog")
SMALL = Limits(
    blob_bytes_max=1000,
    own_wants_max=3,
    wants_max=4,
    peer_wants_max=3,
    fetches_max=3,
    sympathy_fetches_max=2,
    peer_fetches_max=2,
)


@pytest.fixture
def alice() -> Node:
    return Node("alice")


# ---- wants of the operator ----


def test_operator_gets_a_blob_from_a_peer_that_has_it(alice: Node) -> None:
    alice.meet(BOB)
    alice.ask(b.WantBlob(CAT))
    assert alice.take_sent() == [(BOB, b.Want(CAT, 1))]
    assert alice.take_findings() == [b.Wanted(CAT)]
    alice.hear(BOB, b.Have(CAT, 10))
    ((peer, get),) = alice.take_gets()
    assert (peer, get.blob, get.size) == (BOB, CAT, 10)
    alice.finish(BOB, get)
    assert alice.take_findings() == [b.Arrived(CAT, 10)]
    assert alice.machine.held == {CAT: 10}
    assert alice.machine.own_wants == {}
    assert alice.timers == {}


def test_a_blob_that_is_here_arrives_at_once(alice: Node) -> None:
    alice.add(CAT)
    alice.take_findings()
    alice.ask(b.WantBlob(CAT))
    assert alice.take_findings() == [b.Arrived(CAT, 10)]
    assert alice.machine.own_wants == {}


def test_a_want_is_durable_before_anybody_hears_of_it() -> None:
    alice = Node("alice", hold_syncs=True)
    alice.meet(BOB)
    alice.ask(b.WantBlob(CAT))
    alice.meet(CAROL)
    assert alice.sent == alice.findings == []
    alice.sync()
    assert alice.take_sent() == [(BOB, b.Want(CAT, 1)), (CAROL, b.Want(CAT, 1))]
    assert alice.take_findings() == [b.Wanted(CAT)]


def test_a_want_outlives_a_restart_and_a_fulfilled_one_does_not(alice: Node) -> None:
    alice.meet(BOB)
    alice.ask(b.WantBlob(CAT))
    alice.ask(b.WantBlob(DOG))
    alice.hear(BOB, b.Have(CAT, 10))
    ((_, get),) = alice.take_gets()
    alice.finish(BOB, get)
    alice.restart()
    alice.meet(BOB)
    assert alice.take_sent() == [(BOB, b.Want(DOG, 1))]


def test_a_want_whose_blob_came_just_before_a_crash_is_fulfilled(alice: Node) -> None:
    alice.ask(b.WantBlob(CAT))
    alice.files[CAT] = 10  # placed, but the machine never heard of it
    alice.restart()
    assert alice.machine.own_wants == {}
    assert alice.disk.get(WANT + CAT) is None


def test_a_new_peer_is_told_all_wants_and_asked(alice: Node) -> None:
    alice.ask(b.WantBlob(CAT))
    alice.ask(b.WantBlob(DOG))
    alice.meet(BOB)
    assert alice.take_sent() == [(BOB, b.Want(CAT, 1)), (BOB, b.Want(DOG, 1))]


def test_a_peer_that_does_not_listen_is_told_nothing(alice: Node) -> None:
    alice.tell(m.Connected(BOB, outgoing=False))
    alice.ask(b.WantBlob(CAT))
    alice.add(DOG)
    alice.hear(BOB, b.Want(DOG, 1))
    assert alice.take_sent() == []
    alice.hear(BOB, b.Listening())
    assert alice.take_sent() == [(BOB, b.Want(CAT, 1)), (BOB, b.Have(DOG, 10))]


def test_operator_may_want_a_blob_no_longer(alice: Node) -> None:
    alice.meet(BOB)
    alice.ask(b.WantBlob(CAT))
    alice.hear(BOB, b.Have(CAT, 10))
    ((_, get),) = alice.take_gets()
    alice.take_sent()
    alice.ask(b.Unwant(CAT))
    assert alice.take_findings()[-1] == b.Unwanted(CAT)
    assert alice.take_sent() == [(BOB, b.Cancel(get.number))]
    alice.fail(BOB, get)
    alice.ask(b.Unwant(CAT))
    assert alice.take_findings() == []
    alice.restart()
    assert alice.machine.own_wants == {}


def test_more_wants_than_are_read_at_a_time_outlive_a_restart(alice: Node) -> None:
    wants = [blob_id(str(n)) for n in range(2345)]
    for blob in wants:
        alice.ask(b.WantBlob(blob))
    alice.restart()
    assert sorted(alice.machine.own_wants) == sorted(wants)


def test_what_peers_want_too_stays_wanted_for_them(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.hear(BOB, b.Want(CAT, 1))
    alice.ask(b.WantBlob(CAT))
    alice.ask(b.Unwant(CAT))
    alice.take_sent()
    alice.meet(DAVE)
    assert alice.take_sent() == [(DAVE, b.Want(CAT, 2))]


def test_operators_wants_are_bounded() -> None:
    alice = Node("alice", SMALL)
    for n in range(SMALL.own_wants_max):
        alice.ask(b.WantBlob(blob_id(str(n))))
    alice.take_findings()
    alice.ask(b.WantBlob(CAT))
    assert alice.take_findings() == [b.WantRefused(CAT, "3 blobs are wanted already")]
    alice.ask(b.WantBlob(blob_id("0")))  # a repeat
    assert alice.take_findings() == [b.Wanted(blob_id("0"))]


# ---- what peers want ----


def test_a_peer_is_told_the_size_of_what_it_wants_as_often_as_it_asks(alice: Node) -> None:
    alice.add(CAT, 77)
    alice.meet(BOB)
    for _ in range(2):
        alice.hear(BOB, b.Want(CAT, 1))
        assert alice.take_sent() == [(BOB, b.Have(CAT, 77))]


def test_a_peer_hears_of_what_it_wants_once_it_is_here(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.hear(BOB, b.Want(CAT, 9))  # too far away for sympathy
    assert alice.take_sent() == []
    alice.add(CAT, 77)
    assert alice.take_sent() == [(BOB, b.Have(CAT, 77))]


def test_nobody_hears_of_blobs_that_it_did_not_ask_for(alice: Node) -> None:
    alice.meet(BOB)
    alice.add(CAT)
    assert alice.take_sent() == []


def test_a_want_is_shared_one_hop_further_until_the_last_hop(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.hear(BOB, b.Want(CAT, 1))
    assert alice.take_sent() == [(BOB, b.Want(CAT, 2)), (CAROL, b.Want(CAT, 2))]
    alice.hear(BOB, b.Want(DOG, 2))
    assert alice.take_sent() == [(BOB, b.Want(DOG, 3)), (CAROL, b.Want(DOG, 3))]
    alice.hear(BOB, b.Want(blob_id("far"), 3))
    assert alice.take_sent() == []


def test_a_shared_want_is_said_again_only_when_it_comes_nearer(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.hear(BOB, b.Want(CAT, 2))
    alice.take_sent()
    alice.hear(CAROL, b.Want(CAT, 2))
    assert alice.take_sent() == []
    alice.hear(CAROL, b.Want(CAT, 1))
    assert alice.take_sent() == [(BOB, b.Want(CAT, 2)), (CAROL, b.Want(CAT, 2))]
    alice.meet(DAVE)
    assert alice.take_sent() == [(DAVE, b.Want(CAT, 2))]
    alice.tell(m.Disconnected(DAVE))
    alice.ask(b.WantBlob(CAT))
    assert alice.take_sent() == [(BOB, b.Want(CAT, 1)), (CAROL, b.Want(CAT, 1))]
    alice.hear(BOB, b.Want(CAT, 1))
    assert alice.take_sent() == []


def test_without_sympathy_no_want_is_shared() -> None:
    alice = Node("alice", Limits(hops_max=1))
    alice.meet(BOB, CAROL)
    alice.hear(BOB, b.Want(CAT, 1))
    alice.hear(CAROL, b.Have(CAT, 10))
    assert alice.take_sent() == []


def test_a_shared_want_ends_when_the_last_peer_that_wants_it_goes(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.hear(BOB, b.Want(CAT, 1))
    alice.hear(CAROL, b.Want(CAT, 2))
    alice.tell(m.Disconnected(BOB))
    alice.take_sent()
    alice.meet(DAVE)
    assert alice.take_sent() == [(DAVE, b.Want(CAT, 3))]
    alice.tell(m.Disconnected(CAROL))
    alice.hear(DAVE, b.Have(CAT, 10))
    assert alice.take_sent() == []


def test_a_peer_that_repeats_its_want_from_further_away_counts_as_near(alice: Node) -> None:
    """JavaScript peers do so when their own want comes back to them."""
    alice.meet(BOB, CAROL)
    alice.hear(CAROL, b.Want(CAT, 1))
    alice.hear(BOB, b.Want(CAT, 1))
    alice.hear(BOB, b.Want(CAT, 3))
    alice.tell(m.Disconnected(CAROL))
    alice.take_sent()
    alice.meet(DAVE)
    assert alice.take_sent() == [(DAVE, b.Want(CAT, 2))]


def test_a_peer_that_connects_again_starts_afresh(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.hear(BOB, b.Want(CAT, 1))
    alice.meet(BOB)
    alice.take_sent()
    alice.meet(DAVE)
    alice.add(CAT)
    assert alice.take_sent() == []


def test_a_peer_that_offers_a_blob_by_wanting_it_is_asked_for_it(alice: Node) -> None:
    alice.meet(BOB)
    alice.hear(BOB, b.Want(CAT, 1))
    assert alice.take_sent() == [(BOB, b.Want(CAT, 2))]
    alice.hear(BOB, b.Have(CAT, 10))
    ((_, get),) = alice.take_gets()
    alice.finish(BOB, get)
    assert alice.take_sent() == [(BOB, b.Have(CAT, 10))]


def test_the_empty_blob_is_never_shared(alice: Node) -> None:
    alice.meet(BOB)
    alice.hear(BOB, b.Want(b.EMPTY, 1))
    alice.add(b.EMPTY, 0)
    alice.hear(BOB, b.Want(b.EMPTY, 1))
    assert alice.take_sent() == []


def test_shared_wants_are_bounded_in_all_and_leave_the_operator_room() -> None:
    alice = Node("alice", SMALL)
    alice.meet(BOB, CAROL, DAVE)
    for n, peer in enumerate((BOB, BOB, BOB, CAROL, CAROL, CAROL)):
        alice.hear(peer, b.Want(blob_id(str(n)), 1))
    alice.take_sent()
    alice.meet(peer_id("erin"))
    assert len(alice.take_sent()) == SMALL.wants_max
    alice.ask(b.WantBlob(CAT))
    assert (DAVE, b.Want(CAT, 1)) in alice.take_sent()


def test_remembered_wants_of_one_peer_are_bounded() -> None:
    alice = Node("alice", SMALL)
    alice.meet(BOB)
    for n in range(SMALL.peer_wants_max + 1):
        alice.hear(BOB, b.Want(blob_id(str(n)), 9))
    for n in range(SMALL.peer_wants_max + 1):
        alice.add(blob_id(str(n)))
    told = [note.blob for _, note in alice.take_sent() if isinstance(note, b.Have)]
    assert told == [blob_id(str(n)) for n in range(SMALL.peer_wants_max)]
    alice.hear(BOB, b.Want(CAT, 9))  # answered wants make room
    alice.add(CAT)
    assert alice.take_sent() == [(BOB, b.Have(CAT, 10))]


def test_what_a_peer_wants_itself_takes_the_place_of_what_it_shares_for_others() -> None:
    alice = Node("alice", SMALL)
    alice.meet(BOB)
    for n in range(SMALL.peer_wants_max):
        alice.hear(BOB, b.Want(blob_id(str(n)), 2))
    alice.hear(BOB, b.Want(CAT, 1))
    alice.take_sent()
    alice.meet(CAROL)
    shared = [note.blob for _, note in alice.take_sent() if isinstance(note, b.Want)]
    assert shared == [*[blob_id(str(n)) for n in range(1, SMALL.peer_wants_max)], CAT]
    for blob in (blob_id("0"), CAT):
        alice.add(blob)
    assert alice.take_sent() == [(BOB, b.Have(CAT, 10))]


def test_the_peer_that_wants_most_gives_way_to_one_that_wants_less() -> None:
    alice = Node("alice", SMALL)
    alice.meet(BOB, CAROL, DAVE)
    for n in range(3):
        alice.hear(BOB, b.Want(blob_id(str(n)), 2))
    alice.hear(CAROL, b.Want(DOG, 1))
    alice.hear(DAVE, b.Want(CAT, 1))
    alice.take_sent()
    alice.meet(peer_id("erin"))
    shared = [note.blob for _, note in alice.take_sent() if isinstance(note, b.Want)]
    assert shared == [blob_id("1"), blob_id("2"), DOG, CAT]


def test_own_wants_of_a_peer_do_not_give_way_to_each_other() -> None:
    alice = Node("alice", SMALL)
    alice.meet(BOB)
    for n in range(SMALL.peer_wants_max):
        alice.hear(BOB, b.Want(blob_id(str(n)), 3))
        alice.hear(BOB, b.Want(blob_id(str(n)), 1))
    alice.hear(BOB, b.Want(CAT, 1))
    alice.take_sent()
    alice.add(CAT)
    assert alice.take_sent() == []


def test_wants_that_are_answered_late_make_room_too() -> None:
    alice = Node("alice", SMALL)
    alice.tell(m.Connected(BOB, outgoing=True))
    for n in range(SMALL.peer_wants_max):
        alice.add(blob_id(str(n)))
        alice.hear(BOB, b.Want(blob_id(str(n)), 9))
    alice.hear(BOB, b.Listening())
    alice.hear(BOB, b.Want(CAT, 9))
    alice.take_sent()
    alice.add(CAT)
    assert alice.take_sent() == [(BOB, b.Have(CAT, 10))]


# ---- fetching ----


def test_one_fetch_a_blob_at_a_time_then_the_other_peer(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.ask(b.WantBlob(CAT))
    alice.hear(BOB, b.Have(CAT, 10))
    alice.hear(CAROL, b.Have(CAT, 10))
    ((first, get),) = alice.take_gets()
    alice.fail(first, get)
    ((second, again),) = alice.take_gets()
    assert (first, second) == (BOB, CAROL)
    assert get.number != again.number


def test_a_peer_that_brings_nothing_is_given_up_for_another(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.ask(b.WantBlob(CAT))
    alice.hear(BOB, b.Have(CAT, 10))
    alice.hear(CAROL, b.Have(CAT, 10))
    ((_, get),) = alice.take_gets()
    alice.take_sent()
    alice.wait(STALL_S - 1)
    assert alice.take_sent() == []
    alice.wait(1)
    assert alice.take_sent() == [(BOB, b.Cancel(get.number))]
    assert alice.tell(m.TimerFired("fetch/" + CAT.hex())) == ()
    alice.fail(BOB, get)
    assert alice.take_findings()[-1] == b.Unfetched(
        BOB, CAT, b.Failure.UNAVAILABLE, "it was too slow"
    )
    ((peer, _),) = alice.take_gets()
    assert peer == CAROL


def test_a_peer_that_drips_is_given_up_in_the_end(alice: Node) -> None:
    alice.meet(BOB)
    alice.ask(b.WantBlob(CAT))
    alice.hear(BOB, b.Have(CAT, 100 * BYTES_PER_S_MIN))
    ((_, get),) = alice.take_gets()
    alice.take_sent()
    for _ in range(11):
        alice.wait(10)
        alice.hear(BOB, b.Progress(get.number, CAT))
    assert alice.take_sent() == []
    alice.wait(5)
    assert alice.take_sent() == [(BOB, b.Cancel(get.number))]


def test_a_peer_is_asked_again_later_and_later_and_then_not_at_all(alice: Node) -> None:
    alice.meet(BOB)
    alice.ask(b.WantBlob(CAT))
    alice.hear(BOB, b.Have(CAT, 10))
    pauses = []
    for attempt in range(ATTEMPTS_MAX):
        ((_, get),) = alice.take_gets()
        alice.take_sent()
        failed_at = alice.now
        alice.fail(BOB, get)
        while not alice.sent and alice.now < failed_at + RETRY_S * 2 ** (attempt + 1):
            alice.wait(1)
        pauses.append(alice.now - failed_at)
    for attempt, pause in enumerate(pauses[:-1]):
        assert 0.75 * RETRY_S * 2**attempt <= pause <= 1.25 * RETRY_S * 2**attempt + 1
    assert alice.take_gets() == []
    alice.hear(BOB, b.Have(CAT, 10))
    assert len(alice.take_gets()) == 1


def test_a_late_retry_does_not_delay_an_early_one(alice: Node) -> None:
    alice.meet(BOB)
    for blob in (DOG, CAT):
        alice.ask(b.WantBlob(blob))
    alice.hear(BOB, b.Have(DOG, 10))
    ((_, dog),) = alice.take_gets()
    for _ in range(2):
        alice.fail(BOB, dog)
        alice.wait(RETRY_S * 4)
        ((_, dog),) = alice.take_gets()
    alice.hear(BOB, b.Have(CAT, 10))
    ((_, cat),) = alice.take_gets()
    alice.fail(BOB, cat)  # again in about RETRY_S
    alice.fail(BOB, dog)  # again in about 4 * RETRY_S
    alice.wait(2 * RETRY_S)
    assert [get.blob for _, get in alice.take_gets()] == [CAT]


def test_the_less_busy_peer_is_asked() -> None:
    alice = Node("alice", replace(SMALL, fetches_max=2))
    alice.meet(BOB, CAROL, DAVE)
    for blob in (CAT, DOG, blob_id("owl")):
        alice.ask(b.WantBlob(blob))
    alice.hear(BOB, b.Have(CAT, 10))
    alice.hear(DAVE, b.Have(blob_id("owl"), 10))
    _, owl = alice.take_gets()
    alice.hear(BOB, b.Have(DOG, 10))
    alice.hear(CAROL, b.Have(DOG, 10))
    alice.finish(*owl)
    assert [peer for peer, _ in alice.take_gets()] == [CAROL]


def test_what_failed_comes_after_what_was_not_tried() -> None:
    alice = Node("alice", replace(SMALL, fetches_max=1))
    alice.meet(BOB)
    for blob in (CAT, DOG, blob_id("owl")):
        alice.ask(b.WantBlob(blob))
        alice.hear(BOB, b.Have(blob, 10))
    ((_, cat),) = alice.take_gets()
    alice.fail(BOB, cat)
    ((_, dog),) = alice.take_gets()
    alice.wait(2 * RETRY_S)
    alice.finish(BOB, dog)
    assert [get.blob for _, get in alice.take_gets()] == [blob_id("owl")]


def test_a_new_peer_is_asked_at_once_while_the_first_is_postponed(alice: Node) -> None:
    alice.meet(BOB)
    alice.ask(b.WantBlob(CAT))
    alice.hear(BOB, b.Have(CAT, 10))
    ((_, get),) = alice.take_gets()
    alice.fail(BOB, get)
    assert alice.take_gets() == []
    alice.meet(CAROL)
    alice.hear(CAROL, b.Have(CAT, 10))
    ((peer, _),) = alice.take_gets()
    assert peer == CAROL


def test_a_peer_that_sends_wrong_bytes_is_reported_and_not_asked_again(alice: Node) -> None:
    alice.meet(BOB)
    alice.ask(b.WantBlob(CAT))
    alice.ask(b.WantBlob(DOG))
    alice.hear(BOB, b.Have(CAT, 10))
    ((_, get),) = alice.take_gets()
    alice.fail(BOB, get, b.Failure.WRONG)
    assert alice.take_findings()[-1] == b.Unfetched(BOB, CAT, b.Failure.WRONG, "no")
    assert alice.machine.own_wants[CAT] == f"{format_feed(BOB)}: no"
    alice.hear(BOB, b.Have(CAT, 10))
    alice.tell(m.Disconnected(BOB))
    alice.meet(BOB)
    alice.hear(BOB, b.Have(CAT, 10))
    alice.wait(1000)
    assert alice.take_gets() == []
    alice.hear(BOB, b.Have(DOG, 10))  # for that blob only
    assert len(alice.take_gets()) == 1


def test_barred_peers_are_bounded(alice: Node) -> None:
    alice.ask(b.WantBlob(CAT))
    liars = [peer_id(f"liar {n}") for n in range(BARRED_MAX + 1)]
    for liar in liars:
        alice.meet(liar)
        alice.hear(liar, b.Have(CAT, 10))
        ((_, get),) = alice.take_gets()
        alice.fail(liar, get, b.Failure.WRONG)
    alice.hear(liars[1], b.Have(CAT, 10))
    assert alice.take_gets() == []
    alice.hear(liars[0], b.Have(CAT, 10))  # forgotten
    assert len(alice.take_gets()) == 1


def test_a_peer_that_vanishes_is_followed_by_another(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.ask(b.WantBlob(CAT))
    alice.hear(BOB, b.Have(CAT, 10))
    alice.hear(CAROL, b.Have(CAT, 10))
    ((_, get),) = alice.take_gets()
    alice.tell(m.Disconnected(BOB))
    alice.fail(BOB, get)
    ((peer, _),) = alice.take_gets()
    assert peer == CAROL


def test_the_answer_of_an_earlier_fetch_does_not_end_the_present_one(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.ask(b.WantBlob(CAT))
    alice.hear(BOB, b.Have(CAT, 10))
    alice.hear(CAROL, b.Have(CAT, 10))
    ((_, old),) = alice.take_gets()
    alice.fail(BOB, old)
    ((_, present),) = alice.take_gets()
    assert alice.fail(BOB, old) == ()
    assert alice.hear(BOB, b.Progress(old.number, CAT)) == ()
    alice.finish(CAROL, present)
    assert alice.machine.held == {CAT: 10}


def test_timers_that_fire_late_or_without_reason_are_harmless(alice: Node) -> None:
    alice.meet(BOB)
    alice.ask(b.WantBlob(CAT))
    alice.hear(BOB, b.Have(CAT, 10))
    for name in (f"fetch/{CAT.hex()}", f"fetch/{DOG.hex()}", "fetch/", "other"):
        assert alice.tell(m.TimerFired(name)) == ()
    assert alice.tell(m.TimerFired("retry")) == ()


def test_a_blob_above_the_cap_is_not_fetched_and_the_operator_hears_of_it() -> None:
    alice = Node("alice", SMALL)
    alice.meet(BOB, CAROL)
    alice.ask(b.WantBlob(CAT))
    alice.hear(CAROL, b.Want(DOG, 1))
    alice.take_findings()
    alice.hear(BOB, b.Have(CAT, 1001))
    alice.hear(BOB, b.Have(DOG, 1001))
    assert alice.take_gets() == []
    assert alice.take_findings() == [b.TooLarge(BOB, CAT, 1001)]
    assert alice.machine.own_wants == {CAT: "it is too large: 1001 bytes, where 1000 are allowed"}
    alice.hear(BOB, b.Have(CAT, 1000))  # who said it once is not asked again
    alice.hear(BOB, b.Have(CAT, 1001))
    assert alice.take_gets() == alice.take_findings() == []
    alice.hear(CAROL, b.Have(CAT, 1000))
    assert len(alice.take_gets()) == 1


def test_a_peer_that_announces_more_than_the_cap_no_longer_has_it() -> None:
    alice = Node("alice", SMALL)
    alice.meet(BOB, CAROL)
    for blob in (CAT, DOG, blob_id("owl")):
        alice.ask(b.WantBlob(blob))
        alice.hear(BOB, b.Have(blob, 10))
    first, _ = alice.take_gets()
    alice.hear(BOB, b.Have(blob_id("owl"), 1001))
    alice.finish(*first)
    assert alice.take_gets() == []


def test_the_operators_wants_are_fetched_first() -> None:
    alice = Node("alice", replace(SMALL, fetches_max=1))
    alice.meet(BOB, CAROL)
    for blob in (blob_id("owl"), CAT):
        alice.hear(BOB, b.Want(blob, 1))
        alice.hear(CAROL, b.Have(blob, 10))
    alice.ask(b.WantBlob(DOG))
    alice.hear(CAROL, b.Have(DOG, 10))
    ((peer, first),) = alice.take_gets()
    alice.finish(peer, first)
    assert [get.blob for _, get in alice.take_gets()] == [DOG]


def test_fetches_are_bounded_in_all_by_peer_and_for_others() -> None:
    alice = Node("alice", SMALL)
    alice.meet(BOB, CAROL)
    for n in range(3):
        alice.hear(CAROL, b.Want(blob_id(str(n)), 1))
    for n in range(3):
        alice.hear(BOB, b.Have(blob_id(str(n)), 10))
        alice.hear(CAROL, b.Have(blob_id(str(n)), 10))
    shared = alice.take_gets()
    assert len(shared) == SMALL.sympathy_fetches_max
    for blob in (CAT, DOG):
        alice.ask(b.WantBlob(blob))
        alice.hear(CAROL, b.Have(blob, 10))
    own = alice.take_gets()
    assert [get.blob for _, get in own] == [CAT]  # fetches_max
    alice.finish(*own[0])
    assert [get.blob for _, get in alice.take_gets()] == [DOG]
    assert max([peer for peer, _ in shared].count(peer) for peer in (BOB, CAROL)) <= 2


def test_one_peer_is_not_asked_for_too_many_at_a_time() -> None:
    alice = Node("alice", SMALL)
    alice.meet(BOB)
    for blob in (CAT, DOG, blob_id("owl")):
        alice.ask(b.WantBlob(blob))
        alice.hear(BOB, b.Have(blob, 10))
    first, second = alice.take_gets()
    alice.finish(*first)
    ((_, third),) = alice.take_gets()
    assert [get.blob for get in (first[1], second[1], third)] == [CAT, DOG, blob_id("owl")]


def test_when_the_disk_refuses_everything_waits(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    for blob in (CAT, DOG):
        alice.ask(b.WantBlob(blob))
        alice.hear(BOB, b.Have(blob, 10))
    (_, cat), (_, dog) = alice.take_gets()
    alice.fail(BOB, dog)  # to be tried again in some seconds
    alice.fail(BOB, cat, b.Failure.DISK)
    alice.hear(CAROL, b.Have(CAT, 10))
    alice.wait(PAUSE_S - 1)
    assert alice.take_gets() == []
    alice.wait(1)
    assert [get.blob for _, get in alice.take_gets()] == [CAT, DOG]


def test_a_blob_that_the_operator_adds_is_no_longer_fetched(alice: Node) -> None:
    alice.meet(BOB)
    alice.ask(b.WantBlob(CAT))
    alice.hear(BOB, b.Have(CAT, 10))
    ((_, get),) = alice.take_gets()
    alice.take_sent()
    alice.add(CAT)
    assert alice.take_sent() == [(BOB, b.Cancel(get.number))]
    assert alice.take_findings()[-1] == b.Arrived(CAT, 10)
    alice.fail(BOB, get)
    alice.wait(1000)
    assert alice.take_sent() == []
    assert alice.machine.held == {CAT: 10}


# ---- repeats ----


def test_repeats_change_nothing(alice: Node) -> None:
    alice.meet(BOB, CAROL)
    alice.hear(BOB, b.Want(CAT, 1))
    assert alice.hear(BOB, b.Want(CAT, 1)) == ()
    alice.hear(CAROL, b.Have(CAT, 10))
    assert alice.hear(CAROL, b.Have(CAT, 10)) == ()
    ((peer, get),) = alice.take_gets()
    alice.finish(peer, get)
    alice.take_sent()
    alice.finish(peer, get)
    assert alice.take_sent() == []
    assert alice.machine.held == {CAT: 10}


def test_strangers_and_other_machines_events_are_ignored(alice: Node) -> None:
    alice.hear(BOB, b.Want(CAT, 1))
    alice.hear(BOB, b.Have(CAT, 1))
    alice.hear(BOB, b.Listening())
    alice.tell(m.Disconnected(BOB))
    alice.tell(m.Loaded(m.Token(1), ()))
    alice.tell(m.Persisted(m.Token(99)))
    alice.ask("something else")
    alice.ask(b.Unwant(CAT))
    assert alice.sent == alice.findings == []
