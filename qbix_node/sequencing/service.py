"""Sequencing over links: the world of the Sequencer, and what the daemon asks of it."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

import structlog
import trio

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import LocalError, Temporary
from qbix_node.net.conversations import Conversations, Language
from qbix_node.net.link import Link
from qbix_node.net.methods import Methods
from qbix_node.ports import Store
from qbix_node.replication.streams.service import StreamReplication
from qbix_node.runtime import Executor, Runner, Verifier, verify_checks
from qbix_node.sequencing import messages as q
from qbix_node.sequencing import packets
from qbix_node.sequencing.desk import Book
from qbix_node.sequencing.machine import Kept, Sequencer
from qbix_node.sequencing.proposals import Proposal
from qbix_node.sequencing.records import (
    read_choices,
    read_runs,
    read_signed,
    read_votes,
    read_written,
)
from qbix_node.sequencing.withdrawing import Withdrawn
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Grown, NewEntry, Segment
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.resolution import Resolution
from qbix_node.wire.references import StreamId, format_feed, format_stream

_LANGUAGE = Language(
    packets.METHOD, packets.ARGUMENTS, packets.check_arguments, packets.encode, packets.read_message
)

log = structlog.get_logger()


@dataclass(slots=True)
class _Wish:
    """Something asked of the Sequencer, until it is done or has failed."""

    decided: trio.Event = field(default_factory=trio.Event)
    outcome: q.Done | q.Failed | None = None


class Sequencing:
    """`may_sign`: whether this identity is used here only. `observe` is told what the Sequencer
    finds and sends.
    """

    def __init__(
        self,
        keys: KeyPair,
        replication: StreamReplication,
        store: Store,
        *,
        rng: m.Rng,
        executor: Executor,
        resolve: Callable[[Resolution], Awaitable[None]] | None = None,
        may_sign: Callable[[], bool] = lambda: True,
        observe: Callable[[object], None] = lambda finding: None,
        wall_clock: Callable[[], float] = time.time,
        verify: Verifier = verify_checks,
    ) -> None:
        self._replication = replication
        book = Book(
            replication.geneses,
            replication.logs,
            replication.stopped,
            replication.choice.replicates,
            replication.switching,
            replication.why_wait,
        )
        known = read_runs(store), read_signed(store), read_written(store)
        kept = Kept(*known, read_votes(store), read_choices(store))
        epoch_s = wall_clock() - trio.current_time()
        self._machine = Sequencer(keys, book, kept, epoch_s=epoch_s)
        self._runner = Runner(self._machine, self, store, rng, executor, verify)
        replication.caution.signed = lambda stream: self.signed_length(stream) or 0
        self._talks = Conversations(_LANGUAGE, self._post)
        self._resolve = resolve or replication.resolve
        self._may_sign = may_sign
        self._observe = observe
        self._wishes: dict[int, _Wish] = {}
        self._numbers = count(1)
        self._grown: dict[StreamId, tuple[int, int]] = {}  # from, to before; not told yet
        self._withdrawn: list[Withdrawn] = []  # one for each Resolve at most
        self._given_up: list[int] = []  # no more than there are requests
        self._completed: dict[StreamId, Segment] = {}  # to be taken into the log
        self._resolved: dict[StreamId, Resolution] = {}  # to be made known
        self._news, self._runs = trio.Event(), trio.Event()
        replication.listen(self.hear)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. What fails in the machine or the store ends the process."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._runner.run)
            nursery.start_soon(self._talks.run)
            nursery.start_soon(self._pass_on)
            nursery.start_soon(self._take_runs)
            await self._runner.post(m.Requested(q.Start()))
            task_status.started()

    # ---- for the network ----

    def methods(self) -> Methods:
        return self._talks.methods()

    async def on_link(self, link: Link) -> None:
        """Talk over this link until cancelled."""
        await self._talks.on_link(link)

    async def _post(self, event: m.Event) -> None:
        match event:
            case m.Received(message=q.Propose() | q.Intent() | q.Recall()) if not self._may_sign():
                return  # SPEC sequencing 4: it might sign what it has signed otherwise elsewhere
            case _:
                await self._runner.post(event)

    # ---- what replication finds, and is told ----

    def hear(self, finding: object) -> None:
        """Never waits."""
        if isinstance(finding, Grown):
            first, stop = self._grown.get(finding.stream, (finding.first, finding.stop))
            self._grown[finding.stream] = min(first, finding.first), max(stop, finding.stop)
            self._news.set()
        elif isinstance(finding, Withdrawn):
            self._withdrawn.append(finding)
            self._news.set()

    async def _pass_on(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            withdrawn, self._withdrawn = self._withdrawn, []
            for found in withdrawn:
                log.warning("signed.withdrawn", stream=format_stream(found.stream))
                await self._runner.post(m.Requested(found))
            grown, self._grown = self._grown, {}
            for stream, (first, stop) in grown.items():
                await self._runner.post(m.Requested(q.Grew(stream, first, stop)))
            given_up, self._given_up = self._given_up, []
            for number in given_up:
                await self._runner.post(m.Requested(q.GiveUp(number)))

    async def _take_runs(self) -> None:
        """Into the log, by the path of imports: all is checked again."""
        while True:
            await self._runs.wait()
            self._runs = trio.Event()
            resolved, self._resolved = self._resolved, {}
            for resolution in resolved.values():
                await self._resolve(resolution)
            completed, self._completed = self._completed, {}
            for segment in completed.values():
                try:
                    await self._replication.take(segment)
                except LocalError as error:  # it stays proposed, and is tried again
                    named = {"stream": format_stream(segment.stream), "reason": str(error)}
                    log.warning("proposal.not_taken", **named, first=segment.first)

    # ---- for the daemon ----

    def proposal(self, stream: StreamId) -> Proposal | None:
        """What this node has proposed and is not in the log yet."""
        return self._machine.proposals.get(stream)

    def unheard(self, stream: StreamId) -> list[AuthorId]:
        """Owners for whose word on what they have signed this node waits."""
        genesis = self._replication.geneses.get(stream)
        silent = self._machine.unheard(stream) if genesis else []
        return [genesis.owners.weights[owner][0] for owner in silent] if genesis else []

    def signed_length(self, stream: StreamId) -> int | None:
        """Of the newest Head that this node signed together with others."""
        signed = self._machine.signed.get(stream)
        return signed.length if signed else None

    async def begin(self, genesis: Genesis) -> None:
        """A stream of several owners, which is followed from now on. Returns once its beginning
        is durable as a proposal. Raises LocalError, as that below does.
        """
        await self._replication.follow(genesis.stream)
        number = next(self._numbers)
        try:
            await self._wish(number, q.Begin(number, genesis))
        except LocalError:
            await self._replication.unfollow(genesis.stream)
            raise

    async def append(self, stream: StreamId, entries: tuple[NewEntry, ...]) -> tuple[int, ...]:
        """Their places, once they are in the log here, under a Head."""
        number = next(self._numbers)
        return (await self._wish(number, q.Write(number, stream, entries))).places

    async def choose(self, choice: q.Choice) -> None:
        """Returns once it is durable; it counts once enough owners have chosen the same."""
        number = next(self._numbers)
        await self._wish(number, q.Choose(number, choice))

    def choices(self, stream: StreamId) -> Mapping[int, q.Choice]:
        """Which branch of its fork owners have chosen, by owner."""
        return self._machine.choices.get(stream, {})

    async def _wish(self, number: int, request: object) -> q.Done:
        wish = self._wishes[number] = _Wish()
        try:
            await self._runner.post(m.Requested(request))
            await wish.decided.wait()
        finally:
            del self._wishes[number]
            if wish.outcome is None:
                self._given_up.append(number)
                self._news.set()
        if isinstance(wish.outcome, q.Failed):
            failed = wish.outcome
            hint = failed.hint
            if failed.placed:
                hint = f"{failed.placed} of its entries are in the stream"
            raise (Temporary if failed.later else LocalError)(failed.reason, hint=hint)
        assert wish.outcome is not None
        return wish.outcome

    # ---- the Sequencer's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        """Never waits: what a slow peer misses of proposals it is told again."""
        self._observe(m.Send(to, message))
        assert isinstance(message, q.Message)
        self._talks.send(to, message)

    def found(self, finding: object) -> None:
        match finding:
            case q.Completed(segment):
                self._completed[segment.stream] = segment
                self._runs.set()
            case q.Resolved(resolution):
                self._resolved[resolution.stream] = resolution
                self._runs.set()
            case q.OwnerChose(stream, owner):
                log.info("branch.chosen", stream=format_stream(stream), owner=owner)
            case q.Done(request) | q.Failed(request) if request in self._wishes:
                self._wishes[request].outcome = finding
                self._wishes[request].decided.set()
            case q.CoSigned(stream, length):
                log.info("head.cosigned", stream=format_stream(stream), length=length)
            case q.Recalled(stream, length):
                log.warning("head.recalled", stream=format_stream(stream), length=length)
            case q.CoSigningRefused(stream, length, reason):
                named = {"stream": format_stream(stream), "length": length}
                log.warning("head.not_cosigned", **named, reason=reason)
            case LiarFound(peer, reason):
                log.info("sequencing.refused", peer=format_feed(peer), reason=reason)
            case _:
                pass
        self._observe(finding)
