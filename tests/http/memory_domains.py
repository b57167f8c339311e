"""Domains in memory behind the HTTP interface."""

from collections.abc import Sequence

from qbix_node.errors import LocalError
from qbix_node.http.domain_api import DomainRow, PublishedDomain
from qbix_node.machines import PeerId
from qbix_node.wire.references import FeedId, format_feed

KEY = format_feed(FeedId(b"d" * 32))


class MemoryDomains:
    def __init__(self) -> None:
        self._rows: dict[str, PublishedDomain] = {}

    def published(self) -> list[PublishedDomain]:
        return list(self._rows.values())

    async def lookup(self, name: str) -> DomainRow:
        row = self._rows.get(name)
        return DomainRow(name, row.key if row else None, None, row.nodes if row else [], [], [])

    async def publish(self, name: str, nodes: Sequence[PeerId]) -> PublishedDomain:
        row = PublishedDomain(name, KEY, [format_feed(each) for each in nodes])
        self._rows[name] = row
        return row

    async def withdraw(self, name: str) -> None:
        if self._rows.pop(name, None) is None:
            raise LocalError(f"nothing is published about {name}")
