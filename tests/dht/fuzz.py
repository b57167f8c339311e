"""A node of the DHT among datagrams of every bad kind: `python -m tests.dht.fuzz [--datagrams N]
[--seed S]`, 1,000,000 if not said otherwise. It has to live, keep within its bounds, send strangers
no more than they send, and serve an honest node in the end.
"""

import argparse
import json
import random
import sys
import time
from collections import deque
from collections.abc import Callable

from qbix_node import machines as m
from qbix_node.dht import messages as d
from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId
from qbix_node.dht.limits import Limits
from qbix_node.dht.records import Content, NodeContent, ProviderContent, make_record
from qbix_node.dht.wire import (
    ANSWER,
    COOKIE,
    DATAGRAM_BYTES_MAX,
    HEADER_BYTES,
    REFUSED,
    VERSION,
    Header,
    read_header,
)
from qbix_node.machines import PeerId
from qbix_node.wire.packing import Packable, pack
from tests.dht.network import UNIX_S
from tests.dht.victim import ID, Stranger, Victim, public

LIMITS = Limits(
    peers_max=64,
    calls_max=64,
    lookups_max=8,
    senders_max=128,
    records_max=200,
    strangers_per_s=1e6,
    strangers_burst=1e6,
    agreements_per_s=400,
)
STRANGERS = 200
CONTACTS_MAX = 2000  # in buckets, whatever comes: more than strangers and liars' words can fill
STEP_S = 0.0005
LOOK_EVERY = 500
REMEMBERED = 400  # datagrams that were right, and are sent again

Sent = tuple[bytes, Endpoint]


def odd_body(rng: random.Random) -> bytes:
    """Random bytes, or a message with a few bits changed, or values that nobody expects."""
    ends = [rng.randbytes(rng.choice((0, 4, 16, 32, 700))) for _ in range(3)]
    odd: list[Packable] = [
        None,
        True,
        -1,
        2**64 - 1,
        "name",
        [],
        [[]],
        [None] * 40,
        *ends,
        [*ends],
        [[*ends]],
    ]
    if rng.random() < 0.3:
        return rng.randbytes(rng.randrange(1, 200))
    body = bytearray(pack([rng.choice(odd) for _ in range(rng.randrange(4))]))
    if rng.random() < 0.3:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body)


