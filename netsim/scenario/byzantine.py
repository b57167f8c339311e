"""[byzantine]: how many nodes are no honest ones, and which."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from netsim.chance import Chance
from netsim.scenario.amounts import Portion, read_portion
from netsim.scenario.reading import Table

HONEST = "honest"
HONEST_MIN = 2  # so many nodes that might be drawn for a role keep out of it


@dataclass(frozen=True, slots=True)
class Casting:
    role: str
    portion: Portion
    amount: float = 0.0  # means what the role says


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays what: `roles` of the byzantine ones, with their amounts."""

    nodes: tuple[int, ...]
    roles: dict[int, tuple[str, float]]

    @property
    def honest(self) -> list[int]:
        return [node for node in self.nodes if node not in self.roles]

    @property
    def byzantine(self) -> list[int]:
        return [node for node in self.nodes if node in self.roles]


def read_castings(table: Table, roles: Collection[str]) -> tuple[Casting, ...]:
    castings = []
    for role in table.names(roles):
        if table.holds(role, dict):
            inner = table.table(role)
            portion = read_portion(inner, "nodes", Portion(count=1))
            castings.append(Casting(role, portion, inner.number("amount", 0.0)))
        else:
            castings.append(Casting(role, read_portion(table, role)))
    return tuple(castings)


def cast_roles(
    castings: Sequence[Casting],
    nodes: Sequence[int],
    listed: dict[int, tuple[str, float]],
    chance: Chance,
) -> Cast:
    """`listed`: nodes whose role stands in the file; they are not drawn. HONEST_MIN of the others
    stay honest.
    """
    roles = dict(listed)
    for place, casting in enumerate(castings):
        draws = chance.draws("scenario/cast", place)
        free = [node for node in nodes if node not in roles]
        count = min(casting.portion.of(len(nodes)), max(0, len(free) - HONEST_MIN))
        for node in draws.sample(free, count):
            roles[node] = casting.role, casting.amount
    return Cast(tuple(nodes), {n: role for n, role in sorted(roles.items()) if role[0] != HONEST})
