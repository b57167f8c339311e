"""Completes every handshake and never says a word (with `amount` 1: nor reads one)."""

import math

from netsim.roles.role import Face, Role, Stage
from qbix_node import machines as m


class Silence:
    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        return ()


def make_silent(stage: Stage) -> Role:
    reads_bytes_s = 0.0 if stage.amount == 1 else math.inf
    return Role((Face(stage.site.keys, Silence(), stage.dials(), reads_bytes_s),))
