"""Connections, and what a node spends on others."""

from typing import ClassVar

from netsim import facts
from netsim.asking import limits_of
from netsim.checks.check import Check, Facts, Report, View
from qbix_node.blobs import messages as b
from qbix_node.feeds import machine as feeds
from qbix_node.feeds.messages import Appended, Settled
from qbix_node.machines import PeerId
from qbix_node.replication.messages import Granted


class OneLink(Check):
    name = "one connection a peer"
    guards = (
        "spec/transport.md 6: One connection a peer … Between nodes that follow this, two dials"
        " that cross leave exactly one connection"
    )
    watches: ClassVar[Facts] = (
        facts.LinkUp,
        facts.LinkDown,
        facts.Crashed,
        facts.Stopped,
        facts.Started,
    )

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._up: dict[int, set[PeerId]] = {}

    def handle(self, node: int, fact: object) -> None:
        up = self._up.setdefault(node, set())
        match fact:
            case facts.LinkUp(peer):
                if peer in up:
                    self.violated(node, f"two connections to {self.view.name(peer)}")
                up.add(peer)
            case facts.LinkDown(peer):
                up.discard(peer)
            case _:
                up.clear()


class Bounded(Check):
    """Looked at once a second while something happens at the node."""

    name = "what peers can make grow stays within its limit"
    guards = (
        "spec/machines.md 3.6: It is bounded. State that strangers can make grow … has a limit;"
        " spec/classic-feeds.md 7: 1024 messages of a feed, and 8192 in all, wait at most;"
        " spec/transport.md 6: connections in all; spec/blobs.md 6: disk of blobs that are here by"
        " sympathy"
    )
    watches: ClassVar[Facts] = (Appended, Settled, Granted, facts.LinkUp, b.Arrived, facts.Healed)
    EVERY_S = 1.0

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._links, self._blobs = limits_of(view.world.plan)
        self._looked: dict[int, float] = {}

    def handle(self, node: int, fact: object) -> None:
        if self.view.now >= self._looked.get(node, -self.EVERY_S) + self.EVERY_S:
            self._looked[node] = self.view.now
            self._look(node)

    def finish(self) -> None:
        for node in self.view.honest:
            self._look(node)

    def _look(self, node: int) -> None:
        member = self.view.world.members.get(node)
        if member is None or not member.up:
            return
        load = member.load()
        wants_max = self._blobs.wants_max + self._blobs.own_wants_max
        for what, count, most in (
            ("messages wait", load.waiting_messages, feeds.WAITING_MAX),
            ("connections", load.connections, self._links.connections_max),
            ("wants", load.wants, wants_max),
            ("bytes by sympathy", load.sympathy_bytes, self._blobs.sympathy_bytes_max),
        ):
            if count > most:
                self.violated(node, f"{count} {what}, {most} are allowed")


class NoFailure(Check):
    name = "no failure of the node itself"
    guards = (
        "ARCHITECTURE.md Invariants worth knowing: an exception that is neither RemoteError nor"
        " LocalError is a bug and ends the process"
    )
    watches: ClassVar[Facts] = (facts.Failed,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.Failed)
        self.violated(node, fact.what)


LINK_CHECKS = (OneLink, Bounded, NoFailure)
