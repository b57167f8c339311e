"""A node of the DHT on UDP: the world of its machine (spec/dht.md 3).

Datagrams are taken as many at a time as are there, without going through the scheduler for each.
What the kernel doesn't take at once waits in a bounded line; beyond it, datagrams are lost, as
they may be anywhere.
"""

import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import TypeVar

import structlog
import trio

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.dht import cache
from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId
from qbix_node.dht.limits import Limits
from qbix_node.dht.machine import Dht
from qbix_node.dht.messages import Told
from qbix_node.dht.records import Content, Record
from qbix_node.dht.serving import Handler
from qbix_node.dht.wire import DATAGRAM_BYTES_MAX, Sealing
from qbix_node.errors import LocalError
from qbix_node.machines import PeerId, Rng
from qbix_node.ports import Store
from qbix_node.runtime.timers import Timers

DATAGRAMS_MAX = 64  # taken from a socket before others have their turn
OUTBOX_MAX = 512  # datagrams of a socket that wait
BUFFER_BYTES = 1 << 20  # asked of the kernel, for datagrams that come meanwhile
CLOCK_S = 60.0  # between looks at the wall clock
CACHE_S = 300.0  # between writes of the contact cache
BACKLOG_MAX = 4096  # questions of the node that wait for an answer

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(slots=True)
class _Socket:
    udp: socket.socket
    family: socket.AddressFamily
    outbox: deque[tuple[bytes, tuple[str, int]]]
    wanted: trio.Event  # something waits in the outbox


