"""Owns streams with others, whose entries it puts in order, and shows every other node another
order: two programs with one key, each of which is an honest sequencer by itself.

A person has it make them (Do.CREATE_STREAM with `owners`). What speaks of a fork is not told to it.
`amount`: 1 both orders are proposed to everybody, and who signs two is caught; else to half each.
"""

from collections.abc import Iterable

from netsim import facts
from netsim import messages as n
from netsim.clocks import EPOCH_S
from netsim.forks import FORKED
from netsim.messages import OF_STREAMS
from netsim.plan import Do, Operation
from netsim.roles.owning import TICK, next_tick
from netsim.roles.puppet import Puppet
from netsim.roles.role import Face, Role, Stage
from netsim.roles.streams import StreamSide
from netsim.streams import PlannedStream, created
from qbix_node import machines as m
from qbix_node.gossip.messages import Heads, Proofs
from qbix_node.replication.streams.messages import FollowStream
from qbix_node.sequencing import messages as q
from qbix_node.streams.messages import Create, NewEntry, OfferedSegment
from qbix_node.streams.records import root_at
from qbix_node.streams.serving import make_segments
from qbix_node.wire.references import StreamId

_OPENLY = 1
_ENTRIES_MAX = 40  # of its own in each branch of a stream


class StreamSequencer:
    def __init__(self, stage: Stage) -> None:
        self._puppet = Puppet(stage)
        self._sides = [StreamSide(stage.site.keys) for _ in range(2)]
        self._places = {site.peer: number for number, site in stage.sites.items()}
        self._streams: dict[StreamId, PlannedStream] = {}
        self._forked: set[StreamId] = set()
        self._ticking = False
        self._requests = 0
        self._openly = int(stage.amount) == _OPENLY

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        match event:
            case m.Connected(peer) | m.Disconnected(peer):
                begin = () if self._ticking else (next_tick(now),)
                self._ticking = True
                told = [*self._tell(self._place(peer), event, now, rng)]
                if self._openly:
                    here = isinstance(event, m.Connected)
                    talk = n.SequenceCall() if here else n.SequenceEnded()
                    other = m.Received(peer, talk)
                    told += self._tell(1 - self._place(peer), other, now, rng)
                return (*begin, *self._puppet.handle(event, now, rng), *told)
            case m.Received(_, OfferedSegment() | Proofs() | Heads()):
                return ()
            case m.Received(peer, q.Votes(stream, votes)) if votes:
                nothing = m.Received(peer, q.Votes(stream, ()))  # of the other order, perhaps
                return self.handle(nothing, now, rng)
            case m.Received(_, message) if self._openly and isinstance(message, q.Message):
                return tuple(
                    [each for place in range(2) for each in self._tell(place, event, now, rng)]
                )
            case m.Received(peer, message) if type(message) in OF_STREAMS:
                return tuple(self._tell(self._place(peer), event, now, rng))
            case m.Requested(Operation(do=Do.CREATE_STREAM) as asked):
                return tuple(self._found_stream(created(asked), now, rng))
            case m.TimerFired(name) if name == TICK:
                return (*self._tick(now, rng), next_tick(now))
            case m.TimerFired(name) if "|" in name:
                place, _, inner = name.partition("|")
                return tuple(self._tell(int(place), m.TimerFired(inner), now, rng))
            case _:
                return self._puppet.handle(event, now, rng)

    def _place(self, peer: m.PeerId) -> int:
        return self._places.get(peer, 0) % 2

    def _found_stream(self, stream: PlannedStream, now: float, rng: m.Rng) -> Iterable[m.Effect]:
        if stream.id in self._streams:
            return
        self._streams[stream.id] = stream
        self._requests += 1
        stamp_ms = int(1000 * (EPOCH_S + now))
        asked: list[object] = [Create(self._requests, stream.genesis, stamp_ms)]
        if stream.others:
            asked = [FollowStream(stream.id), q.Begin(self._requests, stream.genesis)]
        for each in asked:
            for place in range(2):
                yield from self._tell(place, m.Requested(each), now, rng)

    def _tick(self, now: float, rng: m.Rng) -> Iterable[m.Effect]:
        """Both branches grow by an entry, where the one before is signed."""
        for stream in self._streams:
            yield from self._share_beginning(stream, now, rng)
            for place, side in enumerate(self._sides):
                log = side.logs.get(stream)
                if log is None or stream in side.sequencer.proposals:
                    continue
                if log.length <= _ENTRIES_MAX:
                    self._requests += 1
                    entry = NewEntry("note", f"{log.length} of order {place}".encode())
                    wish = q.Write(self._requests, stream, (entry,))
                    yield from self._tell(place, m.Requested(wish), now, rng)
            if stream not in self._forked and self._has_forked(stream):
                self._forked.add(stream)
                yield m.Emit(facts.Misdeed(FORKED, m.PeerId(stream)))

    def _share_beginning(self, stream: StreamId, now: float, rng: m.Rng) -> Iterable[m.Effect]:
        """Whoever signed the genesis for one program signs it for no other."""
        for place, side in enumerate(self._sides):
            other = self._sides[1 - place]
            if stream in side.logs or stream not in other.logs:
                continue
            for segment in make_segments(other.disk, other.logs[stream], 0, 1):
                yield from self._tell(place, m.Requested(OfferedSegment(segment)), now, rng)

    def _has_forked(self, stream: StreamId) -> bool:
        logs = [side.logs.get(stream) for side in self._sides]
        length = min([log.length if log else 0 for log in logs])
        roots = {root_at(side.disk, stream, length) for side in self._sides} if length else {b""}
        return len(roots) > 1

    def _tell(self, place: int, event: m.Event, now: float, rng: m.Rng) -> Iterable[m.Effect]:
        for each in self._sides[place].handle(event, now, rng):
            if isinstance(each, m.SetTimer):
                yield m.SetTimer(f"{place}|{each.name}", each.at)
            else:
                yield each


def make_stream_sequencer(stage: Stage) -> Role:
    face = Face(stage.site.keys, StreamSequencer(stage), stage.dials(), streams=True)
    return Role((face,))
