"""Carries out the faults of a plan, and ends them."""

from netsim import facts
from netsim.plan import PlannedFault
from netsim.world import World


class Faults:
    def __init__(self, world: World) -> None:
        self._world = world
        self._active: list[PlannedFault] = []

    def begin(self, fault: PlannedFault) -> None:
        self._active.append(fault)
        self._tell(fault, facts.FaultBegan(fault))

    def end(self, fault: PlannedFault) -> None:
        """Nothing, if it has ended already."""
        if fault in self._active:
            self._active.remove(fault)
            self._tell(fault, facts.FaultEnded(fault))

    def heal(self) -> None:
        """End all faults."""
        for fault in list(self._active):
            self.end(fault)

    def _tell(self, fault: PlannedFault, fact: object) -> None:
        for node in fault.nodes or self._world.sites:
            self._world.journal.tell(node, fact)
