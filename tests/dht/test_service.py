"""Nodes of the DHT on real UDP sockets of this machine."""

import errno
import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from qbix_node.dht import service as dht_service
from qbix_node.dht.cache import CONTACTS_MAX, read_contacts, remember
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId, closest, node_id
from qbix_node.dht.messages import Told
from qbix_node.dht.records import ProviderContent, provider_key
from qbix_node.dht.service import DATAGRAMS_MAX, OUTBOX_MAX, DhtService
from qbix_node.errors import DamagedStore, LocalError, Malformed
from qbix_node.machines import PeerId
from qbix_node.ports import Put
from qbix_node.store.memory import MemoryStore
from qbix_node.wire.packing import pack
from tests.dht.network import keys_of

STREAM = b"s" * 32
PATIENCE_S = 60


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
            udp.bind(("::1", 0))
    except OSError:
        return False
    return True


def service(number: int, host: str = "127.0.0.1", store: MemoryStore | None = None) -> DhtService:
    return DhtService(
        keys_of(number), [(host, 0)], store or MemoryStore(), rng=random.Random(number)
    )


def told(number: int, node: DhtService) -> Told:
    return Told(PeerId(keys_of(number).public), *node.endpoints[0])


@asynccontextmanager
async def running(nodes: Sequence[DhtService]) -> AsyncIterator[trio.Nursery]:
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for node in nodes:
                await nursery.start(node.run)
            yield nursery
            nursery.cancel_scope.cancel()


async def test_twenty_nodes_find_each_other_and_what_one_of_them_holds() -> None:
    numbers = range(1, 21)
    nodes = [service(number) for number in numbers]
    ids = [node_id(PeerId(keys_of(number).public)) for number in numbers]
    async with running(nodes):
        for node in nodes[1:]:
            node.bootstrap([told(1, nodes[0])])
        target = NodeId(bytes(32))
        others = [each for each in ids if each != ids[13]]
        found = list[NodeId]()
        while found != closest(others, target, 20):
            found = [node_id(each.key) for each in (await nodes[13].lookup(target)).nodes]
        nodes[4].publish(ProviderContent("stream", STREAM, ()))
        got = await nodes[17].get(provider_key("stream", STREAM))
        while not got.records:
            got = await nodes[17].get(provider_key("stream", STREAM))
        assert [each.signer for each in got.records] == [keys_of(5).public]
        assert (await nodes[17].put(got.records[0])).kept_by >= 19
        assert nodes[0].figures()["datagrams lost"] == 0


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")
async def test_nodes_find_each_other_over_ipv6() -> None:
    nodes = [service(number, "::1") for number in (1, 2)]
    async with running(nodes):
        nodes[1].bootstrap([told(1, nodes[0])])
        found = await nodes[1].lookup(NodeId(bytes(32)))
        while not found.nodes:
            found = await nodes[1].lookup(NodeId(bytes(32)))
        assert found.nodes == (told(1, nodes[0]),)


async def test_junk_on_the_socket_changes_nothing() -> None:
    nodes = [service(number) for number in (1, 2)]
    async with running(nodes):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            ip, port = nodes[0].endpoints[0]
            for size in (0, 1, 90, 107, 1280, 1281, 9000):
                stranger.sendto(bytes([1]) * size, (socket.inet_ntoa(ip), port))
        nodes[1].bootstrap([told(1, nodes[0])])
        while not nodes[1].contacts():
            await wait_all_tasks_blocked()
        assert sum(v for k, v in nodes[0].figures().items() if k.startswith("ignored")) == 7


async def test_a_flood_leaves_others_their_turn() -> None:
    node = service(1)
    async with running([node]):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            ip, port = node.endpoints[0]
            for _ in range(6 * DATAGRAMS_MAX):
                stranger.sendto(b"junk", (socket.inet_ntoa(ip), port))
        seen = list[int]()
        while not seen or seen[-1] < 6 * DATAGRAMS_MAX:
            await trio.lowlevel.checkpoint()
            seen.append(node.figures().get("ignored: malformed", 0))
        steps = [later - earlier for earlier, later in zip([0, *seen], seen, strict=False)]
        assert 1 < max(steps) <= 2 * DATAGRAMS_MAX  # trio may take two turns of one task together


async def test_what_the_kernel_does_not_take_waits_and_beyond_that_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = True
    send = dht_service._sent
    monkeypatch.setattr(dht_service, "_sent", lambda *sent: not full and send(*sent))
    node = service(1)
    nobody = Endpoint(bytes((127, 0, 0, 1)), 9)
    node.bootstrap([Told(PeerId(keys_of(2).public), *nobody)])
    for number in range(OUTBOX_MAX + 10):
        node._send(number.to_bytes(2), nobody)
    assert node.datagrams_lost == 11
    full = False
    async with running([node]):
        while any(each.outbox for each in node._sockets):
            await wait_all_tasks_blocked()


