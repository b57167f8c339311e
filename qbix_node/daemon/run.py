"""The life of the process: settings, store, node, interface, signals, and its exit code."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path

import structlog
import trio

from qbix_node import __version__
from qbix_node.daemon.config import Config, Endpoint, load_config
from qbix_node.daemon.edges import real_edges
from qbix_node.daemon.home import Home
from qbix_node.daemon.interface import Interface
from qbix_node.daemon.logs import configure_logs
from qbix_node.daemon.node import Node, open_node
from qbix_node.daemon.notify import Notifier
from qbix_node.errors import ConfigError, ExitCode, LocalError
from qbix_node.http.app import control_app, status_app
from qbix_node.http.serve import open_control_socket, open_loopback, serve
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.wire.references import format_feed

STATUS_S = 30.0  # how often the supervisor is told how it goes
# By SIGHUP; the rest holds until the next start.
RELOADED = ("log_level", "log_format", "peers", "domains", "limits")

log = structlog.get_logger()


def run_daemon(home: Home, config_path: Path | None) -> int:
    """Until a signal says stop; the exit code. Raises LocalError."""
    config = load_config(config_path) if config_path else Config()
    home.require()
    configure_logs(config.log_level, config.log_format)
    for repaired in home.secure():
        log.warning("home.repaired", what=repaired)
    try:
        trio.run(_live, home, config_path, config)
    # Whatever escapes from any part ends here, and the process with it.
    except Exception as error:
        refusals = [each for each in _leaves(error) if isinstance(each, LocalError)]
        if refusals:
            raise max(refusals, key=lambda each: each.exit_code) from None
        log.exception("daemon.crashed")
        return ExitCode.BUG
    return ExitCode.DONE


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


async def _live(home: Home, config_path: Path | None, config: Config) -> None:
    notifier = Notifier(os.environ)
    # First of all: SIGHUP without a handler ends a process, and systemd counts that as a clean end.
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with (
            _open_store(home, notifier) as store,
            open_node(await real_edges(home, store), config) as node,
            _reachable(node, home),
            trio.open_nursery() as nursery,
        ):
            node_id = format_feed(node.keys.public)
            log.info("daemon.ready", version=__version__, id=node_id, address=str(node.address))
            notifier.ready(_summary(node))
            nursery.start_soon(notifier.keep_watchdog)
            nursery.start_soon(_tell_status, node, notifier)
            async for number in signals:
                if number != signal.SIGHUP:
                    break
                notifier.reloading()
                _reload(node, config_path)
                # Not waited for: a full disk must not keep us from the next signal.
                nursery.start_soon(node.call, node.config.peers)
                notifier.ready(_summary(node))
            log.info("daemon.stopping", signal=signal.Signals(number).name)
            notifier.stopping()
            nursery.cancel_scope.cancel()
    log.info("daemon.stopped")
    notifier.close()


@asynccontextmanager
async def _open_store(home: Home, notifier: Notifier) -> AsyncIterator[LevelDbStore]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notifier.ask_for_time, "opening the store")
        store = await trio.to_thread.run_sync(LevelDbStore.open, home.store)
        nursery.cancel_scope.cancel()
    async with store:
        if not store.was_clean:
            log.warning("store.recovered", why="the last run did not end with a stop")
        yield store


@asynccontextmanager
async def _reachable(node: Node, home: Home) -> AsyncIterator[None]:
    """The control socket and the status page."""
    interface = Interface(node, home)
    path = home.control_socket
    listener = open_control_socket(path)
    try:
        async with trio.open_nursery() as nursery:
            if page := node.config.status_page:
                listeners = await open_loopback(page.host, page.port)
                node.status_page = Endpoint(page.host, listeners[0].socket.getsockname()[1])
                nursery.start_soon(serve, status_app(interface), listeners)
            nursery.start_soon(serve, control_app(interface), [listener])
            yield
            nursery.cancel_scope.cancel()
    finally:
        path.unlink(missing_ok=True)


async def _tell_status(node: Node, notifier: Notifier) -> None:
    while True:
        await trio.sleep(STATUS_S)
        notifier.status(_summary(node))


def _summary(node: Node) -> str:
    if reason := node.store.degraded:
        return f"degraded: {reason}"
    feeds = node.replication.feeds()
    messages = sum([feed.sequence for feed in feeds])
    here = f"{len(feeds)} feeds, {messages} messages, {len(node.streams.streams())} streams"
    return f"{len(node.network.links())} peers, {here}"


def _reload(node: Node, config_path: Path | None) -> None:
    try:
        config = load_config(config_path) if config_path else Config()
    except ConfigError as error:
        log.warning("config.refused", reason=str(error), hint=error.hint)
        return
    configure_logs(config.log_level, config.log_format)
    changed = [
        item.name
        for item in fields(Config)
        if getattr(config, item.name) != getattr(node.config, item.name)
    ]
    node.limit(config.limits)
    node.config = replace(node.config, **{name: getattr(config, name) for name in RELOADED})
    log.info("config.reloaded", changed=changed)
    if later := [name for name in changed if name not in RELOADED]:
        log.warning("config.needs_restart", keys=later)
