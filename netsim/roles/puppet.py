"""A whole honest node as one machine: what most roles are, but for a few things that they change.

Nothing in it takes time and nothing is lost: it writes, checks and reads at once, in memory.
"""

from netsim.roles.blobs import BlobSide
from netsim.roles.feeds import FeedSide
from netsim.roles.role import Stage
from qbix_node import machines as m

_BLOBS = "blobs/"  # timers of the BlobSide


class Puppet:
    def __init__(self, stage: Stage) -> None:
        self.feeds = FeedSide(stage)
        self.blobs = BlobSide()
        self._timers: dict[str, float] = {}

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        """Send, SetTimer, and Emit of Hangup only."""
        effects: list[m.Effect] = []
        match event:
            case m.TimerFired(name):
                self._timers.pop(name, None)
                if name.startswith(_BLOBS):
                    fired = m.TimerFired(name.removeprefix(_BLOBS))
                    effects = [_named(each) for each in self.blobs.handle(fired, now, rng)]
                else:
                    effects = self.feeds.handle(event, now, rng)
            case _:
                if isinstance(event, m.Connected):  # after a crash, no timer is left
                    effects += [m.SetTimer(name, at) for name, at in self._timers.items()]
                effects += self.feeds.handle(event, now, rng)
                effects += [_named(each) for each in self.blobs.handle(event, now, rng)]
        self._timers |= {each.name: each.at for each in effects if isinstance(each, m.SetTimer)}
        return tuple(effects)


def _named(effect: m.Effect) -> m.Effect:
    return m.SetTimer(_BLOBS + effect.name, effect.at) if isinstance(effect, m.SetTimer) else effect
