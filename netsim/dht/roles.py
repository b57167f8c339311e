"""Nodes that don't do what the hash table asks of them."""

import heapq
from collections.abc import Sequence

from netsim import facts
from netsim.dht.faces import PORT, Face, Swift
from netsim.dht.member import DhtMember
from qbix_node.dht import messages as d
from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId, identity
from qbix_node.dht.records import ProviderContent, Record, make_record, read_record
from qbix_node.dht.wire import ANSWER, VERSION, Header, read_header
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId

VICTIMS = 16  # of the crowd
FLOOD_S = 20.0  # between two records of a flooder
SPOOF_S = 1.0
CROWD_S = 2.0
HOUR_S = 3600
PROBE = 0x20  # a request that nobody registered: it is answered, and makes the asker known


class Silent(DhtMember):
    def hear(self, data: bytes, source: Endpoint) -> None:
        if data[1] & ANSWER:
            super().hear(data, source)


class Selective(DhtMember):
    def hear(self, data: bytes, source: Endpoint) -> None:
        asker = self.net.faces.by_endpoint.get(source)
        if data[1] & ANSWER or (asker is not None and self.face.answers(asker)):
            super().hear(data, source)


class Liar(DhtMember):
    """Answers pings, without a cookie, and searches with what it makes up."""

    def hear(self, data: bytes, source: Endpoint) -> None:
        asked = read_header(data)
        if asked.type & ANSWER or self.dht is None:
            super().hear(data, source)
            return
        sealing = Swift(self.face.keys)
        shared = sealing.agree(asked.sender)
        body = None if shared is None else sealing.unseal(data, shared)
        if shared is None or body is None:
            return
        answer = self.answer(d.read_message(asked.type, body), source)
        to, salt = identity(asked.sender).id, self._rng.randbytes(8)
        header = Header(VERSION, answer.type, asked.number, self.face.key, to, bytes(8), salt)
        self.say(sealing.seal(header.encode(), d.encode(answer), shared), source)

    def answer(self, request: d.Message, source: Endpoint) -> d.Message:
        match request:
            case d.FindNode(target):
                return d.Nodes(self.tell(target))
            case d.GetRecord(key):
                return d.Records(self.show(key), self.tell(key)[:8])
            case d.PutRecord(record):
                self.keep(record)
                return d.Stored(d.KEPT)
            case d.Ping():
                return d.Pong(source)
            case _:
                return d.Refused()

    def tell(self, target: NodeId) -> tuple[d.Told, ...]:
        """Of everybody, as it is."""
        return self.nearest(target, self.net.there())

    def show(self, key: NodeId) -> tuple[bytes, ...]:
        return ()

    def keep(self, record: bytes) -> None:
        """It says so, and forgets it."""

    def nearest(self, target: NodeId, among: Sequence[Face]) -> tuple[d.Told, ...]:
        number = int.from_bytes(target)
        near = heapq.nsmallest(20, among, key=lambda each: each.long_id ^ number)
        return tuple([each.told for each in near])


class Colluder(Liar):
    def tell(self, target: NodeId) -> tuple[d.Told, ...]:
        return self.nearest(target, self.net.faces.of_role(self.face.role))


class Inventor(Liar):
    def tell(self, target: NodeId) -> tuple[d.Told, ...]:
        ip = self.face.endpoint.ip
        keys = [PeerId(self._rng.randbytes(32)) for _ in range(20)]
        return tuple([d.Told(key, ip, PORT + 1) for key in keys])


class Forger(Liar):
    """It holds on to the first record of each publisher, and makes others from it."""

    def start(self) -> None:
        super().start()
        self._first: dict[tuple[NodeId, PeerId], Record] = {}

    def keep(self, record: bytes) -> None:
        try:
            came = read_record(record)
        except Malformed:
            return
        self._first.setdefault((came.key, came.signer), came)

    def show(self, key: NodeId) -> tuple[bytes, ...]:
        shown: list[bytes] = []
        over = int(self.net.now + self.net.ahead_s) - 1
        for (where, signer), first in self._first.items():
            if where == key:
                newer = first.sequence + 10**9
                forged = Record(signer, newer, first.expires_s, first.content, first.signature)
                past = make_record(self.face.keys, first.content, 1, over)
                shown += [first.encoded, forged.encoded, past.encoded]
        self.net.world.journal.tell(self.site.number, facts.Misdeed("dht_forger"))
        return tuple(shown[:3])


class Busy(DhtMember):
    """Does a deed again and again."""

    every_s = 1.0

    def start(self) -> None:
        was_up = self.up
        super().start()
        if self.up and not was_up:
            self.begin()
            wait_s = self._rng.random() * self.every_s
            self.net.world.loop.after(wait_s, self._act)

    def _act(self) -> None:
        if self.up:
            self.deed()
            self.net.world.journal.tell(self.site.number, facts.Misdeed(self.face.role))
            self.net.world.loop.after(self.every_s, self._act)

    def begin(self) -> None:
        self._deeds = 0

    def deed(self) -> None:
        raise NotImplementedError


class Flooder(Busy):
    """Records of its own, under the keys of others and under any."""

    every_s = FLOOD_S

    def deed(self) -> None:
        self._deeds += 1
        publishers = self.net.published.publishers
        subject = self._rng.randbytes(32)
        if publishers and self._deeds % 2:
            subject = self.net.published.subject_of(self._rng.pick(publishers))
        content = ProviderContent("stream", subject, (self.face.endpoint,))
        expires_s = int(self.net.now + self.net.ahead_s) + 24 * HOUR_S
        record = make_record(self.face.keys, content, self._deeds, expires_s)
        self.want(r.Store(0, record))


class Spoofer(Busy):
    """Asks one node under the address of another, which hears the answer."""

    every_s = SPOOF_S

    def deed(self) -> None:
        self._deeds += 1
        asked, victim = self._rng.sample(self.net.there(), 2)
        message = d.FindNode(NodeId(self._rng.randbytes(32)))
        header = Header(
            VERSION,
            message.type,
            self._deeds,
            self.face.key,
            asked.id,
            bytes(8),
            self._rng.randbytes(8),
        )
        sealing = Swift(self.face.keys)
        shared = sealing.agree(asked.key)
        assert shared is not None
        data = sealing.seal(header.encode(), d.encode(message), shared)
        self.net.spoofed[data] = victim.endpoint
        self.say(data, asked.endpoint)


class Crowd(Colluder, Busy):
    """All call the same few, so that these get to know them, and no others."""

    every_s = CROWD_S

    def deed(self) -> None:
        victims = self.net.there()[:VICTIMS]
        victim = victims[self._deeds % len(victims)]
        self._deeds += 1
        self.want(r.Ask(0, victim.told, PROBE, b""))


MEMBERS: dict[str, type[DhtMember]] = {
    "dht_colluder": Colluder,
    "dht_crowd": Crowd,
    "dht_flooder": Flooder,
    "dht_forger": Forger,
    "dht_inventor": Inventor,
    "dht_selective": Selective,
    "dht_silent": Silent,
    "dht_spoofer": Spoofer,
}
