"""Whether what was proposed for streams of several owners is signed once all faults are over: if
enough honest owners follow the stream and are connected to its sequencer.
"""

from collections.abc import Collection, Iterator, Mapping

from netsim.checks.check import View
from netsim.checks.complaining import Complaint
from netsim.checks.converging import Standings
from netsim.checks.resolving import CLOSED, FORKED
from qbix_node.wire.references import StreamId

_SIGNED = (
    "spec/sequencing.md 3: It is sent to each connected owner that has not signed: at once, when"
    " one connects, and every 2 s"
)
RESTS_ON = (_SIGNED,)

_PROPOSED = b"q/p"


def unsigned(
    view: View,
    node: int,
    connected: Collection[int],
    replicated: Mapping[int, Standings],
) -> Iterator[Complaint]:
    """`replicated`: by each node, and how each stream stands."""
    rows = view.honest[node].disk.scan(_PROPOSED, _PROPOSED + b"\xff" * 33, limit=1 << 30)
    for stream in [StreamId(key[len(_PROPOSED) :]) for key, _ in rows]:
        planned = view.world.streams.by_id.get(stream)
        if planned is None or planned.owner != node:
            continue
        willing = [
            owner
            for owner in planned.owners
            if (owner == node or owner in connected)
            and view.keeps_its_word(owner)
            and replicated[owner].get(stream, FORKED) not in (FORKED, CLOSED)
        ]
        # A sequencer that was put back may have signed what it has forgotten.
        if node in willing and len(willing) >= planned.threshold:
            name = view.name_stream(stream)
            yield Complaint(_SIGNED, f"what node {node} proposed for {name} is not in the log")
