"""Nodes that find, refuse and lose each other, over streams in memory."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from qbix_node.errors import LocalError, Malformed
from qbix_node.net.handshake import ACCEPT_BYTES, ClientHandshake
from qbix_node.net.limits import Limits
from qbix_node.net.link import Body, Link, LinkClosed, Stream
from qbix_node.net.messages import Dial, LinkId
from qbix_node.net.methods import Method
from qbix_node.net.transport import Transport
from qbix_node.store.memory import MemoryStore
from qbix_node.wire.v8json import JsonValue
from tests.net.links import ALICE, NETWORK_KEY
from tests.net.nodes import PORT, Internet, Node, running_node

Clock = trio.testing.MockClock


@pytest.fixture
def internet() -> Internet:
    return Internet()


@pytest.fixture
async def alice(internet: Internet) -> AsyncIterator[Node]:
    async with running_node("alice", internet.transport("alice")) as node:
        yield node


@pytest.fixture
async def bob(internet: Internet) -> AsyncIterator[Node]:
    async with running_node("bob", internet.transport("bob"), methods=HELLO) as node:
        yield node


async def hello(link: Link, args: list[JsonValue], stream: Stream | None) -> JsonValue:
    return "hello"


HELLO = {"hello": Method("async", hello)}


async def test_a_peer_that_is_added_is_connected_to(
    alice: Node, bob: Node, autojump_clock: Clock
) -> None:
    await alice.network.add_peer(bob.address)
    await bob.wait_for_links(1)
    await alice.wait_for_links(1)
    link = alice.network.link(bob.peer)
    assert link is alice.came[0]
    assert (await link.call("hello", [], patience_s=1)) == Body.of_json("hello")
    assert [other.peer for other in bob.network.links()] == [alice.peer]
    assert (link.address, bob.came[0].address) == (str(bob.address), "alice")


async def test_peers_are_found_again_after_a_restart(
    internet: Internet, bob: Node, autojump_clock: Clock
) -> None:
    store = MemoryStore()
    async with running_node("alice", internet.transport("alice"), store=store) as alice:
        await alice.network.add_peer(bob.address)
    async with running_node("alice", internet.transport("alice"), store=store) as alice:
        await alice.wait_for_links(1)


async def test_a_decision_that_comes_after_the_end_is_not_begun(
    internet: Internet, bob: Node
) -> None:
    async with running_node("alice", internet.transport("alice")) as alice:
        pass
    alice.network.found(Dial(LinkId(outgoing=True, number=1), bob.address))
    assert internet.dials == 0


async def test_a_lost_connection_is_made_again(
    alice: Node, bob: Node, autojump_clock: Clock
) -> None:
    await alice.network.add_peer(bob.address)
    for count in range(1, 4):
        await bob.wait_for_links(count)
        bob.came[-1].close("a bad day")
        await alice.wait_for_links(count + 1)
    assert [link.closed_because for link in alice.came[:3]] == ["the peer said goodbye"] * 3


async def test_a_peer_that_comes_up_later_is_reached(
    internet: Internet, alice: Node, autojump_clock: Clock
) -> None:
    async with running_node("bob", internet.transport("bob")) as bob:
        address = bob.address
    await alice.network.add_peer(address)
    await trio.sleep(600)
    assert 5 < internet.dials < 20
    async with running_node("bob", internet.transport("bob")) as bob:
        with trio.fail_after(130):
            await bob.wait_for_links(1)


async def test_two_nodes_that_add_each_other_keep_one_connection(
    alice: Node, bob: Node, autojump_clock: Clock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alice.network.add_peer, bob.address)
        nursery.start_soon(bob.network.add_peer, alice.address)
    await trio.sleep(60)
    (alices,), (bobs,) = alice.network.links(), bob.network.links()
    assert alices.outgoing != bobs.outgoing
    assert alices.closed_because is None
    await alices.call("hello", [], patience_s=1)
    assert len(alice.came) == len(bob.came) == 1


async def test_the_node_does_not_add_itself(alice: Node, autojump_clock: Clock) -> None:
    with pytest.raises(LocalError, match="that is the address of this node"):
        await alice.network.add_peer(alice.address)


async def test_who_is_blocked_is_hung_up_on_and_kept_out(
    alice: Node, bob: Node, autojump_clock: Clock
) -> None:
    await alice.network.add_peer(bob.address)
    await bob.wait_for_links(1)
    await bob.network.block_peer(alice.peer)
    await trio.sleep(60)
    assert bob.network.links() == []
    assert alice.network.links() == []
    assert len(bob.came) == 1
    await bob.network.unblock_peer(alice.peer)
    await trio.sleep(130)
    assert len(bob.network.links()) == 1


async def test_a_removed_peer_is_left_alone(alice: Node, bob: Node, autojump_clock: Clock) -> None:
    await alice.network.add_peer(bob.address)
    await bob.wait_for_links(1)
    await alice.network.remove_peer(bob.peer)
    await trio.sleep(1000)
    assert len(bob.came) == 1
    assert bob.network.links() == []


async def test_there_is_never_more_than_one_link_to_a_peer_at_a_time(
    internet: Internet, bob: Node, autojump_clock: Clock
) -> None:
    """Alice loses her memory of the connection, as after a change of networks, and dials again."""
    together = 0
    most = 0

    async def accompany(link: Link) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        try:
            await trio.sleep_forever()
        finally:
            together -= 1

    bob.on_link = accompany
    async with (
        running_node("alice", internet.transport("alice")) as alice,
        running_node("alice", internet.transport("elsewhere"), host="elsewhere") as again,
    ):
        await alice.network.add_peer(bob.address)
        await bob.wait_for_links(1)
        await alice.network.remove_peer(bob.peer)
        await again.network.add_peer(bob.address)
        await bob.wait_for_links(2)
        await trio.sleep(5)
        assert [link.address for link in bob.network.links()] == ["elsewhere"]
    assert most == 1


async def say_who_we_are(transport: Transport, bob: Node) -> trio.abc.Stream:
    """As Alice, up to the point where Bob accepts."""
    stream = await transport.dial("bob", PORT)
    shake = ClientHandshake(NETWORK_KEY, ALICE, bob.peer, b"e" * 32)
    await stream.send_all(shake.hello)
    await stream.send_all(shake.receive_hello(bytes(await stream.receive_some())))
    return stream


async def test_the_old_connection_has_ended_when_the_new_one_is_accepted(
    internet: Internet, alice: Node, bob: Node, autojump_clock: Clock
) -> None:
    await alice.network.add_peer(bob.address)
    await alice.wait_for_links(1)
    stream = await say_who_we_are(internet.transport("elsewhere"), bob)
    assert len(await stream.receive_some()) == ACCEPT_BYTES
    assert alice.came[0].closed_because == "the peer said goodbye"


async def test_a_dead_connection_holds_up_no_new_one(
    internet: Internet, bob: Node, autojump_clock: Clock
) -> None:
    await say_who_we_are(internet.transport("alice"), bob)
    await bob.wait_for_links(1)  # and from now on nothing comes from there
    stream = await say_who_we_are(internet.transport("elsewhere"), bob)
    assert len(await stream.receive_some()) == ACCEPT_BYTES
    assert trio.current_time() < 0.3
    await bob.wait_for_links(2)
    assert trio.current_time() < 1.1


async def test_a_node_that_stops_says_goodbye(
    internet: Internet, bob: Node, autojump_clock: Clock
) -> None:
    async with running_node("alice", internet.transport("alice")) as alice:
        await alice.network.add_peer(bob.address)
        await bob.wait_for_links(1)
    await trio.sleep(1)
    assert bob.came[0].closed_because == "the peer hung up"
    assert bob.network.links() == []


# ---- strangers ----


async def read_all(stream: trio.abc.Stream) -> bytes:
    data = b""
    while more := await stream.receive_some():
        data += more
    return data


@pytest.mark.parametrize("said", [b"", b"x" * 63, b"x" * 64, b"x" * 4000])
async def test_who_does_not_know_the_network_gets_no_answer(
    internet: Internet, bob: Node, said: bytes, autojump_clock: Clock
) -> None:
    stream = await internet.transport("stranger").dial("bob", PORT)
    await stream.send_all(said)
    assert await read_all(stream) == b""
    assert trio.current_time() <= Limits().handshake_patience_s + 0.01


async def test_a_node_of_another_network_is_refused(
    internet: Internet, bob: Node, autojump_clock: Clock
) -> None:
    other = NETWORK_KEY[::-1]
    async with running_node("carol", internet.transport("carol"), network_key=other) as carol:
        await carol.network.add_peer(bob.address)
        await trio.sleep(100)
        assert carol.network.links() == []
    assert bob.came == []


async def test_hundreds_of_half_open_connections_keep_no_honest_peer_out(
    internet: Internet, bob: Node, autojump_clock: Clock
) -> None:
    """From as many hosts, each sends a byte a moment, and opens another when it is hung up on."""
    opened = 0

    async def drip(host: str) -> None:
        nonlocal opened
        while True:
            opened += 1
            async with await internet.transport(host).dial("bob", PORT) as stream:
                with suppress(trio.BrokenResourceError):
                    while True:
                        await stream.send_all(b"x")
                        await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(drip, f"10.{number}.0.1")
        await trio.sleep(1)
        async with running_node("alice", internet.transport("alice")) as alice:
            await alice.network.add_peer(bob.address)
            with trio.fail_after(5):
                await alice.wait_for_links(1)
            await alice.came[0].call("hello", [], patience_s=5)
        nursery.cancel_scope.cancel()
    assert opened > 1000


async def test_half_open_connections_are_bounded(internet: Internet) -> None:
    limits = Limits(handshakes_max=10, handshake_patience_s=60)
    async with running_node("bob", internet.transport("bob"), limits=limits):
        open_now = 300

        async def wait_for_the_end(stream: trio.abc.Stream) -> None:
            nonlocal open_now
            await read_all(stream)
            open_now -= 1

        async with trio.open_nursery() as nursery:
            for number in range(300):
                stream = await internet.transport(f"10.0.{number}.1").dial("bob", PORT)
                nursery.start_soon(wait_for_the_end, stream)
            await trio.testing.wait_all_tasks_blocked()
            assert open_now == 10
            nursery.cancel_scope.cancel()


async def test_one_host_can_not_take_all_connections(
    internet: Internet, autojump_clock: Clock
) -> None:
    limits = Limits(connections_per_host_max=3)
    async with (
        running_node("bob", internet.transport("bob"), limits=limits) as bob,
        trio.open_nursery() as nursery,
    ):
        for number in range(6):
            nursery.start_soon(stay_connected, f"n{number}", internet.transport("one host"), bob)
        await trio.sleep(30)
        assert len(bob.network.links()) == 3
        nursery.cancel_scope.cancel()


async def stay_connected(name: str, transport: Transport, bob: Node) -> None:
    async with running_node(name, transport) as node:
        await node.network.add_peer(bob.address)
        await trio.sleep_forever()


# ---- what goes wrong beside a link ----


async def test_a_peer_that_breaks_a_protocol_is_hung_up_on(
    alice: Node, bob: Node, autojump_clock: Clock
) -> None:
    async def refuse(link: Link) -> None:
        raise ExceptionGroup("nursery", [Malformed("note: expected a number")])

    bob.on_link = refuse
    await alice.network.add_peer(bob.address)
    await bob.wait_for_links(1)
    await trio.testing.wait_all_tasks_blocked()
    assert bob.came[0].closed_because == "note: expected a number"


async def test_who_notices_the_end_of_a_link_while_it_is_stopped_is_no_bug(
    alice: Node, bob: Node, autojump_clock: Clock
) -> None:
    async def accompany(link: Link) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)  # cancelled, beside what the other one raises
            try:
                await trio.sleep_forever()
            finally:
                raise LinkClosed("the peer said goodbye")

    bob.on_link = accompany
    await alice.network.add_peer(bob.address)
    await alice.wait_for_links(1)
    await bob.wait_for_links(1)
    with capture_logs() as lines:
        await alice.network.remove_peer(bob.peer)
        await trio.sleep(2)
    assert "connection.failed" not in [line["event"] for line in lines]
    assert [line["event"] for line in lines].count("link.down") == 2


@pytest.mark.expects_error_log("link.failed")
async def test_a_bug_ends_one_connection_and_not_the_node(
    internet: Internet, alice: Node, bob: Node, autojump_clock: Clock
) -> None:
    async def fail_for_alice(link: Link) -> None:
        if link.peer == alice.peer:
            raise KeyError("a bug")
        await trio.sleep_forever()

    bob.on_link = fail_for_alice
    async with running_node("carol", internet.transport("carol")) as carol:
        await carol.network.add_peer(bob.address)
        await alice.network.add_peer(bob.address)
        await trio.sleep(10)
        assert [link.peer for link in bob.network.links()] == [carol.peer]
        assert bob.came[-1].closed_because == "internal error"
