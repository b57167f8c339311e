"""[topology]: which nodes know each other's address, and whose feeds they follow."""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from netsim.chance import Chance, Draws
from netsim.scenario.reading import Table, read_nodes

LISTED = "listed"  # every node stands in the file
FOLLOW = ("all", "neighbours", "random", "list", "none")
_KNOW = ("one", "both")

Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Topology:
    kind: str
    degree: float  # how many neighbours a node has in the mean (random, islands)
    islands: int
    bridges: int  # edges between an island and the next
    connected: bool  # edges are added until all honest nodes hang together
    know: str  # which ends of an edge know the other's address, and so dial
    follow: str
    follows: int  # how many (random)
    followed: tuple[int, ...]  # whom (list)
    lan: bool  # nodes find each other by broadcast


def read_kind(table: Table) -> str:
    return table.choice("kind", (*KINDS, LISTED), "random")


def read_topology(table: Table, nodes: Sequence[int]) -> Topology:
    kind = read_kind(table)
    return Topology(
        kind,
        degree=table.number("degree", 4.0, low=1, high=1000),
        islands=table.count("islands", 2, low=1, high=1000),
        bridges=table.count("bridges", 1, high=1000),
        connected=table.flag("connected", default=kind not in (LISTED, "none")),
        know=table.choice("know", _KNOW, "one"),
        follow=table.choice("follow", FOLLOW, "none" if kind == LISTED else "all"),
        follows=table.count("follows", 3),
        followed=read_nodes(table, "followed", nodes) or (),
        lan=table.flag("lan", default=False),
    )


def draw_edges(
    topology: Topology, nodes: int, honest: Collection[int], chance: Chance
) -> list[Edge]:
    """Between nodes 0 … nodes - 1, each edge once."""
    if topology.kind == LISTED:
        return []
    edges = dict.fromkeys(KINDS[topology.kind](topology, nodes, chance.draws("scenario/edges")))
    if topology.connected:
        edges |= dict.fromkeys(_missing(edges, sorted(honest)))
    return list(edges)


def draw_known(topology: Topology, edges: Sequence[Edge], chance: Chance) -> dict[int, list[int]]:
    """Whose addresses each node was given."""
    draws = chance.draws("scenario/know")
    known: dict[int, list[int]] = {}
    for edge in edges:
        ends = (edge, edge[::-1])
        for one, other in ends if topology.know == "both" else [draws.pick(ends)]:
            known.setdefault(one, []).append(other)
    return known


def draw_follows(
    topology: Topology, node: int, nodes: int, neighbours: Sequence[int], chance: Chance
) -> tuple[int, ...]:
    match topology.follow:
        case "all":
            among: Sequence[int] = range(nodes)
        case "neighbours":
            among = neighbours
        case "list":
            among = topology.followed
        case "random":
            others = [each for each in range(nodes) if each != node]
            among = chance.draws("scenario/follow", node).sample(others, topology.follows)
        case _:
            among = ()
    return tuple([each for each in sorted(among) if each != node])


def neighbours_of(edges: Sequence[Edge]) -> Mapping[int, list[int]]:
    neighbours: dict[int, list[int]] = {}
    for one, other in edges:
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    return neighbours


# ---- kinds ----


def _full(topology: Topology, nodes: int, draws: Draws) -> list[Edge]:
    return list(itertools.combinations(range(nodes), 2))


def _line(topology: Topology, nodes: int, draws: Draws) -> list[Edge]:
    return [(each - 1, each) for each in range(1, nodes)]


def _ring(topology: Topology, nodes: int, draws: Draws) -> list[Edge]:
    return _line(topology, nodes, draws) + ([(0, nodes - 1)] if nodes > 2 else [])


def _star(topology: Topology, nodes: int, draws: Draws) -> list[Edge]:
    return [(0, each) for each in range(1, nodes)]


def _random(topology: Topology, nodes: int, draws: Draws) -> list[Edge]:
    return _graph(range(nodes), topology.degree, draws)


def _islands(topology: Topology, nodes: int, draws: Draws) -> list[Edge]:
    """Islands of neighbouring numbers and of nearly the same size, in a row."""
    count = min(topology.islands, nodes)
    shores = [nodes * place // count for place in range(count + 1)]
    lands = [range(low, high) for low, high in itertools.pairwise(shores)]
    edges = [edge for land in lands for edge in _graph(land, topology.degree, draws)]
    for land, other in itertools.pairwise(lands):
        edges += [(draws.pick(land), draws.pick(other)) for _ in range(topology.bridges)]
    return edges


def _none(topology: Topology, nodes: int, draws: Draws) -> list[Edge]:
    return []


KINDS: Mapping[str, Callable[[Topology, int, Draws], list[Edge]]] = {
    "full": _full,
    "ring": _ring,
    "line": _line,
    "star": _star,
    "random": _random,
    "islands": _islands,
    "none": _none,
}


def _graph(nodes: Sequence[int], degree: float, draws: Draws) -> list[Edge]:
    """A tree, so that it hangs together, and further edges up to the degree."""
    edges = {(nodes[draws.below(place)], nodes[place]): None for place in range(1, len(nodes))}
    wanted = min(round(len(nodes) * degree / 2), len(nodes) * (len(nodes) - 1) // 2)
    while len(edges) < wanted:
        one, other = sorted((draws.pick(nodes), draws.pick(nodes)))
        if one != other:
            edges[one, other] = None
    return list(edges)


def _missing(edges: Collection[Edge], honest: Sequence[int]) -> list[Edge]:
    """From the first honest node to each group of honest ones that it has no way to."""
    group = {node: node for node in honest}

    def root(node: int) -> int:
        while group[node] != node:
            group[node] = node = group[group[node]]
        return node

    for one, other in edges:
        if one in group and other in group:
            low, high = sorted((root(one), root(other)))
            group[high] = low
    return [(honest[0], node) for node in honest[1:] if root(node) == node]
