"""Writes several branches of its own feed: as many programs with one key, none of which knows of
the others, so that each peer meets one that is honest by itself.

All publish the same until the fork, which comes with its third message, or with the first Do.ACT if
that is earlier. A later Do.ACT reveals: every peer is hung up on, and meets another branch then.
`amount` says who is shown what (Showing); 0: that is drawn.
"""

from collections.abc import Iterable
from enum import IntEnum

from netsim import facts
from netsim.asking import content_of
from netsim.clocks import EPOCH_S
from netsim.forks import FORKED
from netsim.plan import Do, Operation
from netsim.roles.luck import below
from netsim.roles.puppet import Puppet
from netsim.roles.role import Face, Role, Stage
from qbix_node import machines as m
from qbix_node.feeds.messages import Offered, Publish
from qbix_node.replication.messages import Hangup
from qbix_node.wire.references import format_feed
from qbix_node.wire.v8json import JsonValue

COMMON = 2  # messages that all branches share
REVEAL_S = 15.0  # after the fork, if it is LATE
_REVEAL = "reveal"


class Showing(IntEnum):
    SPLIT = 1  # every other node is shown the second branch
    HALVES = 2  # the upper half of the numbers is: as a partition may cut
    ONE = 3  # one node alone is
    THREE = 4  # three branches, each to a third of the nodes
    UNEQUAL = 5  # as SPLIT; the second branch grows twice as fast
    LATE = 6  # nobody is shown the second branch, which grows twice as fast, before it is revealed
    ALL = 7  # everybody is sent all of both at once


class Equivocator:
    def __init__(self, stage: Stage, showing: Showing, lonely: int) -> None:
        """`lonely`: the place, among all nodes, of the one that ONE is about."""
        count = 3 if showing is Showing.THREE else 2
        self._branches = [Puppet(stage) for _ in range(count)]
        self._stage = stage
        self._showing = showing
        self._lonely = lonely
        self._places = {site.peer: place for place, site in enumerate(stage.sites.values())}
        self._own = stage.site.feed
        self._shown: dict[m.PeerId, int] = {}  # of who is connected
        self._published = 0
        self._forked = False
        self._reveal_at = 0.0
        self._revealed = 0

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        match event:
            case m.Connected(peer):
                gone = self._depart(peer, now, rng)
                self._shown[peer] = branch = self._branch_for(peer)
                late = () if self._revealed else self._reveal_late()
                return (*gone, *self._tell(branch, event, now, rng), *late)
            case m.Disconnected(peer):
                return self._depart(peer, now, rng)
            case m.Received(peer, message) if peer in self._shown:
                event = m.Received(peer, self._without_own(message))
                return self._tell(self._shown[peer], event, now, rng)
            case m.Requested(Operation() as operation):
                return tuple(self._ask(operation, now, rng))
            case m.TimerFired(name) if name == _REVEAL:
                return tuple(self._reveal())
            case m.TimerFired(name):
                place, _, inner = name.partition("/")
                return self._tell(int(place), m.TimerFired(inner), now, rng)
            case _:
                return ()

    def _depart(self, peer: m.PeerId, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        branch = self._shown.pop(peer, None)
        return () if branch is None else self._tell(branch, m.Disconnected(peer), now, rng)

    def _branch_for(self, peer: m.PeerId) -> int:
        place, count = self._places.get(peer, 0), len(self._branches)
        match self._showing:
            case Showing.LATE | Showing.ALL:
                branch = 0
            case Showing.HALVES:
                branch = int(place >= len(self._places) // 2)
            case Showing.ONE:
                branch = int(place == self._lonely)
            case Showing.SPLIT | Showing.THREE | Showing.UNEQUAL:
                branch = place
        return (branch + self._revealed) % count

    def _without_own(self, message: object) -> object:
        """Each branch is spared the others, which peers would bring it."""
        if not isinstance(message, Offered):
            return message
        own = format_feed(self._own)
        others = [v for v in message.messages if not isinstance(v, dict) or v.get("author") != own]
        return Offered(tuple(others), message.received_ms)

    # ---- what its person asks ----

    def _ask(self, operation: Operation, now: float, rng: m.Rng) -> Iterable[m.Effect]:
        match operation.do:
            case Do.PUBLISH:
                yield from self._publish(content_of(operation), now, rng)
            case Do.ACT if self._forked:
                yield from self._reveal()
            case Do.ACT:
                self._published = max(self._published, COMMON)
                content: JsonValue = {"type": "post", "text": f"deed {operation.number}"}
                yield from self._publish(content, now, rng)
            case _:
                for branch in range(len(self._branches)):
                    yield from self._tell(branch, m.Requested(operation), now, rng)

    def _publish(self, content: JsonValue, now: float, rng: m.Rng) -> Iterable[m.Effect]:
        self._published += 1
        fork = self._published > COMMON
        first_place = self._branches[0].feeds.head(self._own) + 1
        faster = self._showing in (Showing.UNEQUAL, Showing.LATE)
        for branch in range(len(self._branches)):
            said = _in_branch(content, branch) if fork else content
            for _ in range(2 if fork and faster and branch else 1):
                wish = m.Requested(Publish(self._published, said, int(1000 * (EPOCH_S + now))))
                yield from self._tell(branch, wish, now, rng)
        if fork and not self._forked:
            self._forked = True
            yield m.Emit(facts.Misdeed(FORKED, self._stage.site.peer, first_place))
            self._reveal_at = now + REVEAL_S
            yield from self._reveal_late()
        if fork and self._showing is Showing.ALL:
            yield from self._show_all()

    def _show_all(self) -> Iterable[m.Effect]:
        hidden = self._branches[1].feeds
        messages = hidden.log(self._own, 1, hidden.head(self._own))
        for peer in self._shown:
            yield m.Send(peer, Offered(messages, 0))

    def _reveal_late(self) -> Iterable[m.Effect]:
        if self._forked and self._showing is Showing.LATE:
            yield m.SetTimer(_REVEAL, self._reveal_at)

    def _reveal(self) -> Iterable[m.Effect]:
        self._revealed += 1
        yield m.Emit(facts.Misdeed("revealed", self._stage.site.peer))
        for peer in self._shown:
            yield m.Emit(Hangup(peer, "another branch is shown next time"))

    def _tell(self, branch: int, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        return tuple(
            [
                m.SetTimer(f"{branch}/{each.name}", each.at)
                if isinstance(each, m.SetTimer)
                else each
                for each in self._branches[branch].handle(event, now, rng)
            ]
        )


def _in_branch(content: JsonValue, branch: int) -> JsonValue:
    assert isinstance(content, dict)
    return {**content, "branch": branch}


def make_equivocator(stage: Stage) -> Role:
    showings = list(Showing)
    place = int(stage.amount) or 1 + below(stage.site.rng("role"), len(showings))
    others = [each for each, number in enumerate(stage.sites) if number != stage.site.number]
    lonely = below(stage.site.rng("role"), max(1, len(others)))
    machine = Equivocator(stage, showings[(place - 1) % len(showings)], (others or [0])[lonely])
    return Role((Face(stage.site.keys, machine, stage.dials()),))
