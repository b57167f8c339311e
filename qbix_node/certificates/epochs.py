"""An epoch of a network, as its certified manifest makes it: who votes in it about what
(spec/watchers.md 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from qbix_node.certificates.committees import Committee, Electorate, Profile
from qbix_node.certificates.slots import named
from qbix_node.certificates.transactions import Tx
from qbix_node.crypto import domains
from qbix_node.errors import Malformed
from qbix_node.wire.references import StreamId


@dataclass(frozen=True)
class Epoch:
    network: bytes
    number: int
    electorate: Electorate
    profile: Profile

    def anchors(self, stream: StreamId) -> Committee:
        """Nothing in it is the publisher's choice."""
        target = named(domains.ANCHORS, self.electorate.seed, stream)
        return self._draw(target, watchers=False)

    def watchers(self, tx: Tx) -> Committee:
        """Known to nobody before the last nonce is."""
        target = named(domains.WATCHERS, self.electorate.seed, tx.core.hash, tx.nonces)
        return self._draw(target, watchers=True)

    def _draw(self, target: bytes, *, watchers: bool) -> Committee:
        share = self.profile.watchers if watchers else self.profile.anchors
        return self.electorate.draw(target, share, proportional=self.profile.proportional)

    @property
    def first_pin(self) -> int:
        """The epoch whose anchors decide about slot 1 of a stream that was founded in this one."""
        everybody = len(self.electorate.members) <= self.profile.anchors.seats
        return self.number if everybody else self.number + 2


Epochs = Mapping[int, Epoch]  # those of one network whose manifests are known to be certified


def epoch_of(epochs: Epochs, network: bytes, number: int) -> Epoch:
    """Raises Malformed."""
    epoch = epochs.get(number)
    if epoch is None or epoch.network != network:
        raise Malformed(f"it rests on epoch {number}, of which no certified manifest is known")
    return epoch
