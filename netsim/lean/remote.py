"""What replication says and hears on one link, as `qbix_node.replication.remote` does it."""

from collections import deque
from typing import assert_never

from netsim.lean.histories import Histories
from netsim.lean.link import Link
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from netsim.lean.stored import read_values
from netsim.lean.wire import HistoryCall, HistoryItems, HistoryOver
from qbix_node import machines as m
from qbix_node.feeds.messages import Offered
from qbix_node.replication.machine import Replicator
from qbix_node.replication.messages import (
    EbtCall,
    EbtEnded,
    EbtNotes,
    HistoryEnded,
    HistoryRequest,
    Range,
    Stop,
)
from qbix_node.replication.outbox import Outbox
from qbix_node.replication.remote.service import CALLS_MAX, OFFER_MAX, UNSETTLED_MAX
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import JsonValue


class Remote:
    __slots__ = (
        "_calls",
        "_histories",
        "_outbox",
        "_process",
        "_runner",
        "_talking",
        "_unread",
        "_unsettled",
        "_we_called",
        "link",
    )

    def __init__(self, link: Link, process: Process, runner: Runner, machine: Replicator) -> None:
        self.link = link
        self._process = process
        self._runner = runner
        self._outbox: Outbox | None = None  # of the conversation by EBT
        self._talking = False
        self._we_called = False
        self._calls = 0
        self._unsettled = 0
        self._unread: deque[EbtNotes | EbtEnded | Offered] = deque()
        self._histories = Histories(link, process, machine)

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
        if self._outbox is None or not self._talking:
            return False
        match self._outbox.take():
            case EbtNotes() as notes:
                self.link.say(notes)
            case Range() as wanted:
                self._send(wanted)
            case None:
                return False
            case other:
                assert_never(other)
        return True

    def _send(self, wanted: Range) -> None:
        count = wanted.last - wanted.first + 1
        for part in read_values(self._process.site.disk, wanted.feed, wanted.first, count):
            self.link.say(Offered(part.values, 0), part.text_bytes)

    def settle(self, count: int) -> None:
        self._unsettled = max(0, self._unsettled - count)
        while self._unread and self._unsettled < UNSETTLED_MAX:
            self._read(self._unread.popleft())

    def grown(self, feed: FeedId) -> None:
        self._histories.grown(feed)

    # ---- what the peer says ----

    def hear(self, message: object) -> bool:
        match message:
            case EbtNotes() | Offered() | EbtEnded():
                if self._unread:
                    self._unread.append(message)
                else:
                    self._read(message)
            case EbtCall():
                self._called()
            case HistoryCall(number, request):
                self._histories.answer(number, request)
            case HistoryItems(number, values):
                if self._histories.expects(number):
                    self._offer(values)
            case HistoryOver():
                if ended := self._histories.over(message):
                    self._runner.post(m.Received(self.link.peer, ended))
            case _:
                return False
        return True

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
        self._unread.clear()
        self._runner.post(m.Received(self.link.peer, EbtCall()))

    def _read(self, message: EbtNotes | EbtEnded | Offered) -> None:
        if not self._talking:
            return  # of a conversation that is over
        match message:
            case Offered(values):
                self._offer(values)
            case EbtNotes():
                self._runner.post(m.Received(self.link.peer, message))
            case EbtEnded():
                self._talking = False
                self._runner.post(m.Received(self.link.peer, message))

    def _offer(self, values: tuple[JsonValue, ...]) -> None:
        """Hand messages over; keep them while too many of this peer's are not dealt with."""
        for start in range(0, len(values), OFFER_MAX):
            part = values[start : start + OFFER_MAX]
            if self._unsettled >= UNSETTLED_MAX:
                self._unread.append(Offered(part, 0))
                continue
            self._unsettled += len(part)
            stamp_ms = int(1000 * self._process.site.clock.wall())
            self._runner.post(m.Received(self.link.peer, Offered(part, stamp_ms)))
