"""One identity of a byzantine role, on the lean wire: what netsim.roles.role promises to a face."""

import math
from functools import partial

from netsim import facts
from netsim.fabric import End
from netsim.lean.handshake import Shake
from netsim.lean.link import Link
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from netsim.lean.spoken import Spoken
from netsim.lean.writer import Writer
from netsim.roles import Dial, Face
from qbix_node import machines as m
from qbix_node.replication.messages import Hangup

PATIENCE_S = 5.0  # for a handshake


class FaceHost:
    """In one life of its node."""

    def __init__(self, process: Process, writer: Writer, face: Face) -> None:
        self._process = process
        self._face = face
        self._runner = Runner(process, writer, face.machine, self, rng=process.site.rng("role"))
        self._talks: dict[m.PeerId, Spoken] = {}

    def start(self) -> None:
        for dial in self._face.dials:
            self._process.later(dial.after_s, self._dial, dial)

    def ask(self, request: object) -> None:
        self._runner.post(m.Requested(request))

    def end(self) -> None:
        """Of this life, not of the machine: it is told that everybody has gone."""
        for peer in self._talks:
            self._runner.take(m.Disconnected(peer))

    # ---- connections ----

    def accept(self, end: End) -> None:
        def proven(peer: m.PeerId) -> None:
            shake.accept()
            self._link_up(end, peer, None)

        shake = Shake(
            end, self._face.peer, partial(self._process.enter, proven), lambda reason: None
        )

    def _dial(self, dial: Dial) -> None:
        if self._process.loop.now > dial.until_s:
            return

        def opened(end: End | None, why: str) -> None:
            if end is None:
                self._process.enter(self._dial_again, dial)
            elif self._process.over:
                end.reset()
            else:
                self._process.enter(self._shake_hands, end, dial)

        self._process.world.fabric.dial(self._process.number, dial.node, opened)

    def _shake_hands(self, end: End, dial: Dial) -> None:
        def failed(reason: str) -> None:
            self._process.enter(self._dial_again, dial)

        def proven(peer: m.PeerId) -> None:
            self._link_up(end, peer, dial)

        to = self._process.world.sites[dial.node].peer
        Shake(end, self._face.peer, partial(self._process.enter, proven), failed, to=to).begin()

    def _dial_again(self, dial: Dial) -> None:
        self._process.later(dial.again_s, self._dial, dial)

    def _link_up(self, end: End, peer: m.PeerId, dial: Dial | None) -> None:
        if earlier := self._talks.get(peer):
            earlier.link.close("replaced by another connection to the same peer")

        def ended(link: Link, reason: str) -> None:
            del self._talks[peer]
            self._runner.post(m.Disconnected(peer))
            if dial is not None:
                self._dial_again(dial)

        outgoing = dial is not None
        link = Link(self._process, end, peer, outgoing=outgoing, ended=ended)
        self._talks[peer] = talk = Spoken(link, streams=self._face.streams)
        link.hear = partial(self._hear, talk)
        if self._face.reads_bytes_s < math.inf:
            link.read(self._face.reads_bytes_s)
        self._runner.post(m.Connected(peer, outgoing))

    # ---- what is heard and said ----

    def _hear(self, talk: Spoken, message: object, size: int) -> None:
        heard = talk.hear(message)
        if heard is not None:
            self._runner.post(m.Received(talk.link.peer, heard))

    def send(self, to: m.PeerId, message: object) -> None:
        if talk := self._talks.get(to):
            talk.say(message)

    def found(self, finding: object) -> None:
        match finding:
            case facts.Misdeed():
                self._process.tell(finding)
            case Hangup(peer, reason) if talk := self._talks.get(peer):
                talk.link.close(reason)
            case _:
                pass
