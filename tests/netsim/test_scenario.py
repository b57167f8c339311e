"""Scenario files: what is wrong in one is said with file, key and what is allowed."""

import tomllib
from pathlib import Path

import pytest

from netsim.plan import ALLOWED, Do, Fault
from netsim.roles import ROLES
from netsim.scenario import draw, load, read
from netsim.scenario.swarm import AMOUNTS
from qbix_node.errors import BadInput, ExitCode

BASE = """
name = "try"
[run]
nodes = 4
duration_s = 60
"""


def refusal(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        load(text, "try.toml")
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert str(caught.value).startswith("try.toml: ")
    return str(caught.value).removeprefix("try.toml: ")


def test_a_short_file_is_enough() -> None:
    scenario = load(BASE, "try.toml")
    assert scenario.name == "try"
    assert scenario.drivers == ("lean",)
    assert str(scenario.nodes) == "4"
    assert scenario.seed is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[workload]\nmesages = 3", "workload.mesages: unknown key (is messages meant?)"),
        ("[wurkload]", "wurkload: unknown key"),
        ("[workload]\nmessages = true", "workload.messages: a number from 0 to 1e+06 is"),
        ("[workload]\nmessages = -1", "workload.messages: a number from 0 to 1e+06 is"),
        ("[workload]\nmessages = nan", "workload.messages: a number from 0"),
        ("[workload]\nlate = 1.5", "workload.late: a whole number, or a share"),
        ("[workload]\nwriters = [4]", "workload.writers: nodes that there are (0 to 3) are"),
        ("[links]\nlatency_s = [2, 1]", "links.latency_s: a number, or two ascending ones"),
        ("[links]\nlatency_s = [0, 4000]", "links.latency_s: numbers from 0 to 3600 are"),
        ("[topology]\nkind = 'rung'", "topology.kind: one of full, ring, line, star"),
        ("[topology]\nlan = 1", "topology.lan: true or false is expected, not 1"),
        ("[topology]\nkind = 'listed'", "run.nodes: nothing is expected where"),
        ("[byzantine]\nlier = 1", "byzantine.lier: unknown key (is liar meant?)"),
        ("[byzantine]\nliar = { count = 1 }", "byzantine.liar.count: unknown key (is amount"),
        ("[swarm]\nfaults = ['rain']", "swarm.faults: a list of these is expected: all, latency"),
        ("[swarm]\nfaults = ['cut']\nat_least = 2", "swarm.at_least: a whole number from 0 to 1"),
        ("[expect]\nsometimes = ['rain']", "expect.sometimes: a list of these is expected"),
        ("[settings]\nhops = 3", "settings.hops: unknown key (is hops_max meant?)"),
        ("fault = 3", "fault: a list of tables is expected, not 3"),
        ("[[fault]]\nat_s = 3", "fault.0.kind: is missing"),
        ("[[fault]]\nkind = 'cut'\nat_s = 61", "fault.0.at_s: numbers from 0 to 60 are"),
        (
            "[[fault]]\nkind = 'crash'\nat_s = 50\nfor_s = 11",
            "fault.0.for_s: the fault must end within run.duration_s, 60 s, not 11",
        ),
        ("[[fault]]\nkind = 'cut'\nat_s = 3\nnodes = [4]", "fault.0.nodes: nodes that there are"),
        ("[[fault]]\nkind = 'cut'\nat_s = 3\nnodes = [1]\npick = 1", "fault.0.pick: either"),
        ("[[operation]]\ndo = 'sing'", "operation.0.do: one of publish, follow"),
        (
            "[[operation]]\ndo = 'follow'\nat_s = 1\nnode = 0",
            "operation.0.target: the number of a node, or 'any', is expected for follow",
        ),
        (
            "[[operation]]\ndo = 'publish'\nat_s = 1\nnode = 7",
            "operation.0.node: a node that there is (0 to 3), or 'any', is expected, not 7",
        ),
        ("[[fault]]\nkind = 'cut'\nat_s = 3\npick = 0", "fault.0.pick: a whole number from 1"),
        ("[[fault]]\nkind = 'cut'\nat_s = 3\npick = 5", "fault.0.pick: at most 4 are expected"),
        (
            "[byzantine]\nliar = 1\n[[fault]]\nkind = 'cut'\nat_s = 3\npick = 4",
            "fault.0.pick: at most 3 are expected, as many as there surely are honest nodes, not 4",
        ),
        ("[[fault]]\nkind = 'cut'\nat_s = 3\nnodes = []", "fault.0.nodes: one node at least is"),
        ("[[fault]]\nkind = 'cut'\nat_s = 3\nnodes = [1, 1]", "fault.0.nodes: each node is expec"),
        ("[[fault]]\nkind = 'cut'\nat_s = 3\namount = 2", "fault.0.amount: nothing is expected"),
        ("[workload]\nlate = 5", "workload.late: at most 4 are expected"),
        ("[workload]\nwriters = []", "workload.writers: one node at least is expected"),
        ("[byzantine]\nliar = 3", "byzantine: of 4 nodes, 2 that are drawn stay honest: at most 2"),
        (
            "[[operation]]\ndo = 'act'\nat_s = 1\nnode = 0",
            "operation.0.node: a byzantine node is expected",
        ),
        (
            "[[node]]\nnumber = 1\nrole = 'liar'\n"
            "[[operation]]\ndo = 'act'\nat_s = 1\nnode = 'any'",
            "operation.0.node: a byzantine node is expected",
        ),
        (
            "[[operation]]\ndo = 'publish'\nat_s = 1\nnode = 'all'",
            "operation.0.node: a node that there is (0 to 3), or 'any', is expected, not 'all'",
        ),
        ("[settings]\npacket_bytes_max = 0", "settings.packet_bytes_max: numbers from 16384"),
        ("[settings]\nheartbeat_s = 0", "settings.heartbeat_s: numbers from 0.001 to 1e+07"),
        ("[settings]\nwants_max = 2.5", "settings.wants_max: a whole number, or two, are expected"),
        ("[settings]\nwants_max = [1, 2.5]", "settings.wants_max: a whole number, or two, are"),
        ("[settings]\nwants_max = [0, 2]", "settings.wants_max: numbers from 1 to"),
        ("[settings]\nsympathy_bytes_max = [0, 9]", "settings.sympathy_bytes_max: 0 alone, or"),
        ("[[node]]\nnumber = 4", "node.0.number: a node that there is (0 to 3) is"),
        ("[[node]]\nnumber = 1\n[[node]]\nnumber = 1", "node.0.number: each node is expected once"),
        ("[[node]]\nnumber = 1\nknows = [9]", "node.0.knows: nodes that there are"),
        ("[[node]]\nnumber = 1\nrole = 'king'", "node.0.role: one of honest, blob_liar"),
    ],
)
def test_what_is_wrong_is_named(more: str, said: str) -> None:
    # Keys of the top level come before the tables.
    top, tables = (more, "") if more.startswith("fault =") else ("", more)
    assert said in refusal(f"{top}\n{BASE}\n{tables}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[run", "is no TOML"),
        (BASE.replace("duration_s = 60", ""), "run.duration_s: is missing"),
        (BASE.replace("4", "0"), "run.nodes: numbers from 1 to 200000 are expected, not 0"),
        (BASE.replace("4", "2.5"), "run.nodes: a whole number, or two, are expected, not 2.5"),
        (BASE.replace('name = "try"', ""), "name: is missing"),
        (BASE.replace("60", "9" * 400), "run.duration_s: a number from"),
    ],
)
def test_a_broken_file_is_refused(text: str, said: str) -> None:
    assert said in refusal(text)


