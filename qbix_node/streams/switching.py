"""Bring logs to the branches that their owners chose (spec/streams.md 6.1).

A Switching is a part of a StreamBook. A log that lies on another branch, or that ends before the
branches can be told apart, is dropped: first what says how far it is, then its rows, in batches.
What remains of that after a crash is dropped at the next start. Its entries come anew, under the
Head that the owners chose, so that nothing of the other branch gets in a second time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.ports import Delete, Rows, Write
from qbix_node.streams.lacking import LACKING, LATE
from qbix_node.streams.messages import Segment
from qbix_node.streams.records import (
    AUTHOR,
    CHANGE,
    CONTENTS,
    LEAVES,
    NODE,
    LogState,
    log_key,
    root_at,
)
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import StreamId

DROP_ROWS = 64  # that are looked up, and deleted, at a time

Effects = list[m.Effect]


@dataclass(frozen=True, slots=True)
class ResolveStream:
    """Asked of a StreamBook: the stream goes on, on the branch that its owners chose."""

    resolution: Resolution


@dataclass(frozen=True, slots=True)
class LogDropped:
    """Found by a StreamBook: the log lies on another branch, so nothing of it is here any more."""

    stream: StreamId


@dataclass(frozen=True, slots=True)
class Switched:
    """Found by a StreamBook: what is here of the log is of the chosen branch, and it goes on."""

    stream: StreamId


@dataclass(slots=True)
class Switching:
    """`logs`: of the book. `resolutions`: what the store holds."""

    tokens: m.Tokens
    logs: dict[StreamId, LogState]
    resolutions: dict[StreamId, Resolution]
    _due: dict[StreamId, None] = field(default_factory=dict)
    _work: dict[m.Token, tuple[StreamId, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._due |= dict.fromkeys(self.resolutions)  # a switch may have been interrupted

    def resolve(self, resolution: Resolution) -> None:
        self.resolutions[resolution.stream] = resolution
        self._due[resolution.stream] = None

    def due(self) -> list[StreamId]:
        """Whose logs are to be looked at, once nothing else is done with them."""
        return list(self._due)

    def begin(self, stream: StreamId, effects: Effects) -> bool:
        """Whether there is something to do: nothing else is done with the log before `handle` has
        said that this is over.
        """
        if stream not in self._due:
            return False
        del self._due[stream]
        resolution, state = self.resolutions[stream], self.logs.get(stream)
        if state is None:
            self._sweep(stream, b"", effects)
        elif state.length >= resolution.fork_length:
            self._ask(stream, RootAt(stream, resolution.fork_length), effects)
        elif resolution.covers(state):
            effects.append(m.Emit(Switched(stream)))
            return False
        else:
            self._drop(stream, effects)
        return True

    def handle(self, event: m.Event, effects: Effects) -> StreamId | None:
        """The stream with which this is over."""
        match event:
            case m.Answered(token, answer) if token in self._work:
                return self._answered(self._work.pop(token)[0], answer, effects)
            case m.Persisted(token) if token in self._work:
                self._sweep(*self._work.pop(token), effects)
            case _:
                pass
        return None

    def misses_branch(self, segment: Segment, length: int) -> bool:
        """SPEC streams 6.1: up to fork_length nothing but the chosen Head shows on which branch
        entries are.
        """
        resolution = self.resolutions.get(segment.stream)
        if resolution is None or length >= resolution.fork_length:
            return False
        return segment.signed_head.head.identity != resolution.chosen_head.head.identity

    def _answered(self, stream: StreamId, answer: object, effects: Effects) -> StreamId | None:
        match answer:
            case Root(root) if root != self.resolutions[stream].chosen_root:
                self._drop(stream, effects)
                return None
            case LogKeys(keys) if keys:
                self._persist(stream, keys[-1] + b"\0", delete_rows(stream, keys), effects)
                return None
            case _:
                effects.append(m.Emit(Switched(stream)))
                return stream

    def _drop(self, stream: StreamId, effects: Effects) -> None:
        del self.logs[stream]
        effects.append(m.Emit(LogDropped(stream)))
        self._persist(stream, b"", [Delete(log_key(stream))], effects)

    def _sweep(self, stream: StreamId, start: bytes, effects: Effects) -> None:
        self._ask(stream, LogKeysOf(stream, start), effects)

    def _ask(self, stream: StreamId, question: m.Question, effects: Effects) -> None:
        token = self.tokens.new()
        self._work[token] = stream, b""
        effects.append(m.Ask(token, question))

    def _persist(
        self, stream: StreamId, start: bytes, writes: list[Write], effects: Effects
    ) -> None:
        token = self.tokens.new()
        self._work[token] = stream, start
        effects.append(m.Persist(token, tuple(writes)))


# ---- questions about the store ----


@dataclass(frozen=True, slots=True)
class Root:
    root: Hash


@dataclass(frozen=True, slots=True)
class RootAt:
    stream: StreamId
    length: int

    def answer(self, rows: Rows) -> Root:
        return Root(root_at(rows, self.stream, self.length))


@dataclass(frozen=True, slots=True)
class LogKeys:
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LogKeysOf:
    """Some keys of a log that is dropped, from `start` on."""

    stream: StreamId
    start: bytes

    def answer(self, rows: Rows) -> LogKeys:
        found = list[bytes]()
        for prefix in (AUTHOR, LATE, LEAVES, LACKING, NODE, CHANGE):  # in the order of the keys
            begin, stop = prefix + self.stream, prefix + self.stream + b"\xff" * 33
            limit = DROP_ROWS - len(found)
            if limit and self.start < stop:
                part = rows.scan(max(self.start, begin), stop, limit=limit)
                found += [key for key, _ in part]
        return LogKeys(tuple(found))


def delete_rows(stream: StreamId, keys: Sequence[bytes]) -> list[Write]:
    """Contents go with their runs, without being read."""
    runs = LEAVES + stream
    contents = [CONTENTS + key[len(LEAVES) :] for key in keys if key.startswith(runs)]
    return [Delete(key) for key in (*keys, *contents)]
