"""Takes the places that one victim has for connections, and shows it an old world, or none.

The victim is the first whose address it knows. Until Do.ACT it says that it has nothing of
any feed; from then on it shows the world as it was at that moment. To others its first identity is
an honest node. `amount`: how many identities; 0: 30.
"""

from collections.abc import Iterable, Mapping

from netsim import facts
from netsim.plan import Do, Operation
from netsim.roles.puppet import Puppet
from netsim.roles.role import Dial, Face, Role, Stage, keys_of_face
from qbix_node import machines as m
from qbix_node.feeds.messages import Offered
from qbix_node.replication.messages import REFUSED, EbtCall, EbtNotes, asks, make_note, sequence_of
from qbix_node.wire.references import FeedId

IDENTITIES = 30
AGAIN_S = 1.0  # a place that is lost is tried for again


class OldWorld:
    """What the victim is shown; all identities share it."""

    def __init__(self, stage: Stage, puppet: Puppet) -> None:
        self._puppet = puppet
        self._stage = stage
        self._heads: dict[FeedId, int] = {}

    def freeze(self) -> None:
        self._heads = {feed: self._puppet.feeds.head(feed) for feed in self._stage.feeds}

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        match event:
            case m.Connected(peer, outgoing):
                call = (m.Send(peer, EbtCall()),) if outgoing else ()
                return (*call, m.Emit(facts.Misdeed("eclipsed", peer)))
            case m.Received(peer, EbtCall()):
                return (m.Send(peer, EbtNotes(self._notes(self._heads))),)
            case m.Received(peer, EbtNotes(notes)):
                asked = [feed for feed, note in notes.items() if note != REFUSED and asks(note)]
                answer = (m.Send(peer, EbtNotes(self._notes(asked))),) if asked else ()
                return (*answer, *self._serve(peer, asked, notes))
            case _:
                return ()

    def _notes(self, feeds: Iterable[FeedId]) -> dict[FeedId, int]:
        return {feed: make_note(self._heads.get(feed, 0), receive=False) for feed in feeds}

    def _serve(
        self, peer: m.PeerId, asked: list[FeedId], notes: Mapping[FeedId, int]
    ) -> list[m.Effect]:
        offers: list[m.Effect] = []
        for feed in asked:
            first, last = sequence_of(notes[feed]) + 1, self._heads.get(feed, 0)
            if found := self._puppet.feeds.log(feed, first, last):
                offers.append(m.Send(peer, Offered(found, 0)))
        return offers


class FirstFace:
    """An honest node to all but the victim: so it learns what there is to be old."""

    def __init__(self, stage: Stage, victim: m.PeerId | None) -> None:
        self._puppet = Puppet(stage)
        self.world = OldWorld(stage, self._puppet)
        self._victim = victim

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        match event:
            case m.Requested(Operation(do=Do.ACT)):
                self.world.freeze()
                return ()
            case m.Connected(peer) | m.Disconnected(peer) | m.Received(peer):
                if peer == self._victim:
                    return self.world.handle(event, now, rng)
            case _:
                pass
        return self._puppet.handle(event, now, rng)


def make_eclipser(stage: Stage) -> Role:
    knows = stage.site.plan.knows
    victim = stage.sites[knows[0]].peer if knows else None
    first = FirstFace(stage, victim)
    to_victim = tuple([Dial(node, again_s=AGAIN_S) for node in knows[:1]])
    count = int(stage.amount) or IDENTITIES
    further = [keys_of_face(stage.site.number, place) for place in range(1, count)]
    crowd = [Face(keys, first.world, to_victim) for keys in further]
    return Role((Face(stage.site.keys, first, stage.dials()), *crowd))
