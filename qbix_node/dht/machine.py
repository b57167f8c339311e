"""One node of the DHT: `handle(event, now, rng) -> effects` (spec/dht.md).

Nothing that comes by a datagram raises, and nothing grows beyond `Limits`; what is ignored is
counted. Machines with a peer's messages (spec/machines.md) know who speaks; this one does not, so
it has an event and an effect of its own.
"""

from collections.abc import Iterable, Mapping
from typing import assert_never

from qbix_node import machines as m
from qbix_node.dht import calls, requests, upkeep
from qbix_node.dht.calls import Call, Calls
from qbix_node.dht.endpoints import Endpoint, usable
from qbix_node.dht.ids import identity
from qbix_node.dht.limits import Limits
from qbix_node.dht.messages import Message, Talk, Told
from qbix_node.dht.requests import Effect, Event, Heard
from qbix_node.dht.searches import Searches
from qbix_node.dht.serving import Handler, Server
from qbix_node.dht.shelf import Shelf
from qbix_node.dht.state import State, Turn
from qbix_node.dht.table import Contact, Table
from qbix_node.dht.upkeep import Upkeep
from qbix_node.dht.wire import ANSWER, Sealing, read_header
from qbix_node.errors import Malformed
from qbix_node.machines import Rng


class Dht:
    def __init__(self, sealing: Sealing, limits: Limits | None = None) -> None:
        self._state = state = State(sealing, limits or Limits())
        self._calls = Calls(state)
        self._searches = Searches(state, self._calls)
        self._upkeep = Upkeep(state, self._calls, self._searches)
        self._server = Server(state, self._upkeep.meet)

    def register(self, rpc: int, handler: Handler) -> None:
        """Let `handler` answer the requests of one type, 0x10 to 0x7E (spec/dht.md 5)."""
        self._server.register(rpc, handler)

    def warm(self, contacts: Iterable[Told], now: float) -> None:
        """Know these as if each had answered: for a simulator, which needs no thousand joins."""
        for key, ip, port in contacts:
            contact = Contact(identity(key), Endpoint(ip, port))
            if self._state.table.answered(contact, now) and (peer := self._state.peer(key)):
                self._state.peers.add(key, peer)
        self._upkeep.warm(now)

    def handle(self, event: Event, now: float, rng: Rng) -> tuple[Effect, ...]:
        turn = Turn(now, rng)
        self._state.cookies.turn(now, rng)
        match event:
            case Heard(data, source):
                self._hear(data, source, turn)
            case m.TimerFired(calls.TIMER):
                self._calls.tick(turn)
            case m.TimerFired(upkeep.TIMER):
                self._upkeep.tick(turn)
            case m.TimerFired():
                pass
            case m.Requested(request):
                self._upkeep.start(turn)
                self._requested(request, turn)
            case other:
                assert_never(other)
        return tuple(turn.effects)

    def _hear(self, data: bytes, source: Endpoint, turn: Turn) -> None:
        state = self._state
        try:
            header = read_header(data)
        except Malformed:
            state.counts["ignored: malformed"] += 1
            return
        if not usable(source.ip) or not source.port:
            state.counts["ignored: no address"] += 1
        elif not header.type & ANSWER:
            self._server.hear(header, data, source, turn)
        elif header.recipient != state.own.id:
            state.counts["ignored: not for us"] += 1
        else:
            self._calls.hear(header, data, source, turn)

    def _requested(self, request: object, turn: Turn) -> None:
        match request:
            case requests.ClockSet(ahead_s):
                self._state.ahead_s = ahead_s
            case requests.Bootstrap(contacts):
                self._upkeep.bootstrap(contacts, turn)
            case requests.Find():
                self._searches.find(request, turn)
            case requests.Get():
                self._searches.get(request, turn)
            case requests.Store():
                self._searches.store(request, turn)
            case requests.Ask():
                _Question(request.number).put(request, self._calls, turn)
            case requests.Publish() | requests.PublishSigned():
                self._upkeep.publish(request, turn)
            case requests.Withdraw():
                self._upkeep.withdraw(request)
            case _:
                pass

    # ---- for whoever runs it ----

    @property
    def table(self) -> Table:
        return self._state.table

    @property
    def shelf(self) -> Shelf:
        return self._state.shelf

    def contacts(self) -> list[Told]:
        """The longest known first."""
        known = sorted(self._state.table, key=lambda each: each.since)
        return [Told(each.key, each.ip, each.port) for each in known]

    def seen_at(self) -> Endpoint | None:
        """Where others see us, by their word."""
        return self._state.seen_at()

    def figures(self) -> Mapping[str, int]:
        state = self._state
        return {
            **state.counts,
            "contacts": len(state.table),
            "buckets": len(state.table.buckets),
            "peers": len(state.peers),
            "senders": len(self._server),
            "calls": len(self._calls),
            "searches": len(self._searches),
            "records": len(state.shelf),
            "own records": self._upkeep.own_records,
        }


class _Question:
    """Of an upper layer, to one node."""

    def __init__(self, number: int) -> None:
        self._number = number

    def put(self, wish: requests.Ask, asking: Calls, turn: Turn) -> None:
        contact = Contact(identity(wish.contact.key), Endpoint(*wish.contact[1:]))
        if not asking.start(contact, Talk(wish.rpc, wish.data), self, turn):
            self._reply(None, turn)

    def _reply(self, data: bytes | None, turn: Turn) -> None:
        turn.effects.append(m.Emit(requests.Replied(self._number, data)))

    def answered(self, call: Call, answer: Message, turn: Turn) -> None:
        self._reply(answer.data if isinstance(answer, Talk) else None, turn)

    def failed(self, call: Call, turn: Turn) -> None:
        self._reply(None, turn)

    def slow(self, call: Call, turn: Turn) -> None:
        pass
