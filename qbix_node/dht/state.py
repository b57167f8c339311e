"""What the parts of the DHT's machine share."""

from collections import Counter
from dataclasses import dataclass, field

from qbix_node.dht.cookies import Cookies
from qbix_node.dht.endpoints import Endpoint, scope_of
from qbix_node.dht.ids import Identity, identity
from qbix_node.dht.limits import Limits
from qbix_node.dht.messages import CONTACTS_MAX, Told
from qbix_node.dht.peers import Peer, Peers
from qbix_node.dht.requests import Effect
from qbix_node.dht.shelf import Shelf
from qbix_node.dht.table import Contact, Table
from qbix_node.dht.wire import Sealing
from qbix_node.machines import PeerId, Rng

OBSERVERS_MAX = 32


@dataclass(slots=True)
class Turn:
    """One event: when it is, chance, and what is decided."""

    now: float
    rng: Rng
    effects: list[Effect] = field(default_factory=list)


class State:
    def __init__(self, sealing: Sealing, limits: Limits) -> None:
        self.sealing, self.limits = sealing, limits
        self.own: Identity = identity(PeerId(sealing.keys.public))
        self.table = Table(self.own, limits.bucket_size)
        self.peers = Peers(limits.peers_max)
        self.shelf = Shelf(limits.records_max, limits.records_per_key_max)
        self.cookies = Cookies()
        self.counts = Counter[str]()  # of what was sent, served, ignored and why
        self.ahead_s = 0.0  # Unix time, less `now`
        self._observed: dict[PeerId, Endpoint] = {}

    def unix_s(self, now: float) -> float:
        return now + self.ahead_s

    def peer(self, key: PeerId) -> Peer | None:
        """One that is remembered, or a new one, to be remembered once it has sealed something.
        None: no key can be agreed on with it.
        """
        peer = self.peers.get(key)
        if peer is None:
            self.counts["agreements"] += 1
            shared = self.sealing.agree(key)
            peer = None if shared is None else Peer(shared=shared)
        return peer

    def told_nearest(self, target: int, teller_to: Endpoint, most: int) -> tuple[Told, ...]:
        """What is told to somebody there: contacts that answered when they were last asked."""
        near = self.table.closest(
            target, min(most, CONTACTS_MAX), least=scope_of(teller_to.ip), sure=True
        )
        return tuple([Told(each.key, each.ip, each.port) for each in near])

    # ---- where we are seen to be ----

    def observed(self, teller: Contact, endpoint: Endpoint) -> None:
        self._observed.pop(teller.key, None)
        self._observed[teller.key] = endpoint
        if len(self._observed) > OBSERVERS_MAX:
            del self._observed[next(iter(self._observed))]

    def seen_at(self) -> Endpoint | None:
        """Where most of those who said so saw us; at least two. Their word, no more."""
        votes = Counter(self._observed.values()).most_common(1)
        return votes[0][0] if votes and votes[0][1] > 1 else None
