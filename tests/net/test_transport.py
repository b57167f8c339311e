"""Nodes over TCP on loopback."""

import pytest
import trio

from qbix_node.errors import LocalError
from qbix_node.net.transport import TcpTransport
from tests.net.nodes import running_node


async def test_two_nodes_connect_over_tcp() -> None:
    transport = TcpTransport()
    async with (
        running_node("alice", transport, host="127.0.0.1", port=0) as alice,
        running_node("bob", transport, host="127.0.0.1", port=0) as bob,
    ):
        await alice.network.add_peer(bob.address)
        with trio.fail_after(10):
            await bob.wait_for_links(1)
            await alice.wait_for_links(1)
        await alice.came[0].call("manifest", [], patience_s=10)
        assert bob.came[0].address == "127.0.0.1"
        await alice.came[0].aclose()
        assert bob.came[0].closed_because == "the peer said goodbye"


async def test_a_port_that_is_taken_is_an_error_with_a_hint() -> None:
    async def accept(stream: trio.abc.Stream, host: str) -> None:
        await stream.aclose()

    transport = TcpTransport()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(transport.serve, "127.0.0.1", 0, accept)
        with pytest.raises(LocalError, match=f"can't listen on 127.0.0.1:{port}: ") as error:
            await transport.serve("127.0.0.1", port, accept)
        assert error.value.hint
        with pytest.raises(LocalError, match=r"can't listen on 203\.0\.113\.9:1: "):
            await transport.serve("203.0.113.9", 1, accept)  # not of this machine
        nursery.cancel_scope.cancel()


async def test_a_host_that_can_not_be_a_name_is_no_bug() -> None:
    async def accept(stream: trio.abc.Stream, host: str) -> None:
        await stream.aclose()

    with pytest.raises(OSError, match=r"'a\.\.b' is no name of a host"):
        await TcpTransport().dial("a..b", 1)
    with pytest.raises(LocalError, match=r"can't listen on a\.\.b:1: "):
        await TcpTransport().serve("a..b", 1, accept)


async def test_a_dial_to_nobody_fails() -> None:
    with trio.socket.socket() as reserved:
        await reserved.bind(("127.0.0.1", 0))  # bound, but it does not listen
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await TcpTransport().dial("127.0.0.1", reserved.getsockname()[1])
