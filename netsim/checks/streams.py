"""What a node keeps of streams: what the owners signed, durable, and only ever longer."""

from typing import ClassVar

from netsim.checks.branches import CHANGED, LOST, UNDURABLE, UNEVEN, NewPlace, NowAt, Odd
from netsim.checks.check import Check, Facts, Report, View
from qbix_node.crypto.keys import verify
from qbix_node.streams.tree import Hash, lead
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import StreamId

_HEAD, _INTENT = b"qbix/head/1\0", b"qbix/intent/1\0"


class StreamsGrow(Check):
    name = "logs of streams only grow"
    guards = "spec/streams.md 4: prove that the tree of n continues that of m"
    watches: ClassVar[Facts] = (Odd,)
    kinds: ClassVar[tuple[str, ...]] = (CHANGED,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, Odd)
        if fact.kind in self.kinds:
            self.violated(node, f"{self.view.name_stream(fact.stream)}: {fact.how}")


class StreamsDurable(StreamsGrow):
    name = "entries of streams are durable when it is said"
    guards = "spec/streams.md 11: What a run adds is written in one batch."
    kinds: ClassVar[tuple[str, ...]] = (UNDURABLE, UNEVEN)


class StreamsSurvive(StreamsGrow):
    name = "entries of streams survive"
    guards = "spec/storage.md 1.1: It survives a killed process and a cut of power"
    kinds: ClassVar[tuple[str, ...]] = (LOST,)


class OwnersSigned(Check):
    """Judged apart from the product's own validation."""

    name = "what is here of a stream is signed by its owners"
    guards = "spec/streams.md 5: An entry counts once a Head covers it"
    watches: ClassVar[Facts] = (NewPlace, NowAt)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._right: set[tuple[object, ...]] = set()  # Heads whose signatures are

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case NewPlace(stream, place):
                fault = self._leaf_fault(stream, place.length - 1, place.leaf)
                if fault:
                    name = self.view.name_stream(stream)
                    self.violated(node, f"entry {place.length - 1} of {name}: {fault}")
            case NowAt(stream, place, log):
                length, root = log.head
                if log.peaks != place.peaks:
                    self.violated(node, f"{self.view.name_stream(stream)}: these are other peaks")
                peaks, frontier = map(Hash, log.peaks), tuple(map(Hash, log.frontier))
                if lead(tuple(peaks), place.length, frontier, length) != root or (
                    length == place.length and root != place.root
                ):
                    what = f"its Head at {length} is not over its entries"
                    self.violated(node, f"{self.view.name_stream(stream)}: {what}")
                if not self._is_signed(stream, log.signed):
                    what = f"{self.view.name_stream(stream)}: its owners did not sign its Head"
                    self.violated(node, what)
            case _:
                pass

    def _is_signed(self, stream: StreamId, signed: tuple[object, ...]) -> bool:
        if signed in self._right:
            return True
        body, signatures = signed
        assert isinstance(body, tuple)
        assert isinstance(signatures, tuple)
        planned = self.view.world.streams.by_id.get(stream)
        if planned is None or body[1] != stream:
            return False
        # All weights are 1: exactly enough are as many as the threshold says.
        keys = sorted([self.view.world.sites[node].keys.public for node in planned.owners])
        indexes = [index for index, _ in signatures]
        right = (
            indexes == sorted(set(indexes))
            and len(indexes) == planned.threshold
            and all(verify(keys[i], _HEAD + pack(body), each) for i, each in signatures)
        )
        if right:
            self._right.add(signed)
        return right

    def _leaf_fault(self, stream: StreamId, index: int, leaf: bytes) -> str:
        planned = self.view.world.streams.by_id.get(stream)
        if planned is None:
            return "nobody speaks of that stream"
        if index == 0:
            return "" if leaf == planned.genesis.encoded else "it is not the genesis"
        row = unpack(leaf, "header")
        assert isinstance(row, tuple)
        if (row[1], row[2]) != (stream, index):
            return "it is of another place"
        if row[11] is None:
            own = row[3] == self.view.owner_key(stream) and row[4] == row[5] == index
            return "" if own else "it is not the owner's"
        body = _INTENT + pack((stream, *row[3:11]))
        return "" if verify(row[3], body, row[11]) else "its author did not sign it"


class HonestOwners(Check):
    """What anybody has of the stream of an honest owner, the owner had before; and it is one line,
    unless the owner was put back and could not know.
    """

    name = "honest owners never fork"
    guards = (
        "spec/streams.md 10: A Head of our own that is longer than the log here holds the stream"
    )
    watches: ClassVar[Facts] = (NewPlace,)

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case NewPlace(stream, place) if owner := self.view.honest_owner(stream):
                before = place.before
                forked = before is not None and len(before.after) > 1
                if forked and not self.view.blind.excuses(owner.number, stream, place):
                    assert before is not None
                    what = f"{self.view.name_stream(stream)} has two branches after {before.length}"
                    self.violated(owner.number, what)
                if node != owner.number:
                    what = f"entry {place.length - 1} of {self.view.name_stream(stream)}"
                    self.violated(node, f"it has {what}, which its owner lacks")
            case _:
                pass


class OwnersAgree(Check):
    """A certified Head is one of which some honest node holds an entry. Two contradict each other
    only if whoever signed both lies.
    """

    name = "several owners fork only together"
    guards = (
        "spec/sequencing.md 4: It can fork it only if two sets of owners that reach the threshold"
        " have none in common but dishonest ones"
    )
    watches: ClassVar[Facts] = (NewPlace,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, NewPlace)
        before = fact.place.before
        if before is not None and len(before.after) > 1 and self.view.honest_owners(fact.stream):
            name = self.view.name_stream(fact.stream)
            self.violated(node, f"{name} has two branches after {before.length}")


STREAM_CHECKS = (
    StreamsGrow,
    StreamsDurable,
    StreamsSurvive,
    OwnersSigned,
    HonestOwners,
    OwnersAgree,
)