class Fuzz:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.victim = Victim(LIMITS, seed)
        self.strangers = [Stranger(self.victim, 10 + number) for number in range(STRANGERS)]
        for each in self.strangers[1::4]:
            each.endpoint = Endpoint(b"\x20\x01\x0d\xb8" + self.rng.randbytes(12), 4000)
        self.by_key = {each.key: each for each in self.strangers}
        self.right = deque[Sent]([self.good()], REMEMBERED)
        self.asked = deque[tuple[Header, Endpoint]](maxlen=50)  # by the victim
        self.timers: dict[str, float] = {}
        self.most: dict[str, int] = {}
        self.kinds: list[Callable[[], Sent]] = [
            self.noise,
            self.noise_behind_a_header,
            self.changed,
            self.cut,
            self.longer,
            self.replayed,
            self.for_another,
            self.odd,
            self.good,
            self.answer,
        ]

    # ---- what is sent ----

    def place(self) -> Endpoint:
        rng = self.rng
        ip = rng.choice((4, 4, 16, 0))
        if not ip:
            return Endpoint(rng.choice((bytes(4), b"\xff" * 4, bytes(16), b"\xfe\x80" * 8)), 9)
        return Endpoint(rng.randbytes(ip), rng.randrange(65536))

    def stranger(self) -> Stranger:
        return self.rng.choice(self.strangers)

    def noise(self) -> Sent:
        return self.rng.randbytes(self.rng.randrange(1500)), self.place()

    def noise_behind_a_header(self) -> Sent:
        rng, who = self.rng, self.stranger()
        kind, number = rng.randrange(256), rng.choice((0, 1, 2**64 - 1, rng.getrandbits(64)))
        cookie = rng.choice((who.cookie, rng.randbytes(16)))
        header = Header(VERSION, kind, number, who.key, ID, cookie, rng.randbytes(8))
        box = b"" if kind == COOKIE else rng.randbytes(rng.choice((17, 100, 1182)))
        return header.encode() + box, rng.choice((who.endpoint, self.place()))

    def changed(self) -> Sent:
        data, source = self.rng.choice(self.right)
        changed = bytearray(data)
        for _ in range(self.rng.randrange(1, 4)):
            changed[self.rng.randrange(len(changed))] ^= 1 << self.rng.randrange(8)
        return bytes(changed), source

    def cut(self) -> Sent:
        data, source = self.rng.choice(self.right)
        return data[: self.rng.randrange(len(data))], source

    def longer(self) -> Sent:
        data, source = self.rng.choice(self.right)
        return data + self.rng.randbytes(self.rng.choice((1, 100, 1300))), source

    def replayed(self) -> Sent:
        data, source = self.rng.choice(self.right)
        return data, self.rng.choice((source, self.place()))

    def for_another(self) -> Sent:
        who = self.stranger()
        return who.seal(d.Ping(), NodeId(self.rng.randbytes(32)), who.cookie), who.endpoint

    def odd(self) -> Sent:
        """Well sealed, with a cookie that counts; but what is in it is nothing that there is."""
        who, rng = self.stranger(), self.rng
        kind = rng.choice((1, 2, 3, 4, 0x10, rng.randrange(128)))
        who.number += 1
        header = Header(VERSION, kind, who.number, who.key, ID, who.cookie, rng.randbytes(8))
        return who.sealing.seal(header.encode(), odd_body(rng), who.shared), who.endpoint

    def good(self) -> Sent:
        who, rng = self.stranger(), self.rng
        key = NodeId(rng.choice((bytes(32), rng.randbytes(32))))
        content: Content = NodeContent((), ())
        if rng.random() < 0.8:
            content = ProviderContent("stream", key, ())
        message: d.Message = rng.choice((d.Ping(), d.FindNode(key), d.GetRecord(key, None)))
        if rng.random() < 0.2:
            ahead_s = rng.choice((-1, 1, 600, 10**9))
            record = make_record(
                who.keys, content, rng.getrandbits(50), int(UNIX_S + self.victim.now) + ahead_s
            )
            message = d.PutRecord(record.encoded)
        return who.request(message), who.endpoint

    def answer(self) -> Sent:
        """To something that the victim asked, if there is anything."""
        if not self.asked:
            return self.good()
        rng = self.rng
        asked, to = rng.choice(self.asked)
        who = next((each for each in self.strangers if each.endpoint == to), self.stranger())
        kind = rng.choice((asked.type | ANSWER, asked.type | ANSWER, REFUSED, COOKIE))
        header = Header(VERSION, kind, asked.number, who.key, ID, rng.randbytes(16), asked.salt)
        if kind == COOKIE:
            return header.encode(), to
        body = odd_body(rng)
        if kind == d.FIND_NODE | ANSWER and rng.random() < 0.7:
            body = d.encode(d.Nodes(tuple(self.told() for _ in range(20))))
        elif kind == d.PING | ANSWER and rng.random() < 0.7:
            body = d.encode(d.Pong(to))
        return who.sealing.seal(header.encode(), body, who.shared), to

    def told(self) -> d.Told:
        if self.rng.random() < 0.5:
            return self.stranger().told
        return d.Told(PeerId(self.rng.randbytes(32)), *public(self.rng.getrandbits(20)))

    # ---- and what comes of it ----

    def run(self, datagrams: int) -> dict[str, int]:
        for number in range(datagrams):
            self.step(number)
            if number % LOOK_EVERY == 0:
                self.look()
        self.look()
        self.answers_an_honest_node()
        return self.most

    def step(self, number: int) -> None:
        victim = self.victim
        victim.now += STEP_S
        data, source = self.rng.choice(self.kinds)()
        self.handle(r.Heard(data, source))
        self.check(data, source)
        if number % LOOK_EVERY == 0:
            victim.want(r.Find(number, NodeId(self.rng.randbytes(32))))
            self.hear(victim.effects)
        for name, at in list(self.timers.items()):
            if at <= victim.now:
                del self.timers[name]
                self.handle(m.TimerFired(name))

    def handle(self, event: r.Event) -> None:
        self.victim.handle(event)
        self.hear(self.victim.effects)

    def hear(self, effects: tuple[r.Effect, ...]) -> None:
        """Cookies are used by whom they are for; what was sent with one is right from then on."""
        for effect in effects:
            if isinstance(effect, m.SetTimer):
                self.timers[effect.name] = effect.at
            if not isinstance(effect, r.Say):
                continue
            header = read_header(effect.data)
            if not header.type & ANSWER:
                self.asked.append((header, effect.to))
        self.victim.replies.clear()

    def check(self, data: bytes, source: Endpoint) -> None:
        for said in self.victim.said:
            assert len(said.data) <= DATAGRAM_BYTES_MAX
            header = read_header(said.data)
            if header.type == COOKIE:
                assert len(said.data) == HEADER_BYTES <= len(data)
            if not header.type & ANSWER or said.to != source:
                continue
            who = self.by_key.get(read_header(data).sender)
            if who and source == who.endpoint:
                who.cookie = header.cookie
                if header.type != COOKIE:
                    self.right.append((data, source))

    def look(self) -> None:
        figures = self.victim.dht.figures()
        bounds = {
            "peers": LIMITS.peers_max,
            "senders": LIMITS.senders_max,
            "calls": LIMITS.calls_max,
            "searches": LIMITS.lookups_max + LIMITS.lookups_waiting_max,
            "records": LIMITS.records_max,
            "contacts": CONTACTS_MAX,
        }
        for name, bound in bounds.items():
            assert figures[name] <= bound, f"{figures[name]} {name}"
            self.most[name] = max(self.most.get(name, 0), figures[name])
        assert len(figures) < 50, "names of what is counted"

    def answers_an_honest_node(self) -> None:
        self.victim.now += 1
        honest = Stranger(self.victim, 5)
        honest.greet()
        assert isinstance(honest.ask(d.FindNode(NodeId(bytes(32)))), d.Nodes)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.dht.fuzz", description=__doc__)
    parser.add_argument("--datagrams", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    options = parser.parse_args()
    fuzz, start = Fuzz(options.seed), time.monotonic()
    most = fuzz.run(options.datagrams)
    spent_s = time.monotonic() - start
    print(json.dumps({"most at once": most, "counted": dict(fuzz.victim.dht.figures())}, indent=2))
    print(f"{options.datagrams:,} datagrams, seed {options.seed}: alive, {spent_s:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
