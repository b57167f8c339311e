"""The world of the Gossiper: what `qbix_node.gossip.service` is in the daemon."""

from itertools import count

from netsim import messages as n
from netsim.lean.link import Link
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from netsim.lean.streaming import Streaming
from netsim.lean.writer import Writer
from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.machine import Gossiper
from qbix_node.gossip.own import OwnStreams
from qbix_node.net.records import read_peers
from qbix_node.replication.clocks import has_clocks
from qbix_node.replication.streams.contents import messages as c
from qbix_node.replication.streams.messages import FormatCall, PeerHolds
from qbix_node.streams.caution import Doubted, ShownAhead, Trusted
from qbix_node.streams.line import HeadReplaced
from qbix_node.streams.messages import Grown, HeadContradicts, OfferedSegment
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.resolution import Resolution, read_forks, read_resolutions
from qbix_node.wire.references import StreamId


class Gossiping:
    def __init__(self, process: Process, writer: Writer, *, clean: bool) -> None:
        self._process = process
        self.streaming = Streaming(process, writer, self._hear, clean=clean)
        machine = self.streaming.machine
        disk, followed = process.site.disk, machine.choice.followed
        kept = read_forks(disk), read_resolutions(disk)
        self.machine = Gossiper(machine.book.geneses, machine.book.logs, *kept, followed)
        self._runner = Runner(process, writer, self.machine, self, rng=process.site.rng("gossip"))
        book, rng = machine.book, process.site.rng("gossip")
        key = AuthorId(process.site.keys.public)
        own = OwnStreams(book.geneses, book.logs, key, book.caution)
        self._own = Runner(process, writer, own, self, rng=rng)
        self._talks: dict[m.PeerId, Link] = {}
        self._numbers = count(1)

    def start(self) -> None:
        self.streaming.start()
        self._own.post(m.Requested(g.Started(alone=self._knows_nobody())))

    def _knows_nobody(self) -> bool:
        disk = self._process.site.disk
        reachable = self._process.world.plan.lan or has_clocks(disk)
        return not reachable and not read_peers(disk)[0]

    def _post(self, event: m.Event) -> None:
        self._runner.post(event)
        self._own.post(event)

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
            case c.ContentChoice():
                self.streaming.hear(link, message)
            case c.WantContents() | c.Contents() | c.NoContents():
                self.streaming.contents.hear(link, message)
            case _ if link.peer in self._talks:
                self._post(m.Received(link.peer, message))
            case _:
                pass  # of a conversation that is over

    def end(self, link: Link) -> None:
        self._leave(link)
        self.streaming.end(link)

    def _converse(self, link: Link) -> None:
        peer = link.peer
        self._talks[peer] = link
        self._post(m.Connected(peer, link.outgoing))
        machine = self.streaming.machine
        if held := [*machine.held_by(peer), *machine.named_by(peer)]:  # what it announced before
            self._post(m.Requested(g.Announced(peer, tuple(held), ())))

    def _leave(self, link: Link) -> None:
        if self._talks.pop(link.peer, None):
            self._post(m.Disconnected(link.peer))

    # ---- what replication finds ----

    def _hear(self, finding: object) -> None:
        match finding:
            case PeerHolds(peer, streams):
                here = tuple([stream for stream, holds in streams.items() if holds])
                gone = tuple([stream for stream, holds in streams.items() if not holds])
                self._post(m.Requested(g.Announced(peer, here, gone)))
            case HeadContradicts(peer, signed):
                self._runner.post(m.Requested(g.Contradiction(peer, signed)))
            case HeadReplaced(before):
                self._runner.post(m.Requested(g.Replaced(before)))
            case Grown(stream, 0, _, source) if source is not None:
                self._own.post(m.Requested(g.Came(stream)))
            case _:
                pass

    def _stop_or_go_on(self, stream: StreamId) -> None:
        resolution = self.machine.resolution(stream)
        if reason := self.machine.stopped(stream):
            self.streaming.stop(stream, reason)
            self._own.post(m.Requested(g.DoubtEnded(stream)))
        elif resolution is not None:
            self.streaming.resolve(resolution)
            self._own.post(m.Requested(g.BranchChosen(stream)))

    def submit(self, resolution: Resolution) -> None:
        """The choice of the people here."""
        self._runner.post(m.Requested(g.Submitted(next(self._numbers), resolution)))

    # ---- the Gossiper's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        if link := self._talks.get(to):
            self._process.said_of_streams(to, message)
            link.say(message)

    def found(self, finding: object) -> None:
        match finding:
            case g.ForkProven(fork):
                self._stop_or_go_on(fork.stream)
            case g.ForkResolved(resolution):
                self._stop_or_go_on(resolution.stream)
            case Doubted() | Trusted() | ShownAhead():
                self.streaming.heed(finding)
            case _:
                pass
        self._process.tell(finding)
