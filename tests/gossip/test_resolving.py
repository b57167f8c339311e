"""What a Gossiper believes and tells when owners choose a branch (spec/gossip.md 6)."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.gossip import messages as g
from qbix_node.gossip.peers import CHECKS_BURST
from qbix_node.streams.authoring import sign_resolve
from qbix_node.streams.forks import (
    HeadFork,
    ResolveFork,
    ShownHead,
    check_fork,
    encode_fork,
    read_fork,
    two_resolves,
)
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Resolve
from qbix_node.streams.resolution import CLOSED, FORKED, Resolution
from qbix_node.streams.tree import Hash, Prefix
from tests.gossip.desk import Desk
from tests.replication.network import keys_of
from tests.streams.forking import (
    again,
    forked_log,
    log_of_two,
    proof_a,
    proof_b,
    proof_r,
    resolution,
)
from tests.streams.logs import BOB as STRANGER
from tests.streams.logs import Log

ALICE, BOB, CAROL = (m.PeerId(keys_of(name).public) for name in ("alice", "bob", "carol"))

ONE, OTHER = forked_log(4, 9, 7)
STREAM = ONE.stream
FORK = proof_b(OTHER, 7, ONE, 9, 5)
CHOICE = resolution(FORK, ONE)
LENGTH = CHOICE.fork_length


def twin_of(log: Log, common: int, length: int) -> Log:
    twin = log.twin(common)
    while twin.length < length:
        twin.write(f"twin {twin.length}")
    return twin


TWIN = twin_of(ONE, 7, 9)  # on the chosen branch, and another
AGAIN = again(proof_a(ONE, TWIN, 9), ONE, LENGTH, TWIN)


def holding(log: Log, *peers: m.PeerId) -> Desk:
    desk = Desk()
    desk.take(log.genesis, log.segments(log.length))
    for peer in peers:
        desk.meet(peer, log.stream)
    return desk


def told(choice: Resolution) -> g.Resolve:
    return g.Resolve(choice.signed, encode_fork(choice.fork))


def proof(*forks: HeadFork | ResolveFork) -> g.Proofs:
    return g.Proofs(tuple(map(encode_fork, forks)))


def stopped(desk: Desk) -> str | None:
    assert desk.gossiper.stopped(STREAM) == restarted(desk).gossiper.stopped(STREAM)
    return desk.gossiper.stopped(STREAM)


def restarted(desk: Desk) -> Desk:
    return Desk(desk.rows, desk.geneses, desk.logs)


# ---- what counts ----


def test_a_choice_is_durable_then_told_to_all_but_who_told_it() -> None:
    desk = holding(ONE, ALICE, BOB, CAROL)
    desk.held = []
    desk.hear(BOB, told(CHOICE))
    assert desk.take_said(g.Resolve) == []
    assert desk.gossiper.resolution(STREAM) is None
    desk.do(desk.held.pop())
    assert sorted(desk.take_said(g.Resolve)) == sorted(
        [(ALICE, told(CHOICE)), (CAROL, told(CHOICE))]
    )
    assert g.ForkResolved(CHOICE, BOB) in desk.found
    assert desk.gossiper.resolution(STREAM) == CHOICE
    assert restarted(desk).gossiper.resolution(STREAM) == CHOICE
    assert stopped(desk) is None


def test_it_is_told_again_in_each_connection_and_the_first_fork_is_not() -> None:
    desk = holding(ONE, ALICE, BOB)
    desk.hear(ALICE, proof(FORK))
    desk.hear(ALICE, told(CHOICE))
    desk.take_said()
    desk.do(m.Disconnected(BOB))
    desk.meet(BOB, STREAM)
    assert desk.take_said() == [(BOB, told(CHOICE))]
    assert [read_fork(each) for each in desk.gossiper.proofs(STREAM)] == [FORK]


def test_a_choice_ends_the_stop_of_a_forked_stream() -> None:
    desk = holding(ONE, ALICE)
    desk.hear(ALICE, proof(proof_a(ONE, OTHER, 6)))
    assert stopped(desk) == FORKED
    desk.hear(ALICE, told(CHOICE))
    assert stopped(desk) is None


TWO = log_of_two()
ELSEWHERE = sign_resolve(Resolve(TWO.stream, LENGTH, ONE.root(LENGTH)), *ONE.signers)


def resolve(
    length: int = LENGTH, root: bytes = ONE.root(LENGTH), signer: KeyPair | None = None
) -> g.Resolve:
    body = Resolve(STREAM, length, Hash(root))
    signers = ONE.signers if signer is None else ((0, signer),)
    return g.Resolve(sign_resolve(body, *signers), encode_fork(FORK))


def test_a_resolve_with_the_proof_of_another_stream_is_a_lie() -> None:
    for here in (False, True):
        desk = holding(ONE, ALICE, BOB)
        if here:
            desk.take(TWO.genesis, TWO.segments(TWO.length))
        desk.hear(BOB, g.Resolve(ELSEWHERE, encode_fork(FORK)))
        assert [type(each) for each in desk.found] == [LiarFound]
        assert desk.checked == 0


@pytest.mark.parametrize(
    "said",
    [
        resolve(length=LENGTH + 1, root=ONE.root(LENGTH + 1)),
        resolve(length=LENGTH - 1, root=ONE.root(LENGTH - 1)),
        resolve(root=bytes(32)),
        resolve(signer=STRANGER),
        g.Resolve(CHOICE.signed._replace(signatures=()), encode_fork(FORK)),
        g.Resolve(CHOICE.signed, encode_fork(FORK)[:-1]),
        g.Resolve(CHOICE.signed, b""),
        g.Resolve(CHOICE.signed, encode_fork(proof_r(ONE))),
        g.Resolve(CHOICE.signed, encode_fork(again(FORK, ONE, 3, OTHER))),
        g.Resolve(
            CHOICE.signed,
            encode_fork(replace(FORK, shown=ShownHead(FORK.shown.signed._replace(signatures=())))),
        ),
        g.Resolve(CHOICE.signed, encode_fork(replace(FORK, other=FORK.shown))),
    ],
)
def test_what_does_not_count_is_a_lie_and_changes_nothing(said: g.Resolve) -> None:
    desk = holding(ONE, ALICE, BOB)
    before = desk.rows.scan(b"", b"\xff", limit=999)
    desk.hear(BOB, said)
    assert [type(each) for each in desk.found] == [LiarFound]
    assert desk.rows.scan(b"", b"\xff", limit=999) == before
    assert desk.take_said() == []


def test_choices_about_strange_streams_are_told_to_who_has_the_stream() -> None:
    desk = Desk()
    desk.meet(BOB, STREAM)
    desk.hear(BOB, told(CHOICE))
    assert (desk.found, desk.said) == ([], [])
    assert desk.gossiper.resolution(STREAM) is None
    desk.meet(CAROL, STREAM)
    assert desk.take_said() == [(CAROL, told(CHOICE))]


def test_a_choice_and_a_second_fork_that_come_before_their_stream_count_once_it_is_here() -> None:
    desk = Desk()
    desk.followed.add(STREAM)
    desk.meet(BOB, STREAM)
    desk.hear(BOB, told(CHOICE))
    desk.round()
    assert desk.gossiper.resolution(STREAM) is None
    desk.hear(BOB, proof(AGAIN))
    desk.take(ONE.genesis, ONE.segments(9))
    desk.round()
    assert desk.gossiper.resolution(STREAM) == CHOICE
    assert stopped(desk) == CLOSED


def test_the_same_choice_again_costs_no_signatures() -> None:
    desk = holding(ONE, ALICE, BOB)
    desk.hear(BOB, told(CHOICE))
    checked = desk.checked
    for _ in range(CHECKS_BURST):
        desk.hear(ALICE, told(CHOICE))
        desk.hear(ALICE, told(Resolution(CHOICE.signed, proof_b(OTHER, 6, ONE, 8, LENGTH))))
    assert desk.checked == checked


# ---- what closes a stream ----

RIVAL = resolution(FORK, OTHER)


@pytest.mark.parametrize("held", [False, True])
def test_two_different_choices_close_the_stream_and_the_proof_of_that_is_told(held: bool) -> None:
    desk = holding(ONE, ALICE, BOB)
    desk.held = [] if held else None
    desk.hear(BOB, told(CHOICE))
    desk.hear(ALICE, told(RIVAL))
    for write in desk.held or []:
        desk.do(write)
    assert stopped(desk) == CLOSED
    assert desk.gossiper.resolution(STREAM) == CHOICE
    made = [read_fork(each) for each in desk.gossiper.proofs(STREAM)]
    [fork] = [each for each in made if isinstance(each, ResolveFork)]
    check_fork(fork)
    assert (ALICE, proof(fork)) in desk.take_said(g.Proofs)


def test_a_proof_of_two_choices_closes_a_stream_of_which_nothing_else_is_known() -> None:
    desk = holding(ONE, ALICE)
    desk.hear(ALICE, proof(proof_r(ONE)))
    assert stopped(desk) == CLOSED
    desk.hear(ALICE, told(CHOICE))
    assert desk.gossiper.resolution(STREAM) is None


def test_after_a_choice_only_proofs_that_both_branches_contain_it_count() -> None:
    desk = holding(ONE, ALICE)
    desk.hear(ALICE, told(CHOICE))
    desk.hear(ALICE, proof(proof_a(ONE, OTHER, 6), proof_a(ONE, TWIN, 9)))
    assert stopped(desk) is None
    assert len(desk.gossiper.proofs(STREAM)) == 1
    desk.hear(ALICE, proof(AGAIN))
    assert stopped(desk) == CLOSED
    assert desk.gossiper.proofs(STREAM) == [encode_fork(FORK), encode_fork(AGAIN)]


def test_a_proof_with_another_choice_closes_the_stream() -> None:
    desk = holding(ONE, ALICE)
    desk.hear(ALICE, told(RIVAL))
    desk.hear(ALICE, proof(AGAIN))
    assert stopped(desk) == CLOSED
    assert isinstance(read_fork(desk.gossiper.proofs(STREAM)[1]), ResolveFork)


def test_of_a_closed_stream_nothing_more_is_kept_however_much_its_owner_signs() -> None:
    desk = holding(ONE, ALICE)
    desk.hear(ALICE, proof(proof_r(ONE)))
    desk.round()
    checked, rows = desk.checked, desk.rows.scan(b"", b"\xff", limit=999)
    for length in range(2, 9):
        other = resolve(length=length, root=bytes(32))
        desk.hear(ALICE, proof(two_resolves(ONE.genesis, CHOICE.signed, other.signed)))
        desk.hear(ALICE, told(CHOICE))
        desk.hear(ALICE, proof(AGAIN, proof_a(ONE, TWIN, 9), proof_a(ONE, OTHER, 6)))
    assert desk.checked == checked
    assert desk.rows.scan(b"", b"\xff", limit=999) == rows


def test_a_second_fork_may_be_heard_of_before_the_first() -> None:
    desk = holding(ONE, ALICE, BOB)
    desk.hear(ALICE, proof(AGAIN))
    assert stopped(desk) == FORKED
    desk.take_said()
    desk.hear(ALICE, told(CHOICE))
    assert stopped(desk) == CLOSED


HEARD = [
    told(CHOICE),
    told(RIVAL),
    proof(FORK),
    proof(proof_a(ONE, OTHER, 6)),
    proof(AGAIN),
    proof(proof_r(ONE)),
]


@given(st.lists(st.sampled_from(HEARD), max_size=12))
def test_in_whatever_order_they_are_heard_nodes_think_the_same(heard: list[g.Message]) -> None:
    """Of what the owners' word is; which of two choices came first, nobody can know."""
    desk = holding(ONE, ALICE, BOB)
    for number, message in enumerate(heard):
        desk.hear((ALICE, BOB)[number % 2], message)
    chosen, rivals = told(CHOICE) in heard, told(RIVAL) in heard
    closed = (chosen and rivals) or (HEARD[4] in heard and (chosen or rivals)) or HEARD[5] in heard
    forked = HEARD[2] in heard or HEARD[3] in heard or HEARD[4] in heard
    assert stopped(desk) == (
        CLOSED if closed else FORKED if forked and not (chosen or rivals) else None
    )
    assert len(desk.gossiper.proofs(STREAM)) <= 5
    assert not [each for each in desk.found if isinstance(each, LiarFound)]


