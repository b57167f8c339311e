"""Gossip over links: the world of the Gossiper (spec/gossip.md 1)."""

from collections import deque
from collections.abc import Callable
from itertools import count

import structlog
import trio

from qbix_node import machines as m
from qbix_node.errors import LocalError
from qbix_node.gossip import messages as g
from qbix_node.gossip.headsonly import HeadsOnly, read_heads_only
from qbix_node.gossip.machine import Gossiper
from qbix_node.gossip.own import OwnStreams
from qbix_node.net.conversations import Conversations, Language
from qbix_node.net.link import Link
from qbix_node.net.methods import Methods
from qbix_node.ports import Store
from qbix_node.replication.streams.messages import PeerHolds
from qbix_node.replication.streams.service import StreamReplication
from qbix_node.runtime import Executor, Runner, Verifier, verify_checks
from qbix_node.streams.caution import PATIENCE_S, Doubted, ShownAhead, Trusted
from qbix_node.streams.forks import StreamFork
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.line import HeadReplaced
from qbix_node.streams.messages import Grown, HeadContradicts, SignedHead
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import Resolution, read_forks, read_resolutions
from qbix_node.wire.references import StreamId, format_feed, format_stream

REPLACED_MAX = 1024  # Heads that wait to be compared; the oldest is forgotten
_LANGUAGE = Language(g.METHOD, g.ARGUMENTS, g.check_arguments, g.encode, g.read_message)

log = structlog.get_logger()


