"""Each byzantine program by itself: it does what it is there for, and honest nodes stay right."""

import pytest

from netsim.forks import FORKED
from netsim.messages import BlobBytes, BlobEnd, BlobGet
from netsim.plan import Do
from netsim.roles import NAMES, ROLES
from netsim.roles.blob_liar import HUGE, make_blob_liar
from netsim.roles.eclipser import make_eclipser
from netsim.roles.equivocator import Showing, make_equivocator
from netsim.roles.flooder import SIZE, make_flooder
from netsim.roles.forger import make_forger
from netsim.roles.liar import make_liar
from netsim.roles.replayer import make_replayer
from netsim.roles.silent import make_silent
from netsim.roles.slow_reader import make_slow_reader
from netsim.roles.sybil import IDENTITIES, make_sybil
from netsim.roles.withholder import make_withholder
from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.blobs.limits import Limits
from qbix_node.feeds.machine import HELD_MAX, WAITING_MAX
from qbix_node.feeds.messages import Offered
from qbix_node.replication.messages import EbtNotes
from qbix_node.wire.references import BlobId, format_feed
from tests.netsim.room import Party, of


@pytest.mark.parametrize("name", NAMES)
def test_honest_nodes_converge_among_themselves_whatever_one_of_them_does(name: str) -> None:
    party = Party(ROLES[name], honest=4).meet()
    for turn in range(3):
        for node in range(5):
            party.ask(node, Do.PUBLISH, number=turn)
        party.ask(0, Do.ACT, number=turn)
        party.room.run(8)
    party.room.run(90)
    assert [party.heads(feed) for feed in range(1, 5)] == [[3, 3, 3, 3]] * 4
    assert not any(any(party.forked(feed)) for feed in range(1, 5))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_grows_without_bound(name: str) -> None:
    party = Party(ROLES[name], honest=2).meet()
    for node in range(3):
        party.ask(node, Do.PUBLISH, times=3)
    party.room.run(120)
    for puppet in party.honest.values():
        assert puppet.feeds.replicator.book.waiting <= min(WAITING_MAX, HELD_MAX)
        assert len(puppet.blobs.exchange._wants) <= Limits().wants_max


@pytest.mark.parametrize("name", NAMES)
def test_the_same_chance_gives_the_same_deeds(name: str) -> None:
    def life() -> list[object]:
        party = Party(ROLES[name], honest=2).meet()
        for node in range(3):
            party.ask(node, Do.PUBLISH, times=3)
        party.ask(0, Do.ACT, times=2)
        party.room.run(20)
        return [*party.room.told, *party.room.misdeeds]

    assert life() == life()


# ---- equivocator ----


@pytest.mark.parametrize("showing", [Showing.SPLIT, Showing.HALVES, Showing.ONE, Showing.THREE])
def test_branches_of_equal_length_are_found_out_where_one_outgrows_another(
    showing: Showing,
) -> None:
    party = Party(make_equivocator, honest=4, amount=showing).meet()
    party.ask(0, Do.PUBLISH, times=2)
    assert party.heads(0) == [2, 2, 2, 2]
    assert not party.room.misdeeds
    party.ask(0, Do.PUBLISH, number=2)
    forks = [(each.name, each.subject, each.sequence) for each in party.room.misdeeds]
    assert forks == [(FORKED, party.peers[0], 3)]
    assert party.heads(0) == [3, 3, 3, 3]
    assert not any(party.forked(0))
    for peer in party.peers[1:4]:
        party.room.cut(party.peers[0], peer)
    party.ask(0, Do.PUBLISH, number=3)
    party.room.run(60)
    assert any(party.forked(0))


def test_a_branch_that_grows_faster_is_found_out() -> None:
    party = Party(make_equivocator, honest=4, amount=Showing.UNEQUAL).meet()
    party.ask(0, Do.PUBLISH, times=3)
    party.room.run(60)
    assert any(party.forked(0))


def test_a_late_branch_is_hidden_until_it_is_revealed() -> None:
    party = Party(make_equivocator, honest=3, amount=Showing.LATE).meet()
    party.ask(0, Do.PUBLISH, times=4)
    assert not any(party.forked(0))
    assert not party.room.hangups
    party.room.run(20)
    assert set(party.room.hangups) == set(party.peers[1:])
    for peer in party.peers[1:]:
        party.room.connect(party.peers[0], peer)
    party.room.run(30)
    assert all(party.forked(0))


