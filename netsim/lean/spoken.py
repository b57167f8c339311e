"""What a role says and hears on one link, in the words of the lean wire."""

from itertools import count

from netsim import messages as n
from netsim.lean import wire
from netsim.lean.link import Link
from netsim.lean.streamed import bytes_of
from netsim.messages import OF_STREAMS
from qbix_node.blobs import messages as b
from qbix_node.feeds.messages import Offered
from qbix_node.replication.messages import (
    NOTE_MAX,
    REFUSED,
    EbtCall,
    EbtEnded,
    EbtNotes,
    HistoryEnded,
    HistoryRequest,
)
from qbix_node.replication.streams.contents.messages import NoContents, WantContents
from qbix_node.replication.streams.messages import FormatCall
from qbix_node.streams.messages import OfferedSegment
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue, compact


class Spoken:
    def __init__(self, link: Link, *, streams: bool) -> None:
        """`streams`: whether the role has to do with them; else calls are refused."""
        self.link = link
        self._streams = streams
        self._talking = False  # by EBT
        self._listening = False  # the peer, to our notes of blobs
        self._numbers = count(1)
        self._ours: dict[int, FeedId] = {}  # histories that we asked for
        self._theirs: dict[int, FeedId] = {}

    # ---- what the peer says ----

    def hear(self, message: object) -> object | None:
        """What the machine hears of it."""
        if type(message) in OF_STREAMS:
            if self._streams:
                return message
            self._refuse(message)
            return None
        match message:
            case EbtCall():
                self._talking = True
            case EbtEnded():
                self._talking = False
            case b.Listening():
                self._listening = True
            case wire.HistoryCall(number, request):
                self._theirs[number] = request.feed
                return request
            case wire.HistoryItems(number, values):
                return Offered(values, 0) if number in self._ours else None
            case wire.HistoryOver(number, called, reason):
                feed = (self._theirs if called else self._ours).pop(number, None)
                return HistoryEnded(feed, reason) if feed else None
            case _:
                pass
        return message

    def _refuse(self, message: object) -> None:
        match message:
            case FormatCall():
                self.link.say(n.StreamsEnded("no such method"))
            case n.HeadsCall():
                self.link.say(n.HeadsEnded())
            case n.SequenceCall():
                self.link.say(n.SequenceEnded())
            case WantContents():
                self.link.say(NoContents(never=True))
            case _:
                pass

    # ---- what the role says ----

    def say(self, message: object) -> None:  # noqa: C901  (a table)
        match message:
            case EbtCall():
                self._talking = True
                self.link.say(message)
            case EbtNotes(notes) if self._talking:
                usable = {feed: note for feed, note in notes.items() if REFUSED <= note <= NOTE_MAX}
                self.link.say(EbtNotes(usable))
            case Offered(values) if self._talking:
                for value in values:
                    self.link.say(Offered((value,), 0), len(compact(value)))
            case EbtEnded():
                self._talking = False
                self.link.say(message)
            case HistoryRequest(feed):
                number = next(self._numbers)
                self._ours[number] = feed
                self.link.say(wire.HistoryCall(number, message))
            case n.HistoryPart(feed, values):
                self._say_part(feed, values)
            case HistoryEnded(feed, reason):
                self._end_history(feed, reason)
            case b.Want(_, number) | b.Have(_, number) if self._listening and number > 0:
                self.link.say(message)
            case b.Listening() | n.BlobGet() | n.BlobCancel() | n.BlobBytes() | n.BlobEnd():
                self.link.say(message)
            case OfferedSegment(segment):
                self.link.say(message, bytes_of(segment))
            case _ if type(message) in OF_STREAMS:
                self.link.say(message)
            case _:
                pass  # nobody hears it

    def _say_part(self, feed: FeedId, values: tuple[JsonValue, ...]) -> None:
        number = _oldest(self._theirs, feed)
        if number is not None:
            for value in values:
                self.link.say(wire.HistoryItems(number, (value,)), len(compact(value)))

    def _end_history(self, feed: FeedId, reason: str | None) -> None:
        number = _oldest(self._theirs, feed)
        if number is not None:
            del self._theirs[number]
            self.link.say(wire.HistoryOver(number, called=False, reason=reason))
            return
        number = _oldest(self._ours, feed)
        if number is not None:
            del self._ours[number]
            self.link.say(wire.HistoryOver(number, called=True))


def _oldest(open_: dict[int, FeedId], feed: FeedId) -> int | None:
    return next((number for number, its in open_.items() if its == feed), None)
