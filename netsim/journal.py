"""What happens is told here once, and goes to the trace, the counters and the checks."""

from collections import Counter
from collections.abc import Callable, Mapping

from netsim import facts
from netsim.loop import Loop
from netsim.plan import Do, Plan
from netsim.trace import NOBODY, VALUE_MAX, Kind, Trace, name_hash
from qbix_node.blobs import messages as b
from qbix_node.feeds.messages import Appended, ForkFound, Published, Refusal
from qbix_node.gossip.messages import ForkProven
from qbix_node.streams.messages import Grown

Watcher = Callable[[int, object], None]  # a node's number and a fact about it

_DOS = list(Do)
_SENT = Kind.SENT
_Row = tuple[Kind, int, int, int]  # kind, peer, subject, value


class Journal:
    """`numbers`: of nodes, by their keys, and of owners, by the ids of their streams."""

    def __init__(self, loop: Loop, trace: Trace, plan: Plan, numbers: Mapping[bytes, int]) -> None:
        self.trace = trace
        self._add = trace.add
        self.counts: Counter[str] = Counter()  # of facts, by the name of their type
        self.messages = 0
        self.bytes = 0
        self._loop = loop
        self._faults = {fault: place for place, fault in enumerate(plan.faults)}
        self._numbers = numbers
        self._watchers: list[Watcher] = []

    @property
    def watched(self) -> bool:
        """Whether anybody hears of what leaves no trace."""
        return bool(self._watchers)

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    def tell(self, node: int, fact: object) -> None:
        """A fact, or a finding of a machine."""
        self.counts[type(fact).__name__] += 1
        if (row := self._row(fact)) is not None:
            kind, peer, subject, value = row
            self.trace.add((self._loop.now, kind, node, peer, subject, value))
        for watcher in self._watchers:
            watcher(node, fact)

    def carried(self, kind: Kind, node: int, peer: int, what: int, size: int) -> None:
        """A packet was sent, delivered or dropped. `what`: a place in a driver's list of names."""
        if kind is _SENT:
            self.messages += 1
            self.bytes += size
        self._add((self._loop.now, kind, node, peer, what, size))

    def number(self, key: bytes | None) -> int:
        return NOBODY if key is None else self._numbers.get(key, NOBODY)

    def _row(self, fact: object) -> _Row | None:
        match fact:
            case facts.Said() | facts.SaidOfStreams() | facts.Checked():
                return None  # packets are in the trace, and what became of messages
            case Published(message=message):
                return Kind.PUBLISHED, NOBODY, self.number(message.author), message.sequence
            case Appended(feed, _, last, source):
                return Kind.APPENDED, self.number(source), self.number(feed), last
            case Refusal(peer, feed, sequence):
                # It may be any number that a peer could think of.
                shown = min(max(0, sequence or 0), VALUE_MAX)
                return Kind.REFUSED, self.number(peer), self.number(feed), shown
            case ForkFound(feed, sequence):
                return Kind.FORK_FOUND, NOBODY, self.number(feed), sequence
            case Grown(stream, _, stop, source):
                return Kind.STREAM_GREW, self.number(source), self.number(stream), stop
            case ForkProven(fork, source):
                owner = self.number(fork.stream)
                return Kind.FORK_PROVEN, self.number(source), owner, fork.forked_length
            case b.Arrived(blob, size):
                return Kind.BLOB_ARRIVED, NOBODY, int.from_bytes(blob[:4], "big"), size
            case b.Unfetched(peer, blob, failure):
                head = int.from_bytes(blob[:4], "big")
                return Kind.BLOB_FAILED, self.number(peer), head, failure.value
            case _:
                return self._row_of_simulator(fact)

    def _row_of_simulator(self, fact: object) -> _Row:  # noqa: C901  (a table)
        match fact:
            case facts.LinkUp(peer, outgoing):
                return Kind.LINK_UP, self.number(peer), int(outgoing), 0
            case facts.LinkDown(peer):
                return Kind.LINK_DOWN, self.number(peer), 0, 0
            case facts.Started(clean):
                return Kind.STARTED, NOBODY, NOBODY, int(clean)
            case facts.Stopped():
                return Kind.STOPPED, NOBODY, NOBODY, 0
            case facts.Crashed(lost=lost):
                return Kind.CRASHED, NOBODY, NOBODY, lost
            case facts.RolledBack(batches):
                return Kind.ROLLED_BACK, NOBODY, NOBODY, batches
            case facts.DiskFull():
                return Kind.DISK_FULL, NOBODY, NOBODY, 0
            case facts.Asked(operation):
                return Kind.ASKED, NOBODY, _DOS.index(operation.do), operation.number
            case facts.FaultBegan(fault):
                return Kind.FAULT_BEGAN, NOBODY, self._faults[fault], 0
            case facts.FaultEnded(fault):
                return Kind.FAULT_ENDED, NOBODY, self._faults[fault], 0
            case facts.Healed():
                return Kind.HEALED, NOBODY, NOBODY, 0
            case facts.Misdeed(subject=subject, sequence=sequence):
                return Kind.MISDEED, NOBODY, self.number(subject), sequence
            case facts.Failed():
                return Kind.FAILED, NOBODY, NOBODY, 0
            case facts.Violated():
                return Kind.VIOLATED, NOBODY, NOBODY, 0
            case _:
                return Kind.FOUND, NOBODY, name_hash(type(fact).__name__), 0
