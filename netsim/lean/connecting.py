"""The world of the ConnectionKeeper: dials, handshakes and links, as `qbix_node.net.service` has
them. There is never more than one link for a peer at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from netsim import facts
from netsim.fabric import End
from netsim.lean.handshake import Shake
from netsim.lean.link import Link
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from netsim.lean.writer import Writer
from netsim.site import host_of, number_at
from qbix_node import machines as m
from qbix_node.net import messages as k
from qbix_node.net.address import Address
from qbix_node.net.limits import Limits
from qbix_node.net.machine import ConnectionKeeper
from qbix_node.net.records import read_peers


class Parts(Protocol):
    """What runs over links."""

    def begin(self, link: Link) -> None:
        """It sets `link.hear`."""
        ...

    def end(self, link: Link) -> None: ...


@dataclass(slots=True, eq=False)
class _Attempt:
    """One connection on its way to be a link, and the link that it becomes."""

    id: k.LinkId
    end: End | None = None
    link: Link | None = None
    over: bool = False
    proceed: Callable[[], object] | None = None  # once the keeper says so


class Connecting:
    def __init__(self, process: Process, writer: Writer, limits: Limits, parts: Parts) -> None:
        self._process = process
        self._limits = limits
        self._parts = parts
        self._own = process.site.peer
        self._numbers = count(1)
        self._attempts: dict[k.LinkId, _Attempt] = {}
        self.links: dict[m.PeerId, Link] = {}
        self.keeper = ConnectionKeeper(self._own, limits, *read_peers(process.site.disk))
        self._runner = Runner(
            process, writer, self.keeper, self, rng=process.site.rng("connections")
        )

    def start(self) -> None:
        fabric, number = self._process.world.fabric, self._process.number
        fabric.listen(number, lambda end: self._process.enter(self._accept, end))
        self.ask(k.Start())

    def ask(self, question: object) -> None:
        self._runner.post(m.Requested(question))

    def wish(self, make: Callable[[int], object]) -> None:
        """Something that a person asks; `make` gives it its number."""
        self.ask(make(next(self._numbers)))

    def close(self, reason: str) -> None:
        """Say goodbye to everybody."""
        for attempt in list(self._attempts.values()):
            self._hang_up(attempt, reason)

    # ---- the keeper's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        raise AssertionError("the keeper sends no messages")

    def found(self, finding: object) -> None:
        self._process.tell(finding)
        match finding:
            case k.Dial(link, address):
                self._dial(link, address)
            case k.Proceed(link) if attempt := self._attempts.get(link):
                if proceed := attempt.proceed:
                    attempt.proceed = None
                    proceed()
            case k.Hangup(link, reason) if attempt := self._attempts.get(link):
                self._hang_up(attempt, reason)
            case _:
                pass  # an attempt that has ended; what became of a wish

    # ---- connections ----

    def _accept(self, end: End) -> None:
        attempt = _Attempt(k.LinkId(outgoing=False, number=next(self._numbers)), end)
        self._attempts[attempt.id] = attempt

        def proven(peer: m.PeerId) -> None:
            self._ask(attempt, k.Proven(attempt.id, peer), lambda: accept(peer))

        def accept(peer: m.PeerId) -> None:
            shake.accept()
            self._link_up(attempt, peer)

        def begin() -> None:
            self._process.later(self._limits.handshake_patience_s, self._lose_patience, attempt)

        shake = Shake(end, self._own, self._entered(proven), self._failing(attempt))
        self._ask(attempt, k.Arrived(attempt.id, host_of(end.other)), begin)

    def _dial(self, link: k.LinkId, address: Address) -> None:
        attempt = self._attempts[link] = _Attempt(link)

        def opened(end: End | None, why: str) -> None:
            if end is None:
                self._process.enter(self._lose, attempt, why)
            elif attempt.over or self._process.over:
                end.reset("nobody waits for it any more")
            else:
                attempt.end = end
                self._process.enter(self._shake_hands, attempt, end, address.key)

        number = self._process.number
        self._process.world.fabric.dial(number, number_at(address.host), opened)
        self._process.later(self._limits.dial_patience_s, self._lose_patience_dialling, attempt)

    def _shake_hands(self, attempt: _Attempt, end: End, peer: m.PeerId) -> None:
        def proven(peer: m.PeerId) -> None:
            proven_to = k.Proven(attempt.id, peer)
            self._ask(attempt, proven_to, lambda: self._link_up(attempt, peer))

        def begin() -> None:
            shake.begin()
            self._process.later(self._limits.handshake_patience_s, self._lose_patience, attempt)

        shake = Shake(end, self._own, self._entered(proven), self._failing(attempt), to=peer)
        self._ask(attempt, k.Reached(attempt.id), begin)

    def _entered(self, proven: Callable[[m.PeerId], None]) -> Callable[[m.PeerId], None]:
        return lambda peer: self._process.enter(proven, peer)

    def _failing(self, attempt: _Attempt) -> Callable[[str], None]:
        return lambda reason: self._process.enter(self._lose, attempt, reason)

    def _ask(self, attempt: _Attempt, question: object, then: Callable[[], object]) -> None:
        """Go on only if the keeper says so."""
        attempt.proceed = then
        self.ask(question)

    def _link_up(self, attempt: _Attempt, peer: m.PeerId) -> None:
        assert attempt.end is not None
        outgoing = attempt.id.outgoing
        attempt.link = self.links[peer] = Link(
            self._process,
            attempt.end,
            peer,
            outgoing=outgoing,
            ended=lambda link, reason: self._link_down(attempt, link, reason),
        )
        self._process.tell(facts.LinkUp(peer, outgoing))
        self._parts.begin(attempt.link)

    def _link_down(self, attempt: _Attempt, link: Link, reason: str) -> None:
        if self.links.get(link.peer) is link:
            del self.links[link.peer]
        self._parts.end(link)
        self._process.tell(facts.LinkDown(link.peer, reason))
        self._forget(attempt)

    # ---- the end of an attempt ----

    def _lose_patience_dialling(self, attempt: _Attempt) -> None:
        if attempt.end is None:
            self._lose(attempt, "too slow")

    def _lose_patience(self, attempt: _Attempt) -> None:
        if attempt.link is None:
            self._hang_up(attempt, "too slow")

    def _hang_up(self, attempt: _Attempt, reason: str) -> None:
        if attempt.link is not None:
            attempt.link.close(reason)
        elif not attempt.over:
            if attempt.end is not None:
                attempt.end.close()
            self._forget(attempt)

    def _lose(self, attempt: _Attempt, reason: str) -> None:
        if not attempt.over:
            self._forget(attempt)

    def _forget(self, attempt: _Attempt) -> None:
        attempt.over = True
        attempt.proceed = None
        del self._attempts[attempt.id]
        self.ask(k.Gone(attempt.id))
