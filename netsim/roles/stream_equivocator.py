"""Owns streams and writes two branches of each: as many programs with one key, none of which knows
of the other, so that each peer meets an owner that is honest by itself.

`stream_equivocator` is one node; its `amount` says who is shown what (Showing), 0: that is drawn.
`stream_conspirator`: nodes that share the key of the first of them; each shows everybody a branch
of its own. What speaks of a fork is never told to them. Asked for deed k (Do.ACT), an equivocator
chooses a branch of one of its first four streams; of the same one a second time the other branch.
"""

from collections.abc import Callable, Iterable
from enum import IntEnum

from netsim import facts
from netsim.forks import FORKED
from netsim.messages import OF_STREAMS
from netsim.plan import Do, Operation
from netsim.roles.luck import below
from netsim.roles.owning import TICK, Owner, forked_at, next_tick
from netsim.roles.puppet import Puppet
from netsim.roles.role import Face, Role, Stage
from qbix_node import machines as m
from qbix_node.gossip.comparing import VerdictOn
from qbix_node.gossip.messages import Heads, Proofs, Resolve
from qbix_node.streams import messages as s
from qbix_node.streams.authoring import sign_resolve
from qbix_node.streams.forks import HeadFork, ShownHead, encode_fork
from qbix_node.streams.messages import OfferedSegment
from qbix_node.streams.serving import CoveredNodes
from qbix_node.wire.references import StreamId

_CHOSEN = 4  # streams of which a branch may be chosen


class Showing(IntEnum):
    SPLIT = 1  # every other node is shown the second branch, which is as long as the first
    UNEQUAL = 2  # the same; it grows twice as fast
    HALVES = 3  # the upper half of the numbers is shown it: as a partition may cut


class StreamEquivocator:
    """`branch_for`: of `owners`, the place of the one whom a peer meets."""

    def __init__(
        self, stage: Stage, owners: list[Owner], branch_for: Callable[[m.PeerId], int]
    ) -> None:
        self._puppet = Puppet(stage)
        self._owners = owners
        self._branch_for = branch_for
        self._shown: dict[m.PeerId, int] = {}  # of who is connected
        self._told_s = 0.0  # up to when forks were told
        self._forks: dict[StreamId, HeadFork] = {}  # as they were when branches began to differ
        self._resolves: dict[StreamId, Resolve] = {}  # the last of each

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        match event:
            case m.Connected(peer):
                begin = () if self._shown else (next_tick(now),)
                self._shown[peer] = place = self._branch_for(peer)
                told = self._tell(place, event, now, rng)
                told += [m.Send(peer, each) for each in self._resolves.values()]
                return (*begin, *self._puppet.handle(event, now, rng), *told)
            case m.Disconnected(peer):
                place = self._shown.pop(peer, 0)
                told = self._tell(place, event, now, rng)
                return (*self._puppet.handle(event, now, rng), *told)
            case m.Received(_, OfferedSegment() | Proofs() | Heads() | Resolve()):
                return ()
            case m.Requested(Operation(do=Do.ACT, number=number)):
                return tuple(self._choose(number))
            case m.Received(peer, message) if type(message) in OF_STREAMS:
                if peer not in self._shown:
                    return ()
                return tuple(self._tell(self._shown[peer], event, now, rng))
            case m.TimerFired(name) if name == TICK:
                again = (next_tick(now),) if self._shown else ()
                return (*self._tick(now, rng), *again)
            case m.TimerFired(name) if "|" in name:
                owner, _, inner = name.partition("|")
                return tuple(self._tell(int(owner), m.TimerFired(inner), now, rng))
            case _:
                return self._puppet.handle(event, now, rng)

    def _tick(self, now: float, rng: m.Rng) -> Iterable[m.Effect]:
        for place, owner in enumerate(self._owners):
            yield from _named(place, owner.catch_up(now, rng))
        for stream in forked_at(self._owners[0], self._told_s, now):
            yield m.Emit(facts.Misdeed(FORKED, m.PeerId(stream)))
            if fork := self._fork(stream):
                self._forks[stream] = fork
        self._told_s = now

    def _choose(self, number: int) -> Iterable[m.Effect]:
        """And tell everybody."""
        stream = self._owners[0].streams[number % _CHOSEN].id
        fork = self._forks.get(stream)
        if fork is None:
            return
        root = fork.roots[(number + number // _CHOSEN) % 2]
        body = s.Resolve(stream, fork.compared_length, root)
        chosen = Resolve(sign_resolve(body, (0, self._owners[0].keys)), encode_fork(fork))
        self._resolves[stream] = chosen
        for peer in self._shown:
            yield m.Send(peer, chosen)
        yield m.Emit(facts.Misdeed("chose a branch", m.PeerId(stream)))

    def _fork(self, stream: StreamId) -> HeadFork | None:
        if len(self._owners) < 2:
            return None
        one, other = [owner.side for owner in self._owners]
        here, there = one.logs.get(stream), other.logs.get(stream)
        if here is None or there is None:
            return None
        prefix = CoveredNodes(other.disk, there).prefix(min(here.length, there.length))
        if prefix is None:
            return None
        genesis = self._owners[0].side.replicator.book.geneses[stream]
        verdict = VerdictOn(genesis, here, ShownHead(there.signed), prefix)
        return verdict.answer(one.disk).fork

    def _tell(self, place: int, event: m.Event, now: float, rng: m.Rng) -> list[m.Effect]:
        return list(_named(place, self._owners[place].side.handle(event, now, rng)))


def _named(place: int, effects: Iterable[m.Effect]) -> Iterable[m.Effect]:
    for each in effects:
        if isinstance(each, m.SetTimer):
            yield m.SetTimer(f"{place}|{each.name}", each.at)
        else:
            yield each


def make_stream_equivocator(stage: Stage) -> Role:
    site, showings = stage.site, list(Showing)
    place = int(stage.amount) or 1 + below(site.rng("role"), len(showings))
    showing = showings[(place - 1) % len(showings)]
    places = {other.peer: number for number, other in enumerate(stage.sites.values())}
    half = len(places) // 2

    def branch_for(peer: m.PeerId) -> int:
        number = places.get(peer, 0)
        return int(number >= half) if showing is Showing.HALVES else number % 2

    each = 2 if showing is Showing.UNEQUAL else 1
    owners = [Owner(site.keys, site.number), Owner(site.keys, site.number, 1, each=each)]
    return _role(stage, StreamEquivocator(stage, owners, branch_for))


def make_stream_conspirator(stage: Stage) -> Role:
    role = stage.site.plan.role
    plotting = [site for site in stage.sites.values() if site.plan.role == role]
    rank, first = plotting.index(stage.site), plotting[0]
    owner = Owner(first.keys, first.number, rank)
    return _role(stage, StreamEquivocator(stage, [owner], lambda peer: 0))


def _role(stage: Stage, machine: m.Machine) -> Role:
    return Role((Face(stage.site.keys, machine, stage.dials(), streams=True),))
