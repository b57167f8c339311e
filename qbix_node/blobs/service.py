"""Blobs on trio: carries out what BlobExchange decides, and keeps the files.

The machine is told of a file once it is durable, and one at a time (`_place`): so a file that the
quota gives up is never one that has come again meanwhile.
"""

import math
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakKeyDictionary

import structlog
import trio

from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.blobs.downloading import WrongBytes, download
from qbix_node.blobs.files import BlobFiles, Draft, NoSuchBlob
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.machine import BlobExchange
from qbix_node.blobs.outbox import Outbox
from qbix_node.blobs.reading import Reader
from qbix_node.blobs.recovery import recover
from qbix_node.blobs.serving import Serving
from qbix_node.errors import BadInput, DamagedStore, LocalError, RemoteError, Temporary
from qbix_node.net.link import Body, Link, RemoteRefusal, Stream
from qbix_node.net.methods import Method, Methods
from qbix_node.ports import Store
from qbix_node.runtime import Executor, Runner
from qbix_node.wire.references import BlobId, format_blob, format_feed
from qbix_node.wire.v8json import JsonValue

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HeldBlob:
    blob: BlobId
    size: int
    by_sympathy: bool  # here only because peers wanted it; it gives way when their quota is full


@dataclass(slots=True, eq=False)
class _Wait:
    """Somebody waits for a finding of some of these kinds about one blob."""

    kinds: tuple[type[b.Answer], ...]
    came: trio.Event = field(default_factory=trio.Event)
    finding: b.Answer | None = None


@dataclass(slots=True, eq=False)
class _Listener:
    """A peer that reads our notes."""

    outbox: Outbox
    news: trio.Event = field(default_factory=trio.Event)


@asynccontextmanager
async def open_blobs(
    files: BlobFiles,
    store: Store,
    limits: Limits,
    *,
    executor: Executor,
    rng: m.Rng,
    observe: Callable[[object], None] = lambda finding: None,
) -> AsyncIterator["Blobs"]:
    """They live as long as the block, which must outlive the links. `observe` is told what the
    BlobExchange finds and sends.
    """
    held = await executor.run(files.sizes)
    exchange, stale = recover(store, held, limits)
    if stale:
        await store.write(stale)
    async with trio.open_nursery() as nursery:
        blobs = Blobs(
            files, exchange, nursery, store=store, executor=executor, rng=rng, observe=observe
        )
        nursery.start_soon(blobs.run)
        yield blobs
        nursery.cancel_scope.cancel()