class DhtService:
    """`listen`: hosts and ports to bind, of IPv4 or IPv6; port 0 is any that is free."""

    def __init__(
        self,
        keys: KeyPair,
        listen: Iterable[tuple[str, int]],
        store: Store,
        *,
        rng: Rng,
        limits: Limits | None = None,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self.machine = Dht(Sealing(keys), limits)
        self._store, self._rng, self._unix_s = store, rng, unix_s
        self._sockets = [_bind(*each) for each in listen]
        self._timers = Timers()
        self._alarm = trio.CancelScope()
        self._numbers = count(1)
        self._waiting: dict[int, trio.lowlevel.Task | None] = {}  # for the answer of that number
        self._answers: dict[int, object] = {}
        self.datagrams_lost = 0  # by us, as too many waited

    @property
    def endpoints(self) -> list[Endpoint]:
        return [_endpoint(each.udp.getsockname()) for each in self._sockets]

    def register(self, rpc: int, handler: Handler) -> None:
        self.machine.register(rpc, handler)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. What fails in the machine or the store ends the process."""
        try:
            async with trio.open_nursery() as nursery:
                self._set_clock()
                self._want(r.Bootstrap(tuple(cache.read_contacts(self._store))))
                for each in self._sockets:
                    nursery.start_soon(self._receive, each)
                    nursery.start_soon(self._send_waiting, each)
                nursery.start_soon(self._fire_timers)
                nursery.start_soon(self._watch_clock)
                nursery.start_soon(self._keep_contacts)
                task_status.started()
        finally:
            self.close()

    def close(self) -> None:
        """Also of a service that never ran."""
        for each in self._sockets:
            trio.lowlevel.notify_closing(each.udp)
            each.udp.close()

    # ---- for the node ----

    def bootstrap(self, contacts: Iterable[Told]) -> None:
        self._want(r.Bootstrap(tuple(contacts)))

    def publish(self, content: Content) -> None:
        self._want(r.Publish(content))

    def publish_signed(self, record: Record) -> None:
        self._want(r.PublishSigned(record))

    def withdraw(self, key: NodeId, kind: str) -> None:
        self._want(r.Withdraw(key, kind))

    async def lookup(self, target: NodeId) -> r.Found:
        return await self._ask(lambda number: r.Find(number, target), r.Found)

    async def get(self, key: NodeId, signer: PeerId | None = None) -> r.Got:
        return await self._ask(lambda number: r.Get(number, key, signer), r.Got)

    async def put(self, record: Record) -> r.Placed:
        return await self._ask(lambda number: r.Store(number, record), r.Placed)

    async def ask(self, contact: Told, rpc: int, data: bytes) -> bytes | None:
        """A request that an upper layer registered there; None: no answer."""
        wish = await self._ask(lambda number: r.Ask(number, contact, rpc, data), r.Replied)
        return wish.data

    def contacts(self) -> list[Told]:
        return self.machine.contacts()

    async def remember_contacts(self) -> None:
        """Also before a clean stop: they are the ways in of the next run."""
        contacts = self.contacts()
        if contacts and (writes := cache.remember(contacts, self._store)):
            await self._store.write(writes)

    def seen_at(self) -> Endpoint | None:
        return self.machine.seen_at()

    def figures(self) -> Mapping[str, int]:
        return {**self.machine.figures(), "datagrams lost": self.datagrams_lost}

    async def _ask(self, wish: Callable[[int], object], kind: type[T]) -> T:
        if len(self._waiting) >= BACKLOG_MAX:
            raise LocalError("too many questions to the DHT at once", hint="try again later")
        number = next(self._numbers)
        wanted = wish(number)
        self._waiting[number] = None
        self._want(wanted)
        if number in self._answers:
            answer = self._answers.pop(number)  # before the checkpoint, which may not come back
            await trio.lowlevel.checkpoint()
        else:  # an Event for each question would cost more than to send and to take a datagram

            def give_up(_: object) -> trio.lowlevel.Abort:
                del self._waiting[number]
                return trio.lowlevel.Abort.SUCCEEDED

            self._waiting[number] = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(give_up)
            answer = self._answers.pop(number)
        assert isinstance(answer, kind)
        return answer

    # ---- the machine's decisions ----

    def _want(self, request: object) -> None:
        self._handle(m.Requested(request))

    def _handle(self, event: r.Event, via: _Socket | None = None) -> None:
        """`via`: the socket that heard, which answers."""
        for effect in self.machine.handle(event, trio.current_time(), self._rng):
            if isinstance(effect, r.Say):
                self._send(effect.data, effect.to, via)
            elif isinstance(effect, m.SetTimer):
                self._timers.set(effect.name, effect.at)
                self._alarm.deadline = self._timers.next_at()
            else:
                self._tell(effect.finding)

    def _tell(self, finding: object) -> None:
        if isinstance(finding, r.Found | r.Got | r.Placed | r.Replied):
            number = finding.number
            if number in self._waiting:
                self._answers[number] = finding
                if task := self._waiting.pop(number):
                    trio.lowlevel.reschedule(task)

    async def _fire_timers(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._timers.next_at()) as self._alarm:
                await trio.sleep_forever()
            for name in self._timers.due(trio.current_time()):
                self._handle(m.TimerFired(name))

    async def _watch_clock(self) -> None:
        while True:
            await trio.sleep(CLOCK_S)
            self._set_clock()

    def _set_clock(self) -> None:
        self._want(r.ClockSet(self._unix_s() - trio.current_time()))

    async def _keep_contacts(self) -> None:
        while True:
            await trio.sleep(CACHE_S)
            await self.remember_contacts()

    # ---- datagrams ----

    async def _receive(self, each: _Socket) -> None:
        while True:
            await trio.lowlevel.wait_readable(each.udp)
            for _ in range(DATAGRAMS_MAX):
                try:
                    data, source = each.udp.recvfrom(DATAGRAM_BYTES_MAX + 1)
                except BlockingIOError:
                    break
                except OSError as error:  # what became of a datagram that was sent before
                    log.debug("dht.unreachable", reason=str(error))
                    continue
                self._handle(r.Heard(data, _endpoint(source)), each)

    def _send(self, data: bytes, to: Endpoint, via: _Socket | None = None) -> None:
        """By the socket that heard, if it can: others would not know who answers."""
        family, address = _address(to)
        if via is None or via.family is not family:
            via = next((each for each in self._sockets if each.family is family), None)
        if via is None:
            self.datagrams_lost += 1
        else:
            self._send_by(via, data, address)

    def _send_by(self, each: _Socket, data: bytes, to: tuple[str, int]) -> None:
        if not each.outbox and _sent(each.udp, data, to):
            return
        if len(each.outbox) >= OUTBOX_MAX:
            self.datagrams_lost += 1
            return
        each.outbox.append((data, to))
        each.wanted.set()

    async def _send_waiting(self, each: _Socket) -> None:
        while True:
            await each.wanted.wait()
            await trio.lowlevel.wait_writable(each.udp)
            while each.outbox and _sent(each.udp, *each.outbox[0]):
                each.outbox.popleft()
            if not each.outbox:
                each.wanted = trio.Event()


def _sent(udp: socket.socket, data: bytes, to: tuple[str, int]) -> bool:
    """False: the kernel takes no more at present."""
    try:
        udp.sendto(data, to)
    except BlockingIOError:
        return False
    except OSError as error:  # there is no way to this address; it is as if nobody answered
        log.debug("dht.unreachable", reason=str(error))
    return True


def _bind(host: str, port: int) -> _Socket:
    """Raises LocalError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        udp.settimeout(0)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        udp.bind((host, port))
    except OSError as error:
        udp.close()
        what = f"can't listen on UDP port {port} of {host}: {error.strerror}"
        raise LocalError(
            what, hint="choose another one: listen in [dht] of node.toml; enabled = false: no DHT"
        ) from error
    return _Socket(udp, family, deque(), trio.Event())


@lru_cache(maxsize=4096)
def _endpoint(address: tuple[str, int] | tuple[str, int, int, int]) -> Endpoint:
    host, _, _ = address[0].partition("%")  # fe80::1%eth0
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return Endpoint(socket.inet_pton(family, host), address[1])


@lru_cache(maxsize=4096)
def _address(endpoint: Endpoint) -> tuple[socket.AddressFamily, tuple[str, int]]:
    family = socket.AF_INET if len(endpoint.ip) == 4 else socket.AF_INET6
    return family, (socket.inet_ntop(family, endpoint.ip), endpoint.port)
