"""Streams that several write into: what was handed in gets there once, in its order, and nothing
that was said to stand there is lost.
"""

from typing import ClassVar

from netsim import facts
from netsim.checks.branches import NewPlace, Place
from netsim.checks.check import Check, Facts, Report, View
from netsim.plan import Do, Operation
from netsim.streams import PlannedStream, entries_of
from qbix_node.crypto.boxes import sha256
from qbix_node.sequencing import messages as q
from qbix_node.wire.packing import unpack
from qbix_node.wire.references import StreamId

_SIGNED, _WRITTEN = b"q/s", b"q/a"
_Wish = tuple[float, int]  # when it was asked for, and which of its entries


class IntentsOnce(Check):
    """Each content is asked for once in a run, and names who asked: so an entry shows which of all
    wishes it is.
    """

    name = "what is handed in stands in a stream once, in its order"
    guards = (
        "spec/streams.md 2: In a log, author_seq of an author's intents ascends strictly, so that"
        " nobody can put an intent in a second time; spec/sequencing.md 3: of each author in turn,"
        " in the order of each"
    )
    watches: ClassVar[Facts] = (facts.Asked, facts.HandedIn, NewPlace)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._asked: dict[StreamId, dict[bytes, tuple[int, _Wish]]] = {}  # by hashes of contents
        self._last: dict[Place, dict[int, _Wish]] = {}  # of each author, in the log up to there

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Asked(Operation(do=Do.APPEND_STREAM) as asked):
                stream = self.view.world.streams.about(asked)
                if stream.sequenced:
                    wishes = self._asked.setdefault(stream.id, {})
                    for place, entry in enumerate(entries_of(asked)):
                        wishes[sha256(entry.beside or b"")] = node, (asked.at_s, place)
            case NewPlace(stream, place):
                planned = self.view.world.streams.by_id.get(stream)
                if planned is not None and planned.sequenced:
                    self._placed(node, planned, place)
            case facts.HandedIn(Operation(do=Do.APPEND_STREAM) as asked, places) if places:
                self._handed_in(node, asked, places)
            case _:
                pass

    def _placed(self, node: int, stream: PlannedStream, place: Place) -> None:
        last = self._last[place] = dict(self._last.pop(place.before, {})) if place.before else {}
        if place.before is not None and len(place.before.after) > 1:
            return  # of another branch, where it may stand, too
        if place.length == 1:
            return
        number = self.view.numbers.get(place.author)
        if number not in self.view.honest:
            return
        name = f"entry {place.length - 1} of {self.view.name_stream(stream.id)}"
        asker, wish = self._asked.get(stream.id, {}).get(place.content_hash, (None, (0.0, 0)))
        if asker != number:
            self.violated(node, f"{name}: its author, node {number}, was never asked for it")
        elif (before := last.get(number)) is not None and before >= wish:
            what = "stands there already" if before == wish else "was asked for before another"
            self.violated(node, f"{name}: what node {number} handed in {what}")
        else:
            last[number] = wish

    def _handed_in(self, node: int, asked: Operation, places: tuple[int, ...]) -> None:
        stream = self.view.world.streams.about(asked)
        end, name = self.view.branches.end(node, stream.id), self.view.name_stream(stream.id)
        entries = entries_of(asked)
        if len(places) != len(entries):
            self.violated(node, f"{len(entries)} entries of {name} are said to be {len(places)}")
            return
        for index, entry in zip(places, entries, strict=True):
            place = end.at(index + 1) if end is not None else None
            there = place.content_hash if place and place.length == index + 1 else None
            if there != sha256(entry.beside or b""):
                self.violated(node, f"entry {index} of {name} is not what was to be there")


class SignedDurably(Check):
    """What leaves is on the disk, and nothing that contradicts it has left before: but for who was
    put back, and forgot what it had signed.
    """

    name = "what owners and authors sign is durable, and never two things"
    guards = (
        "spec/sequencing.md 4: So no owner that keeps to this signs two Heads that can't both be"
        " continued; spec/sequencing.md 2.1: A number is used once;"
        " spec/sequencing.md 3.2: It is durable before it leaves"
    )
    watches: ClassVar[Facts] = (facts.SaidOfStreams,)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._said: dict[tuple[object, ...], bytes] = {}  # by node, stream, kind and place

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.SaidOfStreams)
        match fact.message:
            case q.Signature(stream, length, root):
                self._once(node, (stream, "signed", length), root)
                self._kept(node, _SIGNED + stream, length, stream)
            case q.Propose(first, _, head):
                self._once(node, (head.stream, "proposed", first), head.root)
                self._kept(node, _SIGNED + head.stream, head.length, head.stream)
            case q.Intent(_, header):
                number = header.author_seq
                self._once(node, (header.stream, "written", number), header.content_hash)
                self._kept(node, _WRITTEN + header.stream, number, header.stream)
            case _:
                pass

    def _once(self, node: int, place: tuple[object, ...], said: bytes) -> None:
        if self._said.setdefault((node, *place), said) != said and self.view.keeps_its_word(node):
            what = f"{place[1]} two things at {place[2]} of {self.view.name_stream(_id(place))}"
            self.violated(node, what)

    def _kept(self, node: int, key: bytes, least: int, stream: StreamId) -> None:
        record = self.view.honest[node].disk.get(key)
        row = unpack(record, "kept") if record is not None else (0,)
        assert isinstance(row, tuple)
        if row[0] < least:
            name = self.view.name_stream(stream)
            self.violated(node, f"what it signs of {name} at {least} is not durable")


def _id(place: tuple[object, ...]) -> StreamId:
    stream = place[0]
    assert isinstance(stream, bytes)
    return StreamId(stream)


SEQUENCING_CHECKS = (IntentsOnce, SignedDurably)
