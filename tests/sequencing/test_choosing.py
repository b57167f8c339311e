"""Owners of a forked stream choose a branch together; one of them, or a stranger, lies."""

from dataclasses import dataclass, field, replace

import pytest

from qbix_node import machines as m
from qbix_node.sequencing import messages as q
from qbix_node.sequencing import packets
from qbix_node.sequencing.choosing import CHOICES_MAX
from qbix_node.sequencing.records import read_choices
from qbix_node.streams.authoring import sign_resolve
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import OfferedSegment, Resolve
from qbix_node.streams.resolution import FORKED, Resolution
from tests.sequencing.test_proposing import told
from tests.sequencing.town import ALICE, BOB, CAROL, Member, genesis_of
from tests.streams.forking import proof_b
from tests.streams.logs import Log, keys_of

NAMES = (ALICE, BOB, CAROL)
GENESIS = genesis_of(*NAMES, threshold=2)
STREAM = GENESIS.stream


def index_of(name: str) -> int:
    owner = GENESIS.owners.index(keys_of(name).public)
    assert owner is not None
    return owner


@dataclass
class Fork:
    """By alice and bob, from leaf 2 on; compared at length 3."""

    one: Log = field(init=False)
    other: Log = field(init=False)

    def __post_init__(self) -> None:
        signers = sorted([(index_of(name), keys_of(name)) for name in (ALICE, BOB)])
        log = Log(GENESIS, tuple(signers))
        log.intend(1)
        self.one, self.other = log.twin(2), log.twin(2)
        self.one.intend(2)
        for author_seq in (3, 4):
            self.other.intend(author_seq)

    def choice(self, name: str, log: Log | None = None, *, by: str | None = None) -> q.Choice:
        """`by`: whose signature it has."""
        fork = proof_b(self.one, 3, self.other, 4)
        body = Resolve(STREAM, 3, (log or self.one).root(3))
        signed = sign_resolve(body, (index_of(name), keys_of(by or name)))
        return q.Choice(Resolution(signed, fork))


FORK = Fork()


def member(name: str, *others: str, log: Log = FORK.one) -> Member:
    """With that branch, connected to the others, who say nothing by themselves."""
    made = Member(name)
    made.follow(STREAM)
    peer = m.PeerId(b"p" * 32)
    made.tell(m.Received(peer, OfferedSegment(log.segment(0, log.length))), made.book)
    told(made)
    made.stopped[STREAM] = FORKED
    for other in others:
        made.tell(m.Connected(m.PeerId(keys_of(other).public), outgoing=False))
    made.found.clear()
    return made


def hears(made: Member, choice: q.Choice, sender: str) -> None:
    data = packets.encode(choice)
    made.tell(m.Received(m.PeerId(keys_of(sender).public), packets.read_message(data)))


def chooses(made: Member, choice: q.Choice) -> q.Done | q.Failed | None:
    made.requests += 1
    made.tell(m.Requested(q.Choose(made.requests, choice)))
    return made.outcome(made.requests)


def resolved(made: Member) -> list[Resolution]:
    return [each.resolution for each in made.found if isinstance(each, q.Resolved)]


def sent(made: Member) -> list[tuple[bytes, q.Choice]]:
    return [(to, said) for to, said in told(made) if isinstance(said, q.Choice)]


def test_one_of_three_chooses_nothing_yet_and_the_second_does() -> None:
    alice = member(ALICE, BOB, CAROL)
    assert chooses(alice, FORK.choice(ALICE)) is None  # until it is durable
    assert not alice.out
    assert {to for to, _ in sent(alice)} == {keys_of(BOB).public, keys_of(CAROL).public}
    assert isinstance(alice.outcome(1), q.Done)
    assert resolved(alice) == []
    hears(alice, FORK.choice(BOB), BOB)
    assert sent(alice) == [(keys_of(CAROL).public, FORK.choice(BOB))]
    (resolution,) = resolved(alice)
    assert resolution.fits
    assert resolution.chosen_root == FORK.one.root(3)
    assert len(resolution.signed.signatures) == 2
    assert resolution.checks()


def test_nobody_signs_because_others_did() -> None:
    bob = member(BOB, ALICE, CAROL)
    hears(bob, FORK.choice(ALICE), ALICE)
    told(bob)
    assert {*read_choices(bob.disk)[STREAM]} == {index_of(ALICE)}
    assert resolved(bob) == []


def test_who_hears_both_puts_them_together_without_choosing_itself() -> None:
    carol = member(CAROL, ALICE, BOB)
    hears(carol, FORK.choice(ALICE), ALICE)
    hears(carol, FORK.choice(BOB), ALICE)  # passed on
    told(carol)
    assert len(resolved(carol)) == 1
    assert index_of(CAROL) not in carol.machine.choices[STREAM]


def test_different_branches_are_not_counted_together() -> None:
    carol = member(CAROL, ALICE, BOB)
    hears(carol, FORK.choice(ALICE), ALICE)
    hears(carol, FORK.choice(BOB, FORK.other), BOB)
    told(carol)
    assert resolved(carol) == []
    chooses(carol, FORK.choice(CAROL, FORK.other))
    told(carol)
    (resolution,) = resolved(carol)
    assert resolution.chosen_root == FORK.other.root(3)


