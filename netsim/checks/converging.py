"""Whether streams are as they have to be once all faults are over.

- Of two connected honest nodes that both replicate a stream and may read it, none has less of it
  than the other, unless it knows the stream as forked. So the log of an honest owner reaches
  whoever a chain of such nodes leads to.
- If they have different branches, both hold a proof; and if one holds a proof, so does the other.
- What the owners chose of a forked stream, or that it is closed for good, both know; and of the
  chosen branch none has less than the other.
- What was to be made or appended is, or was refused.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from netsim import facts
from netsim.checks.check import Facts, View
from netsim.checks.complaining import Complaint
from netsim.checks.resolving import CLOSED, FORKED, Standing, standings
from netsim.plan import Do, Operation
from qbix_node.streams.messages import Appended, AppendRefused
from qbix_node.wire.references import StreamId

_CONVERGES = (
    "spec/replication.md 10: Streams are exchanged as feeds are, by EBT with notes, sources and"
    " stalls of sections 2 and 3"
)
_PROVEN = (
    "spec/gossip.md 6: and then every peer that may read the stream and has not sent it is sent it,"
    " at once,"
)
_CHOSEN = "spec/streams.md 6.1: All nodes switch to the chosen branch"
_APPENDED = (
    "spec/streams.md 10: A Head leaves the node only when the batch with its entries is durable"
)
RESTS_ON = (_CONVERGES, _PROVEN, _CHOSEN, _APPENDED)

Standings = Mapping[StreamId, Standing | None]
_FOLLOW, _GENESIS = b"r/s", b"s/g"


class Converging:
    watches: ClassVar[Facts] = (
        facts.Asked,
        facts.Started,
        facts.Stopped,
        facts.Crashed,
        Appended,
        AppendRefused,
        facts.HandedIn,
    )

    def __init__(self, view: View) -> None:
        self._view = view
        self._asked: dict[int, int] = {}  # of streams to be made, and of appends

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Asked(Operation(do=Do.CREATE_STREAM | Do.APPEND_STREAM)):
                if self._view.hears(node):
                    self._asked[node] = self._asked.get(node, 0) + 1
            case Appended() | AppendRefused() | facts.HandedIn():
                self._asked[node] = max(0, self._asked.get(node, 0) - 1)
            case facts.Started() | facts.Stopped() | facts.Crashed():
                self._asked.pop(node, None)
            case _:
                pass

    def unanswered(self, node: int) -> Iterator[Complaint]:
        if count := self._asked.get(node):
            what = f"node {node} has {count} things to append and says nothing of them"
            yield Complaint(_APPENDED, what)

    def replicated(self, node: int) -> Mapping[StreamId, Standing | None]:
        """Those that it owns or follows, and how those stand about which it holds a proof."""
        rows, known = self._view.honest[node].disk, self._view.world.streams.by_id
        proven = standings(rows)
        found = rows.scan(_FOLLOW, b"r/t", limit=1 << 30)
        followed = [StreamId(key[len(_FOLLOW) :]) for key, _ in found]
        own = [
            stream
            for stream, planned in known.items()
            if planned.owner == node and rows.get(_GENESIS + stream) is not None
        ]
        return {stream: proven.get(stream) for stream in (*own, *followed)}

    def between(
        self, node: int, other: int, here: Standings, there: Standings
    ) -> Iterator[Complaint]:
        """Of two that are neighbours."""
        for stream, proven in here.items():
            planned = self._view.world.streams.by_id.get(stream)
            if stream not in there or planned is None:
                continue
            if planned.may_read(node) and planned.may_read(other):
                yield from self._of(stream, (node, proven), (other, there[stream]))

    def _of(
        self,
        stream: StreamId,
        one: tuple[int, Standing | None],
        two: tuple[int, Standing | None],
    ) -> Iterator[Complaint]:
        branches, name = self._view.branches, self._view.name_stream(stream)
        (node, proven), (other, also) = one, two
        if proven == also:
            if proven not in (FORKED, CLOSED):
                yield from self._compare(stream, node, other)
        elif proven and also:
            what = f"{name} is {_named(proven)} at node {node}, {_named(also)} at node {other}"
            yield Complaint(_CHOSEN, what)
        elif branches.length(node, stream) or branches.length(other, stream):
            # Where nothing of the log is, there is nothing to stop.
            holder, lacking = (node, other) if proven else (other, node)
            what = f"node {holder} holds a proof about {name}, node {lacking} does not"
            yield Complaint(_PROVEN, what)

    def _compare(self, stream: StreamId, node: int, other: int) -> Iterator[Complaint]:
        branches, name = self._view.branches, self._view.name_stream(stream)
        ends = branches.end(node, stream), branches.end(other, stream)
        lengths = [end.length if end else 0 for end in ends]
        least = min(lengths)
        same = least == 0 or (
            ends[0] is not None and ends[1] is not None and ends[0].at(least) is ends[1].at(least)
        )
        if same and lengths[0] != lengths[1]:
            short, long = (node, other) if lengths[0] < lengths[1] else (other, node)
            what = f"node {short} has {least} entries of {name}, node {long} has {max(lengths)}"
            yield Complaint(_CONVERGES, what)
        elif not same:
            what = f"nodes {node} and {other} have two branches of {name}, and no proof"
            yield Complaint(_PROVEN, what)


def _named(standing: Standing) -> str:
    return standing if isinstance(standing, str) else f"resolved at {standing[2]}"
