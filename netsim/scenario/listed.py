"""[[node]], [[fault]] and [[operation]]: what a scenario says one by one.

Numbers may be left to the seed within bounds, nodes by saying how many.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from netsim.chance import Chance, Draws
from netsim.plan import ALLOWED, Do, Fault, Operation, PlannedFault, Range
from netsim.scenario.amounts import Portion, draw_evenly, fixed, read_portion
from netsim.scenario.byzantine import HONEST, Cast
from netsim.scenario.reading import Table, read_nodes, shown
from qbix_node.streams.messages import ENTRIES_MAX
from qbix_node.streams.owners import OWNERS_MAX

R = TypeVar("R")

ANY_NODE = -1
_ANY = "any"
_WITH_TARGET = (
    Do.FOLLOW,
    Do.UNFOLLOW,
    Do.BLOCK,
    Do.UNBLOCK,
    Do.ADD_PEER,
    Do.REMOVE_PEER,
    Do.WANT_BLOB,
    Do.UNWANT_BLOB,
    Do.FOLLOW_STREAM,
    Do.UNFOLLOW_STREAM,
    Do.FOLLOW_HEADERS,
)
_OF_ONE = (Do.APPEND_STREAM, Do.RESOLVE_STREAM, Do.DROP_CONTENTS, Do.FETCH_CONTENTS)


@dataclass(frozen=True, slots=True)
class NodeRule:
    """None: drawn like that of others."""

    number: int
    role: str | None
    amount: float
    knows: tuple[int, ...] | None
    follows: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class FaultRule:
    at_s: Range
    for_s: Range
    fault: Fault
    nodes: tuple[int, ...]
    pick: Portion | None  # so many honest ones, instead of `nodes`
    amount: Range
    times: int


@dataclass(frozen=True, slots=True)
class OperationRule:
    """ANY_NODE as node is any honest one, as target any other."""

    at_s: Range
    do: Do
    node: int
    target: int | None
    number: int
    size: Range
    entries: int
    times: int
    owners: tuple[int, ...]
    threshold: int
    writers: tuple[int, ...]


def read_node(table: Table, roles: Collection[str], nodes: Sequence[int]) -> NodeRule:
    """`nodes`: those that there are."""
    number = table.count("number")
    if number not in nodes:
        raise table.wrong("number", f"a node that there is ({shown(nodes)}) is expected")
    return NodeRule(
        number,
        table.choice("role", (HONEST, *roles)) if "role" in table else None,
        table.number("amount", 0.0),
        read_nodes(table, "knows", nodes),
        read_nodes(table, "follows", nodes),
    )


def read_fault(table: Table, nodes: Sequence[int], duration_s: float) -> FaultRule:
    kind = Fault(table.choice("kind", [kind.value for kind in Fault]))
    rule = FaultRule(
        at_s=table.span("at_s", low=0, high=duration_s),
        for_s=table.span("for_s", fixed(0.0), low=0),
        fault=kind,
        nodes=read_nodes(table, "nodes", nodes, empty=False) or (),
        pick=read_portion(table, "pick", low=1) if "pick" in table else None,
        amount=_read_amount(table, kind),
        times=table.count("times", 1, low=1, high=100_000),
    )
    if rule.pick and rule.nodes:
        raise table.wrong("pick", "either nodes or pick is expected")
    latest_s = rule.at_s.high + rule.for_s.high
    # What is drawn is cut off at the end; a hair's breadth is left to sums of binary fractions.
    if latest_s > duration_s + 1e-6 and rule.at_s.low == rule.at_s.high:
        raise table.wrong("for_s", f"the fault must end within run.duration_s, {duration_s:g} s")
    return rule


def _read_amount(table: Table, kind: Fault) -> Range:
    """Those whose amount can't be nothing must have one."""
    none = fixed(0.0)
    allowed = ALLOWED.get(kind)
    if allowed is None:
        if table.span("amount", none) != none:
            raise table.wrong("amount", f"nothing is expected: {kind} has no amount")
        return none
    default = none if allowed.low <= 0 else None
    return table.span("amount", default, low=allowed.low, high=allowed.high)


