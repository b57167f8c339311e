"""Several desks that talk to each other until all are at rest."""

from dataclasses import dataclass, field

from qbix_node import machines as m
from tests.gossip.desk import Desk


@dataclass
class Circle:
    desks: dict[m.PeerId, Desk] = field(default_factory=dict)

    def join(self, *peers: m.PeerId) -> None:
        """Each of them talks to each, by what it has announced."""
        for one in peers:
            for other in peers:
                if one != other:
                    self.desks[one].meet(other, *self.desks[other].logs)
        self.pass_on()

    def pass_on(self) -> None:
        while waiting := [(me, *said) for me, desk in self.desks.items() for said in desk.said]:
            for desk in self.desks.values():
                desk.said = []
            for sender, to, message in waiting:
                self.desks[to].hear(sender, message)

    def rounds(self, count: int) -> None:
        for _ in range(count):
            for desk in self.desks.values():
                if desk.timer is not None:  # it knows somebody
                    desk.round()
                self.pass_on()
