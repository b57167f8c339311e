"""Announcements that really travel: between two network namespaces joined by a cable."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest
import trio
import trio.testing

from qbix_node import machines as m
from qbix_node.errors import LocalError
from qbix_node.machines import PeerId
from qbix_node.net.address import Address, parse_address
from qbix_node.net.announcements import announce
from qbix_node.net.discovery import DATAGRAMS_MAX, LanDiscovery
from qbix_node.net.interfaces import Interface
from qbix_node.net.lan import UdpLan
from tests.net.links import ALICE, BOB

LOOPBACK = ("127.0.0.1", 0)


@dataclass
class Ear:
    events: list[m.Event] = field(default_factory=list)

    async def post(self, event: m.Event) -> None:
        self.events.append(event)


@pytest.fixture
async def udp_port() -> int:
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp:
        await udp.bind(LOOPBACK)
        port: int = udp.getsockname()[1]
    return port


async def test_a_flood_of_junk_and_of_strangers_is_survived(
    udp_port: int, nursery: trio.Nursery
) -> None:
    """From loopback nothing is believed, whatever it says; the listener goes on."""
    ear = Ear()
    discovery = LanDiscovery(PeerId(ALICE.public), 8008, ear.post, UdpLan(udp_port, list))
    await nursery.start(discovery.run)
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp:
        address = announce(Address("10.0.0.1", 8008, PeerId(BOB.public)))
        for number in range(2 * DATAGRAMS_MAX):
            datagram = address if number % 2 else os.urandom(2000)
            await udp.sendto(datagram, ("127.0.0.1", udp_port))
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert ear.events == []
    nursery.cancel_scope.cancel()


async def test_a_port_that_is_taken_is_an_error_with_a_hint() -> None:
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp:
        await udp.bind(("0.0.0.0", 0))  # without SO_REUSEADDR: for itself alone
        port = udp.getsockname()[1]
        discovery = LanDiscovery(PeerId(ALICE.public), 1, Ear().post, UdpLan(port))
        with pytest.raises(LocalError, match=f"can't listen on UDP port {port}: ") as error:
            await discovery.run()
    assert error.value.hint


async def test_a_machine_that_hides_its_interfaces_is_an_error_with_a_hint(udp_port: int) -> None:
    def forbidden() -> list[Interface]:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    lan = UdpLan(udp_port, forbidden)
    discovery = LanDiscovery(PeerId(ALICE.public), 1, Ear().post, lan)
    with pytest.raises(ExceptionGroup) as error:
        await discovery.run()
    assert error.group_contains(LocalError, match="interfaces: Operation not permitted")


# ---- on a network ----


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)


@pytest.fixture
def two_hosts() -> Iterator[dict[str, str]]:
    """Namespaces on one cable, by their address."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and the ip command, to make network namespaces")
    names = [f"qbix{os.getpid()}{side}" for side in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", "cable", "netns", names[0], "type", "veth",
           "peer", "name", "cable", "netns", names[1])  # fmt: skip
        hosts = {f"10.77.0.{number}": name for number, name in enumerate(names, 1)}
        for host, name in hosts.items():
            ip("-n", name, "address", "add", f"{host}/24", "broadcast", "+", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
            ip("-n", name, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces can't be made here: {error.stderr.decode().strip()}")
    else:
        yield hosts
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


@pytest.mark.root
async def test_two_nodes_on_one_network_find_each_other(two_hosts: dict[str, str]) -> None:
    said: dict[str, list[str]] = {}
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for (host, namespace), name in zip(two_hosts.items(), ("alice", "bob"), strict=True):
                nursery.start_soon(run_until_linked, namespace, name, host, said)
    (alice_listens, alice_linked), (bob_listens, bob_linked) = said["alice"], said["bob"]
    hosts = [parse_address(text.split()[1]).host for text in (alice_listens, bob_listens)]
    assert hosts == list(two_hosts)
    assert alice_linked == f"linked {BOB.public.hex()}"
    assert bob_linked == f"linked {ALICE.public.hex()}"


async def run_until_linked(
    namespace: str, name: str, host: str, said: dict[str, list[str]]
) -> None:
    command = ["ip", "netns", "exec", namespace, sys.executable, "-m", "tests.net.lan_node"]
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, [*command, name, host], stdout=subprocess.PIPE)
        process = await nursery.start(run)
        text = ""
        async for data in process.stdout:
            text += bytes(data).decode()
            said[name] = text.splitlines()
            if len(said[name]) == 2 and text.endswith("\n"):
                break
        nursery.cancel_scope.cancel()
