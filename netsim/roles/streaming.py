"""An owner of streams that is honest but for what its scheme changes, and strikes each second."""

from collections.abc import Callable, Iterable, Sequence

from netsim.messages import OF_STREAMS
from netsim.plan import Do, Operation
from netsim.roles.owning import TICK, Owner, next_tick
from netsim.roles.puppet import Puppet
from netsim.roles.role import Face, Role, Stage
from netsim.roles.schemer import Deed, misdeed
from qbix_node import machines as m


class StreamScheme:
    """`deeds` are done to every peer in turn, one each second; with an amount of k in the node's
    plan only the kth; and when Do.ACT asks for one by its number (from 0).
    """

    def __init__(self, stage: Stage, owner: Owner) -> None:
        self.stage = stage
        self.owner = owner
        self.deeds: Sequence[Deed] = ()

    def change(self, send: m.Send) -> Iterable[m.Effect]:
        """What leaves instead of what the honest part says of streams."""
        return (send,)


class StreamSchemer:
    def __init__(self, stage: Stage, make: Callable[[Stage, Owner], StreamScheme]) -> None:
        self._puppet = Puppet(stage)
        self._owner = Owner(stage.site.keys, stage.site.number)
        self._scheme = make(stage, self._owner)
        self._only = int(stage.amount)
        self._peers: dict[m.PeerId, None] = {}
        self._strikes = 0

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        side = self._owner.side
        match event:
            case m.Connected(peer):
                begin = () if self._peers else (next_tick(now),)
                self._peers[peer] = None
                told = self._changed(side.handle(event, now, rng))
                return (*begin, *self._puppet.handle(event, now, rng), *told)
            case m.Disconnected(peer):
                self._peers.pop(peer, None)
                told = self._changed(side.handle(event, now, rng))
                return (*self._puppet.handle(event, now, rng), *told)
            case m.Received(_, message) if type(message) in OF_STREAMS:
                return self._changed(side.handle(event, now, rng))
            case m.TimerFired(name) if name == TICK:
                return self._tick(now, rng)
            case m.TimerFired(name) if name.startswith("streams|"):
                fired = m.TimerFired(name.removeprefix("streams|"))
                return self._changed(side.handle(fired, now, rng))
            case m.Requested(Operation(do=Do.ACT, number=number)):
                return self._strike(number, rng)
            case _:
                return self._puppet.handle(event, now, rng)

    def _tick(self, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        said = self._changed(self._owner.catch_up(now, rng))
        if not self._peers:
            return said
        place = self._only - 1 if self._only else self._strikes
        self._strikes += 1
        return (*said, *self._strike(place, rng), next_tick(now))

    def _strike(self, place: int, rng: m.Rng) -> tuple[m.Effect, ...]:
        deeds, effects = self._scheme.deeds, list[m.Effect]()
        if deeds:
            deed = deeds[place % len(deeds)]
            for peer in self._peers:
                done = tuple(deed(peer, rng))
                effects += [*done, m.Emit(misdeed(deed, peer))] if done else []
        return tuple(effects)

    def _changed(self, effects: Iterable[m.Effect]) -> tuple[m.Effect, ...]:
        changed: list[m.Effect] = []
        for each in effects:
            match each:
                case m.Send():
                    changed += self._scheme.change(each)
                case m.SetTimer(name, at):
                    changed.append(m.SetTimer(f"streams|{name}", at))
                case _:
                    changed.append(each)
        return tuple(changed)


def scheming_about_streams(stage: Stage, make: Callable[[Stage, Owner], StreamScheme]) -> Role:
    machine = StreamSchemer(stage, make)
    return Role((Face(stage.site.keys, machine, stage.dials(), streams=True),))
