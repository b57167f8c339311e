"""What lookups are for: nodes, records, places for records (spec/dht.md 7, 8). Pure."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from qbix_node import machines as m
from qbix_node.dht.calls import Call, Calls
from qbix_node.dht.ids import NodeId
from qbix_node.dht.lookup import Lookup
from qbix_node.dht.messages import KEPT, FindNode, GetRecord, Message, PutRecord, Stored, Told
from qbix_node.dht.records import Record, read_record
from qbix_node.dht.requests import Evidence, Find, Found, Get, Got, Placed, Store
from qbix_node.dht.state import State, Turn
from qbix_node.dht.table import Contact
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId

CHECKED_MAX = 256  # signatures of records, in one search

Done = Callable[[Lookup, Turn], None]


@dataclass(frozen=True, slots=True)
class _Wanted:
    message: FindNode | GetRecord
    done: Done
    paths: int


class Searches:
    """So many lookups at a time; further ones wait in their order."""

    def __init__(self, state: State, calls: Calls) -> None:
        self._state, self._calls = state, calls
        self._running = 0
        self._waiting: deque[_Wanted] = deque()
        self._letting_in = False

    def __len__(self) -> int:
        return self._running + len(self._waiting)

    def search(
        self, message: FindNode | GetRecord, done: Done, turn: Turn, *, paths: int | None = None
    ) -> None:
        """`done` is called once, perhaps at once; with nothing found if too many wait."""
        limits = self._state.limits
        wanted = _Wanted(message, done, paths or limits.paths)
        if self._running < limits.lookups_max:
            self._start(wanted, turn)
        elif len(self._waiting) < limits.lookups_waiting_max:
            self._waiting.append(wanted)
        else:
            self._state.counts["lookups refused"] += 1
            done(self._lookup(wanted, done), turn)

    def _lookup(self, wanted: _Wanted, done: Done) -> Lookup:
        return Lookup(self._state, self._calls, wanted.message, done, paths=wanted.paths)

    def _start(self, wanted: _Wanted, turn: Turn) -> None:
        def done(lookup: Lookup, turn: Turn) -> None:
            self._running -= 1
            wanted.done(lookup, turn)
            self._let_in(turn)

        self._running += 1
        self._state.counts["lookups"] += 1
        lookup = self._lookup(wanted, done)
        self._state.table.bucket_of(int.from_bytes(lookup.target)).last_updated = turn.now
        lookup.start(turn)

    def _let_in(self, turn: Turn) -> None:
        """A loop, as a lookup that finds nobody to ask is over at once, and so may be the next."""
        if self._letting_in:
            return
        self._letting_in = True
        while self._waiting and self._running < self._state.limits.lookups_max:
            self._start(self._waiting.popleft(), turn)
        self._letting_in = False

    # ---- for the node ----

    def find(self, wish: Find, turn: Turn) -> None:
        def done(lookup: Lookup, turn: Turn) -> None:
            nodes = tuple([Told(each.key, each.ip, each.port) for each in lookup.nodes()])
            found = Found(wish.number, wish.target, nodes, lookup.evidence(turn.now))
            turn.effects.append(m.Emit(found))

        self.search(FindNode(wish.target), done, turn, paths=wish.paths)

    def get(self, wish: Get, turn: Turn) -> None:
        def done(lookup: Lookup, turn: Turn) -> None:
            records = self.newest(wish.key, wish.signer, lookup.records(), turn)
            got = Got(wish.number, wish.key, records, lookup.evidence(turn.now))
            turn.effects.append(m.Emit(got))

        self.search(GetRecord(wish.key, wish.signer), done, turn)

    def store(self, wish: Store, turn: Turn) -> None:
        def placed(kept_by: int, evidence: Evidence, turn: Turn) -> None:
            turn.effects.append(m.Emit(Placed(wish.number, kept_by, evidence)))

        self.place(wish.record, placed, turn)

    def newest(
        self, key: NodeId, signer: PeerId | None, came: list[bytes], turn: Turn
    ) -> tuple[Record, ...]:
        """SPEC dht 8: of each signer and kind the newest that is right and not over."""
        state, newest = self._state, dict[tuple[str, PeerId], Record]()
        ours = {each.encoded: each for each in state.shelf.get(key, signer)}
        for encoded in [*ours, *came[:CHECKED_MAX]]:
            try:
                record = ours.get(encoded) or read_record(encoded)
            except Malformed:
                continue
            name = record.content.kind, record.signer
            wanted = record.key == key and signer in (None, record.signer)
            if not wanted or not record.timely(state.unix_s(turn.now)):
                continue
            if name in newest and not record.newer_than(newest[name]):
                continue
            if encoded in ours or state.sealing.verify(
                record.signer, record.signed, record.signature
            ):
                newest[name] = record
        return tuple(newest.values())

    # ---- for records ----

    def place(
        self, record: Record, placed: Callable[[int, Evidence, Turn], None], turn: Turn
    ) -> None:
        """With the nearest nodes, of which this one may be one."""

        def done(lookup: Lookup, turn: Turn) -> None:
            _Placing(self._state, self._calls, lookup, record, placed).start(turn)

        self.search(FindNode(record.key), done, turn)


class _Placing:
    def __init__(
        self,
        state: State,
        calls: Calls,
        lookup: Lookup,
        record: Record,
        placed: Callable[[int, Evidence, Turn], None],
    ) -> None:
        self._state, self._calls, self._lookup = state, calls, lookup
        self._record, self._placed = record, placed
        self._waiting = self._kept = 0

    def start(self, turn: Turn) -> None:
        nodes, message = self._lookup.nodes(), PutRecord(self._record.encoded)
        self._waiting = 1  # so that no answer can end it before all were asked
        if self._is_near(nodes) and self._counts(turn):
            self._kept += self._state.shelf.put(self._record, self._state.table.node.ip)
        for contact in nodes:
            self._waiting += self._calls.start(contact, message, self, turn)
        self._end(turn)

    def _is_near(self, nodes: list[Contact]) -> bool:
        number, size = int.from_bytes(self._record.key), self._state.limits.bucket_size
        own = self._state.own.number ^ number
        return len(nodes) < size or own < nodes[-1].long_id ^ number

    def _counts(self, turn: Turn) -> bool:
        """As others check it before they keep it: an upper layer may have it from anywhere."""
        record, state = self._record, self._state
        return record.timely(state.unix_s(turn.now)) and state.sealing.verify(
            record.signer, record.signed, record.signature
        )

    def _end(self, turn: Turn) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._placed(self._kept, self._lookup.evidence(turn.now), turn)

    def answered(self, call: Call, answer: Message, turn: Turn) -> None:
        self._kept += isinstance(answer, Stored) and answer.verdict == KEPT
        self._end(turn)

    def failed(self, call: Call, turn: Turn) -> None:
        self._end(turn)

    def slow(self, call: Call, turn: Turn) -> None:
        pass
