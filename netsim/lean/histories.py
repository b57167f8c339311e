"""createHistoryStream on one link, asked for and answered (spec/replication.md 5)."""

import math
from dataclasses import dataclass, field
from itertools import count

from netsim.lean.link import Link
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from netsim.lean.stored import read_values
from netsim.lean.wire import HistoryCall, HistoryItems, HistoryOver
from qbix_node.replication.machine import Replicator
from qbix_node.replication.messages import HistoryEnded, HistoryRequest
from qbix_node.replication.outbox import MESSAGES_MAX
from qbix_node.wire.references import FeedId

OPEN_MAX = 256  # histories that one peer has open; a further one is refused


@dataclass(slots=True)
class Shared:
    """What replication has in common on all links of a node."""

    process: Process
    runner: Runner
    machine: Replicator
    unread_bytes_max: int
    growth: "dict[FeedId, dict[_Answer, None]]" = field(default_factory=dict)  # who waits for it


class Histories:
    __slots__ = ("_answers", "_calls", "_link", "_numbers", "_shared")

    def __init__(self, link: Link, shared: Shared) -> None:
        self._link = link
        self._shared = shared
        self._numbers = count(1)
        self._calls: dict[int, HistoryRequest] = {}
        self._answers: dict[int, _Answer] = {}

    # ---- where we ask ----

    def call(self, request: HistoryRequest) -> None:
        number = next(self._numbers)
        self._calls[number] = request
        self._link.say(HistoryCall(number, request))

    def cancel(self, feed: FeedId) -> None:
        """Not the proof of a fork, which has a stream of its own."""
        for number, request in self._calls.items():
            if request.feed == feed and request.limit is None:
                del self._calls[number]
                self._link.say(HistoryOver(number, called=True))
                return

    def expects(self, number: int) -> bool:
        return number in self._calls

    def over(self, message: HistoryOver) -> HistoryEnded | None:
        """The other side has ended what we called for, or wants no more of what it called for."""
        if message.called:
            self._answers.pop(message.number, None)
            return None
        request = self._calls.pop(message.number, None)
        return HistoryEnded(request.feed, message.reason) if request else None

    # ---- where the peer asks ----

    def answer(self, number: int, request: HistoryRequest) -> None:
        if len(self._answers) >= OPEN_MAX:
            self._link.say(HistoryOver(number, called=False, reason="too many requests are open"))
            return
        answer = self._answers[number] = _Answer(self, number, request)
        if not request.old:
            answer.first = self._shared.machine.talks.head(request.feed) + 1
        self._link.ready(answer)

    def send_more_of(self, answer: "_Answer") -> None:
        self._link.ready(answer)

    def send_next_of(self, answer: "_Answer") -> bool:
        feed = answer.request.feed
        if self._answers.get(answer.number) is not answer:
            return False
        if answer.left and self._shared.machine.serves(self._link.peer, feed):
            most = int(min(answer.left, MESSAGES_MAX))
            sent = False
            for part in read_values(self._shared.process.site.disk, feed, answer.first, most):
                self._link.say(HistoryItems(answer.number, part.values), part.text_bytes)
                answer.first = part.last + 1
                answer.left -= len(part.values)
                sent = True
            if sent:
                return True
            if answer.request.live:
                self._shared.growth.setdefault(feed, {})[answer] = None
                return False
        del self._answers[answer.number]
        self._link.say(HistoryOver(answer.number, called=False))
        return False


class _Answer:
    """One stream to the peer. It is told nothing else than messages."""

    __slots__ = ("_histories", "first", "left", "number", "request")

    def __init__(self, histories: Histories, number: int, request: HistoryRequest) -> None:
        self._histories = histories
        self.number = number
        self.request = request
        self.first = request.sequence
        self.left: float = request.limit or math.inf

    def send_next(self) -> bool:
        return self._histories.send_next_of(self)

    def go_on(self) -> None:
        """Its feed has grown."""
        self._histories.send_more_of(self)
