"""Says and asks more than anybody can use. `amount` k: only the kth of its deeds; 0: all in turn.

The messages with which it goes beyond every window are valid ones of its own feed, far ahead of
what it has really published: nothing comes of them, and they make no fork.
"""

from collections.abc import Iterable
from functools import lru_cache

from netsim.roles.luck import below
from netsim.roles.puppet import Puppet
from netsim.roles.role import Role, Stage
from netsim.roles.schemer import Scheme, scheming
from netsim.site import keys_of
from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.crypto.boxes import sha256
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.messages import Head, Offered
from qbix_node.replication.messages import EbtCall, EbtNotes, HistoryRequest, make_note
from qbix_node.wire.references import BlobId, FeedId, MessageId
from qbix_node.wire.v8json import JsonValue, parse

SIZE = 3000  # notes, wants, haves at a time: above the limits for each of them
STREAMS = 100  # histories asked for at a time
HELD = 300  # messages that may be held, and are too many
AHEAD = 200  # of what was published: so many sequences are left free
BEYOND = 1500  # so much ahead nobody looks at a message


class Flooder(Scheme):
    every_s = 5.0

    def __init__(self, stage: Stage, puppet: Puppet) -> None:
        super().__init__(stage, puppet)
        self.deeds = (
            self.announce_thousands,
            self.offer_beyond_windows,
            self.repeat_its_feed,
            self.ask_for_histories,
            self.want_thousands,
            self.have_thousands,
            self.call_again,
        )

    def announce_thousands(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        start = below(rng, 2**30)
        feeds = [FeedId(sha256(b"feed %d" % n)) for n in range(start, start + SIZE)]
        note = make_note(1 + below(rng, 1000), receive=True)
        yield m.Send(peer, EbtNotes(dict.fromkeys(feeds, note)))

    def offer_beyond_windows(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        head = self.puppet.feeds.head(self.own)
        first = (head // AHEAD + 1) * AHEAD
        node = self.stage.site.number
        held = [lonely_message(node, first + n) for n in range(HELD)]
        beyond = [lonely_message(node, first + BEYOND + n) for n in range(20)]
        yield m.Send(peer, Offered((*held[::-1], *beyond), 0))

    def repeat_its_feed(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        log = self.puppet.feeds.log(self.own, 1, self.puppet.feeds.head(self.own))
        if log:
            yield m.Send(peer, Offered(log * (1 + 200 // len(log)), 0))

    def ask_for_histories(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """Live ones, that never end."""
        for n in range(STREAMS):
            feed = self.stage.feeds[n % len(self.stage.feeds)]
            yield m.Send(peer, HistoryRequest(feed, live=True, keys=False))

    def want_thousands(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        for blob in _blobs(rng):
            yield m.Send(peer, b.Want(blob, 1))

    def have_thousands(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        for blob in _blobs(rng):
            yield m.Send(peer, b.Have(blob, 1000))

    def call_again(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """Each call costs the peer its whole clock."""
        yield m.Send(peer, EbtCall())
        yield m.Send(peer, b.Listening())


def _blobs(rng: m.Rng) -> list[BlobId]:
    start = below(rng, 2**30)
    return [BlobId(sha256(b"blob %d" % n)) for n in range(start, start + SIZE)]


@lru_cache(maxsize=4096)
def lonely_message(node: int, sequence: int) -> JsonValue:
    """A valid message without any before it; the same in every run."""
    previous = MessageId(sha256(b"before %d" % sequence))
    content: JsonValue = {"type": "post", "text": "flood"}
    message = make_message(keys_of(node), Head(sequence - 1, previous), content, sequence)
    return parse(message.encoded.encode(), "message")


def make_flooder(stage: Stage) -> Role:
    return scheming(stage, Flooder)
