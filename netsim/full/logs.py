"""A line at error level, or an exception that escapes, is a bug of the node that it comes from."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

# Set in the first task of a process, and so in all tasks that come from it.
NODE: ContextVar[int] = ContextVar("node")


@contextmanager
def errors_told(tell: Callable[[int, str], None]) -> Iterator[None]:
    """Inside, errors in the log go to `tell`, with the node; less grave lines go nowhere."""

    def told(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        error = sys.exc_info()[1] if line.get("exc_info") else None
        tell(NODE.get(), f"{line['event']}: {summary(error)}" if error else str(line["event"]))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[told],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def summary(error: BaseException) -> str:
    """The exception and where it was raised, in a line. Of a group, its first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    places = traceback.extract_tb(error.__traceback__)
    where = (
        f" ({'/'.join(places[-1].filename.split('/')[-3:])}:{places[-1].lineno})" if places else ""
    )
    return f"{type(error).__name__}: {error}{where}"
