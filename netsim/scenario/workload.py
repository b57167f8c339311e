"""[workload]: what people ask of their nodes, as rates; each node draws when and what by itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from netsim.chance import Chance, Draws
from netsim.plan import Do, Fault, NodePlan, Operation, PlannedFault, Range
from netsim.scenario.amounts import (
    Portion,
    draw_evenly,
    draw_times,
    draw_widely,
    read_portion,
)
from netsim.scenario.byzantine import Cast
from netsim.scenario.reading import Table, read_nodes
from netsim.scenario.streaming import draw_streams
from netsim.scenario.working import RATES, Workload
from qbix_node.streams.messages import ENTRIES_MAX


def read_workload(table: Table, nodes: Sequence[int], duration_s: float) -> Workload:
    return Workload(
        {kind: table.number(kind, 0.0, low=0, high=1e6) for kind in RATES},
        between_s=table.span("between_s", Range(0, duration_s), low=0, high=duration_s),
        writers=read_nodes(table, "writers", nodes, empty=False) or (),
        message_bytes=table.span("message_bytes", Range(20, 800), low=1, high=8000),
        private=table.number("private", 0.0, low=0, high=1),
        blob_bytes=table.span("blob_bytes", Range(1, 50_000), low=1, high=6_000_000),
        blob_wants=table.number("blob_wants", 1.5, low=0),
        unwanted=table.number("unwanted", 0.0, low=0, high=1),
        removed=table.number("removed", 0.0, low=0, high=1),
        late=read_portion(table, "late", Portion()),
        late_s=table.span(
            "late_s", Range(duration_s / 4, duration_s * 3 / 4), low=0, high=duration_s
        ),
        followers=table.number("stream_followers", 0.0, low=0, high=1),
        bare_followers=table.number("bare_followers", 0.0, low=0, high=1),
        private_streams=table.number("private_streams", 0.0, low=0, high=1),
        shared_streams=table.number("shared_streams", 0.0, low=0, high=1),
        entries=table.span("entries", Range(1, 1), low=1, high=ENTRIES_MAX),
        entry_bytes=table.span("entry_bytes", Range(64, 400), low=1, high=10_000),
    )


def draw_late(work: Workload, cast: Cast, chance: Chance) -> Iterator[PlannedFault]:
    """Who joins late is stopped from the beginning until then."""
    draws = chance.draws("work/late")
    for node in draws.sample(cast.honest, work.late.of(len(cast.honest))):
        yield PlannedFault(0.0, draw_evenly(work.late_s, draws), Fault.RESTART, (node,))


def draw_workload(
    work: Workload, nodes: Mapping[int, NodePlan], cast: Cast, chance: Chance
) -> Iterator[Operation]:
    """In no order."""
    people = _People(work, cast, chance)
    for node in work.writers or cast.nodes:
        yield from people.messages(node)
        yield from people.blobs(node)
    for node in cast.honest:
        plan = nodes[node]
        yield from people.changes(node, "follow_changes", Do.FOLLOW, Do.UNFOLLOW, plan.follows)
        yield from people.changes(node, "block_changes", Do.BLOCK, Do.UNBLOCK, ())
        yield from people.changes(node, "address_changes", Do.ADD_PEER, Do.REMOVE_PEER, plan.knows)
    for node in cast.byzantine:
        for number, at_s in enumerate(people.times("deeds", node)):
            yield Operation(at_s, node, Do.ACT, number=number)
    yield from draw_streams(work, cast, chance)


@dataclass(frozen=True, slots=True)
class _People:
    work: Workload
    cast: Cast
    chance: Chance

    def times(self, kind: str, node: int) -> list[float]:
        draws = self.chance.draws(f"work/{kind}/when", node)
        return draw_times(self.work.a_minute[kind], self.work.between_s, draws)

    def messages(self, node: int) -> Iterator[Operation]:
        sizes, secrets = self._draws("size", node), self._draws("private", node)
        for number, at_s in enumerate(self.times("messages", node)):
            size = int(draw_widely(self.work.message_bytes, sizes))
            sealed, reader = secrets.chance(self.work.private), self._another(node, secrets)
            yield Operation(at_s, node, Do.PUBLISH, reader if sealed else None, number, size)

    def blobs(self, node: int) -> Iterator[Operation]:
        draws = self._draws("blob", node)
        for number, at_s in enumerate(self.times("blobs", node)):
            size = int(draw_widely(self.work.blob_bytes, draws))
            blob = Operation(at_s, node, Do.ADD_BLOB, number=number, size=size)
            yield blob
            removed_at_s = draw_evenly(Range(at_s, self.work.between_s.high), draws)
            if draws.chance(self.work.removed):
                yield replace(blob, at_s=removed_at_s, do=Do.REMOVE_BLOB)
            yield from self._wants(blob)

    def _wants(self, blob: Operation) -> Iterator[Operation]:
        """Also before the blob is there."""
        draws = self._draws("wants", blob.node, blob.number)
        count = int(self.work.blob_wants) + draws.chance(self.work.blob_wants % 1)
        others = [node for node in self.cast.honest if node != blob.node]
        for node in draws.sample(others, count):
            at_s = draw_evenly(self.work.between_s, draws)
            want = replace(blob, at_s=at_s, node=node, do=Do.WANT_BLOB, target=blob.node)
            yield want
            until_s = draw_evenly(Range(at_s, self.work.between_s.high), draws)
            if draws.chance(self.work.unwanted):
                yield replace(want, at_s=until_s, do=Do.UNWANT_BLOB)

    def changes(
        self, node: int, kind: str, forth: Do, back: Do, chosen: Sequence[int]
    ) -> Iterator[Operation]:
        """Each turns round what holds for one other node."""
        draws = self._draws(kind, node)
        holds = dict.fromkeys(chosen)
        for at_s in self.times(kind, node):
            target = self._another(node, draws, of_all=True)
            if target in holds:
                del holds[target]
            elif target is not None:
                holds[target] = None
            if target is not None:
                yield Operation(at_s, node, forth if target in holds else back, target)

    def _draws(self, what: str, *who: int) -> Draws:
        return self.chance.draws(f"work/{what}", *who)

    def _another(self, node: int, draws: Draws, *, of_all: bool = False) -> int | None:
        among = self.cast.nodes if of_all else self.cast.honest
        others = [each for each in among if each != node]
        return draws.pick(others) if others else None