def read_operation(table: Table, nodes: Sequence[int], duration_s: float) -> OperationRule:
    do = Do(table.choice("do", [do.value for do in Do]))
    target = None if "target" not in table else _node(table, "target", nodes)
    if target is None and do in _WITH_TARGET:
        raise table.wrong("target", f"the number of a node, or {_ANY!r}, is expected for {do}")
    return OperationRule(
        at_s=table.span("at_s", low=0, high=duration_s),
        do=do,
        node=_node(table, "node", nodes),
        target=target,
        number=table.count("number", 0),
        size=table.span("size", fixed(0.0), low=0, high=10_000_000),
        entries=table.count("entries", 1, low=1, high=ENTRIES_MAX),
        times=table.count("times", 1, low=1, high=100_000),
        owners=read_nodes(table, "owners", nodes) or (),
        threshold=table.count("threshold", 0, high=OWNERS_MAX),
        writers=read_nodes(table, "writers", nodes) or (),
    )


def _node(table: Table, key: str, nodes: Sequence[int]) -> int:
    if table.is_text(key, _ANY):
        return ANY_NODE
    if table.holds(key, str) or (number := table.count(key)) not in nodes:
        raise table.wrong(key, f"a node that there is ({shown(nodes)}), or {_ANY!r}, is expected")
    return number


# ---- what a seed makes of it ----


def draw_faults(
    rules: Sequence[FaultRule], cast: Cast, duration_s: float, chance: Chance
) -> Iterator[PlannedFault]:
    for rule, place in _numbered(rules, lambda rule: rule.fault):
        at, length, picks, amounts = _sequences(f"fault/{rule.fault}", place, chance)
        for _ in range(rule.times):
            at_s = draw_evenly(rule.at_s, at)
            for_s = draw_evenly(rule.for_s, length)
            if at_s + for_s > duration_s + 1e-6:
                for_s = round(duration_s - at_s, 3)
            nodes = rule.nodes
            if rule.pick:
                honest = cast.honest
                nodes = tuple(sorted(picks.sample(honest, rule.pick.of(len(honest)))))
            yield PlannedFault(at_s, for_s, rule.fault, nodes, draw_evenly(rule.amount, amounts))


def draw_operations(
    rules: Sequence[OperationRule], cast: Cast, chance: Chance
) -> Iterator[Operation]:
    for rule, place in _numbered(rules, lambda rule: rule.do):
        at, nodes, targets, sizes = _sequences(f"operation/{rule.do}", place, chance)
        for turn in range(rule.times):
            node = nodes.pick(cast.honest) if rule.node == ANY_NODE else rule.node
            others = [each for each in cast.nodes if each != node]
            target = rule.target
            if target == ANY_NODE:
                target = targets.pick(others) if others else node
            size = int(draw_evenly(rule.size, sizes))
            number = rule.number if rule.do in _OF_ONE else rule.number + turn
            at_s = draw_evenly(rule.at_s, at)
            shared = rule.owners, rule.threshold, rule.writers
            yield Operation(at_s, node, rule.do, target, number, size, rule.entries, *shared)


def _numbered(rules: Sequence[R], kind: Callable[[R], str]) -> Iterator[tuple[R, int]]:
    """Each with its place among those of its kind: what is drawn for other kinds does not count."""
    places: Counter[str] = Counter()
    for rule in rules:
        yield rule, places[kind(rule)]
        places[kind(rule)] += 1


def _sequences(what: str, place: int, chance: Chance) -> tuple[Draws, Draws, Draws, Draws]:
    """One for each thing that may be drawn of the rule in this place."""
    one, two, three, four = [chance.draws(f"scenario/{what}", place, each) for each in range(4)]
    return one, two, three, four
