"""What the owner of a stream could know of it after its disk was put back (spec/streams.md 10).

An owner asks before it appends; if all who answer were put back, too, or never had what it signed,
nobody can tell it, and it forks its stream. That alone is no mistake of an honest owner.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from netsim import facts
from netsim.checks.branches import Branches, Place
from qbix_node.gossip import messages as g
from qbix_node.wire.references import StreamId

_WAITS_S = 10.0  # after a clean stop, for answers


@dataclass(slots=True)
class _Life:
    """Of a node since its last start."""

    clean: bool
    since: float
    answers: dict[StreamId, list[Place | None]] = field(
        default_factory=dict
    )  # what had who said it


@dataclass(slots=True)
class Blind:
    branches: Branches
    numbers: Mapping[bytes, int]  # of all nodes, by their keys
    now: Callable[[], float]
    forked: set[StreamId] = field(default_factory=set)  # by owners who could not know
    _put_back: set[int] = field(default_factory=set)  # at any time so far
    _lives: dict[int, _Life] = field(default_factory=dict)

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.RolledBack():
                self._put_back.add(node)
            case facts.Started(clean):
                self._lives[node] = _Life(clean, self.now())
            case facts.SaidOfStreams(to, g.Continues(_, shown) | g.Shorter(_, shown)):
                stream = shown.head.stream
                if life := self._lives.get(self.numbers.get(to, -1)):
                    place = self.branches.end(node, stream)
                    life.answers.setdefault(stream, []).append(place)
            case _:
                pass

    def excuses(self, owner: int, stream: StreamId, place: Place) -> bool:
        """Whether the owner could not know of another leaf there when it put this one."""
        life = self._lives.get(owner)
        if life is None or owner not in self._put_back:
            return False
        answers = life.answers.get(stream, [])
        known = any(_knows(end, place) for end in answers)
        waited = life.clean and self.now() >= life.since + _WAITS_S
        if known or not (answers or waited):
            return False
        self.forked.add(stream)
        return True


def _knows(end: Place | None, place: Place) -> bool:
    """Whether who had that log had another leaf there."""
    if end is None or end.length < place.length:
        return False
    there = end.at(place.length)
    return there.before is place.before and there is not place
