"""[workload]: who makes streams, appends to them and follows them."""

from collections.abc import Iterator

from netsim.chance import Chance, Draws
from netsim.plan import Do, Operation, Range
from netsim.roles import STREAM_OWNERS
from netsim.roles.owning import STREAMS
from netsim.scenario.amounts import draw_evenly, draw_times, draw_widely
from netsim.scenario.byzantine import Cast
from netsim.scenario.sharing import draw_shared_appends, draw_sharing, shared
from netsim.scenario.working import Workload

_EARLY = 0.3  # of the time: by then the streams of byzantine nodes are followed
_OWN_CHANGES = (Do.DROP_CONTENTS, Do.FETCH_CONTENTS)
_CONTENT_CHANGES = (*_OWN_CHANGES, Do.FOLLOW_HEADERS, Do.FOLLOW_STREAM)
_FOLLOWED_S = Range(-5, 10)  # after it was made; who is earlier waits for it


def draw_streams(work: Workload, cast: Cast, chance: Chance) -> Iterator[Operation]:
    """In no order."""
    made = [
        stream
        for node in (work.writers or cast.honest)
        if node not in cast.roles
        for stream in _creations(work, cast, chance, node)
    ]
    yield from made
    for stream in made:
        yield from _followers(work, cast, chance, stream, _FOLLOWED_S)
    for node in cast.byzantine:
        if cast.roles[node][0] in STREAM_OWNERS:
            low, high = work.between_s.low, work.between_s.high
            early = Range(0, _EARLY * (high - low))
            for number in range(STREAMS):
                begun = Operation(low, node, Do.CREATE_STREAM, number=number)
                yield from _followers(work, cast, chance, begun, early)
    yield from draw_sharing(work, cast, chance, made)
    for node in cast.honest:
        yield from draw_shared_appends(work, chance, made, node)
        yield from _appends(work, chance, [each for each in made if each.node == node], node)
        yield from _changes(work, chance, made, node)
        yield from _content_changes(work, chance, made, node)


def _times(work: Workload, chance: Chance, kind: str, node: int) -> list[float]:
    draws = chance.draws(f"work/{kind}/when", node)
    return draw_times(work.a_minute[kind], work.between_s, draws)


def _creations(work: Workload, cast: Cast, chance: Chance, node: int) -> Iterator[Operation]:
    draws = chance.draws("work/streams", node)
    others = [each for each in cast.nodes if each != node]
    for number, at_s in enumerate(_times(work, chance, "streams", node)):
        private, reader = draws.chance(work.private_streams), draws.random()
        target = others[int(reader * len(others))] if private and others else None
        made = Operation(at_s, node, Do.CREATE_STREAM, target, number)
        sharing = chance.draws("work/shared_streams", node, number)
        yield shared(made, cast, sharing) if sharing.chance(work.shared_streams) else made


def _followers(
    work: Workload, cast: Cast, chance: Chance, stream: Operation, after_s: Range
) -> Iterator[Operation]:
    """Also of those who may not read it: they wait in vain."""
    place = stream.node, stream.number
    draws = chance.draws("work/stream_followers", *place)
    for node in cast.honest:
        follows, at_s = draws.chance(work.followers), stream.at_s + draw_evenly(after_s, draws)
        if follows and node != stream.node:
            at_s = round(min(work.between_s.high, max(work.between_s.low, at_s)), 3)
            bare = chance.draws("work/bare_followers", *place, node).chance(work.bare_followers)
            do = Do.FOLLOW_HEADERS if bare else Do.FOLLOW_STREAM
            yield Operation(at_s, node, do, *place)


def _appends(
    work: Workload, chance: Chance, own: list[Operation], node: int
) -> Iterator[Operation]:
    draws = chance.draws("work/appends", node)
    for at_s in _times(work, chance, "appends", node):
        size, count = _wide(work.entry_bytes, draws), _wide(work.entries, draws)
        which = draws.random()
        begun = [each.number for each in own if each.at_s < at_s]
        if begun:
            number = begun[int(which * len(begun))]
            yield Operation(at_s, node, Do.APPEND_STREAM, None, number, size, count)


def _changes(
    work: Workload, chance: Chance, streams: list[Operation], node: int
) -> Iterator[Operation]:
    """Each turns round what was last asked here."""
    draws, unfollowed = chance.draws("work/stream_changes", node), set[tuple[int, int]]()
    foreign = [(each.node, each.number) for each in streams if each.node != node]
    for at_s in _times(work, chance, "stream_changes", node):
        if not foreign:
            return
        place = draws.pick(foreign)
        do = Do.FOLLOW_STREAM if place in unfollowed else Do.UNFOLLOW_STREAM
        unfollowed ^= {place}
        yield Operation(at_s, node, do, *place)


def _content_changes(
    work: Workload, chance: Chance, streams: list[Operation], node: int
) -> Iterator[Operation]:
    draws = chance.draws("work/content_changes", node)
    for at_s in _times(work, chance, "content_changes", node):
        if streams:
            stream, do = draws.pick(streams), draws.pick(_CONTENT_CHANGES)
            if stream.node != node or do in _OWN_CHANGES:
                yield Operation(at_s, node, do, stream.node, stream.number)


def _wide(bounds: Range, draws: Draws) -> int:
    return int(draw_widely(bounds, draws))
