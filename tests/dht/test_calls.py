"""Which answers count (spec/dht.md 4): Alice asks Bob, and whoever likes answers."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from qbix_node import machines as m
from qbix_node.dht import messages as d
from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import identity
from qbix_node.dht.machine import Dht
from qbix_node.dht.peers import NO_COOKIE
from qbix_node.dht.wire import ANSWER, COOKIE, VERSION, Header, Sealing, read_header
from qbix_node.machines import PeerId
from qbix_node.wire.packing import pack
from tests.dht.network import keys_of

RPC = 0x20
THERE = Endpoint(bytes((127, 0, 0, 2)), 4000)
ELSEWHERE = Endpoint(bytes((127, 0, 0, 3)), 4000)
ALICE, BOB, EVE = keys_of(1), keys_of(2), keys_of(3)


@dataclass
class Asking:
    """Alice, who has asked."""

    dht: Dht = field(default_factory=lambda: Dht(Sealing(ALICE)))
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    said: list[bytes] = field(default_factory=list)
    replies: list[bytes | None] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        to = d.Told(PeerId(BOB.public), *THERE)
        self.handle(m.Requested(r.Ask(1, to, RPC, b"?")))

    def handle(self, event: r.Event) -> None:
        for effect in self.dht.handle(event, self.now, self.rng):
            match effect:
                case r.Say(data):
                    self.said.append(data)
                case m.Emit(r.Replied(data=data)):
                    self.replies.append(data)
                case _:
                    pass

    @property
    def asked(self) -> Header:
        return read_header(self.said[-1])

    def hear(self, datagram: bytes, source: Endpoint = THERE) -> None:
        self.handle(r.Heard(datagram, source))

    def answer(self, **change: Any) -> bytes:  # noqa: ANN401  (of any field)
        """By Bob, or with changes to its header."""
        to = identity(PeerId(ALICE.public)).id
        header = Header(
            VERSION, RPC | ANSWER, self.asked.number, PeerId(BOB.public), to, NO_COOKIE, bytes(8)
        )._replace(**change)
        keys = EVE if header.sender == EVE.public else BOB
        shared = Sealing(keys).agree(PeerId(ALICE.public))
        assert shared is not None
        return Sealing(keys).seal(header.encode(), pack([b"!"]), shared)

    def cookie(self, salt: bytes | None = None, **change: Any) -> bytes:  # noqa: ANN401  (of any field)
        asked = self.asked
        header = read_header(self.answer())._replace(
            type=COOKIE, cookie=b"a cookie of Bob!", salt=asked.salt if salt is None else salt
        )
        return header._replace(**change).encode()


@pytest.fixture
def alice() -> Asking:
    return Asking()


def test_the_answer_of_who_was_asked_counts_once(alice: Asking) -> None:
    answer = alice.answer()
    alice.hear(answer)
    alice.hear(answer)
    assert alice.replies == [b"!"]
    assert alice.dht.figures()["ignored: not asked"] == 1


def test_an_answer_from_elsewhere_does_not_count(alice: Asking) -> None:
    alice.hear(alice.answer(), ELSEWHERE)
    assert alice.replies == []
    assert len(alice.dht.table) == 0
    alice.hear(alice.answer())
    assert alice.replies == [b"!"]


def test_another_node_can_not_answer(alice: Asking) -> None:
    alice.hear(alice.answer(sender=EVE.public))
    assert alice.replies == []


@pytest.mark.parametrize(
    "change", [{"type": d.PING | ANSWER}, {"recipient": bytes(32)}, {"number": 9}, {"version": 2}]
)
def test_an_answer_to_something_else_does_not_count(alice: Asking, change: dict[str, Any]) -> None:
    alice.hear(alice.answer(**change))
    assert alice.replies == []


def test_an_answer_under_another_header_does_not_open(alice: Asking) -> None:
    answer = alice.answer()
    alice.hear(answer[:74] + b"another cookie!!" + answer[90:])
    assert alice.replies == []
    assert alice.dht.figures()["ignored: not sealed"] == 1


def test_a_request_goes_again_with_the_cookie_once(alice: Asking) -> None:
    alice.hear(alice.cookie())
    assert len(alice.said) == 2
    assert alice.asked.cookie == b"a cookie of Bob!"
    alice.hear(alice.cookie())
    assert len(alice.said) == 2, "who can only give cookies is asked no further"
    alice.hear(alice.answer())
    assert alice.replies == [b"!"]


def test_a_cookie_of_who_did_not_see_the_request_does_not_count(alice: Asking) -> None:
    alice.hear(alice.cookie(salt=bytes(8)))
    alice.hear(alice.cookie(sender=EVE.public))
    alice.hear(alice.cookie(), ELSEWHERE)
    assert len(alice.said) == 1


def test_three_attempts_and_then_no_answer(alice: Asking) -> None:
    for _ in range(100):
        alice.now += 0.1
        alice.handle(m.TimerFired("dht/calls"))
    assert alice.replies == [None]
    assert len(alice.said) == 3
    numbers = {read_header(each).number for each in alice.said}
    assert len(numbers) == 3
    assert alice.dht.figures()["calls"] == 0


def test_the_answer_to_an_earlier_attempt_counts(alice: Asking) -> None:
    first = alice.answer()
    alice.now = 1.5
    alice.handle(m.TimerFired("dht/calls"))
    assert len(alice.said) == 2
    alice.hear(first)
    assert alice.replies == [b"!"]


def test_who_refuses_has_answered(alice: Asking) -> None:
    shared = Sealing(BOB).agree(PeerId(ALICE.public))
    assert shared is not None
    header = read_header(alice.answer())._replace(type=0xFF)
    alice.hear(Sealing(BOB).seal(header.encode(), pack([]), shared))
    assert alice.replies == [None]
    assert len(alice.dht.table) == 1
