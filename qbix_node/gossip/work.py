"""Slow work of a Gossiper that is under way: what it is about."""

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
    """`peer`: who sent the proof, if a peer did."""

    peer: PeerId | None
    fork: StreamFork
    answers: tuple[PeerId, int] | None = None  # a question that this is the answer to
    submitted: int | None = None  # names it for whoever had it at hand


Work = Heard | Asked | Accused
