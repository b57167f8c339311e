"""The fetches under way: how many, from whom, and until when each may take."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from qbix_node.blobs.limits import Limits
from qbix_node.machines import PeerId
from qbix_node.wire.references import BlobId

STALL_S = 15.0  # a fetch that brings nothing for so long goes elsewhere
BYTES_PER_S_MIN = 16 * 1024  # and so does one that takes longer than this speed and STALL_S allow
PAUSE_S = 60.0  # nothing is fetched for so long after the disk refused


@dataclass(slots=True)
class Fetch:
    number: int
    blob: BlobId
    peer: PeerId
    own: bool
    latest_end: float
    deadline: float
    cancelled: bool = False


@dataclass(slots=True)
class Fetches:
    limits: Limits
    paused_until: float = -math.inf
    _by_blob: dict[BlobId, Fetch] = field(default_factory=dict)
    _loads: Counter[PeerId] = field(default_factory=Counter)
    _shared: int = 0  # of those under way, by sympathy
    _last_number: int = 0

    def __contains__(self, blob: BlobId) -> bool:
        return blob in self._by_blob

    def has_place(self, peers: Iterable[PeerId], now: float, *, own: bool) -> bool:
        """May one more start, from one of `peers`?"""
        if now < self.paused_until or len(self._by_blob) >= self.limits.fetches_max:
            return False
        if not own and self._shared >= self.limits.sympathy_fetches_max:
            return False
        return any(self._loads[peer] < self.limits.peer_fetches_max for peer in peers)

    def busy(self) -> set[PeerId]:
        """Peers that are asked for as much as one may be."""
        most = self.limits.peer_fetches_max
        return {peer for peer, load in self._loads.items() if load >= most}

    def load(self, peer: PeerId) -> int:
        return self._loads[peer]

    def start(self, blob: BlobId, peer: PeerId, size: int, now: float, *, own: bool) -> Fetch:
        self._last_number += 1
        latest_end = now + STALL_S + size / BYTES_PER_S_MIN
        fetch = Fetch(self._last_number, blob, peer, own, latest_end, deadline=now + STALL_S)
        self._by_blob[blob] = fetch
        self._loads[peer] += 1
        self._shared += not own
        return fetch

    def progress(self, number: int, blob: BlobId, now: float) -> Fetch | None:
        """It goes on: its later deadline, or None when it has ended."""
        fetch = self._by_blob.get(blob)
        if fetch is None or fetch.number != number:
            return None
        fetch.deadline = min(now + STALL_S, fetch.latest_end)
        return fetch

    def overdue(self, now: float) -> list[BlobId]:
        return [blob for blob, fetch in self._by_blob.items() if fetch.deadline <= now]

    def cancel(self, blob: BlobId) -> Fetch | None:
        """The fetch to be cancelled; it still ends with its answer. None: nothing to cancel."""
        fetch = self._by_blob.get(blob)
        if fetch is None or fetch.cancelled:
            return None
        fetch.cancelled = True
        return fetch

    def end(self, number: int, blob: BlobId) -> Fetch | None:
        """None when it isn't the one under way."""
        fetch = self._by_blob.get(blob)
        if fetch is None or fetch.number != number:
            return None
        self._loads[fetch.peer] -= 1
        if not self._loads[fetch.peer]:
            del self._loads[fetch.peer]
        self._shared -= not fetch.own
        return self._by_blob.pop(blob)
