"""Answer the requests of others (spec/dht.md 4, 5). Pure.

Everything cheap is looked at first: nobody makes us compute with public keys, or send more than
came, before the address is proven by a cookie.
"""

from collections.abc import Callable

from qbix_node.dht.endpoints import Endpoint, network_of, sender_of
from qbix_node.dht.ids import Identity, NodeId, identity
from qbix_node.dht.messages import (
    FIRST_OF_OTHERS,
    KEPT,
    LAST_OF_OTHERS,
    NOT_KEPT,
    RECORD_BYTES_MAX,
    RECORDS_MAX,
    TALK_BYTES_MAX,
    FindNode,
    GetRecord,
    Message,
    Nodes,
    Ping,
    Pong,
    PutRecord,
    Records,
    Refused,
    Stored,
    Talk,
    Told,
    encode,
    read_message,
)
from qbix_node.dht.peers import Peer
from qbix_node.dht.rates import Allowance, Allowances
from qbix_node.dht.records import Record, read_record
from qbix_node.dht.requests import Say
from qbix_node.dht.state import State, Turn
from qbix_node.dht.wire import (
    ANSWER,
    BODY_BYTES_MAX,
    COOKIE,
    REQUEST_BYTES_MIN,
    SALT_BYTES,
    Header,
    encode_header,
)
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId

# An upper layer's answer to a peer there, of at most TALK_BYTES_MAX; it refuses by None, or by
# raising Malformed. Short, and without waiting.
Handler = Callable[[PeerId, Endpoint, bytes], bytes | None]

CONTACT_BYTES_MAX = 56  # as packed, with an IPv6 address
RECORD_HEADS = 3  # bytes of msgpack before a record
FRAME_BYTES = 8  # of msgpack around records and contacts
NEARER_MAX = 2  # times as many nodes as keep a record, if nearer to it, make it be refused


