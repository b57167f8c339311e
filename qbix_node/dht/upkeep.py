"""Stay in the network: find a way in, keep contacts alive and records published (spec/dht.md 6, 8).

Pure. Everything goes through one timer, so that a node at rest costs little.
"""

from dataclasses import dataclass

from qbix_node import machines as m
from qbix_node.dht.calls import Call, Calls
from qbix_node.dht.endpoints import Endpoint, network_of
from qbix_node.dht.ids import Identity, NodeId, identity
from qbix_node.dht.lookup import Lookup
from qbix_node.dht.messages import FindNode, GetRecord, Message, Ping, Pong, Told
from qbix_node.dht.records import Content, Record, make_record
from qbix_node.dht.requests import Evidence, Publish, PublishSigned, Withdraw
from qbix_node.dht.searches import Searches
from qbix_node.dht.state import State, Turn
from qbix_node.dht.table import Bucket, Contact
from qbix_node.machines import PeerId
from qbix_node.wire import fields

TIMER = "dht/upkeep"

TICK_S = 10.0
TICK_SPREAD = 0.25  # of that, more or less
LIVENESS_S = 300.0  # after which a contact is asked whether it is there
DOUBT_S = 20.0  # the same, if it missed
LIVENESS_PER_TICK = 8
NEIGHBOURS_S, NEIGHBOURS_S_MAX = 2.0, 600.0  # between looks at who is near, at first and at last
REFRESH_S = 3600.0  # after which a bucket is looked up
BOOTSTRAP_MAX = 512  # nodes; all are asked, so that few liars among them change nothing
BOOTSTRAP_S, BOOTSTRAP_S_MAX = 10.0, 300.0  # between attempts, the first and at most
REPUBLISH_S = 1200.0
LIFETIME_S = 3 * REPUBLISH_S  # of the node's own records
PROBES_PER_NETWORK_MAX = 4
PUBLISHED_PER_TICK = 16
SWEEP_S = 60.0


@dataclass(slots=True)
class _Own:
    """What the node keeps published: a content to sign again and again, or a record as it is."""

    content: Content
    record: Record | None
    due: float
    under_way: bool = False
    patience_s: float = TICK_S  # until the next attempt, when nobody kept it