def test_all_branches_at_once_are_found_out_at_once() -> None:
    party = Party(make_equivocator, honest=3, amount=Showing.ALL).meet()
    party.ask(0, Do.PUBLISH, times=3)
    assert all(party.forked(0))


def test_an_equivocator_forks_when_it_is_asked_to() -> None:
    party = Party(make_equivocator, honest=3, amount=Showing.ALL).meet()
    party.ask(0, Do.PUBLISH)
    party.ask(0, Do.ACT)
    assert [each.sequence for each in party.room.misdeeds] == [2]
    assert all(party.forked(0))


# ---- withholder ----


def test_a_withholder_announces_and_sends_nothing() -> None:
    party = Party(make_withholder, honest=2).meet()
    party.ask(0, Do.PUBLISH, times=2)
    party.room.run(60)
    announced = [notes.notes for notes in party.room.heard(party.peers[1], EbtNotes)]
    assert any(notes.get(party.feeds[0], 0) >= 4 for notes in announced)
    assert party.heads(0) == [0, 0]
    assert party.deeds() == {"withheld"}


def test_a_withholder_stops_half_way() -> None:
    party = Party(make_withholder, honest=1, amount=2)
    party.ask(0, Do.PUBLISH, times=6)
    party.meet()
    party.ask(0, Do.PUBLISH, times=2, number=6)
    party.room.run(20)
    assert party.heads(0) == [3]


def test_a_withholder_serves_some_only_and_they_hand_it_on() -> None:
    party = Party(make_withholder, honest=2, amount=3).meet()
    party.ask(0, Do.PUBLISH, times=2)
    party.room.run(60)
    assert not of(party.room.heard(party.peers[2], Offered, by=party.peers[0]))
    assert party.heads(0) == [2, 2]


# ---- liar, replayer, forger, flooder ----


@pytest.mark.parametrize("kind", range(1, 7))
def test_every_lie_is_told_and_honest_feeds_go_on(kind: int) -> None:
    party = Party(make_liar, honest=3, amount=kind).meet()
    party.ask(1, Do.PUBLISH, times=3)
    party.room.run(60)
    assert len(party.deeds()) == 1
    assert party.heads(1) == [3, 3, 3]


@pytest.mark.parametrize("kind", range(1, 6))
def test_what_is_replayed_changes_nothing(kind: int) -> None:
    party = Party(make_replayer, honest=3, amount=kind).meet()
    for node in range(1, 4):
        party.ask(node, Do.PUBLISH, times=3)
    party.room.run(60)
    assert len(party.deeds()) == 1
    assert [party.heads(feed) for feed in range(1, 4)] == [[3, 3, 3]] * 3


@pytest.mark.parametrize("kind", range(1, 7))
def test_what_is_forged_is_taken_by_nobody(kind: int) -> None:
    party = Party(make_forger, honest=3, amount=kind).meet()
    for node in range(1, 4):
        party.ask(node, Do.PUBLISH, times=3)
    party.room.run(60)
    assert len(party.deeds()) == 1
    assert of(party.room.heard(party.peers[1], Offered, by=party.peers[0]))
    assert [party.heads(feed) for feed in range(1, 4)] == [[3, 3, 3]] * 3
    assert party.heads(0) == [0, 0, 0]


@pytest.mark.parametrize("kind", range(1, 8))
def test_each_flood_is_survived(kind: int) -> None:
    party = Party(make_flooder, honest=2, amount=kind).meet()
    for node in range(3):
        party.ask(node, Do.PUBLISH, times=3)
    party.room.run(30)
    assert len(party.deeds()) == 1
    assert [party.heads(feed) for feed in range(3)] == [[3, 3]] * 3
    assert not any(party.forked(0))


def test_a_flood_of_wants_is_beyond_what_is_remembered() -> None:
    party = Party(make_flooder, honest=1, amount=5).meet()
    party.room.run(8)
    assert len(party.room.heard(party.peers[1], b.Want)) >= SIZE
    assert len(party.honest[1].blobs.exchange._wants) <= Limits().peer_wants_max


# ---- crowds ----


def test_a_sybil_comes_with_many_faces_that_have_one_host() -> None:
    party = Party(make_sybil, honest=2).meet()
    crowd = {face.peer for face in party.role.faces}
    assert len(crowd) == IDENTITIES
    assert {each.subject for each in party.room.misdeeds} == set(party.peers[1:])
    assert len(party.honest[1].feeds.replicator.talks.peers) == IDENTITIES + 1


