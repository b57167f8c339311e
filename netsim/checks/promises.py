"""What a person was told holds: follows, blocks, wants; and so does what follows from them."""

from typing import ClassVar

from netsim import facts
from netsim.asking import blob_of
from netsim.checks.check import Check, Facts, Report, View
from netsim.plan import Do, Operation
from qbix_node.blobs import messages as b
from qbix_node.feeds.messages import Appended
from qbix_node.replication.messages import (
    Block,
    Denied,
    EbtNotes,
    Follow,
    Granted,
    Range,
    Unblock,
    Unfollow,
)
from qbix_node.wire.references import FeedId

_FOLLOW, _BLOCK, _WANT = b"r/f", b"r/b", b"b/w"
_CHANGES = {
    Do.FOLLOW: (_FOLLOW,),
    Do.UNFOLLOW: (_FOLLOW,),
    Do.BLOCK: (_BLOCK, _FOLLOW),
    Do.UNBLOCK: (_BLOCK,),
}
_WANTS = (Do.WANT_BLOB, Do.UNWANT_BLOB, Do.ADD_BLOB, Do.REMOVE_BLOB)


class PromisesKept(Check):
    """One that was asked for and not answered yet may be on the disk or not."""

    name = "what was granted holds, over restarts"
    guards = (
        "spec/replication.md 8: A follow, unfollow, block or unblock is confirmed once it is"
        " durable; spec/blobs.md 4.4: durable before anyone hears of it, it outlives restarts"
    )
    watches: ClassVar[Facts] = (
        facts.Asked,
        facts.Started,
        facts.RolledBack,
        Granted,
        Denied,
        b.Wanted,
        b.Unwanted,
        b.Arrived,
        b.WantRefused,
    )

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._promised: dict[int, dict[bytes, bool]] = {}  # keys of the store: there or not
        self._open: dict[int, dict[bytes, int]] = {}  # asked for, not answered
        self._put_back: set[int] = set()
        self._here: set[tuple[int, bytes]] = (
            set()
        )  # wants that were fulfilled before they were said

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Asked(operation):
                self._ask(node, operation)
            case Granted(Follow() | Unfollow() | Block() | Unblock() as change):
                self._grant(node, change)
            case Denied(Follow() | Unfollow() | Block() | Unblock() as change):
                self._answer(node, _keys(change))
            case b.Wanted(blob):
                if (node, _WANT + blob) not in self._here:
                    self._promise(node, _WANT + blob, there=True)
            case b.Unwanted(blob):
                self._promise(node, _WANT + blob, there=False)
            case b.Arrived(blob) | b.WantRefused(blob):
                self._here.add((node, _WANT + blob))
                self._answer(node, (_WANT + blob,))
                self._promised.get(node, {}).pop(_WANT + blob, None)
            case facts.RolledBack():
                self._put_back.add(node)
            case facts.Started():
                self._look(node, "after the start")
                self._open.pop(node, None)
            case _:
                pass

    def finish(self) -> None:
        for node in self._promised:
            if node not in self._put_back:
                self._look(node, "at the end")

    def _ask(self, node: int, operation: Operation) -> None:
        waiting = self._open.setdefault(node, {})
        keys: tuple[bytes, ...] = ()
        if operation.do in _CHANGES and operation.target is not None:
            feed = self.view.world.sites[operation.target].feed
            keys = tuple([prefix + feed for prefix in _CHANGES[operation.do]])
        elif operation.do in _WANTS:
            keys = (_WANT + blob_of(operation),)
        for key in keys:
            self._here.discard((node, key))
            waiting[key] = waiting.get(key, 0) + 1

    def _grant(self, node: int, change: Follow | Unfollow | Block | Unblock) -> None:
        if change.feed == self.view.honest[node].feed:
            self._answer(node, _keys(change))
            return
        there = isinstance(change, Follow | Block)
        first, *rest = _keys(change)
        self._promise(node, first, there=there)
        for key in rest:
            self._promise(node, key, there=False)

    def _promise(self, node: int, key: bytes, *, there: bool) -> None:
        self._answer(node, (key,))
        self._promised.setdefault(node, {})[key] = there
        if not self._open.get(node, {}).get(key):
            self._look_at(node, key, "when it was granted")

    def _answer(self, node: int, keys: tuple[bytes, ...]) -> None:
        waiting = self._open.get(node, {})
        for key in keys:
            waiting[key] = max(0, waiting.get(key, 0) - 1)

    def _look(self, node: int, when: str) -> None:
        if node in self._put_back:
            self._put_back.discard(node)
            self._promised.pop(node, None)
        for key in list(self._promised.get(node, ())):
            if not self._open.get(node, {}).get(key):
                self._look_at(node, key, when)
            else:
                del self._promised[node][key]  # what was asked last may hold by now

    def _look_at(self, node: int, key: bytes, when: str) -> None:
        there = self.view.honest[node].disk.get(key) is not None
        if there != self._promised[node][key]:
            how = "is there" if there else "is not there"
            self.violated(node, f"{key[:3].decode()} {self.view.name(key[3:])} {how} {when}")


