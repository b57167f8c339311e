"""Tell systemd how it goes: sd_notify(3) by hand, a datagram of NAME=value lines.

Without $NOTIFY_SOCKET every call does nothing.
"""

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

import trio

WATCHDOG_SHARE: Final = 1 / 3  # of the time systemd allows between two signs of life
PATIENCE_ASKED_S: Final = 60.0


class Notifier:
    def __init__(self, environment: MutableMapping[str, str]) -> None:
        # Taken out of the environment: processes that we start must not speak in our name.
        address = environment.pop("NOTIFY_SOCKET", "")
        period_us = environment.pop("WATCHDOG_USEC", "0")
        watched = environment.pop("WATCHDOG_PID", str(os.getpid()))
        mine = watched == str(os.getpid()) and period_us.isdigit()
        self._watchdog_s = int(period_us) / 1e6 if mine else 0.0
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)  # noqa: FBT003  (its only form)
            self._address = "\0" + address[1:] if address.startswith("@") else address

    def tell(self, *lines: str) -> None:
        if self._socket:
            # A lost word to the supervisor must never stop the node.
            with suppress(OSError):
                self._socket.sendto("\n".join(lines).encode(), self._address)

    def ready(self, status: str) -> None:
        self.tell("READY=1", f"STATUS={status}")

    def status(self, text: str) -> None:
        self.tell(f"STATUS={text}")

    def reloading(self) -> None:
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self.tell("STOPPING=1", "STATUS=stopping")

    async def ask_for_time(self, status: str) -> None:
        """While something takes long before `ready`: run it beside that, and cancel it then."""
        while True:
            self.tell(f"EXTEND_TIMEOUT_USEC={int(PATIENCE_ASKED_S * 1e6)}", f"STATUS={status}")
            await trio.sleep(PATIENCE_ASKED_S / 4)

    async def keep_watchdog(self) -> None:
        """A sign of life as often as systemd asks for one: that trio still gives every task its
        turn. A node that waits for its disk lives; `Pulse` tells of that.
        """
        while self._watchdog_s:
            self.tell("WATCHDOG=1")
            await trio.sleep(self._watchdog_s * WATCHDOG_SHARE)

    def close(self) -> None:
        if self._socket:
            self._socket.close()
