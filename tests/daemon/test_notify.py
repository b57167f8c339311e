import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from qbix_node.daemon.notify import Notifier


class Supervisor:
    """What systemd does: a socket that reads datagrams."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.address = str(Path(self._folder.name) / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    def heard(self) -> list[list[str]]:
        datagrams = []
        while True:
            try:
                datagrams.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return datagrams

    def close(self) -> None:
        self._socket.close()
        self._folder.cleanup()


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor()
    yield made
    made.close()


def notifier(supervisor: Supervisor, **more: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": supervisor.address, **more})


def test_ready_and_stopping_reach_the_supervisor(supervisor: Supervisor) -> None:
    teller = notifier(supervisor)
    teller.ready("3 feeds")
    teller.stopping()
    teller.close()
    assert supervisor.heard() == [
        ["READY=1", "STATUS=3 feeds"],
        ["STOPPING=1", "STATUS=stopping"],
    ]


def test_reloading_says_since_when(supervisor: Supervisor) -> None:
    teller = notifier(supervisor)
    teller.reloading()
    teller.close()
    ((reloading, since),) = supervisor.heard()
    assert reloading == "RELOADING=1"
    assert since.startswith("MONOTONIC_USEC=")


def test_processes_that_we_start_do_not_inherit_the_socket(supervisor: Supervisor) -> None:
    environment = {"NOTIFY_SOCKET": supervisor.address, "WATCHDOG_USEC": "1", "OTHER": "x"}
    Notifier(environment).close()
    assert environment == {"OTHER": "x"}


def test_without_a_supervisor_nothing_happens() -> None:
    teller = Notifier({})
    teller.ready("")
    teller.close()


def test_a_supervisor_that_is_gone_does_not_stop_the_node(supervisor: Supervisor) -> None:
    teller = notifier(supervisor)
    supervisor.close()
    teller.ready("")
    teller.close()


async def test_signs_of_life_come_three_times_a_period(
    supervisor: Supervisor, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    teller = notifier(supervisor, WATCHDOG_USEC="3000000", WATCHDOG_PID=str(os.getpid()))
    nursery.start_soon(teller.keep_watchdog)
    await trio.sleep(9.5)
    assert len(supervisor.heard()) == 10
    teller.close()


async def test_the_watchdog_of_another_process_is_not_ours(
    supervisor: Supervisor, autojump_clock: trio.testing.MockClock
) -> None:
    teller = notifier(supervisor, WATCHDOG_USEC="3000000", WATCHDOG_PID="1")
    await teller.keep_watchdog()
    assert supervisor.heard() == []
    teller.close()


async def test_a_long_start_asks_for_more_time_again_and_again(
    supervisor: Supervisor, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    teller = notifier(supervisor)
    nursery.start_soon(teller.ask_for_time, "opening the store")
    await trio.sleep(31)
    told = supervisor.heard()
    assert len(told) == 3
    assert told[0] == ["EXTEND_TIMEOUT_USEC=60000000", "STATUS=opening the store"]
    teller.close()
