"""Whatever is lost, cut off or restarted, owners never contradict themselves, and once all is well
again everything that was taken stands in every log.
"""

import random
from collections.abc import Callable
from functools import cache

import pytest

from qbix_node.sequencing import messages as q
from tests.sequencing.town import ALICE, BOB, CAROL, DAVE, Member, Town, genesis_of

ACTIONS = 500


class Run:
    """One at random."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        threshold = self.rng.choice([2, 3])
        genesis = genesis_of(ALICE, BOB, CAROL, threshold=threshold, writers=())
        self.members = [Member(name) for name in (ALICE, BOB, CAROL, DAVE)]
        self.town = Town(*self.members, stream=genesis.stream)
        self.asked: list[tuple[Member, int]] = []
        self.members[0].begin(genesis)
        self.members[0].sync()  # else a restart forgets it, as nobody was told that it is there
        for member in self.members[1:]:
            member.follow(genesis.stream)
        if self.rng.random() < 0.8:
            self.town.live(2)  # else it may be long before the stream begins
        for member in self.members:
            member.slow = self.rng.random() < 0.5
        for _ in range(ACTIONS):
            self._act(*self.rng.sample(self.members, 2))
        self.town.reconnect()
        self.town.live(12)

    def _act(self, one: Member, other: Member) -> None:
        town = self.town
        actions: list[tuple[float, Callable[[], object]]] = [
            (30, one.sync),
            (30, one.do_work),
            (45, self._deliver),
            (15, lambda: one.learn_from(other, town.stream)),
            (6, lambda: self._write(one)),
            (2, lambda: town.cut(one.id, other.id)),
            (8, lambda: town.connect(one.id, other.id)),
            (1.5, lambda: town.restart(one)),
            (4, town.tick),
        ]
        weights = [weight for weight, _ in actions]
        self.rng.choices([action for _, action in actions], weights)[0]()

    def _deliver(self) -> None:
        self.town.collect()
        if full := [pair for pair, wire in self.town.wires.items() if wire]:
            self.town.deliver(*self.rng.choice(full))

    def _write(self, member: Member) -> None:
        texts = [f"{len(self.asked)}.{each}" for each in range(self.rng.randint(1, 20))]
        self.asked.append((member, member.write(self.town.stream, *texts)))


@cache
def run_of(seed: int) -> Run:
    return Run(seed)


@pytest.mark.parametrize("seed", range(20))
def test_owners_never_contradict_themselves_and_all_comes_right(seed: int) -> None:
    run = run_of(seed)
    members, stream = run.members, run.town.stream
    for member in members:
        roots = dict(member.signed)
        assert len(roots) == len(set(member.signed)), "two roots of one length"
    assert len({tuple(member.leaves(stream)) for member in members}) == 1
    assert not members[0].machine.proposals
    assert members[0].length(stream) >= 1
    leaves = members[0].leaves(stream)
    assert len(set(leaves)) == len(leaves)
    for member, request in run.asked:
        done = member.outcome(request)
        if isinstance(done, q.Done):
            authors = [member.authors(stream)[place - 1] for place in done.places]
            assert authors == [member.id] * len(done.places)


def test_the_runs_are_worth_something() -> None:
    """Else the checks would hold of nothing."""
    outcomes = []
    for seed in range(10):
        outcomes += [member.outcome(request) for member, request in run_of(seed).asked]
    done = [each for each in outcomes if isinstance(each, q.Done)]
    assert len(done) > 30
    assert max([len(each.places) for each in done]) > 16
    assert any(isinstance(each, q.Failed) for each in outcomes)
