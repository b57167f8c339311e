"""Offers what nobody honest has signed. `amount` k: only the kth of its deeds; 0: all in turn.

It says first that it has more of the feed, so that it may be asked for it.
"""

from collections.abc import Iterable

from netsim.roles.luck import below, pick
from netsim.roles.puppet import Puppet
from netsim.roles.role import Role, Stage
from netsim.roles.schemer import Scheme, scheming
from qbix_node import machines as m
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.messages import SIGNATURE_SUFFIX, ClassicMessage, Head, Offered
from qbix_node.replication.messages import EbtNotes, make_note
from qbix_node.wire.references import FeedId, MessageId, encode_base64, format_feed
from qbix_node.wire.v8json import JsonValue, parse

_STAMP_MS = 1_800_000_000_000


class Forger(Scheme):
    def __init__(self, stage: Stage, puppet: Puppet) -> None:
        super().__init__(stage, puppet)
        self.deeds = (
            self.spoil_signature,
            self.change_content,
            self.pose,
            self.break_chain,
            self.leave_gap,
            self.misshape,
        )

    def spoil_signature(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """The next message of somebody, signed by nobody."""
        feed = self._victim(rng)
        value = self._as(feed, self._next(feed, self.puppet.feeds.replicator.book.heads.get(feed)))
        signature = encode_base64(rng.randbytes(64)) + SIGNATURE_SUFFIX
        return self._offer(peer, feed, {**value, "signature": signature})

    def change_content(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """A message of somebody that says something else than was signed."""
        feed = self._victim(rng)
        head = self.puppet.feeds.head(feed)
        for value in self.puppet.feeds.log(feed, head, head) if head else ():
            if isinstance(value, dict):
                content: JsonValue = {"type": "post", "text": "pay the forger"}
                yield from self._offer(peer, feed, {**value, "content": content})

    def pose(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """The next message of somebody, signed by the forger."""
        feed = self._victim(rng)
        value = self._as(feed, self._next(feed, self.puppet.feeds.replicator.book.heads.get(feed)))
        return self._offer(peer, feed, value)

    def break_chain(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """The next message of its own feed, well signed, with another `previous`."""
        return self._offer_own(peer, rng, ahead=1)

    def leave_gap(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """A later message of its own feed, whose previous ones there never were."""
        return self._offer_own(peer, rng, ahead=2 + below(rng, 2000))

    def misshape(self, peer: m.PeerId, rng: m.Rng) -> Iterable[m.Effect]:
        """What is no message at all, in many ways."""
        value = self._value(self._next(self.own, None))
        author = format_feed(self._victim(rng))
        wrong: list[dict[str, JsonValue]] = [
            {"author": author},
            {"author": "@nobody.ed25519", "sequence": 1},
            {**value, "author": author, "sequence": 0},
            {**value, "author": author, "sequence": 2**60},
            {**value, "author": author, "sequence": 10**30},
            {**value, "author": author, "sequence": 1.5},
            {**value, "author": author, "sequence": -1},
            {**value, "hash": "md5"},
            {**value, "content": ["post"]},
            {**value, "content": {"type": "post", "text": "x" * 9000}},
            {**value, "timestamp": "today"},
            {**value, "previous": "%nothing.sha256"},
            {**value, "signature": "none.sig.ed25519"},
            {**value, "more": True},
            {"author": author, **value},
        ]
        yield m.Send(peer, Offered((pick(rng, wrong), pick(rng, wrong)), 0))

    def _victim(self, rng: m.Rng) -> FeedId:
        return pick(rng, [feed for feed in self.stage.feeds if feed != self.own] or [self.own])

    def _next(self, feed: FeedId, head: Head | None) -> ClassicMessage:
        content: JsonValue = {"type": "post", "text": f"forged after {feed.hex()[:8]}"}
        return make_message(self.stage.site.keys, head, content, _STAMP_MS)

    def _as(self, feed: FeedId, message: ClassicMessage) -> dict[str, JsonValue]:
        return {**self._value(message), "author": format_feed(feed)}

    def _value(self, message: ClassicMessage) -> dict[str, JsonValue]:
        value = parse(message.encoded.encode(), "forged message")
        assert isinstance(value, dict)
        return value

    def _offer_own(self, peer: m.PeerId, rng: m.Rng, *, ahead: int) -> Iterable[m.Effect]:
        head = Head(self.puppet.feeds.head(self.own) + ahead, MessageId(rng.randbytes(32)))
        return self._offer(peer, self.own, self._value(self._next(self.own, head)))

    def _offer(self, peer: m.PeerId, feed: FeedId, value: JsonValue) -> Iterable[m.Effect]:
        claim = make_note(self.puppet.feeds.head(feed) + 1, receive=True)
        return (m.Send(peer, EbtNotes({feed: claim})), m.Send(peer, Offered((value,), 0)))


def make_forger(stage: Stage) -> Role:
    return scheming(stage, Forger)
