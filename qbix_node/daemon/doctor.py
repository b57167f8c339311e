"""Look at everything that a node needs; say of each whether it is right and what to do about it.

Nothing is changed. With the daemon running, its own view replaces what can't be looked at then.
"""

import os
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qbix_node.daemon.config import Config, load_config
from qbix_node.daemon.home import OTHERS, Home
from qbix_node.daemon.secret import read_secret
from qbix_node.errors import LocalError, NotRunning
from qbix_node.http.api import Status
from qbix_node.http.client import ControlClient
from qbix_node.http.rows import read_row
from qbix_node.store.check import Progress
from qbix_node.store.check import check as check_store
from qbix_node.wire.references import format_feed

FREE_BYTES_LOW = 1 << 30
EARLIEST_S = 1_760_000_000  # October 2025: no true clock is before this program was written
AHEAD_S = 300.0  # a store that is newer than now: the clock was set back
CONNECT_S = 2.0

Verdict = Literal["good", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    verdict: Verdict
    said: str
    advice: str = ""


def examine(home: Home, config_path: Path | None, progress: Progress) -> Iterator[Finding]:
    """The findings as they come: looking through a large store takes a while."""
    config, settings = _settings(config_path)
    yield settings
    node = _node(home)
    yield node
    if node.verdict == "bad":
        return  # what follows rests on it
    yield from _permissions(home)
    status, daemon = _daemon(home)
    yield daemon
    yield _store_in_use(status) if status else _store(home, progress)
    yield _port_in_use(status) if status else _port(config)
    yield _clock(home)
    yield _disk(home)
    yield _node_js()


def _settings(path: Path | None) -> tuple[Config, Finding]:
    if path is None:
        return Config(), Finding("settings", "good", "no node.toml: all as by default")
    try:
        return load_config(path), Finding("settings", "good", str(path))
    except LocalError as error:
        return Config(), Finding("settings", "bad", str(error), error.hint)


def _node(home: Home) -> Finding:
    try:
        home.require()
        keys = read_secret(home.secret)
    except LocalError as error:
        return Finding("identity", "bad", str(error), error.hint)
    if home.brought_marker.exists():
        return Finding(
            "identity",
            "note",
            f"{format_feed(keys.public)} was used elsewhere before and may not publish yet",
            "wait for its feed, then: qbix-node feed resume SEQUENCE",
        )
    return Finding("identity", "good", format_feed(keys.public))


def _permissions(home: Home) -> Iterator[Finding]:
    for path in (home.root, home.secret):
        found = path.stat()
        mode = stat.S_IMODE(found.st_mode)
        if found.st_mode & OTHERS:
            advice = f"chmod go= {path}; the daemon does so when it starts"
            yield Finding("access", "bad", f"{path} is open to others ({mode:04o})", advice)
        elif found.st_uid != os.geteuid():
            advice = f"run as that user: sudo -u '#{found.st_uid}' qbix-node ..."
            yield Finding("access", "note", f"{path} belongs to user {found.st_uid}", advice)
        else:
            yield Finding("access", "good", f"{path} is yours only ({mode:04o})")


def _daemon(home: Home) -> tuple[Status | None, Finding]:
    try:
        with ControlClient(home.control_socket) as client:
            status = read_row(client.get("/status"), Status)
    except NotRunning as error:
        if home.control_socket.exists():
            advice = "its log says why it ended; start it: qbix-node run"
            return None, Finding("daemon", "bad", f"it left without a stop: {error}", advice)
        return None, Finding("daemon", "note", "it is not running", "start it: qbix-node run")
    except LocalError as error:
        return None, Finding("daemon", "bad", str(error), error.hint)
    if status.health:
        advice = "free some space, or look at its log"
        return status, Finding("daemon", "bad", "; ".join(status.health), advice)
    return status, Finding("daemon", "good", f"it answers; up {status.uptime_s:.0f} s")


def _store(home: Home, progress: Progress) -> Finding:
    try:
        found = check_store(home.store, progress=progress)
    except LocalError as error:
        return Finding("store", "bad", str(error), error.hint)
    if found.damage:
        return Finding(
            "store", "bad", found.damage, "qbix-node store repair keeps what can be read"
        )
    return Finding("store", "good", f"{found.records} records read, all checksums right")


def _store_in_use(status: Status) -> Finding:
    if status.store.degraded:
        advice = "free some space: the node goes on by itself"
        return Finding("store", "bad", status.store.degraded, advice)
    return Finding("store", "good", f"in use, {status.entries} messages; stop it to check it whole")


def _port(config: Config) -> Finding:
    """Could the daemon listen there?"""
    host, port = config.listen.host or "0.0.0.0", config.listen.port  # noqa: S104  (not listened on)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind(address)
    except (OSError, UnicodeError) as error:
        advice = "set another `listen` in node.toml, or stop what uses this one"
        reason = error.strerror if isinstance(error, OSError) else error
        return Finding("port", "bad", f"{config.listen}: {reason}", advice)
    return Finding("port", "good", f"{config.listen} is free")


def _port_in_use(status: Status) -> Finding:
    """Does the daemon take calls at the address that it hands out?"""
    host, _, port = status.address.removeprefix("net:").partition("~")[0].rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, ValueError) as error:
        advice = "look at `announce` in node.toml, at the firewall and the router"
        return Finding("port", "bad", f"nobody answers at {host}:{port}: {error}", advice)
    return Finding("port", "good", f"{host}:{port} answers, seen from this machine")


def _clock(home: Home) -> Finding:
    now, newest = time.time(), _newest_file_s(home)
    if now < EARLIEST_S:
        return Finding("clock", "bad", "this machine's clock is years behind", "set the clock")
    if newest > now + AHEAD_S:
        said = f"the store was written {newest - now:.0f} s in the future"
        return Finding("clock", "bad", said, "set the clock; messages carry its time")
    shown = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
    return Finding("clock", "good", f"{shown} UTC")


def _newest_file_s(home: Home) -> float:
    return max([each.stat().st_mtime for each in home.store.glob("*")], default=0.0)


def _disk(home: Home) -> Finding:
    usage = shutil.disk_usage(home.root)
    said = f"{usage.free >> 20} MiB free on the disk of {home.root}"
    if usage.free < FREE_BYTES_LOW:
        return Finding("disk", "bad", said, "make room; below 32 MiB the node stops writing")
    return Finding("disk", "good", said)


def _node_js() -> Finding:
    if shutil.which("node"):
        return Finding("node.js", "good", "there, for the JavaScript peer of the demo")
    advice = "install Node.js 20 or later to see the demo with a JavaScript peer"
    return Finding("node.js", "note", "not here; only the demo and the tests use it", advice)
