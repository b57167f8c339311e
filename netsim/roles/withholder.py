"""Has feeds and blobs, announces them, and does not hand them over.

`amount`: 0 or 1 nothing is sent; 2 of what is asked for at a time only the first half, and nothing
more of that feed; 3 peers of odd numbers are served, the others get nothing.
"""

from collections.abc import Iterable
from dataclasses import replace

from netsim import facts
from netsim.messages import BlobBytes, BlobEnd, HistoryPart
from netsim.roles.puppet import Puppet
from netsim.roles.role import Role, Stage
from netsim.roles.schemer import Scheme, scheming
from qbix_node import machines as m
from qbix_node.feeds.messages import Offered
from qbix_node.replication.messages import EbtNotes, make_note
from qbix_node.wire.references import FeedId, parse_feed

_HALF, _SOME = 2, 3


class Withholder(Scheme):
    def __init__(self, stage: Stage, puppet: Puppet) -> None:
        super().__init__(stage, puppet)
        self._served = {site.peer for number, site in stage.sites.items() if number % 2}
        self._stopped: dict[m.PeerId, set[object]] = {}

    def hear(self, event: m.Event) -> Iterable[m.Effect]:
        if isinstance(event, m.Connected):
            self._stopped[event.peer] = set()
        return ()

    def change(self, send: m.Send) -> Iterable[m.Effect]:
        message = send.message
        if not isinstance(message, Offered | HistoryPart | BlobBytes | BlobEnd):
            return (send,)
        if self.stage.amount == _SOME and send.to in self._served:
            return (send,)
        subject = _subject(message)
        stopped = self._stopped.setdefault(send.to, set())
        kept: list[m.Effect] = [m.Emit(facts.Misdeed("withheld", send.to))]
        if self.stage.amount == _HALF and subject not in stopped:
            kept.append(m.Send(send.to, _half(message)))
        stopped.add(subject)
        if isinstance(message, Offered) and isinstance(subject, bytes):
            feed = FeedId(subject)
            claim = make_note(self.puppet.feeds.head(feed), receive=True)
            kept.append(m.Send(send.to, EbtNotes({feed: claim})))
        return kept


def _subject(message: Offered | HistoryPart | BlobBytes | BlobEnd) -> FeedId | int | None:
    """Feed or number of the fetch; those of one kind of message are of one feed."""
    match message:
        case Offered(messages) | HistoryPart(_, messages):
            value = messages[0] if messages else None
            author = value.get("author") if isinstance(value, dict) else None
            return parse_feed(author) if isinstance(author, str) else None
        case BlobBytes(number) | BlobEnd(number):
            return number


def _half(message: Offered | HistoryPart | BlobBytes | BlobEnd) -> object:
    match message:
        case Offered(messages) | HistoryPart(_, messages):
            return replace(message, messages=messages[: len(messages) // 2])
        case BlobBytes(_, data):
            return replace(message, data=data[: len(data) // 2])
        case BlobEnd():
            return message


def make_withholder(stage: Stage) -> Role:
    return scheming(stage, Withholder)
