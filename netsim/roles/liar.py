"""Says of feeds what isn't so. `amount` k: only the kth of its deeds; 0: all in turn."""

from collections.abc import Callable, Iterable

from netsim.roles.luck import below, sample
from netsim.roles.puppet import Puppet
from netsim.roles.role import Role, Stage
from netsim.roles.schemer import Scheme, scheming
from qbix_node import machines as m
from qbix_node.replication.messages import (
    NOTE_MAX,
    REFUSED,
    SEQUENCE_MAX,
    EbtNotes,
    make_note,
)
from qbix_node.wire.references import FeedId

NoteOf = Callable[[FeedId], int]

_FEEDS = 5  # lied about at a time


class Liar(Scheme):
    def __init__(self, stage: Stage, puppet: Puppet) -> None:
        super().__init__(stage, puppet)
        self.deeds = (
            self.claim_more,
            self.claim_the_most,
            self.claim_less,
            self.say_what_is_no_note,
            self.acknowledge_unsent,
            self.contradict,
        )

    def claim_more(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        ahead = 1 + below(rng, 1000)
        yield self._say(peer, rng, lambda feed: make_note(self._head(feed) + ahead, receive=False))

    def claim_the_most(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        yield self._say(peer, rng, lambda _: make_note(SEQUENCE_MAX, receive=True))
        yield self._say(peer, rng, lambda _: NOTE_MAX)

    def claim_less(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """As if data had been lost, which honest peers do once and not all the time."""
        yield self._say(
            peer, rng, lambda feed: make_note(below(rng, self._head(feed) + 1), receive=True)
        )

    def say_what_is_no_note(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        yield self._say(peer, rng, lambda _: -2 - below(rng, 9))
        yield self._say(peer, rng, lambda _: NOTE_MAX + 1 + below(rng, 2**40))

    def acknowledge_unsent(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        state = self.puppet.feeds.replicator.talks.peers.get(peer)
        if state is not None:
            yield self._say(
                peer, rng, lambda feed: make_note(max(0, state.claims(feed)), receive=True)
            )

    def contradict(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        feeds = self._feeds(rng)
        for note in (SEQUENCE_MAX << 1, 0, REFUSED, 1, REFUSED, 14, 3, 1000 << 1):
            yield m.Send(peer, EbtNotes(dict.fromkeys(feeds, note)))

    def _say(self, peer: m.PeerId, rng: m.Rng, note_of: NoteOf) -> m.Send:
        return m.Send(peer, EbtNotes({feed: note_of(feed) for feed in self._feeds(rng)}))

    def _feeds(self, rng: m.Rng) -> list[FeedId]:
        return sample(rng, self.stage.feeds, _FEEDS)

    def _head(self, feed: FeedId) -> int:
        return self.puppet.feeds.head(feed)


def make_liar(stage: Stage) -> Role:
    return scheming(stage, Liar)
