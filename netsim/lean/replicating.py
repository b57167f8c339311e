"""The world of the Replicator: what `qbix_node.replication.service` is in the daemon."""

from collections.abc import Callable
from typing import TypeVar

from netsim.lean.histories import Shared
from netsim.lean.link import Hear, Link
from netsim.lean.process import Process
from netsim.lean.remote import Otherwise, Remote
from netsim.lean.runner import Runner
from netsim.lean.writer import Writer
from qbix_node import machines as m
from qbix_node.feeds.messages import Appended, Settled
from qbix_node.feeds.records import read_forked, read_heads
from qbix_node.net.limits import Limits
from qbix_node.replication.clocks import Clocks, read_clock_ages
from qbix_node.replication.following import Following, read_blocks, read_follows
from qbix_node.replication.machine import Replicator
from qbix_node.replication.messages import Granted, Hangup, PeerBlocked, SaveClocks
from qbix_node.wire.references import FeedId

T = TypeVar("T")

_feeds: dict[FeedId, FeedId] = {}  # as many as there are nodes in the largest run of this process


class Replicating:
    def __init__(
        self, process: Process, writer: Writer, limits: Limits, *, clocks_valid: bool
    ) -> None:
        self._process = process
        disk, clock = process.site.disk, process.site.clock
        now_s = clock.wall()
        self.machine = Replicator(
            process.site.keys,
            following=Following(process.site.feed, _shared(read_follows(disk)), read_blocks(disk)),
            heads=_shared(read_heads(disk)),
            forked=read_forked(disk),
            clocks=Clocks(0.0 if clocks_valid else now_s, read_clock_ages(disk)),
            epoch_s=now_s - process.now(),
        )
        self._runner = Runner(
            process, writer, self.machine, self, rng=process.site.rng("replication")
        )
        self._remotes: dict[m.PeerId, Remote] = {}
        self._shared = Shared(process, self._runner, self.machine, limits.unread_bytes_per_peer_max)
        self._saved: Callable[[], object] | None = None  # told when clocks are

    def ask(self, request: object) -> None:
        self._runner.post(m.Requested(request))

    def save_clocks(self, saved: Callable[[], object]) -> None:
        self._saved = saved
        self.ask(SaveClocks())

    # ---- links ----

    def begin(self, link: Link, otherwise: Otherwise) -> Hear:
        """Who is to hear what arrives: what is not for us is handed to `otherwise`."""
        remote = self._remotes[link.peer] = Remote(link, self._shared, otherwise)
        self._runner.post(m.Connected(link.peer, link.outgoing))
        return remote.hear

    def end(self, link: Link) -> None:
        del self._remotes[link.peer]
        self._runner.post(m.Disconnected(link.peer))

    # ---- the Replicator's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        if remote := self._remotes.get(to):
            self._process.said(to, message)
            remote.carry_out(message)

    def found(self, finding: object) -> None:
        match finding:
            case Settled(peer, settled):
                if remote := self._remotes.get(peer):
                    remote.settle(settled)
            case Appended(feed):
                for answer in self._shared.growth.pop(feed, ()):
                    answer.go_on()
            case Hangup(peer, reason):
                self._hang_up(peer, reason)
            case PeerBlocked(peer):
                self._hang_up(peer, "this peer is blocked here")
            case Granted(SaveClocks()) if self._saved:
                self._saved()
            case _:
                pass
        self._process.tell(finding)

    def _hang_up(self, peer: m.PeerId, reason: str) -> None:
        if remote := self._remotes.get(peer):
            remote.link.close(reason)


def _shared(by_feed: dict[FeedId, T]) -> dict[FeedId, T]:
    """With ids that all nodes have in common: what is the same is not compared byte by byte."""
    return {_feeds.setdefault(feed, feed): value for feed, value in by_feed.items()}
