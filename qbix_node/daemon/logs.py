"""Log lines to stderr: text for a person at a terminal, JSON for everything else.

Events are `noun.verb` with fields. The level can change while the daemon runs.
"""

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO, cast

import structlog

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


@dataclass(frozen=True, slots=True, weakref_slot=True)  # structlog keeps a lock by it
class _Unfailing:
    """A log that can't be written, as on a full disk, must not end the node: lines are lost."""

    stream: TextIO

    def write(self, text: str) -> None:
        with suppress(OSError):
            self.stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self.stream.flush()


def configure_logs(level: str, form: str, *, stream: TextIO | None = None) -> None:
    """`form`: "console", "json", or "auto", which asks whether the stream is a terminal."""
    target = stream or sys.stderr
    console = form == "console" or (form == "auto" and target.isatty())
    renderer: structlog.typing.Processor
    if console:
        renderer = structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer()
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not console:
        processors += [structlog.processors.format_exc_info, _put_first]
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Unfailing(target))),
        cache_logger_on_first_use=False,  # else a new level would not reach loggers in use
    )


def _put_first(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """When, how grave and what, then the rest: so people find their way in JSON, too."""
    first = ("timestamp", "level", "event")
    return {name: line[name] for name in first} | dict(line)
