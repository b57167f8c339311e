"""Tell followers of the node's own feed which feeds are forked (spec/classic-feeds.md 8).

Peers that know nothing of fork proofs can't see a fork of equal length; a message in a feed reaches
them all the same.
"""

from collections.abc import Iterable, Sequence

import structlog
import trio

from qbix_node.errors import LocalError
from qbix_node.feeds.forks import ClassicFork, fork_of
from qbix_node.ports import Put, Rows, Store
from qbix_node.replication.service import FeedStatus, Replication
from qbix_node.wire.references import FeedId, format_feed, format_message
from qbix_node.wire.v8json import JsonValue

TYPE = "feed-fork"
EVERY_S = 3600.0  # so at most 24 messages a day
LOOK_S = 60.0
FORKS_MAX = 24  # in a message: far from the limit of 8192 characters

ANNOUNCED = b"r/a"

log = structlog.get_logger()


def read_announced(rows: Rows) -> dict[FeedId, int]:
    """When each forked feed was announced, in milliseconds since 1970."""
    found, after = dict[FeedId, int](), ANNOUNCED
    while rows_ := rows.scan(after, ANNOUNCED + b"\xff" * 33, limit=256):
        found |= {FeedId(key[len(ANNOUNCED) :]): int.from_bytes(at, "big") for key, at in rows_}
        after = rows_[-1][0] + b"\0"
    return found


def put_announced(feed: FeedId, stamp_ms: int) -> Put:
    return Put(ANNOUNCED + feed, stamp_ms.to_bytes(8, "big"))


def announcement(forks: Sequence[ClassicFork]) -> JsonValue:
    """The content of the message: which feeds, and the two messages of each that convict it."""
    rows: list[JsonValue] = []
    for fork in forks:
        ids: list[JsonValue] = [format_message(each.id) for each in (fork.message, fork.other)]
        rows.append({"feed": format_feed(fork.feed), "sequence": fork.sequence, "messages": ids})
    return {"type": TYPE, "forks": rows}


def may_append(feeds: Iterable[FeedStatus]) -> bool:
    """Whether the own feed is whole here, as far as can be known: connected peers take part in it,
    and none claims more. Nobody watches over what a program publishes by itself.
    """
    own = next(row for row in feeds if row.own)
    return not own.forked and own.takers > 0 and own.claimed <= own.sequence


class ForkAnnouncer:
    """Runs beside a Replication, and publishes through it."""

    def __init__(self, replication: Replication, store: Store) -> None:
        self._replication = replication
        self._store = store
        self._announced = read_announced(store)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await trio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Announce what is to be announced now, if anything."""
        now_ms = self._replication.now_ms()
        newest_ms = max(self._announced.values(), default=0)
        # A clock that was put back must not silence the node for good.
        if 0 <= now_ms - newest_ms < 1000 * EVERY_S:
            return
        followed = set(self._replication.following())
        due = [
            feed
            for feed in self._replication.forked()
            if feed in followed and feed not in self._announced
        ]
        if not due or not may_append(self._replication.feeds()):
            return
        forks = [fork_of(each) for each in self._replication.evidence(due[:FORKS_MAX])]
        try:
            await self._replication.publish(announcement(forks))
        except LocalError as error:
            log.info("forks.not_announced", reason=str(error))
            return
        told = [put_announced(fork.feed, now_ms) for fork in forks]
        self._announced |= {fork.feed: now_ms for fork in forks}
        await self._store.write(told)
        log.info("forks.announced", feeds=[format_feed(fork.feed) for fork in forks])