async def test_a_port_that_is_taken_is_refused_with_a_hint() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(LocalError, match="can't listen on UDP port") as refused:
            DhtService(keys_of(1), [taken.getsockname()], MemoryStore(), rng=random.Random(0))
    assert "[dht] of node.toml" in refused.value.hint


# ---- the contact cache ----


def contact(number: int, port: int = 1) -> Told:
    return Told(PeerId(number.to_bytes(32)), bytes((127, 0, 0, 1)), port)


async def test_contacts_are_remembered_moved_and_forgotten() -> None:
    store = MemoryStore()
    await store.write(remember([contact(1), contact(2)], store))
    assert read_contacts(store) == [contact(1), contact(2)]
    writes = remember([contact(2, port=5), contact(3)], store)
    assert len(writes) == 3
    await store.write(writes)
    assert read_contacts(store) == [contact(2, port=5), contact(3)]
    assert remember(read_contacts(store), store) == []
    await store.write(remember([contact(each) for each in range(CONTACTS_MAX + 10)], store))
    assert len(read_contacts(store)) == CONTACTS_MAX


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (bytes(32), b"?"),
        (bytes(31), pack([bytes(4), 1])),
        (bytes(32), pack([bytes((8, 8, 8, 8)), 0])),
    ],
)
async def test_a_contact_in_the_store_that_cannot_be_read_is_damage(
    key: bytes, value: bytes
) -> None:
    store = MemoryStore()
    await store.write([Put(b"n/c" + key, value)])
    with pytest.raises(DamagedStore):
        read_contacts(store)


async def test_a_node_that_comes_back_finds_its_way_in_by_its_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dht_service, "CACHE_S", 0.01)
    store, other = MemoryStore(), service(1)
    async with running([other]) as nursery:
        node = service(2, store=store)
        with trio.CancelScope() as life:
            async with trio.open_nursery() as of_node:
                await of_node.start(node.run)
                node.bootstrap([told(1, other)])
                while not read_contacts(store):
                    await wait_all_tasks_blocked()
                life.cancel()
        again = service(2, store=store)
        await nursery.start(again.run)
        while not again.contacts():
            await wait_all_tasks_blocked()
        assert again.contacts() == [told(1, other)]


# ---- sockets ----


async def test_who_is_asked_at_one_of_several_addresses_answers_from_there() -> None:
    listen = [("127.0.0.1", 0), ("127.0.0.2", 0)]
    node = DhtService(keys_of(1), listen, MemoryStore(), rng=random.Random(1))
    node.register(0x20, lambda peer, endpoint, data: data)
    other = service(2, "127.0.0.3")
    async with running([node, other]):
        for endpoint in node.endpoints:
            there = Told(PeerId(keys_of(1).public), *endpoint)
            assert await other.ask(there, 0x20, b"hello") == b"hello"


async def test_an_address_that_cannot_be_reached_is_as_if_nobody_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """From a socket of loopback there is no way to others: sendto raises at once."""
    node = service(1)
    async with running([node]):
        for ip in (bytes((8, 8, 8, 8)), bytes.fromhex("20010db8") + bytes(11) + b"\x01"):
            there = Told(PeerId(keys_of(2).public), ip, 9)
            assert await node.ask(there, 0x20, b"hello") is None
        assert node.figures()["calls unanswered"] == 2


async def test_errors_of_a_socket_end_nothing() -> None:
    """As ICMP brings them, for datagrams that were sent before."""
    node, other = service(1), service(2)
    node.register(0x20, lambda peer, endpoint, data: data)
    failing = Failing(node._sockets[0].udp)
    node._sockets[0].udp = failing  # type: ignore[assignment]  # as far as it is used
    async with running([node, other]):
        assert await other.ask(told(1, node), 0x20, b"hello") == b"hello"
    assert failing.raised == len(ERRORS)


ERRORS = [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EMSGSIZE, errno.ENOBUFS]


class Failing:
    """A socket that raises each of these once before it receives."""

    def __init__(self, udp: socket.socket) -> None:
        self._udp, self._left = udp, list(ERRORS)
        self.raised = 0

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        if self._left:
            self.raised += 1
            raise OSError(self._left.pop(), "as the kernel says")
        return self._udp.recvfrom(size)

    def __getattr__(self, name: str) -> object:
        return getattr(self._udp, name)


async def test_questions_that_are_given_up_are_forgotten() -> None:
    node = service(1)
    async with running([node]):
        nobody = Told(PeerId(keys_of(2).public), bytes((127, 0, 0, 1)), 9)
        for _ in range(3):
            with trio.move_on_after(0):
                await node.ask(nobody, 0x20, b"hello")
            with trio.move_on_after(0):
                await node.lookup(NodeId(bytes(32)))  # it knows nobody: that is over at once
        assert not node._waiting
        assert not node._answers


async def test_what_nobody_could_answer_is_refused_before_it_is_asked() -> None:
    node = service(1)
    async with running([node]):
        with pytest.raises(Malformed):
            await node.lookup(NodeId(bytes(31)))
        assert not node._waiting
