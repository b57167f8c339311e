"""The scenarios that come with the simulator: each says what it shows, and shows it."""

import pytest

from netsim.dhtplan import ROLES as DHT_ROLES
from netsim.drivers import make_driver
from netsim.plan import Fault, Plan
from netsim.roles import ROLES
from netsim.running import run
from netsim.scenario import Scenario, draw, load, names, read
from tests.netsim.sentences import stands

SEEDS = 50  # in as many each event of a sweep should be seen, that is one in 2 % of them
BIG = "big"  # takes minutes: run by hand
DHT = [name for name in names() if name.startswith("dht_")]  # large: test_dht has them small
SMALL = [name for name in names() if name not in (BIG, *DHT)]


def scenario(name: str) -> Scenario:
    return load(read(name)[1], name)


@pytest.mark.parametrize("name", names())
def test_it_says_what_it_is_about(name: str) -> None:
    assert scenario(name).name == name
    assert scenario(name).about.endswith(".")


@pytest.mark.parametrize("name", names())
def test_its_claims_are_sentences_of_the_specs(name: str) -> None:
    for claim in scenario(name).claims:
        place, _, words = claim.partition(": ")
        page, _, number = place.rpartition(" ")
        assert stands(f"spec/{page}.md {number}", words), claim


def test_the_library_covers_every_page_fault_and_role() -> None:
    scenarios = [scenario(name) for name in names() if name not in ("swarm", "quick")]
    pages = {claim.partition(":")[0].rpartition(" ")[0] for s in scenarios for claim in s.claims}
    assert pages >= {
        "blobs",
        "classic-feeds",
        "dht",
        "gossip",
        "private-messages",
        "replication",
        "storage",
        "streams",
        "transport",
    }
    plans = [draw(each, 1) for each in scenarios if each.name != BIG]
    faults = {fault.fault for plan in plans for fault in plan.faults}
    qualities = {Fault.LATENCY, Fault.JITTER, Fault.LOSS, Fault.DUPLICATE, Fault.REORDER}
    assert set(Fault) - faults <= qualities | {Fault.BANDWIDTH}  # those are [links] there
    roles = {node.role for plan in plans for node in plan.nodes}
    assert {*ROLES, *DHT_ROLES} <= roles


def test_every_seed_of_the_sweep_is_hard_enough() -> None:
    for plan in sweep("swarm", 200):
        assert len(plan.nodes) >= 10
        assert len({fault.fault for fault in plan.faults}) >= 3


def test_the_sweep_has_every_kind_of_fault_and_role() -> None:
    plans = sweep("swarm", 200)
    assert {fault.fault for plan in plans for fault in plan.faults} == set(Fault)
    assert {node.role for plan in plans for node in plan.nodes} == {"honest", *ROLES}


def sweep(name: str, seeds: int) -> list[Plan]:
    drawn_from = scenario(name)
    return [draw(drawn_from, seed) for seed in range(seeds)]


@pytest.mark.parametrize("name", SMALL)
def test_it_ends_well(name: str) -> None:
    drawn_from = scenario(name)
    seed = 1 if drawn_from.seed is None else drawn_from.seed
    outcome = run(draw(drawn_from, seed), make_driver("lean"))
    assert outcome.violations == ()
    assert outcome.stalled == ()
    assert outcome.missing == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SMALL if name not in ("swarm", "quick")])
def test_what_it_says_to_happen_in_a_sweep_happens(name: str) -> None:
    drawn_from = scenario(name)
    left = set(drawn_from.in_sweep)
    for seed in range(SEEDS):
        outcome = run(draw(drawn_from, seed), make_driver("lean"))
        assert (seed, outcome.violations, outcome.stalled, outcome.missing) == (seed, (), (), ())
        left.difference_update([event for event, count in outcome.events.items() if count])
        if not left:
            break
    assert left == set()
