"""What the HTTP interface asks of the node about fork proofs, and what it answers."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ForkRow:
    """One proof, without what it takes to check it."""

    id: str  # base64 of its SHA-256
    form: str  # of spec/streams.md 6
    log: str  # a stream or a feed
    length: int  # the forked length; of feeds the sequence that two messages have
    convicted: list[str]  # who signed both sides
    resolved: bool  # the owners chose a branch of that fork


class ForkApi(Protocol):
    """Methods raise LocalError for what can't be done."""

    def forks(self) -> list[ForkRow]: ...

    def proof(self, name: str) -> bytes:
        """Whose id begins with `name`."""
        ...
