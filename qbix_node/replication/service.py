"""Replicate feeds over links: the world of the Replicator, and what the daemon asks of it."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

import structlog
import trio

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import BadInput, LocalError
from qbix_node.feeds.messages import (
    Appended,
    ClassicMessage,
    ForkFound,
    Publish,
    Published,
    PublishRefused,
    Readers,
    Refusal,
    Settled,
)
from qbix_node.feeds.records import (
    Evidence,
    StoredMessage,
    read_evidence,
    read_forked,
    read_heads,
    read_log,
)
from qbix_node.net.link import Body, BodyKind, Link, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.ports import Store
from qbix_node.replication.clocks import Clocks, read_clock_ages
from qbix_node.replication.following import Following, read_blocks, read_follows
from qbix_node.replication.machine import Replicator
from qbix_node.replication.messages import (
    Block,
    Denied,
    Follow,
    Granted,
    Hangup,
    PeerBlocked,
    Request,
    SaveClocks,
    Unblock,
    Unfollow,
    check_ebt_arguments,
    parse_history_request,
)
from qbix_node.replication.outbox import MESSAGES_MAX
from qbix_node.replication.remote.service import Counters, Remote, Surroundings
from qbix_node.runtime import Executor, Runner, Verifier, verify_checks
from qbix_node.wire.references import FeedId, format_feed, format_message
from qbix_node.wire.v8json import JsonValue

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FeedStatus:
    feed: FeedId
    sequence: int
    own: bool
    following: bool
    forked: bool
    source: m.PeerId | None  # who is asked for it
    claimed: int  # the highest sequence that a connected peer claims
    takers: int  # connected peers that said how much of it they have


@dataclass(slots=True)
class _Wish:
    """Something asked of the Replicator, until it is durable or refused."""

    decided: trio.Event = field(default_factory=trio.Event)
    message: ClassicMessage | None = None
    refusal: LocalError | None = None


class Replication:
    """`clocks_valid`: the store was closed cleanly and is not an older copy, so that what peers
    said before the start still fits what it holds. `observe` is told what the Replicator finds
    and sends.
    """

    def __init__(
        self,
        keys: KeyPair,
        store: Store,
        *,
        rng: m.Rng,
        executor: Executor,
        clocks_valid: bool,
        observe: Callable[[object], None] = lambda finding: None,
        wall_clock: Callable[[], float] = time.time,
        verify: Verifier = verify_checks,
    ) -> None:
        self.own = FeedId(keys.public)
        now_s = wall_clock()
        self._machine = Replicator(
            keys,
            following=Following(self.own, read_follows(store), read_blocks(store)),
            heads=read_heads(store),
            forked=read_forked(store),
            clocks=Clocks(0.0 if clocks_valid else now_s, read_clock_ages(store)),
            epoch_s=now_s - trio.current_time(),
        )
        self._runner = Runner(self._machine, self, store, rng, executor, verify)
        self._around = Surroundings(store, self._runner.post, wall_clock)
        self._store = store
        self._observe = observe
        self._remotes: dict[Link, Remote] = {}  # of links that are up
        self._peers: dict[m.PeerId, Remote] = {}  # those that the Replicator knows of
        self._left, self._leaving = trio.open_memory_channel[Remote](math.inf)
        self._wishes: dict[object, deque[_Wish]] = {}
        self._numbers = count(1)
        self._growth: dict[FeedId, trio.Event] = {}

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. What fails in the machine or the store ends the process."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._runner.run)
            nursery.start_soon(self._see_off)
            task_status.started()

    # ---- for the network ----

    def methods(self) -> Methods:
        return {
            "ebt.replicate": Method("duplex", self._answer_ebt),
            "createHistoryStream": Method("source", self._answer_history),
        }

    async def on_link(self, link: Link) -> None:
        """Replicate over this link until cancelled."""
        remote = self._remote(link)
        try:
            if earlier := self._peers.get(link.peer):
                await earlier.gone.wait()
            self._peers[link.peer] = remote
            await remote.run()
        finally:
            del self._remotes[link]
            if self._peers.get(link.peer) is remote:
                self._left.send_nowait(remote)  # one for each link: no bound of its own is needed

    def _remote(self, link: Link) -> Remote:
        """The same one for who comes first, be it the link or a request of the peer."""
        if link not in self._remotes:
            self._remotes[link] = Remote(link, self._around)
        return self._remotes[link]

    async def _see_off(self) -> None:
        async for remote in self._leaving:
            await self._runner.post(m.Disconnected(remote.link.peer))
            del self._peers[remote.link.peer]
            remote.gone.set()

    async def _answer_ebt(
        self, link: Link, arguments: list[JsonValue], stream: Stream | None
    ) -> JsonValue:
        assert stream is not None
        check_ebt_arguments(arguments)
        remote = self._remote(link)
        await remote.connected.wait()
        await remote.answer_ebt(stream)
        return None

    async def _answer_history(
        self, link: Link, arguments: list[JsonValue], stream: Stream | None
    ) -> JsonValue:
        """SPEC replication 5: what is stored, in order, then what comes while it is `live`."""
        assert stream is not None
        request = parse_history_request(arguments)
        feed, left = request.feed, request.limit or math.inf
        first = request.sequence if request.old else self._machine.talks.head(feed) + 1
        while left and self._machine.serves(link.peer, feed):
            stored = read_log(self._store, feed, first, int(min(left, MESSAGES_MAX)))
            if stored:
                form = _form(keys=request.keys, values=request.values)
                await stream.send([form(message) for message in stored])
                self._around.counters.messages_sent += len(stored)
                first = stored[-1].sequence + 1
                left -= len(stored)
            elif request.live:
                await self.wait_beyond(feed, first - 1)
            else:
                break
        return None

    # ---- for the daemon ----

    @property
    def counters(self) -> Counters:
        return self._around.counters

    @property
    def waiting(self) -> int:
        """Messages on their way into the log."""
        return self._machine.book.waiting

    async def publish(self, content: JsonValue, readers: Readers | None = None) -> ClassicMessage:
        """The message, once it is durable; without `readers`, for everybody. Raises LocalError."""
        number = next(self._numbers)
        wish = await self._wish(number, Publish(number, content, self.now_ms(), readers))
        assert wish.message is not None
        return wish.message

    async def follow(self, feed: FeedId) -> None:
        """From now on; returns once it is durable. Raises LocalError, as the next three do."""
        await self._ask(Follow(feed))

    async def unfollow(self, feed: FeedId) -> None:
        """Stop asking for and announcing the feed; what is stored stays."""
        await self._ask(Unfollow(feed))

    async def block(self, peer: m.PeerId) -> None:
        """Disconnect the peer, give it nothing, and neither take nor hand on its feed."""
        await self._ask(Block(FeedId(peer)))

    async def unblock(self, peer: m.PeerId) -> None:
        await self._ask(Unblock(FeedId(peer)))

    async def save_clocks(self) -> None:
        """Keep what connected peers said, before a clean stop."""
        await self._ask(SaveClocks())

    def following(self) -> list[FeedId]:
        return sorted(self._machine.following.follows)

    def held(self) -> list[FeedId]:
        """Of what is replicated, the feeds of which something is here."""
        talks = self._machine.talks
        return [feed for feed in talks.following.replicated() if talks.head(feed)]

    def held_by(self, peer: m.PeerId) -> list[FeedId]:
        """Feeds that we share with a connected peer, of which it has something."""
        return self._machine.talks.held_by(peer)

    def blocked(self) -> list[m.PeerId]:
        return [m.PeerId(feed) for feed in sorted(self._machine.following.blocks)]

    def feeds(self) -> list[FeedStatus]:
        """Those that are stored or followed."""
        every = {**self._machine.book.heads, **dict.fromkeys(self._machine.following.replicated())}
        return [self._status(feed) for feed in sorted(every)]

    def _status(self, feed: FeedId) -> FeedStatus:
        talks, peers = self._machine.talks, self._machine.talks.peers.values()
        return FeedStatus(
            feed,
            talks.head(feed),
            own=feed == self.own,
            following=feed in self._machine.following.follows,
            forked=feed in talks.forked,
            source=talks.sources.peer_of(feed),
            claimed=max([peer.claims(feed) for peer in peers], default=0),
            takers=sum([peer.takes(feed) for peer in peers]),
        )

    def log(self, feed: FeedId, first: int, limit: int) -> list[StoredMessage]:
        """At most `limit` stored messages, from sequence `first` on."""
        return read_log(self._store, feed, first, limit)

    async def wait_beyond(self, feed: FeedId, sequence: int) -> None:
        """Return once the feed has a message after `sequence`."""
        while self._machine.talks.head(feed) <= sequence:
            await self._growth.setdefault(feed, trio.Event()).wait()

    def forked(self) -> list[FeedId]:
        return sorted(self._machine.talks.forked)

    def evidence(self, feeds: Iterable[FeedId]) -> list[Evidence]:
        """Two messages of one sequence for each of these that is forked."""
        found = [read_evidence(self._store, feed) for feed in feeds]
        return [evidence for evidence in found if evidence is not None]

    def now_ms(self) -> int:
        return int(1000 * self._around.wall_clock())

    async def _ask(self, request: Request) -> None:
        await self._wish(request, request)

    async def _wish(self, name: object, request: object) -> _Wish:
        wish = _Wish()
        wishes = self._wishes.setdefault(name, deque())
        wishes.append(wish)
        try:
            await self._runner.post(m.Requested(request))
        except trio.Cancelled:
            wishes.remove(wish)  # else the answer to the next one would be taken for its own
            raise
        await wish.decided.wait()
        if wish.refusal is not None:
            raise wish.refusal
        return wish

    def _decide(self, finding: Published | PublishRefused | Granted | Denied) -> None:
        """Requests are decided in the order in which they were made."""
        wishes = self._wishes[finding.request]
        wish = wishes.popleft()
        if not wishes:
            del self._wishes[finding.request]
        match finding:
            case Published(message=message):
                wish.message = message
            case PublishRefused(reason=reason, bad_content=bad_content):
                wish.refusal = BadInput(reason) if bad_content else LocalError(reason)
            case Denied(reason=reason):
                wish.refusal = LocalError(reason)
            case Granted():
                pass
        wish.decided.set()

    # ---- the Replicator's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        """Never waits: notes and ranges wait in an outbox, bounded by the feeds they are about."""
        self._observe(m.Send(to, message))
        if remote := self._peers.get(to):
            remote.carry_out(message)

    def found(self, finding: object) -> None:
        match finding:
            case Settled(peer, settled):
                if remote := self._peers.get(peer):
                    remote.settle(settled)
            case Appended(feed, first, last):
                self.counters.messages_appended += last - first + 1
                self._growth.pop(feed, trio.Event()).set()
            case Published() | PublishRefused() | Granted() | Denied():
                self._decide(finding)
            case Hangup(peer, reason):
                self._hang_up(peer, reason)
            case PeerBlocked(peer):
                self._hang_up(peer, "this peer is blocked here")
            case Refusal():
                self._report(finding)
            case ForkFound(feed, sequence):
                log.warning("fork.found", feed=format_feed(feed), sequence=sequence)
            case _:
                pass
        self._observe(finding)

    def _hang_up(self, peer: m.PeerId, reason: str) -> None:
        if remote := self._peers.get(peer):
            remote.link.close(reason)

    def _report(self, refusal: Refusal) -> None:
        self.counters.messages_refused += 1
        remote = self._peers.get(refusal.peer)
        tell = log.info if remote and remote.may_report() else log.debug
        tell(
            "message.refused",
            peer=format_feed(refusal.peer),
            feed=format_feed(refusal.feed) if refusal.feed else None,
            sequence=refusal.sequence,
            reason=refusal.reason,
        )


def _form(*, keys: bool, values: bool) -> Callable[[StoredMessage], Body]:
    """How a history names messages: with id and time of arrival, bare, or by their ids alone."""
    if not keys:
        return lambda message: Body(BodyKind.JSON, message.encoded)
    if not values:
        return lambda message: Body(BodyKind.TEXT, format_message(message.id).encode())
    return lambda message: Body(
        BodyKind.JSON,
        b'{"key":"%s","value":%s,"timestamp":%d}'
        % (format_message(message.id).encode(), message.encoded, message.received_ms),
    )
