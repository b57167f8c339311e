"""What became of forked streams: whether their owners chose a branch, and what follows from it."""

from collections.abc import Iterator
from typing import ClassVar

from netsim import facts
from netsim.checks.branches import Dropped
from netsim.checks.check import Check, Facts, Report, View
from qbix_node.ports import Rows
from qbix_node.streams.forks import ResolveFork, StreamFork, read_fork
from qbix_node.wire.packing import unpack
from qbix_node.wire.references import StreamId

_PROOF, _RESOLVED = b"s/x", b"s/r"
_ALL = 1 << 30
CLOSED, FORKED = "closed", "forked"

# The body of the Resolve that counts, or one of the two above.
Standing = tuple[object, ...] | str


def choice_of(rows: Rows, stream: StreamId) -> tuple[object, ...] | None:
    """The body of the Resolve that counts here (spec/streams.md 11)."""
    record = rows.get(_RESOLVED + stream)
    if record is None:
        return None
    row = unpack(record, "Resolve")
    assert isinstance(row, tuple)
    body: tuple[object, ...] = row[0][0]
    return body


def standings(rows: Rows) -> dict[StreamId, Standing]:
    """Of all streams about which a node holds proofs."""
    held: dict[StreamId, list[StreamFork]] = {}
    for key, proof in rows.scan(_PROOF, b"s/y", limit=_ALL):
        held.setdefault(StreamId(key[3:35]), []).append(read_fork(proof))
    return {stream: _standing(forks, choice_of(rows, stream)) for stream, forks in held.items()}


def _standing(forks: list[StreamFork], choice: tuple[object, ...] | None) -> Standing:
    """SPEC streams 6.1: a second proof that counts, or two Resolves, close the stream for good."""
    for fork in forks:
        if isinstance(fork, ResolveFork):
            return CLOSED
        resolved = getattr(fork, "resolved", None)
        if choice is not None and resolved is not None:
            chose = resolved.signed.resolve
            if (chose.fork_length, chose.chosen_root) == choice[2:]:
                return CLOSED
    return choice or FORKED


class ChosenKept(Check):
    """A log is dropped if it is on another branch than the chosen one, and once."""

    name = "nothing is dropped of the branch that owners chose, and nothing twice"
    guards = (
        "spec/streams.md 6.1: Who has at least fork_length leaves and the chosen root there goes"
        " on. So does who has fewer, under the chosen Head."
    )
    watches: ClassVar[Facts] = (Dropped, facts.Started)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._dropped: dict[int, set[StreamId]] = {}  # in this life

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Started():
                self._dropped.pop(node, None)
            case Dropped(stream):
                for what in self._wrong(node, stream, fact):
                    self.violated(node, f"{self.view.name_stream(stream)}: {what}")
                self._dropped.setdefault(node, set()).add(stream)
            case _:
                pass

    def _wrong(self, node: int, stream: StreamId, fact: Dropped) -> Iterator[str]:
        choice, place = choice_of(self.view.honest[node].disk, stream), fact.place
        if choice is None:
            yield "a log was dropped, and no branch was chosen"
            return
        if stream in self._dropped.get(node, ()):
            yield "a log was dropped a second time"
        _, _, length, root = choice
        assert isinstance(length, int)
        if place is not None and place.length >= length and place.at(length).root == root:
            yield f"{place.length} entries of the chosen branch were dropped"


RESOLVING_CHECKS = (ChosenKept,)