# ---- second forks that nodes find out ----


def converse(desks: dict[m.PeerId, Desk], rounds: int = 6) -> None:
    """Rounds of them all, each message delivered at once."""
    for peer, desk in desks.items():
        for other in desks:
            if other != peer:
                desk.meet(other, STREAM)
    for _ in range(rounds):
        for desk in desks.values():
            desk.round()
        while any(desk.said for desk in desks.values()):
            for peer, desk in desks.items():
                for to, message in desk.take_said():
                    desks[to].hear(peer, message)


def chosen_by(log: Log, *, length: int | None = None) -> Desk:
    desk = Desk()
    desk.take(log.genesis, [log.segment(0, length or log.length, log.length)])
    desk.meet(CAROL, STREAM)
    desk.hear(CAROL, told(CHOICE))
    desk.do(m.Disconnected(CAROL))
    return desk


BRANCHES: dict[str, Callable[[], tuple[Desk, Desk]]] = {
    "of one length": lambda: (chosen_by(ONE), chosen_by(TWIN)),
    "of different lengths": lambda: (chosen_by(ONE), chosen_by(twin_of(ONE, 6, 20))),
    "right behind the choice": lambda: (chosen_by(ONE), chosen_by(twin_of(ONE, 5, 12))),
    "one ahead of its entries": lambda: (
        chosen_by(ONE),
        chosen_by(twin_of(ONE, 5, 14), length=8),
    ),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_nodes_prove_a_second_fork_by_themselves(name: str) -> None:
    desks = dict(zip((ALICE, BOB), BRANCHES[name](), strict=True))
    converse(desks)
    for desk in desks.values():
        assert stopped(desk) == CLOSED
        *_, fork = map(read_fork, desk.gossiper.proofs(STREAM))
        check_fork(fork)
        assert not [each for each in desk.found if isinstance(each, LiarFound)]


def test_a_head_that_was_replaced_proves_a_second_fork_without_anybody_else() -> None:
    """The log was covered by a Head ahead of it; what came contradicts that."""
    desk = chosen_by(twin_of(ONE, 7, 12), length=7)
    before = desk.logs[STREAM]
    desk.take(ONE.genesis, [ONE.segment(7, 9)])
    desk.do(m.Requested(g.Replaced(before)))
    assert stopped(desk) == CLOSED
    assert desk.take_said() == []


def test_who_is_on_the_lost_branch_contradicts_nobody() -> None:
    desks = {ALICE: chosen_by(ONE), BOB: holding(OTHER)}
    desks[ALICE].hear(BOB, g.Heads((ShownHead(OTHER.head(7)),)))
    converse(desks)
    assert stopped(desks[ALICE]) is None
    assert stopped(desks[BOB]) is None
    assert desks[BOB].gossiper.resolution(STREAM) == CHOICE


def test_a_peer_that_never_says_how_its_head_goes_on_is_not_asked_for_ever() -> None:
    desk = chosen_by(ONE)
    desk.meet(BOB, STREAM)
    desk.hear(BOB, g.Heads((ShownHead(TWIN.head(9)),)))
    asked = 0
    for _ in range(40):
        questions = [said for _, said in desk.take_said(g.Compare)]
        asked += len(questions)
        for said in questions:
            assert isinstance(said, g.Compare)
            assert said.prefix.length == LENGTH
            desk.hear(BOB, g.Shorter(said.number, ShownHead(TWIN.head(9)), whole(TWIN, 9)))
    assert asked == 1


def whole(log: Log, length: int) -> Prefix:
    state = holding(log).logs[log.stream]
    assert state.length == length
    return state.prefix