class Server:
    def __init__(self, state: State, meet: Callable[[Identity, Endpoint, Turn], None]) -> None:
        limits = state.limits
        self._state = state
        self._meet = meet  # a node that proved address and key, and may not be known
        self._handlers: dict[int, Handler] = {}
        self._allowances = Allowances(
            limits.requests_per_s, limits.requests_burst, limits.senders_max
        )
        self._strangers = Allowances(
            limits.strangers_per_s, limits.strangers_burst, limits.senders_max
        )
        self._agreements = Allowance(limits.agreements_per_s, limits.agreements_burst)

    def __len__(self) -> int:
        """Of how many senders it is known what they have left."""
        return len(self._allowances)

    def register(self, rpc: int, handler: Handler) -> None:
        assert FIRST_OF_OTHERS <= rpc <= LAST_OF_OTHERS
        assert rpc not in self._handlers
        self._handlers[rpc] = handler

    def hear(self, header: Header, datagram: bytes, source: Endpoint, turn: Turn) -> None:
        state = self._state
        if header.recipient != state.own.id or header.sender == state.own.key:
            state.counts["ignored: not for us"] += 1
            return
        given_ms = state.cookies.given_ms(header.cookie, source, header.sender)
        peer = state.peers.get(header.sender)
        if given_ms is None or given_ms <= (peer or state.peers).after_ms:
            state.counts["cookies given"] += 1
            assert len(datagram) >= REQUEST_BYTES_MIN  # so the answer is shorter
            cookie = state.cookies.make(source, header.sender)
            turn.effects.append(Say(self._header(header, COOKIE, cookie, header.salt), source))
            return
        peer = peer or self._stranger(header.sender, source, turn)
        body = None if peer is None else self._open(header, datagram, given_ms, peer)
        if peer is not None and body is not None:
            if state.peers.get(header.sender) is None:
                state.peers.add(header.sender, peer)
            peer.came_with(header.number, state.cookies.now_ms)
            if self._allowances.take(sender_of(source), turn.now):
                cookie = state.cookies.next(header.cookie, given_ms, source, header.sender)
                self._serve(header, body, source, peer, turn, cookie=cookie)
            else:  # only now, as this one is the sender's own
                state.counts["ignored: too many"] += 1

    def _stranger(self, key: PeerId, source: Endpoint, turn: Turn) -> Peer | None:
        """SPEC dht 10: nobody uses up what there is for all."""
        network = network_of(source)
        if not (self._strangers.take(network, turn.now) and self._agreements.take(turn.now)):
            self._state.counts["ignored: too many strangers"] += 1
            return None
        peer = self._state.peer(key)
        if peer is None:
            self._state.counts["ignored: not sealed"] += 1
        return peer

    def _open(self, header: Header, datagram: bytes, given_ms: int, peer: Peer) -> bytes | None:
        if not peer.is_new(header.number, given_ms):
            self._state.counts["ignored: replayed"] += 1
            return None
        body = self._state.sealing.unseal(datagram, peer.shared)
        if body is None:
            self._state.counts["ignored: not sealed"] += 1
        return body

    def _serve(
        self,
        header: Header,
        body: bytes,
        source: Endpoint,
        peer: Peer,
        turn: Turn,
        *,
        cookie: bytes,
    ) -> None:
        state = self._state
        try:
            request = read_message(header.type, body)
        except Malformed:
            state.counts["ignored: malformed"] += 1
            return
        state.counts["requests served"] += 1
        answer = self._answer(request, header.sender, source, turn)
        sealed_under = self._header(header, answer.type, cookie, turn.rng.randbytes(SALT_BYTES))
        turn.effects.append(
            Say(state.sealing.seal(sealed_under, encode(answer), peer.shared), source)
        )
        self._meet(identity(header.sender), source, turn)

    def _header(self, asked: Header, kind: int, cookie: bytes, salt: bytes) -> bytes:
        to = identity(asked.sender).id
        own = self._state.own.key
        return encode_header(kind, asked.number, own, to, cookie=cookie, salt=salt)

    def _answer(self, request: Message, sender: PeerId, source: Endpoint, turn: Turn) -> Message:
        match request:
            case FindNode(target):
                return Nodes(self._told(target, source, self._state.limits.bucket_size))
            case Ping():
                return Pong(source)
            case GetRecord(key, signer):
                return self._records(key, signer, source, turn)
            case PutRecord(encoded):
                return Stored(KEPT if self._keep(encoded, source, turn) else NOT_KEPT)
            case Talk(rpc, data) if rpc in self._handlers:
                return self._reply(rpc, sender, source, data)
            case _:
                return Refused()

    def _reply(self, rpc: int, sender: PeerId, source: Endpoint, data: bytes) -> Message:
        try:
            reply = self._handlers[rpc](sender, source, data)
        except Malformed:
            reply = None
        if reply is None or len(reply) > TALK_BYTES_MAX:
            self._state.counts["requests refused"] += 1
            return Refused()
        return Talk(rpc | ANSWER, reply)

    def _told(self, target: NodeId, source: Endpoint, most: int) -> tuple[Told, ...]:
        return self._state.told_nearest(int.from_bytes(target), source, most)

    # ---- records ----

    def _records(self, key: NodeId, signer: PeerId | None, source: Endpoint, turn: Turn) -> Records:
        """SPEC dht 5: from a random one on, what fits; then the nearest nodes, what fits."""
        state = self._state
        held = state.shelf.get(key, signer)
        start = int(turn.rng.random() * len(held))
        chosen, used = list[bytes](), 0
        for record in held[start:] + held[:start]:
            if not record.timely(state.unix_s(turn.now)):
                continue
            used += len(record.encoded) + RECORD_HEADS
            if used > RECORD_BYTES_MAX + RECORD_HEADS or len(chosen) == RECORDS_MAX:
                used -= len(record.encoded) + RECORD_HEADS
                break
            chosen.append(record.encoded)
        most = (BODY_BYTES_MAX - FRAME_BYTES - used) // CONTACT_BYTES_MAX
        return Records(tuple(chosen), self._told(key, source, min(most, state.limits.bucket_size)))

    def _keep(self, encoded: bytes, source: Endpoint, turn: Turn) -> bool:
        """Whether the record is kept here now."""
        state = self._state
        try:
            record = read_record(encoded)
        except Malformed:
            record = None
        if record is None or not record.timely(state.unix_s(turn.now)):
            state.counts["records refused"] += 1
            return False
        known = any(each.encoded == encoded for each in state.shelf.get(record.key, record.signer))
        if not known and not (
            self._near(record)
            and state.sealing.verify(record.signer, record.signed, record.signature)
        ):
            state.counts["records refused"] += 1
            return False
        return state.shelf.put(record, source.ip)

    def _near(self, record: Record) -> bool:
        """SPEC dht 9: unless twice as many nodes as keep a record are known to be nearer."""
        state, number = self._state, int.from_bytes(record.key)
        most = NEARER_MAX * state.limits.bucket_size
        nearer = state.table.closest(number, most)
        own = state.own.number ^ number
        return len(nearer) < most or own < nearer[-1].long_id ^ number
