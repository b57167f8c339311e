"""What people and programs see: text or JSON on stdout, everything else on stderr.

Colours and progress only on a terminal; $NO_COLOR turns colours off (no-color.org).
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from qbix_node.errors import Temporary
from qbix_node.wire import v8json
from qbix_node.wire.v8json import JsonValue

_COLOURS = {"green": 32, "red": 31, "yellow": 33, "soft": 2, "bold": 1}


class ReaderGone(Exception):
    """Whoever read our output has seen enough, as `head` has."""


class Output:
    """`json` is settled before the first line is printed."""

    def __init__(self) -> None:
        self.json = False

    def show(self, data: JsonValue, text: str | Iterable[str]) -> None:
        """The data for a program, or the text for a person."""
        if self.json:
            self.line(v8json.compact(data))
        else:
            for line in [text] if isinstance(text, str) else text:
                self.text(line)

    def line(self, data: bytes) -> None:
        """One JSON document on a line of its own."""
        self.write(data + b"\n")

    def text(self, line: str) -> None:
        # What peers wrote may hold half of a UTF-16 pair, which has no UTF-8 form.
        self.write(line.encode(errors="replace") + b"\n")

    def write(self, data: bytes) -> None:
        """At once, because somebody may wait for it. Raises ReaderGone, Temporary."""
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise ReaderGone from error
        except OSError as error:
            raise Temporary(f"the output can't be written: {error.strerror}") from error

    def paint(self, text: str, colour: str) -> str:
        if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
            return text
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"

    @contextmanager
    def progress(self, what: str) -> Iterator["Progress"]:
        progress = Progress(what, visible=sys.stderr.isatty() and not self.json)
        try:
            yield progress
        finally:
            progress.clear()


class Progress:
    """One line on the terminal that changes in place, at most a few times a second."""

    def __init__(self, what: str, *, visible: bool) -> None:
        self._what = what
        self._visible = visible
        self._shown = ""

    def at(self, done: str) -> None:
        if self._visible and done != self._shown:
            self._shown = done
            sys.stderr.write(f"\r\x1b[K{self._what}: {done}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def size_text(size: int) -> str:
    amount, units = float(size), iter(("B", "KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    while amount >= 1024 and (larger := next(units, None)):
        amount, unit = amount / 1024, larger
    return f"{amount:.1f} {unit}" if unit != "B" and amount < 10 else f"{amount:.0f} {unit}"


def duration_text(seconds: float) -> str:
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def printable(text: str) -> str:
    """Text of a peer for a terminal: control characters, which could steer it, are made visible."""
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text])


def time_text(timestamp: JsonValue) -> str:
    """The author's claim, which may be no possible time."""
    try:
        claimed = datetime.fromtimestamp(float(str(timestamp)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return "at an impossible time"
    return claimed.strftime("%Y-%m-%d %H:%M:%S")
