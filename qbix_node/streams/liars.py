"""What is found about peers, whatever they spoke of: that they lie."""

from dataclasses import dataclass

from qbix_node.machines import PeerId


@dataclass(frozen=True, slots=True)
class LiarFound:
    """The peer said what no honest peer says; it is not listened to any more."""

    peer: PeerId
    reason: str
