"""The world of the Gossiper: what `qbix_node.gossip.service` is in the daemon."""

from netsim import messages as n
from netsim.lean.link import Link
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from netsim.lean.streaming import Streaming
from netsim.lean.writer import Writer
from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.machine import Gossiper
from qbix_node.replication.streams.messages import FormatCall, PeerHolds
from qbix_node.streams.messages import HeadContradicts, OfferedSegment
from qbix_node.streams.resolution import read_forks, read_resolutions


class Gossiping:
    def __init__(self, process: Process, writer: Writer) -> None:
        self._process = process
        self.streaming = Streaming(process, writer, self._hear)
        machine = self.streaming.machine
        disk, followed = process.site.disk, machine.choice.followed
        kept = read_forks(disk), read_resolutions(disk)
        self.machine = Gossiper(machine.book.geneses, machine.book.logs, *kept, followed)
        self._runner = Runner(process, writer, self.machine, self, rng=process.site.rng("gossip"))
        self._talks: dict[m.PeerId, Link] = {}

    # ---- links ----

    def begin(self, link: Link) -> None:
        self.streaming.begin(link)
        if link.outgoing:
            link.say(n.HeadsCall())
            self._converse(link)

    def hear(self, link: Link, message: object) -> None:
        """One of netsim.messages.OF_STREAMS."""
        match message:
            case n.HeadsCall():
                if link.outgoing or link.peer in self._talks:
                    link.close("qbix.heads is called by the side that dialled, and once")
                else:
                    self._converse(link)
            case n.HeadsEnded():
                self._leave(link)
            case FormatCall() | n.StreamNotes() | n.StreamsEnded() | OfferedSegment():
                self.streaming.hear(link, message)
            case _ if link.peer in self._talks:
                self._runner.post(m.Received(link.peer, message))
            case _:
                pass  # of a conversation that is over

    def end(self, link: Link) -> None:
        self._leave(link)
        self.streaming.end(link)

    def _converse(self, link: Link) -> None:
        peer = link.peer
        self._talks[peer] = link
        self._runner.post(m.Connected(peer, link.outgoing))
        if held := self.streaming.machine.held_by(peer):  # what it announced before
            self._runner.post(m.Requested(g.Announced(peer, tuple(held), ())))

    def _leave(self, link: Link) -> None:
        if self._talks.pop(link.peer, None):
            self._runner.post(m.Disconnected(link.peer))

    # ---- what replication finds ----

    def _hear(self, finding: object) -> None:
        match finding:
            case PeerHolds(peer, streams):
                here = tuple([stream for stream, holds in streams.items() if holds])
                gone = tuple([stream for stream, holds in streams.items() if not holds])
                self._runner.post(m.Requested(g.Announced(peer, here, gone)))
            case HeadContradicts(peer, signed):
                self._runner.post(m.Requested(g.Contradiction(peer, signed)))
            case _:
                pass

    # ---- the Gossiper's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        if link := self._talks.get(to):
            self._process.said_of_streams(to, message)
            link.say(message)

    def found(self, finding: object) -> None:
        if isinstance(finding, g.ForkProven):
            self.streaming.stop(finding.fork.stream)
        self._process.tell(finding)
