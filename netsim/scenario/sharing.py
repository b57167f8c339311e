"""[workload]: streams that several own or write into."""

from collections.abc import Iterator
from dataclasses import replace

from netsim.chance import Chance, Draws
from netsim.plan import Do, Operation, Range
from netsim.scenario.amounts import draw_evenly, draw_times, draw_widely
from netsim.scenario.byzantine import Cast
from netsim.scenario.working import Workload
from netsim.streams import PlannedStream, created

COSIGNER, SEQUENCER = "stream_cosigner", "stream_sequencer"  # roles
_FALSE = 2  # streams of a node that shows everybody another order
_OTHERS_MOST = 3  # owners besides the sequencer
_WRITERS_MOST = 3
_ALONE = 0.25  # share of those that have one owner, and writers
_WRITTEN = 0.5  # share of the others that have writers, too
_UNANIMOUS = 0.3  # share of which more owners have to sign than more than half
_AGREED_S = Range(-1, 8)  # after it was made: when owners and writers begin to follow it
_EARLY = 0.4  # of the time: by then the streams of byzantine nodes are made


def shared(made: Operation, cast: Cast, draws: Draws) -> Operation:
    """The same stream with more owners and writers. Whoever signs blindly is among the owners."""
    others = [node for node in cast.honest if node != made.node]
    false = [node for node in cast.byzantine if cast.roles[node][0] == COSIGNER]
    count, alone = 1 + draws.below(_OTHERS_MOST), draws.chance(_ALONE)
    drawn = draws.sample(others, min(len(others), count + _WRITERS_MOST))
    owners = [] if alone else [*false, *drawn[: max(1, count - len(false))]]
    most = len(owners) + 1
    unanimous, writes = draws.chance(_UNANIMOUS), draws.chance(_WRITTEN)
    threshold = most if unanimous else most // 2 + 1
    writers = drawn[count : count + 1 + draws.below(_WRITERS_MOST)] if alone or writes else []
    return replace(
        made, target=None, owners=tuple(owners), threshold=threshold, writers=tuple(writers)
    )


def draw_sharing(
    work: Workload, cast: Cast, chance: Chance, made: list[Operation]
) -> Iterator[Operation]:
    """Who owns one with others, or writes into it, follows it; streams of false sequencers."""
    low, high = work.between_s.low, work.between_s.high
    false = list[Operation]()
    for node in cast.byzantine if work.a_minute["streams"] else ():
        if cast.roles[node][0] == SEQUENCER:
            for number in range(_FALSE):
                draws = chance.draws("work/false_streams", node, number)
                at_s = draw_evenly(Range(low, low + _EARLY * (high - low)), draws)
                begun = Operation(round(at_s, 3), node, Do.CREATE_STREAM, number=number)
                false.append(shared(begun, cast, draws))
    yield from false
    for each in (*made, *false):
        stream, draws = created(each), chance.draws("work/agreed", each.node, each.number)
        if stream.sequenced:
            yield from _agreed(stream, each.at_s, work, cast, draws)
    for node in cast.honest if false else ():
        yield from draw_shared_appends(work, chance, false, node)


def _agreed(
    stream: PlannedStream, at_s: float, work: Workload, cast: Cast, draws: Draws
) -> Iterator[Operation]:
    for node in stream.authors:
        then_s = draw_evenly(_AGREED_S, draws) + at_s
        if node != stream.owner and node in cast.honest:
            then_s = round(min(work.between_s.high, max(work.between_s.low, then_s)), 3)
            yield Operation(then_s, node, Do.FOLLOW_STREAM, stream.owner, stream.number)


def draw_shared_appends(
    work: Workload, chance: Chance, made: list[Operation], node: int
) -> Iterator[Operation]:
    """To streams of others into which this node may write; half as often as to its own."""
    streams = [(each, created(each)) for each in made if each.node != node]
    mine = [(each.at_s, stream) for each, stream in streams if node in stream.authors]
    if not mine:
        return
    owner = mine[0][1].owner
    draws = chance.draws("work/shared_appends", node, owner)
    rate = work.a_minute["appends"] / 2
    for at_s in draw_times(rate, work.between_s, chance.draws("work/shared_when", node, owner)):
        size = int(draw_widely(work.entry_bytes, draws))
        count, which = int(draw_widely(work.entries, draws)), draws.random()
        begun = [stream for since_s, stream in mine if since_s < at_s]
        if begun:
            stream = begun[int(which * len(begun))]
            place = stream.owner, stream.number
            yield Operation(at_s, node, Do.APPEND_STREAM, *place, size, count)
