"""Hosts one identity of a byzantine program: dials, and lets in whoever comes (roles/role.py)."""

from collections.abc import Callable, Mapping

import trio

from netsim import facts
from netsim.chance import Draws
from netsim.full.shaking import FAILURES, SlowReader, shake_as_client, shake_as_server
from netsim.full.talk import NO_LIMITS, Talk
from netsim.full.wires import Wires
from netsim.roles import Dial, Face
from netsim.site import Site
from qbix_node import machines as m
from qbix_node.net.handshake import SessionKeys
from qbix_node.net.link import Link
from qbix_node.replication.messages import Hangup
from qbix_node.runtime.timers import Timers


class FaceHost:
    """One life of a face. `tell` is told facts about its node."""

    def __init__(
        self,
        face: Face,
        site: Site,
        sites: Mapping[int, Site],
        wires: Wires,
        *,
        entropy: Draws,
        rng: Draws,
        tell: Callable[[object], None],
    ) -> None:
        self._face = face
        self._site = site
        self._sites = sites
        self._wires = wires
        self._entropy = entropy
        self._rng = rng
        self._tell = tell
        self._talks: dict[m.PeerId, Talk] = {}
        self._timers = Timers()
        self._alarm = trio.CancelScope()

    @property
    def connections(self) -> int:
        return len(self._talks)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fire_timers)
            for dial in self._face.dials:
                nursery.start_soon(self._keep_dialling, dial)

    async def accept(self, stream: trio.abc.Stream, host: str) -> None:
        try:
            session = await shake_as_server(stream, self._face.keys, self._entropy)
            await self._live(stream, session, address=host, outgoing=False)
        except FAILURES:
            await trio.aclose_forcefully(stream)

    def handle(self, event: m.Event) -> None:
        for effect in self._face.machine.handle(event, trio.current_time(), self._rng):
            self._carry_out(effect)

    def forget(self) -> None:
        """The process has ended."""
        peers, self._talks = list(self._talks), {}
        for peer in peers:
            self.handle(m.Disconnected(peer))

    def _carry_out(self, effect: m.Effect) -> None:
        match effect:
            case m.Send(to, message) if to in self._talks:
                self._talks[to].say(message)
            case m.SetTimer(name, at):
                self._timers.set(name, at)
                self._alarm.deadline = self._timers.next_at()
            case m.Emit(facts.Misdeed() as misdeed):
                self._tell(misdeed)
            case m.Emit(Hangup(peer, reason)) if peer in self._talks:
                self._talks[peer].link.close(reason)
            case m.Send() | m.Emit():
                pass
            case _:
                raise AssertionError(f"nothing that a role may ask for: {effect}")

    async def _fire_timers(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._timers.next_at()) as self._alarm:
                await trio.sleep_forever()
            for name in self._timers.due(trio.current_time()):
                self.handle(m.TimerFired(name))

    async def _keep_dialling(self, dial: Dial) -> None:
        await trio.sleep(dial.after_s)
        address = self._sites[dial.node].address
        while trio.current_time() < dial.until_s:
            try:
                stream = await self._wires.dial(address.host, address.port)
                async with stream:
                    session = await shake_as_client(
                        stream, self._face.keys, address.key, self._entropy
                    )
                    await self._live(stream, session, address=str(address), outgoing=True)
            except FAILURES:
                pass
            await trio.sleep(dial.again_s)

    async def _live(
        self, stream: trio.abc.Stream, session: SessionKeys, *, address: str, outgoing: bool
    ) -> None:
        peer = session.peer
        talk = Talk(
            lambda message: self._heard(talk, message),
            self._site.clock.wall,
            streams=self._face.streams,
        )
        slow = SlowReader(stream, self._face.reads_bytes_s)
        talk.link = Link(
            slow, session, talk.methods(), NO_LIMITS, outgoing=outgoing, address=address
        )
        self._replace(peer, talk)
        self._tell(facts.LinkUp(peer, outgoing))
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(talk.run)
                await talk.link.run()
                nursery.cancel_scope.cancel()
        finally:
            self._tell(facts.LinkDown(peer, talk.link.closed_because or ""))
            if self._talks.get(peer) is talk:
                del self._talks[peer]
                self.handle(m.Disconnected(peer))

    def _replace(self, peer: m.PeerId, talk: Talk) -> None:
        if (earlier := self._talks.get(peer)) is not None:
            self.handle(m.Disconnected(peer))
            earlier.link.close("replaced by another connection to the same peer")
        self._talks[peer] = talk
        self.handle(m.Connected(peer, talk.link.outgoing))

    def _heard(self, talk: Talk, message: object) -> None:
        if self._talks.get(talk.link.peer) is talk:
            self.handle(m.Received(talk.link.peer, message))
