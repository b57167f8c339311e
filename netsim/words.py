"""A record of a trace in people's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netsim.plan import Do, Plan
from netsim.trace import NOBODY, Kind, Record

# What the fields of each kind mean is said in netsim.trace.
_SAID: Mapping[Kind, str] = {
    Kind.SENT: "sent {message} to {peer}, {value} bytes",
    Kind.DELIVERED: "received {message} from {peer}, {value} bytes",
    Kind.DROPPED: "lost {message} on its way to {peer}, {value} bytes",
    Kind.LINK_DOWN: "lost its link to {peer}",
    Kind.STOPPED: "stopped",
    Kind.CRASHED: "crashed; {value} batches were lost",
    Kind.ROLLED_BACK: "was set back by {value} batches",
    Kind.DISK_FULL: "has a full disk",
    Kind.ASKED: "was asked to {operation} ({value})",
    Kind.PUBLISHED: "published message {value}",
    Kind.APPENDED: "has the feed of {subject} up to message {value}, from {peer}",
    Kind.REFUSED: "refused message {value} of {subject} from {peer}",
    Kind.FORK_FOUND: "found a fork in the feed of {subject}, at message {value}",
    Kind.BLOB_ARRIVED: "has the blob {hexed}…, {value} bytes",
    Kind.BLOB_FAILED: "did not get the blob {hexed}… from {peer} ({value})",
    Kind.FAULT_BEGAN: "{fault} began",
    Kind.FAULT_ENDED: "{fault} ended",
    Kind.HEALED: "sees all faults over",
    Kind.MISDEED: "did its misdeed, with the feed of {subject}, message {value}",
    Kind.FAILED: "failed: a bug",
    Kind.VIOLATED: "broke what a check guards",
    Kind.FOUND: "told of {found}",
    Kind.STREAM_GREW: "has a stream of {subject} up to length {value}, from {peer}",
    Kind.FORK_PROVEN: "proved, or was shown by {peer}, a fork in a stream of {subject} at {value}",
}


@dataclass(frozen=True, slots=True)
class Words:
    """`carried`: names of what packets carry; `found`: of findings, by their name_hash."""

    plan: Plan
    carried: Sequence[object]
    found: Mapping[str, object]

    def line(self, record: Record) -> str:
        """With the time and the node."""
        return f"{record.at_s:12.6f} s  node {record.node:<4} {self.of(record)}"

    def of(self, record: Record) -> str:
        match record.kind:
            case Kind.LINK_UP:
                said = "reached {peer}" if record.subject else "was reached by {peer}"
            case Kind.STARTED:
                said = "started" if record.value else "started after a crash"
            case kind:
                said = _SAID[kind]
        return said.format(
            message=_at(self.carried, record.subject),
            operation=_at([each.value for each in Do], record.subject),
            fault=_at([each.fault.value for each in self.plan.faults], record.subject),
            found=self.found.get(str(record.subject), "something"),
            peer=_node(record.peer),
            subject=_node(record.subject),
            hexed=f"{record.subject:08x}",
            value=record.value,
        )


def _node(number: int) -> str:
    return "nobody" if number == NOBODY else f"node {number}"


def _at(names: Sequence[object], place: int) -> object:
    return names[place] if place < len(names) else f"number {place}"
