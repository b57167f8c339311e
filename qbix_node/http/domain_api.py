"""What the HTTP interface asks of the node about domains, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from qbix_node.machines import PeerId


@dataclass(frozen=True, slots=True)
class PublishedDomain:
    name: str
    key: str  # that signs what is published, which is the node's own
    nodes: list[str]


@dataclass(frozen=True, slots=True)
class ClaimRow:
    key: str
    nodes: list[str]


@dataclass(frozen=True, slots=True)
class DomainRow:
    """`confirmed_by`: settings, dns, or null: nobody but whoever has the key says that the name is
    its own.
    """

    name: str
    key: str | None  # null: nobody claims the name, or several do and nobody decides
    confirmed_by: str | None
    nodes: list[str]
    addresses: list[str]  # of the nodes, as `peer add` takes them
    claims: list[ClaimRow]  # all that the DHT has, of anybody


class DomainApi(Protocol):
    """Methods raise LocalError for what can't be done."""

    def published(self) -> list[PublishedDomain]: ...

    async def lookup(self, name: str) -> DomainRow: ...

    async def publish(self, name: str, nodes: Sequence[PeerId]) -> PublishedDomain: ...

    async def withdraw(self, name: str) -> None: ...
