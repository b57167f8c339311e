"""What replication says and hears on one link, as `qbix_node.replication.remote` does it."""

import math
from collections import deque
from collections.abc import Callable
from typing import assert_never

from netsim.lean.histories import Histories, Shared
from netsim.lean.link import Link
from netsim.lean.stored import read_values
from netsim.lean.wire import HistoryCall, HistoryItems, HistoryOver
from qbix_node import machines as m
from qbix_node.feeds.messages import Offered
from qbix_node.replication.messages import (
    EbtCall,
    EbtEnded,
    EbtNotes,
    HistoryEnded,
    HistoryRequest,
    Range,
    Stop,
    is_message,
    parse_notes,
)
from qbix_node.replication.outbox import Outbox
from qbix_node.replication.remote.service import (
    CALLS_MAX,
    MESSAGE_BYTES_MAX,
    OFFER_MAX,
    UNSETTLED_MAX,
)
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue

Otherwise = Callable[[Link, object], object]

_Read = EbtNotes[FeedId] | EbtEnded | Offered | HistoryItems | HistoryOver


class Remote:
    __slots__ = (
        "_calls",
        "_histories",
        "_otherwise",
        "_outbox",
        "_process",
        "_runner",
        "_talking",
        "_unread",
        "_unread_bytes",
        "_unread_bytes_max",
        "_unsettled",
        "_we_called",
        "link",
    )

    def __init__(self, link: Link, shared: Shared, otherwise: Otherwise) -> None:
        self.link = link
        self._process = shared.process
        self._runner = shared.runner
        self._otherwise = otherwise
        self._outbox: Outbox[FeedId] | None = None  # of the conversation by EBT
        self._talking = False
        self._we_called = False
        self._calls = 0
        self._unsettled = 0
        self._unread: deque[tuple[_Read, int]] = deque()
        self._unread_bytes = 0
        self._unread_bytes_max = shared.unread_bytes_max
        self._histories = Histories(link, shared)

    # ---- the Replicator's decisions ----

    def carry_out(self, message: object) -> None:
        match message:
            case EbtNotes() | Range() | Stop():
                if self._outbox is None:
                    self._outbox = Outbox()
                self._outbox.put(message)
                self.link.ready(self)
            case EbtCall():
                self._we_called = self._talking = True
                self._outbox = Outbox()
                self.link.say(message)
            case HistoryRequest():
                self._histories.call(message)
            case HistoryEnded(feed):
                self._histories.cancel(feed)
            case _:
                raise AssertionError(f"nothing to send: {message}")

    def send_next(self) -> bool:
        outbox = self._outbox
        if outbox is None or not self._talking:
            return False
        match outbox.take():
            case EbtNotes() as notes:
                self.link.say(notes)
            case Range() as wanted:
                self._send(wanted)
            case None:
                return False
            case other:
                assert_never(other)
        return not outbox.empty

    def _send(self, wanted: Range[FeedId]) -> None:
        count = wanted.last - wanted.first + 1
        for part in read_values(self._process.site.disk, wanted.feed, wanted.first, count):
            self.link.say(Offered(part.values, 0), part.text_bytes)

    def settle(self, count: int) -> None:
        self._unsettled = max(0, self._unsettled - count)  # some may be of an earlier link
        while self._unread and self._unsettled < UNSETTLED_MAX:
            message, size = self._unread.popleft()
            self._count_unread(-size)
            self._read(message, size)

    # ---- what the peer says ----

    def hear(self, message: object, size: int) -> None:
        match message:
            case EbtNotes() | Offered() | EbtEnded() | HistoryItems() | HistoryOver():
                if self._unread or self._unsettled >= UNSETTLED_MAX:
                    self._keep(message, size)
                else:
                    self._read(message, size)
            case EbtCall():
                self._called()
            case HistoryCall(number, request):
                self._histories.answer(number, request)
            case _:
                self._otherwise(self.link, message)

    def _called(self) -> None:
        if self._talking and self._we_called:
            self.link.close("ebt.replicate is called by the side that dialled, and only once")
            return
        self._calls += 1
        if self._calls > CALLS_MAX:
            self.link.close(f"ebt.replicate was called {CALLS_MAX} times over this connection")
            return
        self._we_called, self._talking = False, True
        self._outbox = Outbox()
        self._unread.clear()  # it was of the conversation before
        self._count_unread(-self._unread_bytes)
        self._runner.post(m.Received(self.link.peer, EbtCall()))

    def _read(self, message: _Read, size: int) -> None:
        match message:
            case EbtNotes() if self._talking:
                self._runner.post(m.Received(self.link.peer, message))
            # Honest nodes send less text in a packet, so that a longer one is one message.
            case Offered() | HistoryItems() if size > MESSAGE_BYTES_MAX:
                self.link.close(f"a message of {size} bytes, {MESSAGE_BYTES_MAX} are allowed")
            case Offered(values) if self._talking:
                self._offer(self._sort(values))
            case EbtEnded() if self._talking:
                self._talking = False
                self._runner.post(m.Received(self.link.peer, message))
            case HistoryItems(number, values) if self._histories.expects(number):
                self._offer(_messages(values))
            case HistoryOver():
                if ended := self._histories.over(message):
                    self._runner.post(m.Received(self.link.peer, ended))
            case _:
                pass  # of a conversation or a history that is over

    def _sort(self, values: tuple[JsonValue, ...]) -> tuple[JsonValue, ...]:
        """The messages, as long as there are only such; what else a peer may send is dealt with."""
        for place, value in enumerate(values):
            if not isinstance(value, dict):
                self.link.close("ebt.replicate: neither notes nor a message, but no JSON object")
                return values[:place]
            if not is_message(value):
                self._runner.post(m.Received(self.link.peer, EbtNotes(parse_notes(value))))
                return values[:place] + self._sort(values[place + 1 :])
        return values

    def _offer(self, values: tuple[JsonValue, ...]) -> None:
        """Hand messages over: one packet at most too many."""
        stamp_ms = int(1000 * self._process.site.clock.wall())
        for start in range(0, len(values), OFFER_MAX):
            part = values[start : start + OFFER_MAX]
            self._unsettled += len(part)
            self._runner.post(m.Received(self.link.peer, Offered(part, stamp_ms)))

    def _keep(self, message: _Read, size: int) -> None:
        """Too many of this peer's messages are not dealt with: what it says further waits."""
        self._unread.append((message, size))
        self._count_unread(size)

    def _count_unread(self, more: int) -> None:
        was_full = self._unread_bytes >= self._unread_bytes_max
        self._unread_bytes += more
        is_full = self._unread_bytes >= self._unread_bytes_max
        if is_full != was_full:
            self.link.read(0 if is_full else math.inf)


def _messages(values: tuple[JsonValue, ...]) -> tuple[JsonValue, ...]:
    """Those of a history; peers may wrap them, and say other things in between."""
    inner = [value.get("value", value) if isinstance(value, dict) else value for value in values]
    return tuple([value for value in inner if isinstance(value, dict) and is_message(value)])