class Blobs:
    """The world of the BlobExchange."""

    def __init__(
        self,
        files: BlobFiles,
        exchange: BlobExchange,
        nursery: trio.Nursery,
        *,
        store: Store,
        executor: Executor,
        rng: m.Rng,
        observe: Callable[[object], None],
    ) -> None:
        self._files = files
        self._exchange = exchange
        self._nursery = nursery
        self._executor = executor
        self._observe = observe
        self._runner = Runner(exchange, self, store, rng, executor)
        self._limits = exchange.limits
        self._serving = Serving(exchange.held, self._reader, turn=self._turn, failed=self._unread)
        self._links: dict[m.PeerId, Link] = {}
        self._listeners: dict[m.PeerId, _Listener] = {}
        self._listens: WeakKeyDictionary[Link, int] = WeakKeyDictionary()  # calls of createWants
        self._turns: WeakKeyDictionary[Link, trio.Semaphore] = WeakKeyDictionary()
        self._fetches: dict[int, trio.CancelScope] = {}
        self._waits: dict[BlobId, list[_Wait]] = {}
        self._placing = trio.Lock()
        self._leaving: set[BlobId] = set()  # given up by the quota, their files not yet deleted

    async def run(self) -> None:
        await self._runner.run()

    # ---- for the operator ----

    async def add(self, source: AsyncIterable[bytes]) -> BlobId:
        """Raises BadInput (too large), Temporary (disk full)."""
        with await self._executor.run(self._files.draft) as draft:
            async for piece in source:
                if draft.size + len(piece) > self._limits.blob_bytes_max:
                    raise BadInput(
                        f"the blob is larger than the {self._limits.blob_bytes_max} bytes allowed",
                        hint="split it; peers have the same limit as a rule",
                    )
                await self._executor.run(partial(draft.write, [piece]))
            blob = draft.blob
            await self._place(draft, m.Requested(b.Added(blob, draft.size)))
        return blob

    async def want(self, blob: BlobId, *, patience_s: float = math.inf) -> bool:
        """Fetch it from peers: True once it is here; False if it isn't after `patience_s`.

        The want is durable then, and goes on. Raises Temporary: too many are wanted.
        """
        if blob == b.EMPTY:
            await self.add(_nothing())
            return True
        with (
            self._waiting(blob, b.Wanted, b.WantRefused, b.Arrived) as answer,
            self._waiting(blob, b.Arrived) as arrival,
        ):
            await self._ask(b.WantBlob(blob), answer)
            if isinstance(answer.finding, b.WantRefused):
                raise Temporary(f"{format_blob(blob)} is not fetched: {answer.finding.reason}")
            with trio.move_on_after(patience_s):
                await arrival.came.wait()
            return arrival.came.is_set()

    async def unwant(self, blob: BlobId) -> bool:
        """False: it wasn't wanted."""
        if blob not in self._exchange.own_wants:
            return False
        with self._waiting(blob, b.Unwanted, b.Arrived) as answer:
            await self._ask(b.Unwant(blob), answer)
        return isinstance(answer.finding, b.Unwanted)

    def wanted(self) -> dict[BlobId, str]:
        """What the operator waits for, and why it isn't here yet."""
        return self._exchange.own_wants

    def has(self, blob: BlobId) -> bool:
        return blob in self._exchange.held

    def size(self, blob: BlobId) -> int:
        """Raises NoSuchBlob."""
        size = self._exchange.held.get(blob)
        if size is None:
            raise NoSuchBlob(blob)
        return size

    def totals(self) -> tuple[int, int]:
        """How many are here, and their bytes."""
        sizes = self._exchange.held.values()
        return len(sizes), sum(sizes)

    def held(self) -> list[HeldBlob]:
        """All that are here, ascending by id."""
        return [
            HeldBlob(blob, size, self._exchange.by_sympathy(blob))
            for blob, size in sorted(self._exchange.held.items())
        ]

    async def get(self, blob: BlobId, *, verify: bool = False) -> Reader:
        """Raises NoSuchBlob, Temporary; with `verify` DamagedStore, before anything is read."""
        size = self.size(blob)
        if verify and not await self._executor.run(partial(self._files.intact, blob)):
            raise DamagedStore(
                f"{format_blob(blob)} is damaged on disk", hint="remove it, then fetch it again"
            )
        return self._reader(blob, range(size))

    async def remove(self, blob: BlobId) -> bool:
        """False: it isn't here. Raises Temporary."""
        async with self._placing:
            removed = await self._executor.run(partial(self._files.remove, blob))
            with self._waiting(blob, b.Gone) as answer:
                await self._ask(b.Removed(blob), answer)
        return removed

    async def _ask(self, request: object, answer: _Wait) -> None:
        await self._runner.post(m.Requested(request))
        await answer.came.wait()

    # ---- for peers ----

    def methods(self) -> Methods:
        return {**self._serving.methods(), "blobs.createWants": Method("source", self._serve_wants)}

    async def on_link(self, link: Link) -> None:
        """Hear what the peer wants and has, while the link is up."""
        peer = link.peer
        self._links[peer] = link
        try:
            await self._runner.post(m.Connected(peer, link.outgoing))
            if peer in self._listeners:  # it asked for our notes before we got here
                await self._runner.post(m.Received(peer, b.Listening()))
            await self._hear(link)
            await trio.sleep_forever()
        finally:
            if self._links.get(peer) is link:
                del self._links[peer]
                # In a task of its own: this one is being cancelled.
                self._nursery.start_soon(self._say_gone, peer)

    async def _hear(self, link: Link) -> None:
        stream = await link.open("blobs.createWants", [], "source")
        try:
            while bodies := await stream.receive_many():
                for body in bodies:
                    for note in b.read_notes(body.json("blobs.createWants")):
                        await self._runner.post(m.Received(link.peer, note))
        except RemoteRefusal as refusal:
            log.debug("blobs.not_shared", peer=format_feed(link.peer), reason=str(refusal))

    async def _say_gone(self, peer: m.PeerId) -> None:
        if peer not in self._links:  # else it is back, and the machine starts it afresh
            await self._runner.post(m.Disconnected(peer))

    async def _serve_wants(self, link: Link, args: list[JsonValue], stream: Stream | None) -> None:
        assert stream is not None  # it is a source
        peer = link.peer
        self._listens[link] = self._listens.get(link, 0) + 1
        if self._listens[link] > self._limits.peer_listens_max:  # each costs us all that is wanted
            raise RemoteError("blobs.createWants was called too often over this connection")
        if before := self._listeners.get(peer):
            before.news.set()  # it asks anew: the earlier stream ends
        listener = self._listeners[peer] = _Listener(Outbox(self._limits.unsent_notes_max))
        try:
            await stream.send([Body.of_json({})])  # as JavaScript peers begin
            if peer in self._links:
                await self._runner.post(m.Received(peer, b.Listening()))
            while self._listeners.get(peer) is listener:
                await listener.news.wait()
                listener.news = trio.Event()
                notes = listener.outbox.take()
                await stream.send([Body.of_json(b.note_json(note)) for note in notes])
        finally:
            if self._listeners.get(peer) is listener:
                del self._listeners[peer]

    def _turn(self, link: Link) -> trio.Semaphore:
        return self._turns.setdefault(link, trio.Semaphore(self._limits.peer_gets_max))

    def _unread(self, blob: BlobId, error: LocalError) -> None:
        log.warning("blob.unreadable", blob=format_blob(blob), reason=str(error))

    # ---- the world of the machine ----

    def send(self, to: m.PeerId, message: object) -> None:
        self._observe(m.Send(to, message))
        match message:
            case b.Want() | b.Have():
                self._note(to, message)
            case b.Get():
                self._fetches[message.number] = trio.CancelScope()
                self._nursery.start_soon(self._fetch, to, message)
            case b.Cancel(number) if number in self._fetches:
                self._fetches[number].cancel()
            case _:
                pass  # that fetch has just ended

    def found(self, finding: object) -> None:
        match finding:
            case b.Arrived(blob, size):
                self._leaving.discard(blob)
                self._answer(finding)
                log.debug("blob.arrived", blob=format_blob(blob), bytes=size)
            case b.Wanted() | b.WantRefused() | b.Unwanted() | b.Gone():
                self._answer(finding)
            case b.Discard(blob):
                self._leaving.add(blob)
                self._nursery.start_soon(self._discard, blob)
            case b.TooLarge(peer, blob, size):
                fields = {"blob": format_blob(blob), "peer": format_feed(peer)}
                log.warning("blob.too_large", bytes=size, **fields)
            case b.Unfetched(peer, blob, failure, reason):
                fields = {"blob": format_blob(blob), "peer": format_feed(peer), "reason": reason}
                level = log.info if failure == b.Failure.UNAVAILABLE else log.warning
                level("blob.unfetched", failure=failure.name.lower(), **fields)
            case other:
                raise AssertionError(f"not a finding about blobs: {other!r}")
        self._observe(finding)

    def _note(self, to: m.PeerId, note: b.Note) -> None:
        listener = self._listeners.get(to)
        if listener is None:
            return  # it has stopped listening; if it asks anew, it is told all
        if not listener.outbox.put(note):
            del self._listeners[to]
            log.info("blobs.notes_unread", peer=format_feed(to))
        listener.news.set()

    # ---- fetching and keeping ----

    async def _fetch(self, peer: m.PeerId, get: b.Get) -> None:
        """Every Get is answered: by Got, which `_place` says, or by Failed."""
        failure, reason = b.Failure.UNAVAILABLE, "it was broken off"
        try:
            with await self._executor.run(self._files.draft) as draft:
                whole = False
                with self._fetches[get.number]:
                    await self._download(peer, get, draft)
                    whole = True
                if whole:  # from here on it can't be cancelled
                    got = b.Got(get.number, get.blob, draft.size)
                    await self._place(draft, m.Received(peer, got))
                    return
        except WrongBytes as error:
            failure, reason = b.Failure.WRONG, str(error)
        except Temporary as error:
            failure, reason = b.Failure.DISK, str(error)
        except RemoteError as error:
            reason = str(error)
        finally:
            del self._fetches[get.number]
        failed = b.Failed(get.number, get.blob, failure, reason)
        await self._runner.post(m.Received(peer, failed))

    async def _download(self, peer: m.PeerId, get: b.Get, draft: Draft) -> None:
        link = self._links.get(peer)
        if link is None:
            raise RemoteError("the connection is gone")
        progress = m.Received(peer, b.Progress(get.number, get.blob))
        await download(link, get, draft, self._executor, lambda: self._runner.post(progress))

    async def _place(self, draft: Draft, arrival: m.Event) -> None:
        """Make it durable, and return once the machine knows. Raises Temporary."""
        async with self._placing:
            with self._waiting(draft.blob, b.Arrived) as answer:
                await self._executor.run(draft.place)
                # In a task of its own: the machine is told even if whoever asked has gone.
                self._nursery.start_soon(self._runner.post, arrival)
                await answer.came.wait()

    async def _discard(self, blob: BlobId) -> None:
        async with self._placing:
            if blob not in self._leaving:
                return  # it came again
            self._leaving.discard(blob)
            await self._executor.run(partial(self._files.remove, blob))
            with self._waiting(blob, b.Gone) as answer:
                await self._ask(b.Removed(blob), answer)
        log.info("blob.discarded", blob=format_blob(blob))

    def _reader(self, blob: BlobId, wanted: range) -> Reader:
        return Reader(self._files, self._executor, blob, wanted)

    # ---- waiting ----

    @contextmanager
    def _waiting(self, blob: BlobId, *kinds: type[b.Answer]) -> Iterator[_Wait]:
        wait = _Wait(kinds)
        self._waits.setdefault(blob, []).append(wait)
        try:
            yield wait
        finally:
            self._waits[blob].remove(wait)
            if not self._waits[blob]:
                del self._waits[blob]

    def _answer(self, finding: b.Answer) -> None:
        for wait in self._waits.get(finding.blob, ()):
            if isinstance(finding, wait.kinds):
                wait.finding = finding
                wait.came.set()


async def _nothing() -> AsyncIterator[bytes]:
    for piece in tuple[bytes, ...]():
        yield piece
