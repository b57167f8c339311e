"""What of a node outlives its process: its keys, disk, files and clock, and where it is."""

from dataclasses import dataclass, field
from hashlib import blake2b

from netsim.chance import Chance, Draws
from netsim.clocks import WallClock
from netsim.disks import SimulatedDisk
from netsim.loop import Loop
from netsim.plan import Conditions, NodePlan
from qbix_node.blobs.memory import MemoryFiles
from qbix_node.crypto.keys import KeyPair
from qbix_node.machines import PeerId
from qbix_node.net.address import Address
from qbix_node.wire.references import FeedId

PORT = 8008


@dataclass(slots=True)
class Site:
    plan: NodePlan
    keys: KeyPair
    disk: SimulatedDisk
    clock: WallClock
    entropy: Draws  # of handshakes
    _chance: Chance
    _rngs: dict[str, Draws] = field(default_factory=dict)
    files: MemoryFiles = field(default_factory=MemoryFiles)

    @property
    def number(self) -> int:
        return self.plan.number

    @property
    def peer(self) -> PeerId:
        return PeerId(self.keys.public)

    @property
    def feed(self) -> FeedId:
        return FeedId(self.keys.public)

    def rng(self, machine: str) -> Draws:
        """Of one of its machines, over all of its lives: what one draws shifts no other."""
        if machine not in self._rngs:
            self._rngs[machine] = self._chance.draws(machine, self.number)
        return self._rngs[machine]

    @property
    def address(self) -> Address:
        return Address(host_of(self.number), PORT, self.peer)


def host_of(number: int) -> str:
    """An address of a private network (RFC 1918)."""
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def number_at(host: str) -> int:
    _, high, middle, low = host.split(".")
    return int(high) << 16 | int(middle) << 8 | int(low)


def keys_of(number: int) -> KeyPair:
    """The same in every run, whatever its seed: so signatures that were checked stay checked."""
    return KeyPair.from_seed(blake2b(b"netsim node %d" % number, digest_size=32).digest())


def make_site(plan: NodePlan, conditions: Conditions, chance: Chance, loop: Loop) -> Site:
    number = plan.number
    sync_s = chance.draws("sync", number).between(conditions.sync_s.low, conditions.sync_s.high)
    return Site(
        plan,
        keys_of(number),
        SimulatedDisk(loop, chance, number, sync_s=sync_s),
        WallClock(loop),
        chance.draws("entropy", number),
        chance,
    )
