"""What a Gossiper has under way: signatures being checked, questions to the store, writes."""

from dataclasses import dataclass

from qbix_node.machines import PeerId
from qbix_node.streams.forks import ShownHead, StreamFork
from qbix_node.streams.tree import Hash


@dataclass(frozen=True, slots=True)
class Heard:
    """A Head whose signatures are being checked, or that is being looked up."""

    peer: PeerId
    shown: ShownHead


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a peer. `ours`: it was ours, and this is the answer `shorter`."""

    peer: PeerId
    number: int
    shown: ShownHead
    peaks: tuple[Hash, ...]
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Accused:
    peer: PeerId | None
    fork: StreamFork
    asker: PeerId | None = None  # to whose question this is the answer


Work = Heard | Asked | Accused
