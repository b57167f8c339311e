"""Completes every handshake and never says a word (with `amount` 1: nor reads one)."""

from netsim.roles.role import Face, Role, Stage
from qbix_node import machines as m


class Silence:
    """Also a base for machines that only listen."""

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        return ()


def make_silent(stage: Stage) -> Role:
    return Role((Face(stage.site.keys, Silence(), stage.dials()),))
