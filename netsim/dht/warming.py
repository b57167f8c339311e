"""Tables as if their nodes had run for long, without the thousand joins.

From all ids in ascending order: what is in one bucket of a table in the end begins alike, and so
stands together there. Of every range into which the node's own id divides all others (those that
differ from it in the first bit, in the second, ...) twice as many as a bucket holds are drawn, or
all if there are fewer; they are offered to the table as nodes that answered, in the order in which
they were drawn. What becomes of them is left to the table's own rules: it splits, and takes or
refuses them as it would have.

Each answered at a moment of its own within the last LIVENESS_S, so that pings come as evenly as in
a network that runs.
"""

from bisect import bisect_left
from collections.abc import Sequence

from netsim.chance import Draws
from netsim.dht.faces import Face
from qbix_node.dht.ids import ID_BITS
from qbix_node.dht.machine import Dht
from qbix_node.dht.upkeep import LIVENESS_S

OFFERED = 40  # of a range


class Warming:
    def __init__(self, faces: Sequence[Face]) -> None:
        self._faces = sorted(faces, key=lambda each: each.long_id)
        self._ids = [each.long_id for each in self._faces]

    def warm(self, dht: Dht, own: Face, now: float, draws: Draws) -> None:
        for face in self.contacts_of(own, draws):
            dht.warm((face.told,), now - draws.random() * LIVENESS_S)
        dht.warm((), now)

    def contacts_of(self, own: Face, draws: Draws) -> list[Face]:
        """From those far away to those nearby."""
        offered: list[Face] = []
        low, high = 0, len(self._ids)  # the ids that begin as its own does
        for bit in reversed(range(ID_BITS)):
            if high - low <= 1:
                break
            middle = ((own.long_id >> bit) | 1) << bit  # the first with a one in this place
            place = bisect_left(self._ids, middle, low, high)
            mine = own.long_id >> bit & 1
            others = (low, place) if mine else (place, high)
            low, high = (place, high) if mine else (low, place)
            offered += draws.sample(self._faces[others[0] : others[1]], OFFERED)
        return offered
