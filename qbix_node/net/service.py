"""Listen, dial, shake hands and run links, as the ConnectionKeeper decides (net/machine.py)."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import structlog
import trio

from qbix_node import machines as m
from qbix_node.crypto.entropy import random_bytes
from qbix_node.crypto.keys import SEED_BYTES, KeyPair
from qbix_node.errors import LocalError, RemoteError
from qbix_node.machines import PeerId
from qbix_node.net import messages as k
from qbix_node.net.address import Address
from qbix_node.net.containment import remote_error
from qbix_node.net.handshake import (
    ACCEPT_BYTES,
    HELLO_BYTES,
    PROOF_BYTES,
    ClientHandshake,
    ServerHandshake,
    SessionKeys,
)
from qbix_node.net.limits import Limits
from qbix_node.net.link import Link
from qbix_node.net.methods import Methods
from qbix_node.net.transport import Transport
from qbix_node.wire.references import format_feed

SEE_OFF_S = 0.25  # for the connection that a new one replaces to say goodbye

log = structlog.get_logger()

Post = Callable[[m.Event], Awaitable[None]]
OnLink = Callable[[Link], Awaitable[None]]


@dataclass(slots=True)
class _Attempt:
    """One connection on its way to be a link, and the link that it becomes."""

    id: k.LinkId
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    may_proceed: trio.Event = field(default_factory=trio.Event)
    over: trio.Event = field(default_factory=trio.Event)
    link: Link | None = None
    reason: str = ""

    def hang_up(self, reason: str) -> None:
        self.reason = reason
        if self.link is None:
            self.scope.cancel()
        else:
            self.link.close(reason)


@dataclass(slots=True)
class _Wish:
    decided: trio.Event = field(default_factory=trio.Event)
    refusal: str | None = None


class Network:
    """The world of the ConnectionKeeper, whose runner must run while this does."""

    def __init__(
        self,
        keys: KeyPair,
        network_key: bytes,
        transport: Transport,
        *,
        methods: Methods,
        limits: Limits,
        post: Post,
        listen: Sequence[tuple[str, int]] = (),
        entropy: Callable[[int], bytes] = random_bytes,
        wall_clock: Callable[[], float] = time.time,
        observe: Callable[[object], None] = lambda finding: None,
    ) -> None:
        self.listening: list[tuple[str, int]] = []  # hosts and ports
        self._keys = keys
        self._network_key = network_key
        self._transport = transport
        self._methods = methods
        self.limits = limits  # may be replaced: connections from then on go by the new ones
        self._post = post
        self._listen = listen
        self._entropy = entropy
        self._wall_clock = wall_clock
        self._observe = observe
        self._numbers = count(1)
        self._attempts: dict[k.LinkId, _Attempt] = {}
        self._up: dict[PeerId, _Attempt] = {}
        self._wishes: dict[int, _Wish] = {}
        self._nursery: trio.Nursery | None = None  # while it runs

    async def run(
        self,
        on_link: OnLink,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Until cancelled; `started` once it listens. `on_link` runs while a link is up; there is
        never more than one for a peer at a time. Raises LocalError if it can't listen.
        """
        self._on_link = on_link
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                for host, port in self._listen:
                    bound = await nursery.start(self._transport.serve, host, port, self._accept)
                    self.listening.append((host, bound))
                await self._post(m.Requested(k.Start()))
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None  # what the keeper still decides is not begun any more

    def links(self) -> list[Link]:
        """Those that are up, by peer."""
        return [attempt.link for _, attempt in sorted(self._up.items()) if attempt.link]

    def link(self, peer: PeerId) -> Link | None:
        attempt = self._up.get(peer)
        return attempt.link if attempt else None

    # ---- wishes: they return once the wish is durable, and raise LocalError if it is refused ----

    async def add_peer(self, address: Address) -> None:
        await self._wish(lambda request: k.AddPeer(request, address))

    async def add_key(self, peer: PeerId) -> None:
        await self._wish(lambda request: k.AddKey(request, peer))

    async def remove_peer(self, peer: PeerId) -> None:
        await self._wish(lambda request: k.RemovePeer(request, peer))

    async def block_peer(self, peer: PeerId) -> None:
        await self._wish(lambda request: k.BlockPeer(request, peer))

    async def unblock_peer(self, peer: PeerId) -> None:
        await self._wish(lambda request: k.UnblockPeer(request, peer))

    async def _wish(self, make: Callable[[int], object]) -> None:
        request = next(self._numbers)
        wish = self._wishes[request] = _Wish()
        try:
            await self._post(m.Requested(make(request)))
            await wish.decided.wait()
        finally:
            del self._wishes[request]
        if wish.refusal is not None:
            raise LocalError(wish.refusal)

    # ---- the keeper's decisions ----

    def send(self, to: PeerId, message: object) -> None:
        raise AssertionError("the keeper sends no messages")

    def found(self, finding: object) -> None:
        match finding:
            case k.Dial(link, address):
                if self._nursery is not None:
                    self._nursery.start_soon(self._dial, link, address)
            case k.Proceed(link):
                if attempt := self._attempts.get(link):
                    attempt.may_proceed.set()
            case k.Hangup(link, reason):
                if attempt := self._attempts.get(link):
                    attempt.hang_up(reason)
            case k.Done(request):
                self._decide_wish(request, None)
            case k.Refused(request, reason):
                self._decide_wish(request, reason)
            case _:
                raise AssertionError(f"not a decision of the keeper: {finding}")
        self._observe(finding)

    def _decide_wish(self, request: int, refusal: str | None) -> None:
        if wish := self._wishes.get(request):
            wish.refusal = refusal
            wish.decided.set()

    # ---- connections ----

    async def _accept(self, stream: trio.abc.Stream, host: str) -> None:
        attempt = _Attempt(k.LinkId(outgoing=False, number=next(self._numbers)))
        await self._attend(attempt, lambda: self._receive(attempt, stream, host), host)

    async def _dial(self, link: k.LinkId, address: Address) -> None:
        attempt = _Attempt(link)
        await self._attend(attempt, lambda: self._call(attempt, address), str(address))

    async def _attend(
        self, attempt: _Attempt, work: Callable[[], Awaitable[None]], remote: str
    ) -> None:
        self._attempts[attempt.id] = attempt
        with attempt.scope:
            try:
                await work()
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                attempt.reason = str(error) or "connection lost"
            except trio.TooSlowError:
                attempt.reason = "too slow"
            except Exception as error:
                # A bug that one connection reaches must not take the others down with it.
                refusal = remote_error(error)
                attempt.reason = str(refusal or "internal error")
                if refusal is None:
                    log.exception("connection.failed", remote=remote)
        del self._attempts[attempt.id]
        if attempt.link is None:
            log.debug("connection.ended", remote=remote, reason=attempt.reason)
        await self._post(m.Requested(k.Gone(attempt.id)))

    async def _receive(self, attempt: _Attempt, stream: trio.abc.Stream, host: str) -> None:
        shake = ServerHandshake(self._network_key, self._keys, self._entropy(SEED_BYTES))
        async with stream:
            await self._ask(attempt, k.Arrived(attempt.id, host))
            with trio.fail_after(self.limits.handshake_patience_s):
                await stream.send_all(shake.receive_hello(await _read(stream, HELLO_BYTES)))
                peer = shake.receive_proof(await _read(stream, PROOF_BYTES))
                await self._ask(attempt, k.Proven(attempt.id, peer))
                await self._see_off(self._up.get(peer))
                accept, session = shake.accept()
                await stream.send_all(accept)
            await self._run_link(attempt, self._link(stream, session, host))

    async def _see_off(self, replaced: _Attempt | None) -> None:
        """JavaScript peers that see the end of the old connection after the new one came up (as
        ssb-conn does) forget the new one. A dead connection is not waited for.
        """
        if replaced is not None:
            with trio.move_on_after(SEE_OFF_S):
                await replaced.over.wait()

    async def _call(self, attempt: _Attempt, address: Address) -> None:
        shake = ClientHandshake(
            self._network_key, self._keys, address.key, self._entropy(SEED_BYTES)
        )
        with trio.fail_after(self.limits.dial_patience_s):
            stream = await self._transport.dial(address.host, address.port)
        async with stream:
            await self._ask(attempt, k.Reached(attempt.id))
            with trio.fail_after(self.limits.handshake_patience_s):
                await stream.send_all(shake.hello)
                await stream.send_all(shake.receive_hello(await _read(stream, HELLO_BYTES)))
                session = shake.receive_accept(await _read(stream, ACCEPT_BYTES))
            await self._ask(attempt, k.Proven(attempt.id, session.peer))
            await self._run_link(attempt, self._link(stream, session, address))

    def _link(self, stream: trio.abc.Stream, session: SessionKeys, remote: Address | str) -> Link:
        """`remote`: the address that we dialled, or the host that dialled us."""
        return Link(
            stream,
            session,
            self._methods,
            self.limits,
            outgoing=isinstance(remote, Address),
            address=str(remote),
            wall_clock=self._wall_clock,
        )

    async def _ask(self, attempt: _Attempt, question: object) -> None:
        """Go on only if the keeper says so; else the attempt is cancelled."""
        attempt.may_proceed = trio.Event()
        await self._post(m.Requested(question))
        await attempt.may_proceed.wait()

    async def _run_link(self, attempt: _Attempt, link: Link) -> None:
        previous = self._up.get(link.peer)
        attempt.link, self._up[link.peer] = link, attempt
        who = {"peer": format_feed(link.peer), "address": link.address}
        try:
            if previous is not None:
                await previous.over.wait()  # it was replaced and is saying goodbye
            log.info("link.up", outgoing=link.outgoing, **who)
            with self._observed(link):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._accompany, link)
                    await link.run()
                    nursery.cancel_scope.cancel()
        finally:
            attempt.over.set()
            if self._up.get(link.peer) is attempt:
                del self._up[link.peer]
            log.info("link.down", reason=link.closed_because, **who)

    @contextmanager
    def _observed(self, link: Link) -> Iterator[None]:
        self._observe(k.LinkUp(link.peer, link.outgoing))
        try:
            yield
        finally:
            self._observe(k.LinkDown(link.peer, link.closed_because or ""))

    async def _accompany(self, link: Link) -> None:
        try:
            await self._on_link(link)
        except Exception as error:
            # What goes wrong with one peer, be it a bug, ends with the connection to it.
            refusal = remote_error(error)
            if refusal is None:
                log.exception("link.failed", peer=format_feed(link.peer))
            link.close(str(refusal or "internal error"))


async def _read(stream: trio.abc.Stream, size: int) -> bytes:
    """Exactly so many bytes, so that a stranger can make us keep no more."""
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        if not more:
            raise RemoteError("hung up during the handshake")
        data += more
    return data
