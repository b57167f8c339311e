"""Entries that wait for their place in one stream, fair to each writer (spec/sequencing.md 3)."""

from collections import deque
from dataclasses import dataclass, field, replace

from qbix_node.machines import PeerId
from qbix_node.sequencing.messages import LEAVES_MAX
from qbix_node.streams.messages import HEADER_BYTES_MAX, Header
from qbix_node.streams.owners import AuthorId

WRITER_ENTRIES_MAX = 64  # of one author that wait in one stream
WRITER_BYTES_MAX = 1024 * 1024
STREAM_ENTRIES_MAX = 512  # of all who don't own it
RUN_BYTES_MAX = 512 * 1024  # of contents under one Head


@dataclass(frozen=True, slots=True)
class Asker:
    """Whom to tell what became of an entry: this node, or a peer, and the number it gave."""

    peer: PeerId
    number: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """`header`: its place is not decided."""

    header: Header
    content: bytes | None
    asker: Asker
    owner: bool = False  # whether its author is one

    @property
    def bytes(self) -> int:
        return HEADER_BYTES_MAX + len(self.content or b"")


@dataclass(slots=True)
class Queue:
    entries: int = 0  # of who is no owner
    bytes: int = 0  # of those, too
    _lines: dict[AuthorId, deque[Waiting]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._lines)

    def why_full(self, waiting: Waiting) -> str | None:
        line = [waiting, *self._lines.get(waiting.header.author, ())]
        if len(line) > WRITER_ENTRIES_MAX or sum([each.bytes for each in line]) > WRITER_BYTES_MAX:
            return "too much of this author waits already"
        if not waiting.owner and self.entries >= STREAM_ENTRIES_MAX:
            return "too much waits already"
        return None

    def add(self, waiting: Waiting) -> None:
        self._count(waiting, 1)
        self._lines.setdefault(waiting.header.author, deque()).append(waiting)

    def replace(self, again: Waiting) -> bool:
        """Whether this very entry waits already; whoever asked last is told."""
        line = self._lines.get(again.header.author, deque())
        for place, waiting in enumerate(line):
            if waiting.header == again.header:
                line[place] = replace(waiting, asker=again.asker)
                return True
        return False

    def draw(self) -> list[Waiting]:
        """As much as goes under one Head: of each author in turn, in the order of each."""
        drawn, size = list[Waiting](), 0
        while self._lines and len(drawn) < LEAVES_MAX:
            author, line = next(iter(self._lines.items()))
            size += line[0].bytes
            if drawn and size > RUN_BYTES_MAX:
                break
            waiting = line.popleft()
            self._count(waiting, -1)
            drawn.append(waiting)
            del self._lines[author]  # to the end
            if line:
                self._lines[author] = line
        return drawn

    def put_back(self, drawn: list[Waiting]) -> None:
        for waiting in reversed(drawn):
            self._count(waiting, 1)
            self._lines.setdefault(waiting.header.author, deque()).appendleft(waiting)

    def _count(self, waiting: Waiting, change: int) -> None:
        if not waiting.owner:
            self.entries += change
            self.bytes += change * waiting.bytes