@pytest.mark.parametrize(
    ("kind", "amount", "allowed"),
    [
        ("latency", "-5", "0 to 3600"),
        ("jitter", "3601", "0 to 3600"),
        ("loss", "50", "0 to 1"),
        ("duplicate", "[0, 2]", "0 to 1"),
        ("reorder", "-0.1", "0 to 1"),
        ("bandwidth", "0", "1 to 1e+12"),
        ("slow_disk", "-3", "0 to 3600"),
        ("lying_disk", "-1", "0 to 1e+07"),
        ("roll_back", "-3", "0 to 1e+07"),
        ("restore", "-3", "0 to 1e+07"),
        ("skew", "1e300", "-1e+09 to 1e+09"),
        ("drift", "1e9", "-0.99 to 10"),
    ],
)
def test_an_amount_has_the_range_of_its_kind(kind: str, amount: str, allowed: str) -> None:
    fault = f"[[fault]]\nat_s = 3\nkind = '{kind}'\namount = {amount}"
    assert f"fault.0.amount: numbers from {allowed} are expected" in refusal(BASE + fault)


def test_every_range_of_an_amount_is_documented_and_holds_what_a_swarm_draws() -> None:
    text = DOCS.read_text()
    assert set(ALLOWED) == set(AMOUNTS)
    for kind, allowed in ALLOWED.items():
        assert f"| `{kind}` | {allowed.low:g} to {allowed.high:g} |" in text
        assert allowed.low <= AMOUNTS[kind].low < AMOUNTS[kind].high <= allowed.high


