"""Nodes that don't do what the protocol asks."""

from collections.abc import Sequence

from qbix_node.dht import messages as d
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId, distance, identity
from qbix_node.dht.peers import NO_COOKIE
from qbix_node.dht.wire import ANSWER, VERSION, Header, read_header
from qbix_node.machines import PeerId
from tests.dht.network import Node, Remembered, keys_of, told


class Silent(Node):
    """Asks, and answers nobody."""

    def hear(self, data: bytes, source: Endpoint) -> None:
        if read_header(data).type & ANSWER:
            super().hear(data, source)


class Liar(Node):
    """Answers pings, and searches with what `tell` makes up."""

    def tell(self, target: NodeId) -> Sequence[d.Told]:
        raise NotImplementedError

    def records(self, key: NodeId) -> Sequence[bytes]:
        return ()

    def hear(self, data: bytes, source: Endpoint) -> None:
        asked = read_header(data)
        if asked.type & ANSWER:
            super().hear(data, source)
            return
        sealing = Remembered(self.keys)
        shared = sealing.agree(asked.sender)
        assert shared is not None
        body = sealing.unseal(data, shared)
        assert body is not None
        match d.read_message(asked.type, body):
            case d.FindNode(target):
                answer: d.Message = d.Nodes(tuple(self.tell(target)))
            case d.GetRecord(key):
                answer = d.Records(tuple(self.records(key)), tuple(self.tell(key)[:8]))
            case _:
                answer = d.Pong(source)
        to, salt = identity(asked.sender).id, self.rng.randbytes(8)
        header = Header(VERSION, answer.type, asked.number, self.key, to, NO_COOKIE, salt)
        sealed = sealing.seal(header.encode(), d.encode(answer), shared)
        self.network.carry(sealed, self.endpoint, source)


class Colluder(Liar):
    """Tells of its friends only: of those nearest to what is looked for."""

    friends: Sequence[Node] = ()

    def tell(self, target: NodeId) -> Sequence[d.Told]:
        nearest = sorted(self.friends, key=lambda each: distance(each.id, target))
        return [told(each) for each in nearest[:20]]


class Misplacer(Liar):
    """Tells of everybody, at places where nobody is."""

    def tell(self, target: NodeId) -> Sequence[d.Told]:
        near = self.network.nearest(target, 20, but=self)
        return [d.Told(each.key, each.endpoint.ip, 9) for each in near]


class Inventor(Liar):
    """Tells of nodes that there are not, always nearer ones."""

    def tell(self, target: NodeId) -> Sequence[d.Told]:
        ip = self.endpoint.ip
        return [d.Told(PeerId(self.rng.randbytes(32)), ip, 9) for _ in range(20)]


class Pointer(Liar):
    """Tells of any number of nodes in one network."""

    def tell(self, target: NodeId) -> Sequence[d.Told]:
        numbers = [self.rng.randrange(50_000, 52_000) for _ in range(20)]
        return [
            d.Told(PeerId(keys_of(each).public), bytes((8, 8, 8, each % 250 + 1)), 53)
            for each in numbers
        ]


class Endless(Colluder):
    """Tells of nodes that nobody knows yet, and of friends who tell of others."""

    def tell(self, target: NodeId) -> Sequence[d.Told]:
        return [told(each) for each in self.rng.sample(self.friends, 4)] + [
            d.Told(PeerId(self.rng.randbytes(32)), bytes((20, *self.rng.randbytes(2), 1)), 53)
            for _ in range(16)
        ]


class Flooder(Colluder):
    """Holds as many records under any key as there is room for in an answer, all of them right."""

    def tell(self, target: NodeId) -> Sequence[d.Told]:
        return [told(each) for each in self.rng.sample(self.friends, 2)]

    def records(self, key: NodeId) -> Sequence[bytes]:
        return [self.make(self.rng.getrandbits(40)) for _ in range(6)]

    def make(self, number: int) -> bytes:
        raise NotImplementedError


class Relay(Node):
    """Passes on what one says to the other, as if each of them were here."""

    between: tuple[Node, Node]

    def hear(self, data: bytes, source: Endpoint) -> None:
        one, other = self.between
        to = other if source == one.endpoint else one
        self.network.carry(data, self.endpoint, to.endpoint)
