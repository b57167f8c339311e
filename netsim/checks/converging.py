"""Whether streams are as they have to be once all faults are over.

- Of two connected honest nodes that both replicate a stream and may read it, none has less of it
  than the other, unless it knows the stream as forked. So the log of an honest owner reaches
  whoever a chain of such nodes leads to.
- If they have different branches, both hold a proof; and if one holds a proof, so does the other.
- What was to be made or appended is, or was refused.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from netsim import facts
from netsim.checks.check import Facts, View
from netsim.checks.complaining import Complaint
from netsim.checks.proofs import proofs_of
from netsim.plan import Do, Operation
from qbix_node.streams.messages import Appended, AppendRefused
from qbix_node.wire.references import StreamId

_CONVERGES = (
    "spec/replication.md 10: Streams are exchanged as feeds are, by EBT with notes, sources and"
    " stalls of sections 2 and 3"
)
_PROVEN = (
    "spec/gossip.md 6: and then every peer that hears of the stream (section 2) and has not sent it"
    " is sent it, at once."
)
_APPENDED = (
    "spec/streams.md 10: A Head leaves the node only when the batch with its entries is durable"
)
RESTS_ON = (_CONVERGES, _PROVEN, _APPENDED)

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

    def replicated(self, node: int) -> Mapping[StreamId, bool]:
        """Those that it owns or follows, and whether it holds a proof about each."""
        rows, known = self._view.honest[node].disk, self._view.world.streams.by_id
        proven = set(proofs_of(self._view, node))
        found = rows.scan(_FOLLOW, b"r/t", limit=1 << 30)
        followed = [StreamId(key[len(_FOLLOW) :]) for key, _ in found]
        own = [
            stream
            for stream, planned in known.items()
            if planned.owner == node and rows.get(_GENESIS + stream) is not None
        ]
        return {stream: stream in proven for stream in (*own, *followed)}

    def between(
        self, node: int, other: int, here: Mapping[StreamId, bool], there: Mapping[StreamId, bool]
    ) -> Iterator[Complaint]:
        """Of two that are neighbours."""
        for stream, proven in here.items():
            planned = self._view.world.streams.by_id.get(stream)
            if stream not in there or planned is None:
                continue
            if planned.may_read(node) and planned.may_read(other):
                yield from self._of(stream, (node, proven), (other, there[stream]))

    def _of(
        self, stream: StreamId, one: tuple[int, bool], two: tuple[int, bool]
    ) -> Iterator[Complaint]:
        branches, name = self._view.branches, self._view.name_stream(stream)
        (node, proven), (other, also) = one, two
        if proven and also:
            return
        if proven or also:
            holder, lacking = (node, other) if proven else (other, node)
            # Where nothing of the log is, there is nothing to stop.
            if branches.length(holder, stream) or branches.length(lacking, stream):
                what = f"node {holder} holds a proof about {name}, node {lacking} does not"
                yield Complaint(_PROVEN, what)
            return
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
