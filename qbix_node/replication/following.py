"""Which feeds this node replicates: its own and those that its people follow (docs/adr/0003)."""

from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.ports import Rows
from qbix_node.replication.messages import Block, Denied, Follow, Unblock, Unfollow
from qbix_node.wire.references import FeedId, format_feed

FOLLOWS_MAX = 10_000
BLOCKS_MAX = 10_000
_FOLLOW = b"r/f"
_BLOCK = b"r/b"

Change = Follow | Unfollow | Block | Unblock


def read_follows(rows: Rows) -> dict[FeedId, None]:
    return _read(rows, _FOLLOW, FOLLOWS_MAX)


def read_blocks(rows: Rows) -> dict[FeedId, None]:
    return _read(rows, _BLOCK, BLOCKS_MAX)


def _read(rows: Rows, prefix: bytes, limit: int) -> dict[FeedId, None]:
    found = rows.scan(prefix, prefix + b"\xff" * 33, limit=limit)
    return {FeedId(key[len(prefix) :]): None for key, _ in found}


@dataclass(slots=True)
class Following:
    own: FeedId
    follows: dict[FeedId, None] = field(default_factory=dict)  # dicts: sets have no order
    blocks: dict[FeedId, None] = field(default_factory=dict)

    def replicated(self) -> list[FeedId]:
        return [self.own, *self.follows]

    def replicates(self, feed: FeedId) -> bool:
        return feed in self.follows or feed == self.own

    def change(self, change: Change) -> list[m.Write] | Denied:
        """Decide and say what to write; nothing where it is so already."""
        feed = change.feed
        match change:
            case Follow():
                return self._follow(change)
            case Unfollow() if feed in self.follows:
                del self.follows[feed]
                return [m.Delete(_FOLLOW + feed)]
            case Block():
                return self._block(change)
            case Unblock() if feed in self.blocks:
                del self.blocks[feed]
                return [m.Delete(_BLOCK + feed)]
            case Unfollow() | Unblock():
                return []

    def _follow(self, change: Follow) -> list[m.Write] | Denied:
        feed = change.feed
        if self.replicates(feed):
            return []
        if feed in self.blocks:
            return Denied(change, f"{format_feed(feed)} is blocked: unblock it first")
        if len(self.follows) >= FOLLOWS_MAX:
            return Denied(change, f"{FOLLOWS_MAX} feeds are followed already: unfollow some first")
        self.follows[feed] = None
        return [m.Put(_FOLLOW + feed, b"")]

    def _block(self, change: Block) -> list[m.Write] | Denied:
        feed = change.feed
        if feed == self.own:
            return Denied(change, "that is this node itself")
        if feed in self.blocks:
            return []
        if len(self.blocks) >= BLOCKS_MAX:
            return Denied(change, f"{BLOCKS_MAX} are blocked already: unblock some first")
        self.blocks[feed] = None
        writes: list[m.Write] = [m.Put(_BLOCK + feed, b"")]
        if feed in self.follows:
            del self.follows[feed]
            writes.append(m.Delete(_FOLLOW + feed))
        return writes