def test_a_bandwidth_is_never_nothing() -> None:
    fault = "[[fault]]\nat_s = 3\nkind = 'bandwidth'"
    assert "fault.0.amount: is missing" in refusal(BASE + fault)


def test_all_kinds_and_roles_may_be_said_without_brackets() -> None:
    swarm = load(BASE + "[swarm]\nfaults = 'all'\nroles = 'all'", "try").swarm
    assert swarm.faults == tuple(Fault)
    assert swarm.roles == tuple(ROLES)


def test_one_node_at_least_is_honest() -> None:
    liars = "".join(f"\n[[node]]\nnumber = {n}\nrole = 'liar'" for n in range(4))
    assert "one node at least has to be honest" in refusal(BASE + liars)


def test_nodes_that_are_only_sometimes_there_cannot_be_named() -> None:
    text = BASE.replace("4", "[4, 9]") + "[[fault]]\nkind = 'cut'\nat_s = 3\nnodes = [5]"
    assert "nodes that there are (0 to 3)" in refusal(text)


# ---- values replaced for one run ----


def test_values_are_replaced_by_their_dotted_keys() -> None:
    text = BASE + "[[fault]]\nkind = 'crash'\nat_s = 10\nfor_s = 5\nnodes = [1]"
    plan = draw(
        load(text, "try"),
        1,
        nodes=6,
        settings={
            "fault.0.for_s": "7",
            "topology.kind": "ring",
            "topology.follow": '"none"',
            "settings.hops_max": "1",
        },
    )
    assert len(plan.nodes) == 6
    assert plan.faults[0].for_s == 7
    assert sum(len(each.knows) for each in plan.nodes) == 6
    assert plan.settings == {"hops_max": 1}
    assert not any(each.follows for each in plan.nodes)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("workload.mesages", "workload.mesages: unknown key"),
        ("fault.1.for_s", "--set fault.1.for_s: a place from 0 to 0 is expected, not '1'"),
        ("fault.x.for_s", "--set fault.x.for_s: a place from 0 to 0 is expected, not 'x'"),
        ("run.nodes.x", "--set run.nodes.x: there is nothing within"),
    ],
)
def test_a_value_that_cannot_be_replaced_is_named(key: str, said: str) -> None:
    scenario = load(BASE + "[[fault]]\nkind = 'cut'\nat_s = 10", "try")
    with pytest.raises(BadInput) as caught:
        draw(scenario, 1, settings={key: "3"})
    assert said in str(caught.value)


def test_the_scenario_itself_is_not_changed() -> None:
    scenario = load(BASE, "try")
    draw(scenario, 1, settings={"workload.messages": "30"})
    assert not draw(scenario, 1).operations


# ---- where scenarios are found ----


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BASE)
    assert read(str(path)) == (str(path), BASE)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such", "there is no scenario 'no_such'"),
        ("no_such.toml", "no_such.toml: No such file"),
        ("/", "/: Is a directory"),
    ],
)
def test_a_scenario_that_is_not_there(name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read(name)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(BadInput, match="no UTF-8"):
        read(str(path))


# ---- the documentation ----

DOCS = Path(__file__).parents[2] / "docs" / "netsim.md"


def test_every_kind_of_fault_operation_and_role_is_documented() -> None:
    text = DOCS.read_text()
    words = [*Fault, *Do, *ROLES]
    assert [each for each in words if f"`{each}`" not in text] == []


@pytest.mark.parametrize(
    "table",
    ["run", "topology", "links", "disks", "workload", "swarm", "expect", "node", "fault"],
)
def test_every_key_is_documented(table: str) -> None:
    item = {"node": "[[node]]\nnumber = 1", "fault": "[[fault]]\nkind = 'cut'\nat_s = 1"}
    text = BASE if table == "run" else f"{BASE}\n{item.get(table, f'[{table}]')}\n"
    said = refusal(text + "zzz = 1").partition("allowed: ")[2]
    documented = DOCS.read_text()
    missing = [key for key in said.split(", ") if f"{key}`" not in documented]
    assert said
    assert missing == []


def test_the_example_of_the_documentation_loads() -> None:
    example = DOCS.read_text().partition("```toml\n")[2].partition("```")[0]
    assert tomllib.loads(example)["name"] == "two_crashes"
    plan = draw(load(example, "example"), 3)
    assert [each.fault for each in plan.faults] == [Fault.CRASH]
    assert len(plan.faults[0].nodes) == 2
