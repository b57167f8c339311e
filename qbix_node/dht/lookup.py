"""One search for the nodes nearest to a target, on paths that share no node (spec/dht.md 7). Pure.

A liar on one path can lead that path astray, and no other. Only nodes that answered are found.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, zip_longest

from qbix_node.dht.calls import Call, Calls
from qbix_node.dht.endpoints import Endpoint, may_tell, subnet_of
from qbix_node.dht.ids import Identity, NodeId, identity
from qbix_node.dht.messages import FindNode, GetRecord, Message, Nodes, Records, Told
from qbix_node.dht.requests import Evidence
from qbix_node.dht.state import State, Turn
from qbix_node.dht.table import PER_SUBNET_MAX, Contact

KNOWN_MAX = 160  # nodes of a path, the nearest
OTHER_PLACES_MAX = 3  # of one node, told by others, that are tried when it doesn't answer


class Standing(Enum):
    ASKED = 1
    ANSWERED = 2
    FAILED = 3


@dataclass(slots=True)
class _Path:
    known: list[tuple[int, NodeId]] = field(default_factory=list)  # by distance
    busy: int = 0  # calls under way that are not overdue

    def knows(self, entry: tuple[int, NodeId]) -> bool:
        at = bisect_left(self.known, entry)
        return at < len(self.known) and self.known[at] == entry


class Lookup:
    """`done` is called once, when no path has anybody left to ask."""

    def __init__(
        self,
        state: State,
        calls: Calls,
        message: FindNode | GetRecord,
        done: Callable[["Lookup", Turn], None],
        *,
        paths: int,
    ) -> None:
        self._state, self._calls = state, calls
        self._message, self._done = message, done
        target = message.target if isinstance(message, FindNode) else message.key
        self.target = target
        self._number = int.from_bytes(target)
        self._paths = [_Path() for _ in range(paths)]
        self._contacts: dict[NodeId, Contact] = {}
        self._places: dict[NodeId, list[Endpoint]] = {}  # others that were told
        self._tried: dict[NodeId, int] = {}  # how many of those
        self._subnets = Counter[bytes]()  # calls to each
        self._standing: dict[NodeId, Standing] = {}
        self._depths: dict[NodeId, int] = {}
        self._asked = self._answered = self._under_way = 0
        self._started = 0.0
        self._over = False
        self._records: list[tuple[bytes, ...]] = []  # of each answer

    def start(self, turn: Turn) -> None:
        self._started = turn.now
        size = self._state.limits.bucket_size * len(self._paths)
        near = self._state.table.closest(self._number, size)
        for place, contact in enumerate(near):
            path = self._paths[place % len(self._paths)]
            self._hear_of(path, identity(contact.key), contact.endpoint, 0)
        self._go_on(turn)

    # ---- what was found ----

    def nodes(self) -> list[Contact]:
        """The nearest that answered, nearest first."""
        answered = [
            self._contacts[each]
            for each, standing in self._standing.items()
            if standing is Standing.ANSWERED
        ]
        answered.sort(key=lambda each: each.long_id ^ self._number)
        return answered[: self._state.limits.bucket_size]

    def records(self) -> list[bytes]:
        """First one of each answer, then another one, so that no liar's many stand before all."""
        rounds = zip_longest(*self._records)
        return [each for each in dict.fromkeys(chain.from_iterable(rounds)) if each is not None]

    def evidence(self, now: float) -> Evidence:
        depth = max((self._depths[each.id] for each in self.nodes()), default=0)
        return Evidence(self._asked, self._answered, depth, now - self._started)

    # ---- asking ----

    def _hear_of(self, path: _Path, who: Identity, endpoint: Endpoint, depth: int) -> None:
        named = who.id
        entry = who.number ^ self._number, named
        at = bisect_left(path.known, entry)
        if at == KNOWN_MAX:
            return
        if self._contacts.get(named) is None:
            self._contacts[named] = self._contact(who, endpoint)
            self._depths[named] = depth
        if self._contacts[named].endpoint != endpoint:
            self._hear_of_other_place(who, endpoint)
        if not path.knows(entry):
            path.known.insert(at, entry)
            if len(path.known) > KNOWN_MAX:
                self._forget(path.known.pop())

    def _forget(self, entry: tuple[int, NodeId]) -> None:
        """Unless it was asked, or is among the nearest of another path."""
        named = entry[1]
        if named not in self._standing and not any(each.knows(entry) for each in self._paths):
            for kept in (self._contacts, self._depths, self._places, self._tried):
                kept.pop(named, None)

    def _contact(self, who: Identity, endpoint: Endpoint) -> Contact:
        """What answered us there goes before what others say, unless it fell silent."""
        proven = self._state.table.get(who.id)
        return proven if proven and not proven.misses else Contact(who, endpoint)

    def _hear_of_other_place(self, who: Identity, endpoint: Endpoint) -> None:
        places = self._places.setdefault(who.id, [])
        if endpoint not in places and len(places) < OTHER_PLACES_MAX:
            places.append(endpoint)
            if self._standing.get(who.id) is Standing.FAILED:
                self._try_elsewhere(who)

    def _try_elsewhere(self, who: Identity) -> None:
        """A liar's word about where a node is must not hide it."""
        places, tried = self._places.get(who.id, []), self._tried.get(who.id, 0)
        if tried < len(places):
            self._tried[who.id] = tried + 1
            self._contacts[who.id] = Contact(who, places[tried])
            del self._standing[who.id]

    def _next(self, path: _Path) -> Contact | None:
        """SPEC dht 7: the nearest that nobody asked, among the nearest that may be alive."""
        alive = 0
        for _, named in path.known:
            standing = self._standing.get(named)
            if standing is None:
                if self._asked_there(self._contacts[named]) < PER_SUBNET_MAX:
                    return self._contacts[named]
                continue
            alive += standing is not Standing.FAILED
            if alive >= self._state.limits.bucket_size:
                return None
        return None

    def _go_on(self, turn: Turn) -> None:
        limits = self._state.limits
        progress = True
        while progress and self._asked < limits.lookup_calls_max:
            progress = False
            for place, path in enumerate(self._paths):
                if path.busy >= limits.parallel or self._asked >= limits.lookup_calls_max:
                    continue
                contact = self._next(path)
                if contact is not None:
                    progress = True
                    self._ask(place, contact, turn)
        if not self._under_way and not self._over:
            self._over = True
            self._done(self, turn)

    def _asked_there(self, contact: Contact) -> int:
        """SPEC dht 7: so that no liar turns a lookup at one network, or fills it from there."""
        subnet = subnet_of(contact.ip)
        return self._subnets[subnet] if subnet else 0

    def _ask(self, place: int, contact: Contact, turn: Turn) -> None:
        self._asked += 1
        if subnet := subnet_of(contact.ip):
            self._subnets[subnet] += 1
        self._standing[contact.id] = Standing.ASKED
        if self._calls.start(contact, self._message, self, turn, tag=place):
            self._under_way += 1
            self._paths[place].busy += 1
        else:
            self._standing[contact.id] = Standing.FAILED

    # ---- as an Asker ----

    def answered(self, call: Call, answer: Message, turn: Turn) -> None:
        self._end(call)
        named = call.contact.id
        if isinstance(answer, Nodes | Records):
            self._answered += 1
            self._standing[named] = Standing.ANSWERED
            self._learn(call, answer.contacts)
            if isinstance(answer, Records):
                self._records.append(answer.records)
        else:
            self._standing[named] = Standing.FAILED
        self._go_on(turn)

    def failed(self, call: Call, turn: Turn) -> None:
        self._end(call)
        self._standing[call.contact.id] = Standing.FAILED
        self._try_elsewhere(identity(call.contact.key))
        self._go_on(turn)

    def slow(self, call: Call, turn: Turn) -> None:
        """Others needn't wait for it."""
        if not call.late:
            call.late = True
            self._paths[call.tag].busy -= 1
        self._go_on(turn)

    def _end(self, call: Call) -> None:
        self._under_way -= 1
        if not call.late:
            self._paths[call.tag].busy -= 1

    def _learn(self, call: Call, told: Iterable[Told]) -> None:
        depth = self._depths[call.contact.id] + 1
        path, own = self._paths[call.tag], self._state.own
        for key, ip, port in told:
            who = identity(key)
            if who.id != own.id and may_tell(call.contact.ip, ip):
                self._hear_of(path, who, Endpoint(ip, port), depth)
