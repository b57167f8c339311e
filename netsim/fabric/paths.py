"""All paths of a network, and the faults that are on at present."""

from collections.abc import Iterator

from netsim.chance import Chance
from netsim.fabric.path import Path
from netsim.plan import Conditions, PlannedFault


class Paths:
    """A path is made when something first goes over it."""

    def __init__(self, chance: Chance, conditions: Conditions) -> None:
        self._chance = chance
        self._conditions = conditions
        self._paths: dict[int, dict[int, Path]] = {}  # by where they begin and end
        self._faults: list[tuple[PlannedFault, frozenset[int]]] = []

    def between(self, node: int, to: int) -> Path:
        begin_here = self._paths.get(node)
        if begin_here is None:
            begin_here = self._paths[node] = {}
        path = begin_here.get(to)
        if path is None:
            path = begin_here[to] = Path(node, to, self._chance, self._conditions)
            for fault, nodes in self._faults:
                if path.touched_by(fault, nodes):
                    path.begin(fault)
        return path

    def beginning_at(self, node: int) -> list[Path]:
        return list(self._paths.get(node, {}).values())

    def begin(self, fault: PlannedFault) -> list[Path]:
        """The paths that are blocked from now on."""
        nodes = frozenset(fault.nodes)
        self._faults.append((fault, nodes))
        blocked = []
        for path in self._touched_by(fault, nodes):
            was_blocked = path.blocked
            path.begin(fault)
            if path.blocked and not was_blocked:
                blocked.append(path)
        return blocked

    def end(self, fault: PlannedFault) -> list[Path]:
        """The paths that are open again."""
        nodes = frozenset(fault.nodes)
        self._faults.remove((fault, nodes))
        opened = []
        for path in self._touched_by(fault, nodes):
            was_blocked = path.blocked
            path.end(fault)
            if was_blocked and not path.blocked:
                opened.append(path)
        return opened

    def _touched_by(self, fault: PlannedFault, nodes: frozenset[int]) -> Iterator[Path]:
        for begin_here in self._paths.values():
            for path in begin_here.values():
                if path.touched_by(fault, nodes):
                    yield path
