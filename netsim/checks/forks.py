"""Forks: who forked is convicted for good, who did not never is."""

from typing import ClassVar

from netsim import facts
from netsim.checks.check import Check, Facts, Report, View
from netsim.checks.messages import judge
from qbix_node.errors import QbixError
from qbix_node.feeds.messages import Appended, ForkFound
from qbix_node.feeds.records import read_evidence, read_forked
from qbix_node.wire.references import FeedId


class NoFalseConviction(Check):
    name = "no honest author is convicted"
    guards = (
        "spec/classic-feeds.md 8: Two valid messages with the same author and sequence and"
        " different ids are evidence that the author forked the feed"
    )
    watches: ClassVar[Facts] = (ForkFound,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, ForkFound)
        if (author := self.view.author(fact.feed)) is not None:
            self.violated(node, f"it holds node {author.number} guilty at {fact.sequence}")


class EvidenceStands(Check):
    """And it stays: at every start, and at the end."""

    name = "evidence stands alone and survives"
    guards = (
        "spec/classic-feeds.md 8: whoever holds both can check it without anything else … both are"
        " stored (f/x), one pair a feed"
    )
    watches: ClassVar[Facts] = (ForkFound, facts.RolledBack, facts.Started)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._found: dict[int, dict[FeedId, bytes | None]] = {}  # the records
        self._put_back: set[int] = set()

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case ForkFound(feed):
                found = self._found.setdefault(node, {})
                found.setdefault(feed, self._record(node, feed))
                self._look(node, feed)
            case facts.RolledBack():
                self._put_back.add(node)
            case facts.Started():
                if node in self._put_back:
                    self._put_back.discard(node)
                    forked = sorted(read_forked(self.view.honest[node].disk))
                    self._found[node] = {feed: self._record(node, feed) for feed in forked}
                self._look_at_all(node)
            case _:
                pass

    def finish(self) -> None:
        for node in self._found:
            self._look_at_all(node)

    def _look_at_all(self, node: int) -> None:
        if node not in self._put_back:
            for feed in self._found.get(node, ()):
                self._look(node, feed)

    def _look(self, node: int, feed: FeedId) -> None:
        if fault := self._fault(node, feed):
            self.violated(node, f"evidence against {self.view.name(feed)}: {fault}")

    def _record(self, node: int, feed: FeedId) -> bytes | None:
        return self.view.honest[node].disk.get(b"f/x" + feed)

    def _fault(self, node: int, feed: FeedId) -> str:
        try:
            evidence = read_evidence(self.view.honest[node].disk, feed)
        except QbixError as error:
            return str(error)
        if evidence is None:
            return "it is gone"
        if self._record(node, feed) != self._found[node][feed]:
            return "it was replaced by other evidence"
        ours, theirs = [judge(side.encoded.encode()) for side in (evidence.ours, evidence.theirs)]
        if fault := ours.fault or theirs.fault:
            return fault
        if not feed == ours.author == theirs.author or ours.sequence != theirs.sequence:
            return "the two messages are not for one place"
        return "it is twice the same message" if ours.id == theirs.id else ""


class NothingAfterFork(Check):
    name = "nothing is appended to a forked feed"
    guards = (
        "spec/classic-feeds.md 8: the branch that was here first is kept, and nothing is appended"
        " to the feed any more"
    )
    watches: ClassVar[Facts] = (ForkFound, Appended, facts.RolledBack, facts.Started)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._forked: dict[int, set[FeedId]] = {}

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case ForkFound(feed):
                self._forked.setdefault(node, set()).add(feed)
            case facts.RolledBack():
                self._forked.pop(node, None)
            case facts.Started():
                self._forked[node] = read_forked(self.view.honest[node].disk)
            case Appended(feed, first) if feed in self._forked.get(node, ()):
                self.violated(node, f"message {first} of the forked feed of {self.view.name(feed)}")
            case _:
                pass


FORK_CHECKS = (NoFalseConviction, EvidenceStands, NothingAfterFork)
