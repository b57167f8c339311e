"""The state in which a run left its nodes: what both drivers have to agree on.

Of a forked feed only that it is forked: which branch a node saw first depends on timing.
"""

from dataclasses import dataclass
from hashlib import sha256

from netsim.site import Site
from netsim.world import World
from qbix_node.feeds.records import read_forked, read_heads


@dataclass(frozen=True, slots=True)
class FinalState:
    lines: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return sha256("\n".join(self.lines).encode()).hexdigest()


def final_state(world: World) -> FinalState:
    honest = [site for site in world.sites.values() if site.plan.role == "honest"]
    return FinalState(tuple([line for site in honest for line in _lines(site)]))


def _lines(site: Site) -> list[str]:
    forked = read_forked(site.disk)
    heads = [
        f"{site.number} feed {feed.hex()} {head.sequence} {head.id.hex()}"
        for feed, head in sorted(read_heads(site.disk).items())
        if feed not in forked
    ]
    blobs = [f"{site.number} blob {blob.hex()}" for blob in site.files.sizes()]
    return heads + [f"{site.number} forked {feed.hex()}" for feed in sorted(forked)] + blobs
