"""How much is read for the questions of each peer (spec/replication.md 10.1)."""

from dataclasses import dataclass, field

from qbix_node.machines import PeerId

BURST_BYTES = 256 * 1024 * 1024  # read for a peer as fast as it asks
BYTES_A_SECOND = 16 * 1024 * 1024  # and then
QUESTION_BYTES = 4096  # what a question costs at least
PEERS_MAX = 1024  # that are remembered; the one that asked longest ago is forgotten


@dataclass(slots=True)
class _Account:
    left: float
    since: float  # when that was so


@dataclass(slots=True)
class Allowances:
    """Of peers, not of connections, or it would be enough to connect anew."""

    _accounts: dict[PeerId, _Account] = field(default_factory=dict)

    def wait_s(self, peer: PeerId, now: float) -> float:
        """How long its next question has to wait: until all that was read for it is paid for."""
        account = self._account(peer, now)
        return max(0.0, -account.left / BYTES_A_SECOND)

    def charge(self, peer: PeerId, read: int, now: float) -> None:
        self._account(peer, now).left -= max(read, QUESTION_BYTES)

    def _account(self, peer: PeerId, now: float) -> _Account:
        account = self._accounts.pop(peer, None) or _Account(BURST_BYTES, now)
        filled = account.left + BYTES_A_SECOND * max(0.0, now - account.since)
        account.left, account.since = min(filled, BURST_BYTES), now
        while len(self._accounts) >= PEERS_MAX:
            del self._accounts[next(iter(self._accounts))]
        self._accounts[peer] = account
        return account