class Upkeep:
    def __init__(self, state: State, calls: Calls, searches: Searches) -> None:
        self._state, self._calls, self._searches = state, calls, searches
        self._ways_in: dict[PeerId, Contact] = {}
        self._next_way_in = 0.0
        self._patience_s = BOOTSTRAP_S
        self._joined = False  # since somebody answered: looked for our own neighbourhood
        self._near_every_s = NEIGHBOURS_S
        self._next_near = 0.0
        self._own: dict[tuple[NodeId, str], _Own] = {}
        self._probes: dict[NodeId, bytes] = {}  # who is asked, and of which network
        self._next_sweep = 0.0
        self._sequence = 0
        self._ticking = False

    def warm(self, now: float) -> None:
        """As if the node had been here for long."""
        self._joined = True
        self._near_every_s, self._next_near = NEIGHBOURS_S_MAX, now + NEIGHBOURS_S_MAX

    def start(self, turn: Turn) -> None:
        if not self._ticking:
            self._ticking = True
            self._set_timer(turn)

    def _set_timer(self, turn: Turn) -> None:
        spread = 1 + TICK_SPREAD * (2 * turn.rng.random() - 1)
        wait_s = min(TICK_S, self._near_every_s)
        turn.effects.append(m.SetTimer(TIMER, turn.now + wait_s * spread))

    def tick(self, turn: Turn) -> None:
        self._find_a_way_in(turn)
        self._ask_whether_alive(turn)
        self._look_around(turn)
        self._refresh(turn)
        self._republish(turn)
        if turn.now >= self._next_sweep:
            self._next_sweep = turn.now + SWEEP_S
            over = self._state.shelf.sweep(self._state.unix_s(turn.now))
            self._state.counts["records over"] += over
        self._set_timer(turn)

    # ---- joining ----

    def bootstrap(self, contacts: tuple[Told, ...], turn: Turn) -> None:
        for key, ip, port in contacts:
            self._ways_in.pop(key, None)
            self._ways_in[key] = contact = Contact(identity(key), Endpoint(ip, port))
            if len(self._state.table):  # it may be of another part of the network
                self.meet(identity(key), contact.endpoint, turn)
            if len(self._ways_in) > BOOTSTRAP_MAX:
                del self._ways_in[next(iter(self._ways_in))]
        self._patience_s = BOOTSTRAP_S
        self._next_way_in = turn.now
        self._find_a_way_in(turn)

    def _find_a_way_in(self, turn: Turn) -> None:
        """Now and then also if there are contacts: they may all be liars, and friends."""
        lost = all(each.misses for each in self._state.table)
        since_s = turn.now - self._next_way_in
        if since_s < (0 if lost else REFRESH_S):
            return
        self._next_way_in = turn.now
        if lost:
            self._joined = False
            self._next_way_in += self._patience_s
            self._patience_s = min(2 * self._patience_s, BOOTSTRAP_S_MAX)
        for contact in list(self._ways_in.values()):
            if self._state.table.get(contact.id) is None:
                self._ask(contact, turn)

    def _join(self, turn: Turn) -> None:
        """Kademlia 2.3: look for oneself, then in every bucket further away."""
        self._joined = True
        self._patience_s = BOOTSTRAP_S
        self._near_every_s, self._next_near = NEIGHBOURS_S, turn.now + NEIGHBOURS_S

        def done(_: Lookup, turn: Turn) -> None:
            for bucket in list(self._state.table.buckets):
                if not bucket.has_in_range(self._state.table.node):
                    self._look_up(bucket, turn)
            for own in self._own.values():  # nobody took them before, or others are near now
                own.due = min(own.due, turn.now)
            self._republish(turn)

        self._searches.search(FindNode(self._state.own.id), done, turn)

    # ---- contacts ----

    def meet(self, who: Identity, endpoint: Endpoint, turn: Turn) -> None:
        """SPEC dht 6: who asks us is asked in turn, before it is a contact."""
        if who.id in self._probes or len(self._probes) >= self._state.limits.probes_max:
            return
        contact = self._state.table.wants(who, endpoint, turn.now)
        if contact is None:
            return
        same = [*self._probes.values()].count(network_of(endpoint))
        if same < PROBES_PER_NETWORK_MAX:  # one that never answers must not keep others out
            self._ask(contact, turn)

    def _ask(self, contact: Contact, turn: Turn) -> None:
        if contact.id not in self._probes and self._calls.start(contact, Ping(), self, turn):
            self._probes[contact.id] = network_of(contact.endpoint)

    def answered(self, call: Call, answer: Message, turn: Turn) -> None:
        self._probes.pop(call.contact.id, None)
        if isinstance(answer, Pong):
            self._state.observed(call.contact, answer.endpoint)
        if not self._joined:
            self._join(turn)

    def failed(self, call: Call, turn: Turn) -> None:
        self._probes.pop(call.contact.id, None)

    def slow(self, call: Call, turn: Turn) -> None:
        pass

    def _ask_whether_alive(self, turn: Turn) -> None:
        now = turn.now
        silent = [
            each
            for each in self._state.table
            if now - each.seen_at > (LIVENESS_S if not each.misses else DOUBT_S * (1 + each.misses))
        ]
        silent.sort(key=lambda each: (each.misses, each.seen_at))  # so that each has its turn
        for contact in silent[:LIVENESS_PER_TICK]:
            self._ask(contact, turn)

    def _look_around(self, turn: Turn) -> None:
        """SPEC dht 6: who joined at the same time was not there to be found, and others come."""
        if self._joined and turn.now >= self._next_near:
            self._near_every_s = min(2 * self._near_every_s, NEIGHBOURS_S_MAX)
            self._next_near = turn.now + self._near_every_s
            self._searches.search(FindNode(self._state.own.id), lambda _, __: None, turn, paths=1)

    def _refresh(self, turn: Turn) -> None:
        for bucket in self._state.table.buckets:
            if turn.now - bucket.last_updated > REFRESH_S:
                self._look_up(bucket, turn)
                return

    def _look_up(self, bucket: Bucket, turn: Turn) -> None:
        low, high = bucket.range
        within = int.from_bytes(turn.rng.randbytes(32)) & (high - low)
        target = NodeId((low | within).to_bytes(32))
        self._searches.search(FindNode(target), lambda _, __: None, turn, paths=1)

    # ---- records of our own ----

    def publish(self, wish: Publish | PublishSigned, turn: Turn) -> None:
        if isinstance(wish, Publish):
            content, record, key = wish.content, None, wish.content.key(self._state.own.key)
        else:
            content, record, key = wish.record.content, wish.record, wish.record.key
        name = key, content.kind
        if name not in self._own and len(self._own) >= self._state.limits.own_records_max:
            self._state.counts["own records refused"] += 1
            return
        self._own[name] = _Own(content, record, turn.now)
        self._republish(turn)

    @property
    def own_records(self) -> int:
        return len(self._own)

    def withdraw(self, wish: Withdraw) -> None:
        self._own.pop((wish.key, wish.kind), None)

    def _republish(self, turn: Turn) -> None:
        if not len(self._state.table):
            return
        self._forget_what_is_over(turn)
        due = [each for each in self._own.values() if each.due <= turn.now and not each.under_way]
        for own in due[:PUBLISHED_PER_TICK]:
            self._place(own, turn)

    def _forget_what_is_over(self, turn: Turn) -> None:
        """Records that were given signed: they would be due for ever."""
        unix_s = self._state.unix_s(turn.now)
        self._own = {
            name: own
            for name, own in self._own.items()
            if own.record is None or own.record.expires_s > unix_s
        }

    def _place(self, own: _Own, turn: Turn) -> None:
        unix_s = self._state.unix_s(turn.now)
        record = own.record or self._sign(own.content, unix_s)
        own.due = turn.now + REPUBLISH_S * (1 + TICK_SPREAD * (turn.rng.random() - 1))
        if not record.timely(unix_s):
            return  # it names an end so far ahead that nobody takes it yet
        own.under_way = True

        def placed(kept_by: int, _: Evidence, turn: Turn) -> None:
            own.under_way = False
            if kept_by:
                own.patience_s = TICK_S
            else:
                own.due = turn.now + own.patience_s
                own.patience_s = min(2 * own.patience_s, REPUBLISH_S)
            if kept_by <= 1 and own.record is None:  # perhaps by this node itself
                self._catch_up(own, record.key, turn)

        self._searches.place(record, placed, turn)

    def _catch_up(self, own: _Own, key: NodeId, turn: Turn) -> None:
        """Others may hold one of a greater sequence, if our clock was ahead once."""

        def done(lookup: Lookup, turn: Turn) -> None:
            found = self._searches.newest(key, self._state.own.key, lookup.records(), turn)
            sequence = max((each.sequence for each in found), default=0)
            if sequence > self._sequence:
                self._sequence, own.due = sequence, turn.now

        self._searches.search(GetRecord(key, self._state.own.key), done, turn)

    def _sign(self, content: Content, unix_s: float) -> Record:
        ascending = max(self._sequence + 1, int(unix_s * 1000))
        self._sequence = min(ascending, fields.NUMBER_MAX)
        expires_s = int(unix_s + LIFETIME_S)
        return make_record(self._state.sealing.keys, content, self._sequence, expires_s)
