"""The state in which a run left its nodes: what both drivers have to agree on.

It is what people asked for and what they got: logs, follows, blocks, blobs, wants and streams of
the honest nodes. Left out is what depends on who was quicker: which branch of a forked feed a node
saw first, how far a byzantine feed got, and blobs that are only here because peers wanted them.
"""

from dataclasses import dataclass
from hashlib import sha256

from netsim.site import Site
from netsim.world import World
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.recovery import recover
from qbix_node.feeds.records import read_forked, read_heads
from qbix_node.replication.following import read_blocks, read_follows
from qbix_node.replication.streams.choice import read_choice
from qbix_node.streams.records import log_key, read_log_state, read_streams
from qbix_node.streams.tree import bag
from qbix_node.wire.references import FeedId


@dataclass(frozen=True, slots=True)
class FinalState:
    lines: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return sha256("\n".join(self.lines).encode()).hexdigest()


def final_state(world: World) -> FinalState:
    honest = [site for site in world.sites.values() if site.plan.role == "honest"]
    authors = {site.feed for site in honest}
    lines = []
    for site in honest:
        said = (*_feeds(site, authors), *_blobs(site), *_streams(site, world))
        lines += [f"{site.number} {line}" for line in said]
    return FinalState(tuple(lines))


def _feeds(site: Site, authors: set[FeedId]) -> list[str]:
    forked = read_forked(site.disk)
    return [
        *[f"follows {feed.hex()}" for feed in sorted(read_follows(site.disk))],
        *[f"blocks {feed.hex()}" for feed in sorted(read_blocks(site.disk))],
        *[
            f"feed {feed.hex()} {head.sequence} {head.id.hex()}"
            for feed, head in sorted(read_heads(site.disk).items())
            if feed in authors and feed not in forked
        ],
    ]


def _is_honest(world: World, node: int) -> bool:
    return world.sites[node].plan.role == "honest"


def _streams(site: Site, world: World) -> list[str]:
    """Of honest owners. In which order a sequencer puts what several write depends on who was
    quicker.
    """
    lines = list[str]()
    for stream in sorted(read_streams(site.disk)):
        planned, record = world.streams.by_id.get(stream), site.disk.get(log_key(stream))
        if planned is None or planned.sequenced or not _is_honest(world, planned.owner):
            continue
        if record is not None:
            log = read_log_state(record, stream)
            lines.append(f"stream {stream.hex()} {log.length} {bag(log.peaks).hex()}")
    followed = sorted(read_choice(site.disk).followed)
    return [f"follows stream {stream.hex()}" for stream in followed] + lines


def _blobs(site: Site) -> list[str]:
    exchange, _ = recover(site.disk, site.files.sizes(), Limits())
    kept = [blob for blob in sorted(exchange.held) if not exchange.by_sympathy(blob)]
    wants = sorted(exchange.own_wants)
    return [f"blob {blob.hex()}" for blob in kept] + [f"wants {blob.hex()}" for blob in wants]
