"""What a seed makes of a scenario, and that a plan written out draws itself."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.plan import (
    ALLOWED,
    Conditions,
    Do,
    Fault,
    NodePlan,
    Operation,
    Plan,
    PlannedFault,
    Range,
)
from netsim.scenario import draw, load, names, read, to_toml
from netsim.scenario.swarm import AMOUNTS

SMALL = [name for name in names() if name != "big"]
DRAWN = [
    name
    for name in SMALL
    if (scenario := load(read(name)[1], name)).seed is None and scenario.dht is None
]  # networks of the hash table draw theirs as they run


def scenario_text(more: str = "", *, nodes: str = "12") -> str:
    return f'name = "try"\n[run]\nnodes = {nodes}\nduration_s = 60\n{more}'


def drawn(more: str = "", *, seed: int = 7, nodes: str = "12") -> Plan:
    return draw(load(scenario_text(more, nodes=nodes), "try"), seed)


def edges(plan: Plan) -> set[frozenset[int]]:
    return {frozenset((each.number, known)) for each in plan.nodes for known in each.knows}


def connected(plan: Plan, among: set[int]) -> bool:
    reached, waiting = set[int](), [min(among)]
    while waiting:
        node = waiting.pop()
        if node not in reached:
            reached.add(node)
            waiting += [n for edge in edges(plan) if node in edge for n in edge & among]
    return reached == among


# ---- the same seed, the same plan ----


@pytest.mark.parametrize("name", DRAWN)
def test_a_seed_draws_one_plan_and_another_seed_another(name: str) -> None:
    text = read(name)[1]
    assert draw(load(text, name), 4) == draw(load(text, name), 4)
    assert replace(draw(load(text, name), 5), seed=4) != draw(load(text, name), 4)


WORK = "[workload]\nmessages = 6\nblobs = 3\nfollow_changes = 2\n"
FAULTS = "[[fault]]\nkind = 'crash'\nat_s = [1, 50]\nfor_s = [1, 5]\npick = 3\ntimes = 5\n"


def test_one_that_is_left_out_shifts_none_of_another_kind() -> None:
    crash = "[[fault]]\nkind = 'crash'\nat_s = [1, 50]\nfor_s = [1, 5]\npick = 2\n"
    skew = "[[fault]]\nkind = 'skew'\nat_s = [1, 50]\namount = [1, 90]\npick = 3\n"
    say = "[[operation]]\ndo = 'publish'\nat_s = [1, 50]\nnode = 'any'\n"
    want = "[[operation]]\ndo = 'follow'\nat_s = [1, 50]\nnode = 'any'\ntarget = 'any'\n"
    all_of_it, less = drawn(crash + skew + skew + say + want), drawn(skew + skew + want)
    skews = [each for each in all_of_it.faults if each.fault is Fault.SKEW]
    assert list(less.faults) == skews
    assert len(set(skews)) == 2
    assert list(less.operations) == [e for e in all_of_it.operations if e.do is Do.FOLLOW]


def test_a_fault_more_leaves_everything_else_where_it_was() -> None:
    cut = "[[fault]]\nkind = 'cut'\nat_s = [1, 50]\npick = 2\ntimes = 3\n"
    less, more = drawn(WORK + FAULTS), drawn(WORK + FAULTS + cut)
    assert more.operations == less.operations
    assert more.nodes == less.nodes
    assert [each for each in more.faults if each.fault is Fault.CRASH] == list(less.faults)


def test_another_rate_leaves_other_work_where_it_was() -> None:
    one, other = drawn(WORK), drawn(WORK.replace("messages = 6", "messages = 9"))
    kinds = {each.do for each in one.operations} - {Do.PUBLISH}
    assert len(kinds) > 3
    for plan in (one, other):
        assert plan.nodes == one.nodes
    assert [each for each in one.operations if each.do in kinds] == [
        each for each in other.operations if each.do in kinds
    ]


def test_other_sizes_leave_times_where_they_were() -> None:
    one, other = drawn(WORK), drawn(WORK + "message_bytes = [1000, 2000]")
    assert [each.at_s for each in one.operations] == [each.at_s for each in other.operations]


def test_other_kinds_of_a_swarm_leave_those_there_where_they_were() -> None:
    one = drawn("[swarm]\nfaults = ['crash']\nat_least = 1")
    other = drawn("[swarm]\nfaults = ['crash', 'cut', 'skew']\nat_least = 3")
    assert [each for each in other.faults if each.fault is Fault.CRASH] == list(one.faults)


# ---- topologies ----


@pytest.mark.parametrize(
    ("topology", "count"),
    [
        ("kind = 'full'", 66),
        ("kind = 'ring'", 12),
        ("kind = 'line'", 11),
        ("kind = 'star'", 11),
        ("kind = 'random'\ndegree = 4", 24),
        ("kind = 'none'", 0),
        ("kind = 'none'\nconnected = true", 11),
    ],
)
def test_a_topology_has_its_edges(topology: str, count: int) -> None:
    plan = drawn(f"[topology]\n{topology}")
    assert len(edges(plan)) == count
    assert sum(len(each.knows) for each in plan.nodes) == count  # one end knows the other
    assert not count or connected(plan, set(range(12)))


def test_both_ends_know_each_other() -> None:
    plan = drawn("[topology]\nkind = 'ring'\nknow = 'both'")
    assert all(len(each.knows) == 2 for each in plan.nodes)


def test_islands_are_joined_by_bridges_only() -> None:
    plan = drawn("[topology]\nkind = 'islands'\nislands = 3\nbridges = 1\ndegree = 2")
    across = [edge for edge in edges(plan) if len({node // 4 for node in edge}) > 1]
    assert len(across) == 2
    assert connected(plan, set(range(12)))


@given(st.integers(0, 2**32), st.sampled_from(["star", "line", "random", "islands"]))
def test_honest_nodes_hang_together_without_the_others(seed: int, kind: str) -> None:
    plan = drawn(f"[topology]\nkind = '{kind}'\ndegree = 2\n[byzantine]\nliar = 4", seed=seed)
    honest = {each.number for each in plan.nodes if each.role == "honest"}
    assert len(honest) == 8
    assert connected(plan, honest)


@pytest.mark.parametrize(
    ("follow", "counts"),
    [("'all'", {11}), ("'random'\nfollows = 5", {5}), ("'none'", {0}), ("'neighbours'", {2})],
)
def test_nodes_follow_as_the_topology_says(follow: str, counts: set[int]) -> None:
    plan = drawn(f"[topology]\nkind = 'ring'\nfollow = {follow}")
    assert {len(each.follows) for each in plan.nodes} == counts
    assert not any(each.number in each.follows for each in plan.nodes)


def test_all_follow_a_list() -> None:
    plan = drawn("[topology]\nfollow = 'list'\nfollowed = [3, 1]")
    assert [each.follows for each in plan.nodes[:4]] == [(1, 3), (3,), (1, 3), (1,)]


def test_what_is_said_of_a_node_goes_before_what_is_drawn() -> None:
    plan = drawn("[[node]]\nnumber = 2\nrole = 'sybil'\namount = 9\nknows = [5]\nfollows = []")
    assert plan.nodes[2] == NodePlan(2, "sybil", 9, (5,), ())


# ---- work, roles and faults ----


def test_rates_are_of_each_node_and_minute() -> None:
    plan = drawn("[workload]\nmessages = 60", nodes="50")
    assert abs(len(plan.operations) - 3000) < 4 * math.sqrt(3000)


def test_who_wants_a_blob_says_its_size() -> None:
    plan = drawn("[workload]\nblobs = 5\nblob_wants = 2.5\nunwanted = 0.5\nremoved = 0.5")
    added = {(o.node, o.number): o.size for o in plan.operations if o.do is Do.ADD_BLOB}
    wants = [o for o in plan.operations if o.do in (Do.WANT_BLOB, Do.UNWANT_BLOB)]
    assert {each.do for each in wants} == {Do.WANT_BLOB, Do.UNWANT_BLOB}
    for want in wants:
        assert want.target is not None
        assert added[want.target, want.number] == want.size
        assert want.node != want.target


def test_changes_turn_round_what_holds() -> None:
    plan = drawn("[topology]\nfollow = 'all'\n[workload]\nfollow_changes = 30")
    holds = {(each.number, other) for each in plan.nodes for other in each.follows}
    assert plan.operations
    for change in plan.operations:
        assert change.target is not None
        pair = change.node, change.target
        assert (change.do is Do.UNFOLLOW) == (pair in holds)
        holds ^= {pair}


def test_late_joiners_are_down_from_the_beginning() -> None:
    plan = drawn("[workload]\nlate = 3\nlate_s = [20, 30]")
    assert len({each.nodes for each in plan.faults}) == 3
    assert all(each.at_s == 0 and 20 <= each.for_s <= 30 for each in plan.faults)


def test_roles_are_cast_by_count_and_share() -> None:
    plan = drawn("[byzantine]\nliar = 0.25\nsybil = { nodes = 2, amount = 7 }")
    roles = [each.role for each in plan.nodes]
    assert (roles.count("liar"), roles.count("sybil")) == (3, 2)
    assert {each.amount for each in plan.nodes if each.role == "sybil"} == {7}


def test_two_nodes_stay_honest() -> None:
    roles = [each.role for each in drawn("[byzantine]\nliar = 1.0").nodes]
    assert roles.count("honest") == 2


def test_faults_are_of_honest_nodes() -> None:
    plan = drawn("[byzantine]\nliar = 9\n" + FAULTS.replace("pick = 3", "pick = 1.0"))
    honest = {each.number for each in plan.nodes if each.role == "honest"}
    assert all(set(each.nodes) == honest for each in plan.faults)


@given(st.integers(0, 2**32))
def test_a_swarm_has_its_kinds_of_faults_within_the_run(seed: int) -> None:
    plan = drawn("[swarm]\nfaults = ['all']\nat_least = 3\nchance = 0.1", seed=seed)
    assert len({each.fault for each in plan.faults}) >= 3
    for each in plan.faults:
        assert each.at_s >= 0
        assert each.at_s + each.for_s <= plan.duration_s + 1e-6
        assert each.fault in AMOUNTS or each.amount == 0
        if each.fault in AMOUNTS:
            assert AMOUNTS[each.fault].low <= abs(each.amount) <= AMOUNTS[each.fault].high


def test_half_of_the_copies_are_of_a_node_that_was_stopped() -> None:
    swarm = "[swarm]\nfaults = ['restore']\nat_least = 1\na_minute = 40\nwild = 1"
    faults = drawn(swarm).faults
    copies = [each for each in faults if each.fault is Fault.RESTORE]
    stops = [each for each in faults if each.fault is Fault.RESTART]

    def stopped(copy: PlannedFault) -> bool:
        taken_s = copy.at_s - copy.amount
        return any(
            stop.nodes == copy.nodes and stop.at_s < taken_s < stop.at_s + stop.for_s
            for stop in stops
        )

    assert 0.25 * len(copies) < sum(map(stopped, copies)) < 0.75 * len(copies)


def test_limits_may_be_drawn() -> None:
    text = "[settings]\nhops_max = 2\nwants_max = [1, 3]\nsympathy_bytes_max = [1000, 1000000]"
    settings = [drawn(text, seed=seed).settings for seed in range(40)]
    assert {each["hops_max"] for each in settings} == {2}
    assert {each["wants_max"] for each in settings} == {1, 2, 3}
    quotas = [each["sympathy_bytes_max"] for each in settings]
    assert 1000 <= min(quotas) < 10_000
    assert 100_000 < max(quotas) <= 1_000_000


def test_swarms_differ_wildly_in_their_rates() -> None:
    more = "[workload]\nmessages = 6\nblobs = 2\n[swarm]\nfaults = ['crash']\nwild = 8"
    plans = [drawn(more, seed=seed) for seed in range(30)]
    counts = [sum(each.do is Do.PUBLISH for each in plan.operations) for plan in plans]
    assert 0 < min(counts) * 20 < max(counts)
    assert any(all(o.do is Do.PUBLISH for o in plan.operations) for plan in plans)


def test_a_node_alone_has_nobody_to_follow() -> None:
    plan = drawn(
        "[workload]\nmessages = 9\nprivate = 1\nblobs = 9\nfollow_changes = 9\n"
        "[[operation]]\ndo = 'publish'\nat_s = 3\nnode = 'any'\ntarget = 'any'",
        nodes="1",
    )
    assert all(each.target in (None, 0) for each in plan.operations)


# ---- written out ----


@pytest.mark.parametrize("name", SMALL)
def test_a_plan_of_the_library_written_out_draws_itself(name: str) -> None:
    plan = draw(load(read(name)[1], name), 3)
    scenario = load(to_toml(plan), "written")
    assert scenario.seed == 3
    assert draw(scenario, 3) == plan


def times(most: float) -> st.SearchStrategy[float]:
    return st.floats(0, most, allow_subnormal=False)


@st.composite
def plans(draws: st.DrawFn) -> Plan:
    numbers = draws(st.lists(st.integers(0, 500), min_size=1, max_size=5, unique=True))
    node = st.sampled_from(numbers)
    several = st.lists(node, unique=True).map(tuple)
    duration_s = draws(st.floats(1, 1000))
    roles = ["honest", *draws(st.lists(st.sampled_from(["honest", "liar"]), min_size=5))]
    amounts = st.floats(-1e6, 1e6)
    faults = draws(st.lists(fault(times(duration_s), several)))
    operations = st.builds(
        Operation,
        times(duration_s),
        node,
        st.sampled_from([each for each in Do if each is not Do.ACT]),  # honest nodes have no deeds
        node,
        st.integers(0, 99),
        st.integers(0, 5000),
    )
    return Plan(
        draws(st.text()),
        draws(st.integers(0, 2**63 - 1)),
        tuple(
            [
                NodePlan(number, role, draws(amounts), draws(several), draws(several))
                for number, role in zip(numbers, roles, strict=False)
            ]
        ),
        duration_s,
        draws(times(1e6)),
        Conditions(loss=draws(st.floats(0, 0.9)), latency_s=Range(*sorted(draws(pair())))),
        draws(st.booleans()),
        tuple(sorted(draws(st.lists(operations)), key=lambda each: each.at_s)),
        tuple(
            [
                replace(each, for_s=draws(times(duration_s - each.at_s)))
                for each in sorted(faults, key=lambda each: each.at_s)
            ]
        ),
        tuple(draws(st.lists(st.sampled_from(["node crashed", "fork found"]), unique=True))),
        draws(st.dictionaries(st.just("silence_max_s"), st.floats(1, 99))),
    )


def fault(
    times: st.SearchStrategy[float], several: st.SearchStrategy[tuple[int, ...]]
) -> st.SearchStrategy[PlannedFault]:
    def of(kind: Fault) -> st.SearchStrategy[PlannedFault]:
        allowed = ALLOWED.get(kind, Range(0, 0))
        amounts = st.floats(allowed.low, allowed.high)
        return st.builds(PlannedFault, times, st.just(0.0), st.just(kind), several, amounts)

    return st.sampled_from(Fault).flatmap(of)


def pair() -> st.SearchStrategy[tuple[float, float]]:
    return st.tuples(times(100), times(100))


@given(plans())
def test_any_plan_written_out_draws_itself(plan: Plan) -> None:
    assert draw(load(to_toml(plan), "written"), plan.seed) == plan


def test_a_written_plan_keeps_with_another_seed() -> None:
    plan = drawn(WORK + FAULTS)
    assert draw(load(to_toml(plan), "written"), 99) == replace(plan, seed=99)
