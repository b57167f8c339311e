"""An honest node that changes what it says, and strikes now and then."""

from collections.abc import Callable, Iterable, Sequence

from netsim import facts
from netsim.plan import Do, Operation
from netsim.roles.puppet import Puppet
from netsim.roles.role import Face, Role, Stage
from qbix_node import machines as m

_STRIKE = "strike"

Deed = Callable[[m.PeerId, m.Rng], Iterable[m.Effect]]  # what is done to one peer


class Scheme:
    """Honest: programs change what they need.

    `deeds` are done to every peer in turn, one each `every_s`; with an amount of k in the node's
    plan only the kth; and when Do.ACT asks for one by its number (from 0).
    """

    every_s = 1.0

    def __init__(self, stage: Stage, puppet: Puppet) -> None:
        self.stage = stage
        self.puppet = puppet
        self.own = stage.site.feed
        self.deeds: Sequence[Deed] = ()

    def hear(self, event: m.Event) -> Iterable[m.Effect]:
        """What happens, before the honest part is told."""
        del event
        return ()

    def change(self, send: m.Send) -> Iterable[m.Effect]:
        """What leaves instead of what the honest part says."""
        return (send,)


MakeScheme = Callable[[Stage, Puppet], Scheme]


class Schemer:
    def __init__(self, stage: Stage, make: MakeScheme) -> None:
        self._puppet = Puppet(stage)
        self._scheme = make(stage, self._puppet)
        self._only = int(stage.amount)  # of the deeds; 0: all
        self._peers: dict[m.PeerId, None] = {}
        self._strikes = 0

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        effects: list[m.Effect] = []
        match event:
            case m.Connected(peer):
                if not self._peers:
                    effects.append(m.SetTimer(_STRIKE, now + self._scheme.every_s))
                self._peers[peer] = None
            case m.Disconnected(peer):
                self._peers.pop(peer, None)
            case m.TimerFired(name) if name == _STRIKE:
                return self._strike(now, rng)
            case m.Requested(Operation(do=Do.ACT, number=number)):
                return tuple(self._do(number, rng))
            case _:
                pass
        effects += self._scheme.hear(event)
        for effect in self._puppet.handle(event, now, rng):
            effects += self._scheme.change(effect) if isinstance(effect, m.Send) else (effect,)
        return tuple(effects)

    def _strike(self, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        """Stops when nobody is there: who comes next sets the timer again."""
        if not self._peers:
            return ()
        place = self._only - 1 if self._only else self._strikes
        self._strikes += 1
        return (*self._do(place, rng), m.SetTimer(_STRIKE, now + self._scheme.every_s))

    def _do(self, place: int, rng: m.Rng) -> Iterable[m.Effect]:
        if not self._scheme.deeds:
            return
        deed = self._scheme.deeds[place % len(self._scheme.deeds)]
        for peer in list(self._peers):
            done = tuple(deed(peer, rng))
            yield from done
            if done:
                yield m.Emit(misdeed(deed, peer))


def misdeed(deed: Deed, peer: m.PeerId) -> facts.Misdeed:
    """Named as the function that does it."""
    return facts.Misdeed(getattr(deed, "__name__", "struck"), peer)


def scheming(stage: Stage, make: MakeScheme, *, reads_bytes_s: float | None = None) -> Role:
    """A role of one face."""
    face = Face(stage.site.keys, Schemer(stage, make), stage.dials())
    if reads_bytes_s is not None:
        face = Face(face.keys, face.machine, face.dials, reads_bytes_s)
    return Role((face,))