class Gossip:
    """`observe` is told what the Gossiper finds and sends. `alone`: nobody is known who could say
    what he has of this node's streams.
    """

    def __init__(
        self,
        replication: StreamReplication,
        store: Store,
        *,
        rng: m.Rng,
        executor: Executor,
        alone: bool = False,
        patience_s: float = PATIENCE_S,
        observe: Callable[[object], None] = lambda finding: None,
        verify: Verifier = verify_checks,
    ) -> None:
        self._replication = replication
        kept = read_forks(store), read_resolutions(store)
        known = replication.geneses, replication.logs, *kept, replication.choice.followed
        self._heads_only = read_heads_only(store)
        self._machine = Gossiper(*known, heads_only=self._heads_only)
        self._runner = Runner(self._machine, self, store, rng, executor, verify)
        logs, caution = replication.logs, replication.caution
        held = replication.geneses, logs, replication.key, caution, kept[1]
        own = OwnStreams(*held, patience_s=patience_s)
        self._own = Runner(own, self, store, rng, executor, verify)
        self._alone = alone
        self._observe = observe
        self._talks = Conversations(_LANGUAGE, self._post, begun=self._know_again)
        self._held: dict[m.PeerId, dict[StreamId, bool]] = {}  # what peers hold, not told yet
        # The newest of each, not told yet.
        self._contradictions: dict[tuple[m.PeerId, StreamId], SignedHead] = {}
        self._replaced: deque[LogState] = deque(maxlen=REPLACED_MAX)  # not told yet
        self._changed: dict[StreamId, None] = {}  # that stop, or go on
        self._came: dict[StreamId, None] = {}  # streams that others sent, not told yet
        self._words: deque[Doubted | Trusted | ShownAhead] = deque()  # about own ones, not told yet
        self._warned: dict[StreamId, None] = {}  # own streams
        self._submitted: dict[int, trio.Event] = {}
        self._refused: dict[int, str] = {}
        self._numbers = count(1)
        self._news = trio.Event()
        replication.listen(self.hear)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. What fails in the machine or the store ends the process."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._runner.run)
            nursery.start_soon(self._own.run)
            nursery.start_soon(self._talks.run)
            nursery.start_soon(self._pass_on)
            await self._own.post(m.Requested(g.Started(self._alone)))
            task_status.started()

    # ---- for the network ----

    def methods(self) -> Methods:
        return self._talks.methods()

    async def on_link(self, link: Link) -> None:
        """Gossip over this link until cancelled."""
        await self._talks.on_link(link)

    # ---- what replication finds ----

    def hear(self, finding: object) -> None:
        """Never waits."""
        match finding:
            case PeerHolds(peer, streams):
                self._held.setdefault(peer, {}).update(streams)
                self._news.set()
            case HeadContradicts(peer, signed):
                self._contradictions[peer, signed.head.stream] = signed
                self._news.set()
            case HeadReplaced(before):
                self._replaced.append(before)
                self._news.set()
            case Grown(stream, 0, _, source) if source is not None:
                self._came[stream] = None
                self._changed[stream] = None  # there may be proofs already
                self._news.set()
            case _:
                pass

    def _know_again(self, peer: m.PeerId) -> None:
        """What the peer announced before the conversation began."""
        held = self._replication.announced_by(peer)
        if held:
            self._held.setdefault(peer, {}).update(dict.fromkeys(held, True))
            self._news.set()

    async def _pass_on(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            held, self._held = self._held, {}
            for peer, streams in held.items():
                here = tuple([stream for stream, holds in streams.items() if holds])
                gone = tuple([stream for stream, holds in streams.items() if not holds])
                await self._post(m.Requested(g.Announced(peer, here, gone)))
            contradictions, self._contradictions = self._contradictions, {}
            for (peer, _), signed in contradictions.items():
                await self._runner.post(m.Requested(g.Contradiction(peer, signed)))
            while self._replaced:
                await self._runner.post(m.Requested(g.Replaced(self._replaced.popleft())))
            changed, self._changed = self._changed, {}
            for stream in changed:
                await self._stop_or_go_on(stream)
            came, self._came = self._came, {}
            for stream in came:
                await self._own.post(m.Requested(g.Came(stream)))
            while self._words:
                await self._replication.heed(self._words.popleft())

    async def _stop_or_go_on(self, stream: StreamId) -> None:
        if not (stream in self._replication.geneses or self._replication.choice.replicates(stream)):
            return  # nothing but its Heads is kept
        resolution = self._machine.resolution(stream)
        if reason := self._machine.stopped(stream):
            await self._replication.stop(stream, reason)
            await self._own.post(m.Requested(g.DoubtEnded(stream)))
        elif resolution is not None:
            # Heads that were shown before may be of the other branch.
            waiting = [each for each in self._words if each.stream != stream]
            self._words = deque(waiting)
            await self._replication.resolve(resolution)
            await self._own.post(m.Requested(g.BranchChosen(stream)))

    async def _post(self, event: m.Event) -> None:
        await self._runner.post(event)
        await self._own.post(event)

    # ---- for the daemon ----

    async def submit(self, given: StreamFork | Resolution) -> None:
        """What did not come from a peer. Returns once it is durable and heeded, or passed over, as
        spec/gossip.md 6 has it.
        """
        number, settled = next(self._numbers), trio.Event()
        self._submitted[number] = settled
        try:
            await self._runner.post(m.Requested(g.Submitted(number, given)))
            await settled.wait()
            await self._stop_or_go_on(given.stream)
        finally:
            del self._submitted[number]

    async def hear_of(self, stream: StreamId, *, wanted: bool) -> None:
        """Keep its Heads and nothing else of it from now on, or no longer. Returns once that is
        durable. Raises LocalError.
        """
        number, settled = next(self._numbers), trio.Event()
        self._submitted[number] = settled
        try:
            await self._runner.post(m.Requested(g.HearOf(number, stream, wanted)))
            await settled.wait()
            if reason := self._refused.pop(number, None):
                raise LocalError(reason)
        finally:
            del self._submitted[number]

    async def end_doubt(self, stream: StreamId) -> None:
        """The person who runs the node says that this own stream is here whole."""
        await self._own.post(m.Requested(g.DoubtEnded(stream)))
        await self._replication.heed(Trusted(stream))

    @property
    def heads_only(self) -> HeadsOnly:
        """The streams of which only Heads are kept."""
        return self._heads_only

    def stopped(self, stream: StreamId) -> str | None:
        """Why nothing further is found out of it."""
        return self._machine.stopped(stream)

    @property
    def proofs_elsewhere(self) -> int:
        """How many are kept of streams that are not here."""
        return self._machine.proofs_elsewhere

    def accused(self) -> list[StreamId]:
        """The streams of which proofs are kept."""
        return self._machine.accused()

    def proofs(self, stream: StreamId) -> list[bytes]:
        return self._machine.proofs(stream)

    def resolution(self, stream: StreamId) -> Resolution | None:
        """Which branch the owners chose, once that is durable."""
        return self._machine.resolution(stream)

    def pending(self, stream: StreamId) -> list[SignedHead]:
        """Heads that the owners signed and nobody has backed."""
        return self._machine.pending(stream)

    # ---- the Gossiper's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        """Never waits: who is too slow misses a round, and hears of it in a later connection."""
        self._observe(m.Send(to, message))
        assert isinstance(message, g.Message)
        self._talks.send(to, message)

    def found(self, finding: object) -> None:
        match finding:
            case g.ForkProven(fork, source):
                named = {"stream": format_stream(fork.stream), "length": fork.forked_length}
                log.warning("fork.proven", **named, source=format_feed(source) if source else None)
                self._changed[fork.stream] = None
                self._news.set()
            case g.ForkResolved(resolution, source):
                named = {"stream": format_stream(resolution.stream)}
                told = {**named, "length": resolution.fork_length}
                log.warning("fork.resolved", **told, source=format_feed(source) if source else None)
                self._changed[resolution.stream] = None
                self._news.set()
            case g.Settled(number, refused) if number in self._submitted:
                if refused is not None:
                    self._refused[number] = refused
                self._submitted[number].set()
            case Doubted() | Trusted() | ShownAhead():
                self._words.append(finding)
                self._news.set()
                self._warn(finding)
            case LiarFound(peer, reason):
                log.info("gossip.refused", peer=format_feed(peer), reason=reason)
            case _:
                pass
        self._observe(finding)

    def _warn(self, word: Doubted | Trusted | ShownAhead) -> None:
        """Once of each stream: it can't be told which of the two it is."""
        if isinstance(word, ShownAhead) and word.stream not in self._warned:
            self._warned[word.stream] = None
            named = {"stream": format_stream(word.stream), "length": word.length}
            why = "this is an older copy of the node's home, or its key is used elsewhere, too"
            log.warning("stream.signed_elsewhere", **named, why=why)
