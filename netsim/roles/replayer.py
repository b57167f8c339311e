"""Says again what it heard, to anybody: old, doubled, out of order, of feeds that nobody asked it
for, and what was refused before. `amount` k: only the kth of its deeds; 0: all in turn.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from netsim.roles.luck import below, pick, sample
from netsim.roles.puppet import Puppet
from netsim.roles.role import Role, Stage
from netsim.roles.schemer import Scheme, scheming
from qbix_node import machines as m
from qbix_node.feeds.messages import Offered
from qbix_node.replication.messages import EbtNotes
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue

MESSAGES_MAX = 400  # remembered
NOTES_MAX = 50
_AT_ONCE = 20


class Replayer(Scheme):
    def __init__(self, stage: Stage, puppet: Puppet) -> None:
        super().__init__(stage, puppet)
        self._messages: deque[JsonValue] = deque(maxlen=MESSAGES_MAX)
        self._notes: deque[Mapping[FeedId, int]] = deque(maxlen=NOTES_MAX)
        self._bad: list[JsonValue] = []
        self.deeds = (
            self.double,
            self.repeat_old,
            self.reorder,
            self.repeat_notes,
            self.insist,
        )

    def hear(self, event: m.Event) -> Iterable[m.Effect]:
        match event:
            case m.Received(_, Offered(messages)):
                self._messages += messages
            case m.Received(_, EbtNotes(notes)) if notes:
                self._notes.append(notes)
            case _:
                pass
        return ()

    def double(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        latest = list(self._messages)[-_AT_ONCE:]
        return self._offer(peer, [message for message in latest for _ in range(2)])

    def repeat_old(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        return self._offer(peer, sample(rng, self._messages, _AT_ONCE))

    def reorder(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        known = list(self._messages)
        start = below(rng, len(known) + 1)
        return self._offer(peer, known[start : start + _AT_ONCE][::-1])

    def repeat_notes(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """What others said of themselves, as if it were its own."""
        return [m.Send(peer, EbtNotes(pick(rng, self._notes)))] if self._notes else []

    def insist(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """The same wrong message again and again."""
        for message in sample(rng, self._messages, 0 if self._bad else 1):
            if isinstance(message, dict):
                self._bad.append({**message, "timestamp": 1})
        return self._offer(peer, self._bad * 2)

    def _offer(self, peer: m.PeerId, messages: list[JsonValue]) -> Iterable[m.Effect]:
        return [m.Send(peer, Offered(tuple(messages), 0))] if messages else []


def make_replayer(stage: Stage) -> Role:
    return scheming(stage, Replayer)
