"""Requests of ours until they are answered or given up (spec/dht.md 4, 7). Pure.

Each attempt has a number of its own, so an answer tells how long it took, and no request comes
twice.
"""

import heapq
import math
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from qbix_node import machines as m
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.messages import Message, encode, read_message
from qbix_node.dht.peers import Peer, RoundTrip
from qbix_node.dht.requests import Say
from qbix_node.dht.state import State, Turn
from qbix_node.dht.table import Contact
from qbix_node.dht.wire import ANSWER, COOKIE, REFUSED, SALT_BYTES, Header, encode_header
from qbix_node.errors import Malformed
from qbix_node.machines import Rng

TIMER = "dht/calls"
BACKOFF = 1.5  # by which each further attempt is given more time
_FIRST_NUMBER_BYTES = 7  # so that they never end
STALE_MAX = 256  # deadlines of calls that are over, beyond those of the others


class Asker(Protocol):
    """Who made a call, and hears what becomes of it; one of `answered` and `failed`, once."""

    def answered(self, call: "Call", answer: Message, turn: Turn) -> None: ...

    def failed(self, call: "Call", turn: Turn) -> None: ...

    def slow(self, call: "Call", turn: Turn) -> None:
        """The first attempt was not answered in time; another is under way."""
        ...


@dataclass(slots=True, eq=False)
class Call:
    contact: Contact
    peer: Peer
    type: int
    body: bytes
    asker: Asker
    tag: int = 0  # the asker's own
    sent: dict[int, tuple[float, bytes]] = field(default_factory=dict)  # number: when, salt
    attempts: int = 0
    challenged: bool = False  # in this attempt
    due: float = math.inf
    late: bool = False  # so the asker turned to others


class Calls:
    def __init__(self, state: State) -> None:
        self._state = state
        self._open: dict[int, Call] = {}  # by each of their numbers
        self._calls = 0
        self._deadlines: list[tuple[float, int, Call]] = []
        self._order = count()
        self._alarm = math.inf
        self._number = 0
        self._answered_at = -math.inf  # by anybody
        self.trip = RoundTrip()  # over all peers

    def __len__(self) -> int:
        return self._calls

    def start(
        self, contact: Contact, message: Message, asker: Asker, turn: Turn, *, tag: int = 0
    ) -> bool:
        """False: there is no such call, as too many are under way or its key is none."""
        if self._calls >= self._state.limits.calls_max:
            self._state.counts["calls refused"] += 1
            return False
        peer = self._state.peer(contact.key)
        if peer is None:
            return False
        call = Call(contact, peer, message.type, encode(message), asker, tag)
        self._calls += 1
        self._attempt(call, turn)
        return True

    def _attempt(self, call: Call, turn: Turn) -> None:
        call.attempts += 1
        call.challenged = False
        self._send(call, turn)

    def _send(self, call: Call, turn: Turn) -> None:
        state, contact, peer = self._state, call.contact, call.peer
        salt = turn.rng.randbytes(SALT_BYTES)
        number = self._next_number(turn.rng)
        header = encode_header(
            call.type, number, state.own.key, contact.id, cookie=peer.cookie, salt=salt
        )
        call.sent[number] = turn.now, salt
        self._open[number] = call
        turn.effects.append(
            Say(state.sealing.seal(header, call.body, peer.shared), contact.endpoint)
        )
        state.counts["requests sent"] += 1
        patience_s = (peer if peer.mean_s else self.trip).timeout_s() * BACKOFF ** (
            call.attempts - 1
        )
        call.due = turn.now + patience_s
        heapq.heappush(self._deadlines, (call.due, next(self._order), call))
        self._set_alarm(turn)

    def _next_number(self, rng: Rng) -> int:
        """SPEC dht 4: from a random one on, so that no answer to an earlier run fits."""
        if not self._number:
            self._number = int.from_bytes(rng.randbytes(_FIRST_NUMBER_BYTES))
        self._number += 1
        return self._number

    # ---- answers ----

    def hear(self, header: Header, datagram: bytes, source: Endpoint, turn: Turn) -> None:
        state = self._state
        call = self._open.get(header.number)
        if call is None:
            state.counts["ignored: not asked"] += 1
        elif header.sender != call.contact.key or not call.contact.is_at(*source):
            state.counts["ignored: another answers"] += 1
        elif header.type == COOKIE:
            self._challenged(call, header, turn)
        elif header.type not in (call.type | ANSWER, REFUSED):
            state.counts["ignored: malformed"] += 1
        else:
            self._answered(call, header, datagram, turn)

    def _challenged(self, call: Call, header: Header, turn: Turn) -> None:
        _, salt = call.sent[header.number]
        if header.salt != salt or call.challenged:
            self._state.counts["ignored: cookie"] += 1
            return
        call.challenged = True
        call.peer.cookie = header.cookie
        self._send(call, turn)

    def _answered(self, call: Call, header: Header, datagram: bytes, turn: Turn) -> None:
        state = self._state
        body = state.sealing.unseal(datagram, call.peer.shared)
        if body is None:
            state.counts["ignored: not sealed"] += 1
            return
        try:
            answer = read_message(header.type, body)
        except Malformed:
            state.counts["ignored: malformed"] += 1
            return
        sent_at, _ = call.sent[header.number]
        peer = self._remembered(call)
        peer.cookie = header.cookie
        peer.add(turn.now - sent_at)
        self.trip.add(turn.now - sent_at)
        self._answered_at = turn.now
        self._close(call)
        state.counts["answers"] += 1
        state.table.answered(call.contact, turn.now)
        call.asker.answered(call, answer, turn)

    def _remembered(self, call: Call) -> Peer:
        """Only who proved its key has a place: a liar can tell of as many keys as it likes."""
        peer = self._state.peers.get(call.contact.key)
        if peer is None:
            peer = call.peer
            self._state.peers.add(call.contact.key, peer)
        return peer

    def _close(self, call: Call) -> None:
        for number in call.sent:
            del self._open[number]
        call.due = math.inf
        self._calls -= 1

    # ---- time ----

    def tick(self, turn: Turn) -> None:
        """The timer fired, perhaps late, perhaps for nothing."""
        self._alarm = math.inf
        while self._deadlines and self._deadlines[0][0] <= turn.now:
            due, _, call = heapq.heappop(self._deadlines)
            if due == call.due:
                self._overdue(call, turn)
        self._set_alarm(turn)

    def _overdue(self, call: Call, turn: Turn) -> None:
        state = self._state
        if call.attempts <= state.limits.retries:
            first = call.attempts == 1
            self._attempt(call, turn)
            if first:
                call.asker.slow(call, turn)
            return
        self._close(call)
        state.counts["calls unanswered"] += 1
        state.table.missed(call.contact, turn.now, self._answered_at)
        call.asker.failed(call, turn)

    def _set_alarm(self, turn: Turn) -> None:
        if len(self._deadlines) > 2 * self._calls + STALE_MAX:
            self._deadlines = [each for each in self._deadlines if each[0] == each[2].due]
            heapq.heapify(self._deadlines)
        while self._deadlines and self._deadlines[0][0] != self._deadlines[0][2].due:
            heapq.heappop(self._deadlines)
        if self._deadlines and self._deadlines[0][0] < self._alarm:
            self._alarm = self._deadlines[0][0]
            turn.effects.append(m.SetTimer(TIMER, self._alarm))
