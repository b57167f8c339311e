"""One node that is attacked, and those who send it datagrams: each with keys and a place."""

import random
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.dht import messages as d
from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId, identity
from qbix_node.dht.limits import Limits
from qbix_node.dht.machine import Dht
from qbix_node.dht.peers import NO_COOKIE
from qbix_node.dht.wire import ANSWER, COOKIE, VERSION, Header, Sealing, read_header
from qbix_node.machines import PeerId
from tests.dht.network import UNIX_S, keys_of

KEYS = keys_of(1)
ID = identity(PeerId(KEYS.public)).id


def public(number: int, port: int = 4000) -> Endpoint:
    """Each in a /24 of its own."""
    return Endpoint(bytes((20 + (number >> 16), number >> 8 & 255, number & 255, 1)), port)


@dataclass
class Victim:
    """`said`: its datagrams of the last event."""

    limits: Limits = field(default_factory=Limits)
    seed: int = 1
    now: float = 0.0
    said: list[r.Say] = field(default_factory=list)
    effects: tuple[r.Effect, ...] = ()
    replies: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dht, self.rng = Dht(Sealing(KEYS), self.limits), random.Random(self.seed)
        self.want(r.ClockSet(UNIX_S))

    def want(self, request: object) -> None:
        self.handle(m.Requested(request))

    def hear(self, datagram: bytes, source: Endpoint) -> list[r.Say]:
        return self.handle(r.Heard(datagram, source))

    def handle(self, event: r.Event) -> list[r.Say]:
        self.effects = effects = self.dht.handle(event, self.now, self.rng)
        self.said = [each for each in effects if isinstance(each, r.Say)]
        self.replies += [each.finding for each in effects if isinstance(each, m.Emit)]
        return self.said

    def count(self, name: str) -> int:
        return self.dht.figures().get(name, 0)


class Stranger:
    """Who speaks the protocol as it likes."""

    def __init__(self, victim: Victim, number: int, endpoint: Endpoint | None = None) -> None:
        self.victim, self.keys = victim, keys_of(number)
        self.key = PeerId(self.keys.public)
        self.endpoint = endpoint or public(number)
        self.sealing, self.rng = Sealing(self.keys), random.Random(number)
        shared = self.sealing.agree(PeerId(KEYS.public))
        assert shared is not None
        self.shared, self.number, self.cookie = shared, 0, NO_COOKIE

    @property
    def told(self) -> d.Told:
        return d.Told(self.key, *self.endpoint)

    def request(self, message: d.Message, number: int | None = None) -> bytes:
        self.number = self.number + 1 if number is None else number
        return self.seal(message, ID, self.cookie)

    def seal(self, message: d.Message, to: NodeId, cookie: bytes = NO_COOKIE) -> bytes:
        salt = self.rng.randbytes(8)
        header = Header(VERSION, message.type, self.number, self.key, to, cookie, salt)
        return self.sealing.seal(header.encode(), d.encode(message), self.shared)

    def ask(self, message: d.Message, number: int | None = None) -> d.Message | None:
        """Its answer; None: there is none, or a cookie, which is kept."""
        said = self.victim.hear(self.request(message, number), self.endpoint)
        answers = [each for each in said if read_header(each.data).type & ANSWER]
        if not answers:
            return None
        header = read_header(answers[0].data)
        self.cookie = header.cookie
        if header.type == COOKIE:
            return None
        body = self.sealing.unseal(answers[0].data, self.shared)
        assert body is not None
        return d.read_message(header.type, body)

    def greet(self) -> None:
        """Until it has been served; it answers the ping that it gets for that."""
        self.ask(d.Ping())
        assert isinstance(self.ask(d.Ping()), d.Pong)
        self.answer_pings()

    def answer_pings(self) -> None:
        for said in self.victim.said:
            asked = read_header(said.data)
            if said.to == self.endpoint and asked.type == d.PING:
                self.answer(asked, d.Pong(Endpoint(bytes((9, 9, 9, 9)), 9)))

    def answer(self, asked: Header, message: d.Message) -> None:
        salt, to = self.rng.randbytes(8), ID
        header = Header(VERSION, message.type, asked.number, self.key, to, NO_COOKIE, salt)
        sealed = self.sealing.seal(header.encode(), d.encode(message), self.shared)
        self.victim.hear(sealed, self.endpoint)