def _keys(change: Follow | Unfollow | Block | Unblock) -> tuple[bytes, ...]:
    match change:
        case Follow(feed) | Unfollow(feed):
            return (_FOLLOW + feed,)
        case Block(feed):
            return (_BLOCK + feed, _FOLLOW + feed)
        case Unblock(feed):
            return (_BLOCK + feed,)


class _Wishes(Check):
    """Keeps of each node which feeds it was last granted to be rid of."""

    ends: ClassVar[Facts] = ()
    asked: ClassVar[tuple[Do, ...]] = ()  # how a person asks for `ends`
    begins: ClassVar[Do]
    watches: ClassVar[Facts] = (facts.Asked, facts.Started, facts.RolledBack, Granted)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._gone: dict[int, dict[FeedId, float]] = {}  # and since when
        self._back: set[tuple[int, FeedId]] = set()  # asked for again, which holds at once

    def handle(self, node: int, fact: object) -> None:
        gone = self._gone.setdefault(node, {})
        match fact:
            case facts.Asked(Operation(do=do, target=int() as target)) if do in _CHANGES:
                self._ask(node, do, self.view.world.sites[target].feed)
            case Granted(Follow() | Unfollow() | Block() | Unblock() as change):
                if isinstance(change, self.ends) and (node, change.feed) not in self._back:
                    gone.setdefault(change.feed, self.view.now)
            case facts.RolledBack():
                gone.clear()
            case _:
                self.judge(node, fact, gone)

    def _ask(self, node: int, do: Do, feed: FeedId) -> None:
        if do is self.begins:
            self._gone[node].pop(feed, None)
            self._back.add((node, feed))
        elif do in self.asked:
            self._back.discard((node, feed))

    def judge(self, node: int, fact: object, gone: dict[FeedId, float]) -> None:
        raise NotImplementedError


class UnfollowedFeedsRest(_Wishes):
    name = "a feed that is not followed does not grow"
    guards = (
        "spec/replication.md 1: these it asks for, stores, announces and serves, and no others."
        " Unfollowing ends all four at once"
    )
    watches: ClassVar[Facts] = (*_Wishes.watches, Appended)
    ends: ClassVar[Facts] = (Unfollow, Block)
    asked: ClassVar[tuple[Do, ...]] = (Do.UNFOLLOW, Do.BLOCK)
    begins: ClassVar[Do] = Do.FOLLOW

    def judge(self, node: int, fact: object, gone: dict[FeedId, float]) -> None:
        if isinstance(fact, Appended) and fact.feed in gone:
            self.violated(node, f"message {fact.first} of {self.view.name(fact.feed)} was taken")


class BlockedPeersAreSentNothing(_Wishes):
    name = "a blocked peer is sent nothing"
    guards = (
        "spec/replication.md 1: A blocked peer is disconnected, is sent nothing, and its feed is"
        " not taken from anybody"
    )
    watches: ClassVar[Facts] = (*_Wishes.watches, facts.Said)
    ends: ClassVar[Facts] = (Block,)
    asked: ClassVar[tuple[Do, ...]] = (Do.BLOCK,)
    begins: ClassVar[Do] = Do.UNBLOCK

    def judge(self, node: int, fact: object, gone: dict[FeedId, float]) -> None:
        match fact:
            case facts.Said(to, EbtNotes() | Range() | b.Want() | b.Have()) if FeedId(to) in gone:
                what = type(fact.message).__name__
                self.violated(node, f"{what} was sent to {self.view.name(to)}")
            case _:
                pass


class BlockedPeersAreCutOff(_Wishes):
    """At the latest `PATIENCE_S` after the block; a goodbye takes its time."""

    name = "no connection to a blocked peer stays"
    guards = (
        "spec/transport.md 6: Blocked peers are refused before the accept and never dialled;"
        " spec/replication.md 1: A blocked peer is disconnected"
    )
    watches: ClassVar[Facts] = (
        *_Wishes.watches,
        facts.LinkUp,
        facts.LinkDown,
        facts.Crashed,
        facts.Stopped,
    )
    ends: ClassVar[Facts] = (Block,)
    asked: ClassVar[tuple[Do, ...]] = (Do.BLOCK,)
    begins: ClassVar[Do] = Do.UNBLOCK
    PATIENCE_S = 3.0

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._up: dict[int, dict[bytes, float]] = {}  # since when

    def judge(self, node: int, fact: object, gone: dict[FeedId, float]) -> None:
        up = self._up.setdefault(node, {})
        match fact:
            case facts.LinkUp(peer):
                up[peer] = self.view.now
            case facts.LinkDown(peer) if peer in up:
                since = up.pop(peer)
                self._look(node, peer, since, gone)
            case facts.Crashed() | facts.Stopped():
                up.clear()
            case _:
                pass

    def finish(self) -> None:
        for node, up in self._up.items():
            for peer, since in up.items():
                self._look(node, peer, since, self._gone.get(node, {}))

    def _look(self, node: int, peer: bytes, since: float, gone: dict[FeedId, float]) -> None:
        blocked = gone.get(FeedId(peer))
        if blocked is not None and self.view.now > max(since, blocked) + self.PATIENCE_S:
            self.violated(node, f"it was connected to {self.view.name(peer)}, which it blocks")


PROMISE_CHECKS = (
    PromisesKept,
    UnfollowedFeedsRest,
    BlockedPeersAreSentNothing,
    BlockedPeersAreCutOff,
)
