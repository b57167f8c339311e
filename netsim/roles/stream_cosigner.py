"""Owns streams with others, and does not look at what it signs.

`amount`: 1 it signs all that is proposed; 2 its signatures are wrong; 3 it refuses all; 4 it says
nothing; 0 one of these after the other.
"""

from collections.abc import Iterable

from netsim import facts
from netsim.messages import OF_STREAMS
from netsim.roles.puppet import Puppet
from netsim.roles.role import Face, Role, Stage
from netsim.roles.streams import StreamSide
from qbix_node import machines as m
from qbix_node.sequencing import messages as q

_SIGNS, _WRONGLY, _REFUSES, _WAYS = 1, 2, 3, 4
_INDEXES = range(8)  # one of them is its own; the others are passed over


class StreamCosigner:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._puppet = Puppet(stage)
        self._side = StreamSide(stage.site.keys)
        self._proposals = 0

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        match event:
            case m.Received(peer, q.Propose() as said):
                return tuple(self._answer(peer, said))
            case m.Connected() | m.Disconnected():
                told = self._side.handle(event, now, rng)
                return (*self._puppet.handle(event, now, rng), *_named(told))
            case m.Received(_, message) if type(message) in OF_STREAMS:
                return tuple(_named(self._side.handle(event, now, rng)))
            case m.TimerFired(name) if name.startswith("streams|"):
                fired = m.TimerFired(name.removeprefix("streams|"))
                return tuple(_named(self._side.handle(fired, now, rng)))
            case _:
                return self._puppet.handle(event, now, rng)

    def _answer(self, peer: m.PeerId, said: q.Propose) -> Iterable[m.Effect]:
        way = int(self._stage.amount) or 1 + self._proposals % _WAYS
        self._proposals += 1
        head = said.head
        signature = self._stage.site.keys.sign(head.body if way == _SIGNS else b"else")
        if way in (_SIGNS, _WRONGLY):
            for index in _INDEXES:
                yield m.Send(peer, q.Signature(*head.identity, index, signature))
        elif way == _REFUSES:
            yield m.Send(peer, q.Refused(*head.identity, "no"))
        yield m.Emit(facts.Misdeed("signed blindly", peer))


def _named(effects: Iterable[m.Effect]) -> Iterable[m.Effect]:
    for each in effects:
        if isinstance(each, m.SetTimer):
            yield m.SetTimer(f"streams|{each.name}", each.at)
        else:
            yield each


def make_stream_cosigner(stage: Stage) -> Role:
    face = Face(stage.site.keys, StreamCosigner(stage), stage.dials(), streams=True)
    return Role((face,))
