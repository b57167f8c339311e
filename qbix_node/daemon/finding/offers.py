"""Which records this node keeps published, by what it holds for others (spec/dht.md 11). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId
from qbix_node.dht.records import Content, NodeContent, ProviderContent
from qbix_node.machines import PeerId

CAPABILITIES = ("blobs", "feeds", "streams")
OFFERS_MAX = 1000  # logs that are offered; the first of them
NEW_MAX = 16  # a look, so that a node with many does not search for all places at once


@dataclass(frozen=True, slots=True)
class Held:
    what: str  # "stream", "feed"
    subject: bytes


@dataclass(slots=True)
class Offers:
    own: PeerId
    published: dict[tuple[NodeId, str], Content] = field(default_factory=dict)

    @property
    def logs(self) -> int:
        return sum([isinstance(each, ProviderContent) for each in self.published.values()])

    def change(
        self, held: Iterable[Held], addresses: tuple[Endpoint, ...]
    ) -> tuple[list[Content], list[tuple[NodeId, str]]]:
        """What is to be published now, and what no longer. Without an address there is nothing to
        offer.
        """
        wanted = self._wanted(held, addresses)
        gone = [name for name in self.published if name not in wanted]
        for name in gone:
            del self.published[name]
        new = [name for name in wanted if self.published.get(name) != wanted[name]][:NEW_MAX]
        for name in new:
            self.published[name] = wanted[name]
        return [wanted[name] for name in new], gone

    def _wanted(
        self, held: Iterable[Held], addresses: tuple[Endpoint, ...]
    ) -> dict[tuple[NodeId, str], Content]:
        if not addresses:
            return {}
        contents: list[Content] = [NodeContent(addresses, CAPABILITIES)]
        for each, _ in zip(held, range(OFFERS_MAX), strict=False):
            contents.append(ProviderContent(each.what, each.subject, addresses))
        return {(content.key(self.own), content.kind): content for content in contents}
