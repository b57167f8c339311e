"""One wanted blob: how far the want has travelled, which peers have it, and who is asked next."""

import math
from collections.abc import Callable, Container
from dataclasses import dataclass, field

from qbix_node.machines import PeerId, Rng

RETRY_S = 5.0  # after the first failure of a peer, doubling, ± 25 %
ATTEMPTS_MAX = 5  # then the peer no longer counts as having the blob, until it says so again
BARRED_MAX = 64  # peers remembered not to ask again; beyond, the oldest is forgotten
OWN = 1  # the hop distance of what the node's operator wants


@dataclass(slots=True)
class _Source:
    """A peer that says it has the blob."""

    size: int
    failures: int = 0
    not_before: float = -math.inf


@dataclass(slots=True)
class WantedBlob:
    hops: int
    obstacle: str = "no connected peer has said that it has it"  # why it isn't here, for people
    _sources: dict[PeerId, _Source] = field(default_factory=dict)
    _barred: dict[PeerId, None] = field(default_factory=dict)

    @property
    def own(self) -> bool:
        return self.hops == OWN

    def add_source(self, peer: PeerId, size: int) -> None:
        assert peer not in self._barred
        self._sources.setdefault(peer, _Source(size)).size = size

    def drop_source(self, peer: PeerId) -> None:
        self._sources.pop(peer, None)

    def waits_for(self, busy: Container[PeerId], now: float) -> bool:
        """Nobody can be asked now: those who have it are busy or postponed, or nobody has it."""
        for peer, source in self._sources.items():
            if peer not in busy and source.not_before <= now:
                return False
        return True

    def pick(
        self, now: float, load: Callable[[PeerId], int], fits: Callable[[int], bool]
    ) -> tuple[PeerId, int] | None:
        """The least busy peer that may be asked now, and the size that it announced; of those that
        announced one for which there is room: another may lie about it.
        """
        ready = [
            (load(peer), source.failures, place, peer)
            for place, (peer, source) in enumerate(self._sources.items())
            if source.not_before <= now and fits(source.size)
        ]
        if not ready:
            return None
        peer = min(ready)[-1]
        return peer, self._sources[peer].size

    def barred(self, peer: PeerId) -> bool:
        return peer in self._barred

    def bar(self, peer: PeerId) -> None:
        """Not to be asked again for this blob."""
        self.drop_source(peer)
        if peer not in self._barred and len(self._barred) >= BARRED_MAX:
            del self._barred[next(iter(self._barred))]
        self._barred[peer] = None

    def postpone(self, peer: PeerId, now: float, rng: Rng) -> float:
        """Until when; inf: it is not asked again, unless it says again that it has the blob."""
        source = self._sources.get(peer)
        if source is None:
            return math.inf
        pause = RETRY_S * 2**source.failures * (0.75 + rng.random() / 2)
        source.failures += 1
        source.not_before = now + pause
        if source.failures == ATTEMPTS_MAX:
            self.drop_source(peer)
            return math.inf
        return source.not_before

    def next_attempt(self, now: float) -> float:
        """When a postponed source may be asked again; inf: none is postponed."""
        later = [source.not_before for source in self._sources.values() if source.not_before > now]
        return min(later, default=math.inf)
