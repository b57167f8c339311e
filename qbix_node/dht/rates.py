"""Allowances that refill with time (spec/dht.md 10). Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Allowance:
    per_s: float
    burst: float
    left: float = 0.0
    at: float = float("-inf")

    def take(self, now: float) -> bool:
        self.left = min(self.burst, self.left + (now - self.at) * self.per_s)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Allowances:
    """One for each sender; the longest silent makes room."""

    def __init__(self, per_s: float, burst: float, most: int) -> None:
        self._per_s, self._burst, self._most = per_s, burst, most
        self._senders: dict[bytes, Allowance] = {}

    def __len__(self) -> int:
        return len(self._senders)

    def take(self, sender: bytes, now: float) -> bool:
        allowance = self._senders.pop(sender, None)
        if allowance is None:
            if len(self._senders) >= self._most:
                del self._senders[next(iter(self._senders))]
            allowance = Allowance(self._per_s, self._burst)
        self._senders[sender] = allowance
        return allowance.take(now)
