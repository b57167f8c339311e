"""Who is in a network of the hash table, and where: as seen from outside."""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from netsim.chance import Chance
from netsim.plan import NodePlan
from netsim.site import keys_of
from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.keys import KeyPair
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId, identity
from qbix_node.dht.messages import Told
from qbix_node.dht.wire import Sealing
from qbix_node.machines import PeerId

PORT = 4000
HONEST = "honest"
CROWD_NETWORKS = 2  # of addresses, in which all of the crowd is
_FIRST_NETWORK = 64  # of public addresses: every node is in a /24 of its own
_CROWD_NETWORK = 0x0BADFF


class Swift(Sealing):
    """Boxes and signatures are real. What two nodes agree on is not: no curve is computed, for a
    thousand nodes agree a hundred thousand times. A signature is checked once in a process.
    """

    _verdicts: ClassVar[dict[tuple[bytes, bytes, bytes], bool]] = {}

    def __init__(self, keys: KeyPair) -> None:
        self.keys = keys

    def agree(self, peer: PeerId) -> bytes | None:
        return sha256(*sorted((self.keys.public, peer)))

    def verify(self, key: bytes, body: bytes, signature: bytes) -> bool:
        asked = key, body, signature
        if asked not in self._verdicts:
            self._verdicts[asked] = super().verify(*asked)
        return self._verdicts[asked]


@dataclass(slots=True)
class Face:
    """A node as others know it."""

    number: int
    role: str
    keys: KeyPair
    endpoint: Endpoint
    born_at: float = 0.0
    gone_at: float = math.inf
    since: float = math.inf  # when it came up; inf: it is down
    down_since: float = -math.inf  # inf: it is up
    id: NodeId = field(init=False)
    long_id: int = field(init=False)

    def __post_init__(self) -> None:
        self.id = identity(self.key).id
        self.long_id = int.from_bytes(self.id)

    @property
    def key(self) -> PeerId:
        return PeerId(self.keys.public)

    @property
    def told(self) -> Told:
        return Told(self.key, *self.endpoint)

    @property
    def stays(self) -> bool:
        return self.born_at == 0 and self.gone_at == math.inf

    @property
    def honest(self) -> bool:
        return self.role == HONEST

    def answers(self, other: "Face") -> bool:
        if self.role == "dht_selective":
            return bool((self.id[-1] ^ other.id[-1]) & 1)
        return self.role not in ("dht_silent", "dht_spoofer")


class Faces:
    def __init__(self, plans: tuple[NodePlan, ...], ground: list[bytes]) -> None:
        """`ground`: public keys that colluders have instead of those of their sites."""
        keys_left = list(reversed(ground))
        crowd = 0
        self.by_number: dict[int, Face] = {}
        for plan in plans:
            keys, endpoint = keys_of(plan.number), endpoint_of(plan.number)
            if plan.role == "dht_colluder" and keys_left:
                keys = KeyPair(keys_left.pop(), bytes(64))  # it signs nothing
            if plan.role == "dht_crowd":
                endpoint = _in_a_crowd(crowd)
                crowd += 1
            self.by_number[plan.number] = Face(plan.number, plan.role, keys, endpoint)
        self.by_endpoint = {each.endpoint: each for each in self.by_number.values()}
        self.by_key = {each.key: each for each in self.by_number.values()}

    def __iter__(self) -> Iterator[Face]:
        return iter(self.by_number.values())

    def of_role(self, role: str) -> list[Face]:
        return [each for each in self if each.role == role]


def endpoint_of(number: int) -> Endpoint:
    network = (_FIRST_NETWORK << 16) + number
    return Endpoint(network.to_bytes(3) + b"\x01", PORT)


def _in_a_crowd(place: int) -> Endpoint:
    network, host = place % CROWD_NETWORKS, place // CROWD_NETWORKS
    ip = (_CROWD_NETWORK + network).to_bytes(3) + (1 + host % 250).to_bytes(1)
    return Endpoint(ip, PORT + host // 250)


def grind(chance: Chance, targets: list[NodeId], tries: int, keep: int) -> list[bytes]:
    """Keys whose ids are near the targets: the nearest of so many tries for each.

    Nobody signs with them, so that they need no secret: a try is a hash, and not the 35 us that a
    real pair of keys takes.
    """
    found: list[bytes] = []
    for place, target in enumerate(targets):
        draws, number = chance.draws("dht/grinding", place), int.from_bytes(target)
        keys = [draws.randbytes(32) for _ in range(tries)]
        near = heapq.nsmallest(keep, [(int.from_bytes(sha256(key)) ^ number, key) for key in keys])
        found += [key for _, key in near]
    return found
