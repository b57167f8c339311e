"""What a node keeps of feeds: whole, valid, durable, and only ever longer."""

import math
from typing import ClassVar

from netsim import facts
from netsim.checks.check import Check, Facts, Report, View
from netsim.checks.logs import Changed, Lost, Stored, Undurable, Uneven
from netsim.checks.messages import judge


class AppendOnly(Check):
    name = "logs only grow"
    guards = (
        "spec/classic-feeds.md 4: Each other has the sequence of the message before plus 1, and its"
        " previous is the id of that message."
    )
    watches: ClassVar[Facts] = (Changed,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, Changed)
        self.violated(node, f"feed of {self.view.name(fact.feed)} at {fact.sequence}: {fact.how}")


class ValidMessages(Check):
    """Judged apart from the product's own validation."""

    name = "stored messages are valid"
    guards = "spec/classic-feeds.md 4: Every message's own signature is checked, also in long runs."
    watches: ClassVar[Facts] = (Stored,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, Stored)
        verdict = judge(fact.text)
        fault = verdict.fault
        if not fault and verdict.author != fact.feed:
            fault = "it is of another author"
        elif not fault and verdict.sequence != fact.sequence:
            fault = f"it says to be message {verdict.sequence}"
        elif not fault and verdict.id != fact.id:
            fault = "its id is not the hash of its text"
        elif not fault and verdict.previous != fact.before:
            fault = "it does not follow the message before"
        if fault:
            name = self.view.name(fact.feed)
            self.violated(node, f"message {fact.sequence} of the feed of {name}: {fault}")


class WholeBatches(Check):
    name = "a batch is there as a whole or not at all"
    guards = "spec/storage.md 1.2: After a crash a batch is there as a whole or not at all."
    watches: ClassVar[Facts] = (Uneven,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, Uneven)
        self.violated(node, f"feed of {self.view.name(fact.feed)}: {fact.how}")


class DurableWhenSaid(Check):
    name = "nothing is said to be here before it is durable"
    guards = (
        "spec/classic-feeds.md 7: Nobody is told that a message is here before it is durable; a"
        " message that we write counts as published then, too."
    )
    watches: ClassVar[Facts] = (Undurable,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, Undurable)
        name = self.view.name(fact.feed)
        self.violated(node, f"message {fact.sequence} of the feed of {name} is not on the disk")


class AcknowledgedSurvives(Check):
    name = "what was acknowledged survives"
    guards = "spec/storage.md 1.1: It survives a killed process and a cut of power"
    watches: ClassVar[Facts] = (Lost,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, Lost)
        name = self.view.name(fact.feed)
        self.violated(node, f"the feed of {name} ends at {fact.sequence} after the start")


class HonestAuthors(Check):
    """A message of an honest author is on the author's disk before anybody else has it, and there
    is one of each sequence; a disk that was rolled back had it before.
    """

    name = "honest authors never fork"
    guards = (
        "spec/classic-feeds.md 5: A node therefore writes nothing while peers offer messages of its"
        " own feed that its store lacks."
    )
    watches: ClassVar[Facts] = (Stored, facts.Started)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._written: dict[tuple[bytes, int], bytes] = {}

    def handle(self, node: int, fact: object) -> None:
        if not isinstance(fact, Stored) or (author := self.view.author(fact.feed)) is None:
            return
        place = fact.feed, fact.sequence
        if place not in self._written:
            key = b"f/m" + fact.feed + fact.sequence.to_bytes(8, "big")
            record = author.disk.get(key)
            if record is None:
                what = f"it has message {fact.sequence} of node {author.number}, which lacks it"
                self.violated(node, what)
                return
            self._written[place] = record[:32]
        if self._written[place] != fact.id:
            what = f"message {fact.sequence} of node {author.number} is not what it wrote first"
            self.violated(node, what)


class StampsAscend(Check):
    """Of what a node writes in one life, whatever its wall clock does; not of what it wrote in
    another one and gets back from peers.
    """

    name = "timestamps ascend"
    guards = "spec/classic-feeds.md 5: While a node runs, its timestamps ascend strictly"
    watches: ClassVar[Facts] = (Stored, facts.Started)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._last: dict[int, float] = {}
        self._seen: set[bytes] = set()  # ids

    def handle(self, node: int, fact: object) -> None:
        if not isinstance(fact, Stored):
            self._last.pop(node, None)
        elif fact.feed == self.view.honest[node].feed and fact.id not in self._seen:
            self._seen.add(fact.id)
            stamp = judge(fact.text).timestamp
            if stamp <= self._last.get(node, -math.inf):
                self.violated(node, f"message {fact.sequence} is not later than the one before")
            self._last[node] = stamp


LOG_CHECKS = (
    AppendOnly,
    ValidMessages,
    WholeBatches,
    DurableWhenSaid,
    AcknowledgedSurvives,
    HonestAuthors,
    StampsAscend,
)