def test_an_eclipser_shows_its_victim_nothing_then_an_old_world_and_others_the_present() -> None:
    party = Party(make_eclipser, honest=2, amount=5)
    for face in party.role.faces:
        party.room.connect(face.peer, party.peers[1])
    party.room.connect(party.peers[0], party.peers[2])
    party.ask(2, Do.PUBLISH, times=2)
    assert party.head(1, 2) == 0
    party.ask(0, Do.ACT)
    party.ask(2, Do.PUBLISH, times=2, number=2)
    for face in party.role.faces:
        party.room.cut(face.peer, party.peers[1])
        party.room.connect(face.peer, party.peers[1])
    party.room.run(40)
    assert party.head(1, 2) == 2
    assert party.head(2, 2) == 4


def test_only_the_first_face_of_an_eclipser_dials_others_than_its_victim() -> None:
    party = Party(make_eclipser, honest=3, amount=4)
    first, *others = party.role.faces
    assert [dial.node for dial in first.dials] == [1, 2, 3]
    assert [[dial.node for dial in face.dials] for face in others] == [[1]] * 3


# ---- blobs ----


def want(party: Party, node: int, blob: BlobId) -> None:
    party.room.happen(party.peers[node], m.Requested(b.WantBlob(blob)))


ODD, EVEN, TOO_LARGE = (BlobId(bytes([first]) * 32) for first in (1, 2, 8))


@pytest.mark.parametrize("way", range(1, 7))
def test_a_liar_about_blobs_claims_all_and_brings_none(way: int) -> None:
    party = Party(make_blob_liar, honest=1, amount=way).meet()
    want(party, 1, ODD)
    party.room.run(10)
    assert party.room.heard(party.peers[0], BlobGet)
    party.room.run(120)
    assert ODD not in party.honest[1].blobs.files
    assert "lied about a blob" in party.deeds()


def test_a_blob_that_never_ends_is_given_up() -> None:
    party = Party(make_blob_liar, honest=1, amount=3).meet()
    want(party, 1, EVEN)
    party.room.run(100)
    drops = party.room.heard(party.peers[1], BlobBytes)
    assert len(drops) > 10
    assert sum(len(drop.data) for drop in drops) < 100_000


def test_a_blob_above_all_limits_is_not_asked_for() -> None:
    party = Party(make_blob_liar, honest=1).meet()
    want(party, 1, TOO_LARGE)
    party.room.run(5)
    assert b.Have(TOO_LARGE, HUGE) in party.room.heard(party.peers[1], b.Have)
    assert not party.room.heard(party.peers[0], BlobGet)


def test_bytes_that_nobody_asked_for_are_passed_over() -> None:
    party = Party(make_blob_liar, honest=1).meet()
    party.ask(0, Do.ACT)
    party.room.run(1)
    assert party.room.heard(party.peers[1], BlobEnd)
    assert not party.honest[1].blobs.files


# ---- silence ----


def test_a_silent_node_says_nothing() -> None:
    party = Party(make_silent, honest=2).meet()
    party.ask(0, Do.PUBLISH)
    party.room.run(60)
    assert not [what for _, speaker, what in party.room.told if speaker == party.peers[0]]


@pytest.mark.parametrize(("amount", "reads"), [(0, 2000), (500, 500), (-1, 0)])
def test_a_slow_reader_says_how_slow(amount: float, reads: float) -> None:
    (face,) = Party(make_slow_reader, amount=amount).role.faces
    assert face.reads_bytes_s == reads


# ---- what an honest node would do, roles do too ----


def test_a_puppet_carries_blobs_and_histories() -> None:
    party = Party(make_slow_reader, honest=3).meet()
    party.ask(1, Do.PUBLISH, times=2)
    party.ask(1, Do.ADD_BLOB, size=200_000)
    (blob,) = party.honest[1].blobs.files
    want(party, 2, blob)
    party.room.run(5)
    assert party.honest[2].blobs.files[blob] == party.honest[1].blobs.files[blob]
    by_history = of(party.room.heard(party.peers[0], Offered, by=party.peers[1]))
    names = [message.get("author") for message in by_history if isinstance(message, dict)]
    assert format_feed(party.feeds[1]) in names