def test_a_second_choice_is_refused_also_after_a_restart() -> None:
    alice = member(ALICE, BOB)
    chooses(alice, FORK.choice(ALICE))
    told(alice)
    alice.restart()
    failed = chooses(alice, FORK.choice(ALICE, FORK.other))
    assert isinstance(failed, q.Failed)
    assert "already" in failed.reason
    chooses(alice, FORK.choice(ALICE))
    told(alice)
    assert isinstance(alice.outcome(alice.requests), q.Done)


def test_who_forgot_its_choice_is_told_and_can_not_choose_otherwise() -> None:
    alice = member(ALICE, BOB)
    hears(alice, FORK.choice(ALICE), BOB)
    told(alice)
    assert isinstance(chooses(alice, FORK.choice(ALICE, FORK.other)), q.Failed)


def test_who_comes_is_told_what_is_known_until_the_stream_goes_on() -> None:
    carol = member(CAROL, ALICE)
    hears(carol, FORK.choice(ALICE), ALICE)
    told(carol)
    carol.tell(m.Connected(m.PeerId(keys_of(BOB).public), outgoing=False))
    carol.tell(m.Connected(m.PeerId(keys_of("mallory").public), outgoing=False))
    assert sent(carol) == [(keys_of(BOB).public, FORK.choice(ALICE))]
    hears(carol, FORK.choice(BOB), BOB)
    told(carol)
    assert resolved(carol)
    carol.tell(m.Disconnected(m.PeerId(keys_of(BOB).public)))
    carol.tell(m.Connected(m.PeerId(keys_of(BOB).public), outgoing=False))
    assert sent(carol) == []


def test_what_was_complete_at_a_stop_is_completed_at_the_start() -> None:
    carol = member(CAROL, ALICE)
    hears(carol, FORK.choice(ALICE), ALICE)
    told(carol)
    carol.tell(m.Received(m.PeerId(keys_of(ALICE).public), FORK.choice(BOB)))
    while carol.writes:
        _, effect = carol.writes.popleft()
        carol.disk.append(effect.writes)
    carol.disk.sync()
    carol.found.clear()
    carol.restart()
    assert len(resolved(carol)) == 1


# ---- liars ----


def test_a_choice_that_its_owner_did_not_sign_is_a_lie() -> None:
    carol = member(CAROL, BOB)
    hears(carol, FORK.choice(ALICE, by=BOB), BOB)
    told(carol)
    assert any(isinstance(each, LiarFound) for each in carol.found)
    assert read_choices(carol.disk) == {}


def test_a_choice_about_another_fork_than_its_proof_shows_is_a_lie() -> None:
    carol = member(CAROL, BOB)
    body = Resolve(STREAM, 2, FORK.one.root(2))
    signed = sign_resolve(body, (index_of(BOB), keys_of(BOB)))
    hears(carol, q.Choice(Resolution(signed, proof_b(FORK.one, 3, FORK.other, 4))), BOB)
    told(carol)
    assert any(isinstance(each, LiarFound) for each in carol.found)
    assert read_choices(carol.disk) == {}


def test_an_owner_that_does_not_exist_is_a_lie_and_ends_nothing() -> None:
    carol = member(CAROL, BOB)
    choice = FORK.choice(BOB)
    signed = replace(
        choice.resolution,
        signed=choice.resolution.signed._replace(signatures=((63, choice.signature),)),
    )
    hears(carol, q.Choice(signed), BOB)
    assert any(isinstance(each, LiarFound) for each in carol.found)


@pytest.mark.parametrize("case", ["a stranger", "not followed"])
def test_what_is_nobodys_business_is_passed_over(case: str) -> None:
    sender = "mallory" if case == "a stranger" else BOB
    carol = member(CAROL, sender)
    if case == "not followed":
        carol.followed.clear()
    hears(carol, FORK.choice(BOB), sender)
    told(carol)
    assert read_choices(carol.disk) == {}
    assert carol.found == []


def test_the_first_of_an_owner_is_kept() -> None:
    carol = member(CAROL, BOB)
    hears(carol, FORK.choice(BOB), BOB)
    hears(carol, FORK.choice(BOB, FORK.other), BOB)
    told(carol)
    assert read_choices(carol.disk)[STREAM] == {index_of(BOB): FORK.choice(BOB)}


def test_choices_of_others_are_bounded_but_not_the_own() -> None:
    carol = member(CAROL, BOB)
    for n in range(CHOICES_MAX):
        carol.machine.choices[type(STREAM)(n.to_bytes(32, "big"))] = {0: FORK.choice(BOB)}
    hears(carol, FORK.choice(BOB), BOB)
    told(carol)
    assert STREAM not in read_choices(carol.disk)
    hears(carol, FORK.choice(CAROL), BOB)
    told(carol)
    assert index_of(CAROL) in read_choices(carol.disk)[STREAM]
