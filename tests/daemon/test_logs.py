import io
import json
import os
from collections.abc import Iterator

import pytest
import structlog

from qbix_node.daemon.logs import configure_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _configuration_as_it_was() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_a_pipe_gets_json() -> None:
    stream = io.StringIO()
    configure_logs("info", "auto", stream=stream)
    structlog.get_logger().info("feed.appended", feed="@a", last=7)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["feed"], line["last"], line["level"]) == (
        "feed.appended",
        "@a",
        7,
        "info",
    )
    assert list(line) == ["timestamp", "level", "event", "feed", "last"]


def test_a_terminal_gets_text() -> None:
    stream = Terminal()
    configure_logs("info", "auto", stream=stream)
    structlog.get_logger().info("feed.appended")
    assert "feed.appended" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_a_new_level_reaches_loggers_that_are_in_use() -> None:
    stream = io.StringIO()
    log = structlog.get_logger()
    configure_logs("warning", "json", stream=stream)
    log.info("peer.connected")
    configure_logs("debug", "json", stream=stream)
    log.debug("peer.connected")
    assert stream.getvalue().count("peer.connected") == 1


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_log_that_can_not_be_written_stops_nobody(form: str) -> None:
    with open("/dev/full", "w", buffering=1, encoding="utf-8") as full:  # noqa: PTH123
        configure_logs("info", form, stream=full)
        structlog.get_logger().info("feed.appended")
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # for what close() flushes


def test_an_exception_stands_in_its_line() -> None:
    stream = io.StringIO()
    configure_logs("info", "json", stream=stream)
    structlog.get_logger().error("daemon.crashed", exc_info=RuntimeError("on fire"))
    (line,) = stream.getvalue().splitlines()
    assert "on fire" in json.loads(line)["exception"]
