"""Bring logs to the branches that their owners chose (spec/streams.md 6.1).

A Switching is a part of a StreamBook. A log that lies on another branch, or that ends before the
branches can be told apart, is dropped: first what says how far it is, then its rows, in batches.
What remains of that after a crash is dropped at the next start. Its entries come anew, under the
Head that the owners chose, so that nothing of the other branch gets in a second time.

What is kept elsewhere about the other branch goes in the same batch as the log, while it can still
be seen from the log on which branch it is.
"""

from collections.abc import Callable, Sequence
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


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What else of the other branch is forgotten; `finding` is found once `writes` are durable."""

    writes: tuple[Write, ...]
    finding: object


# The log as it is before anything of it is dropped.
Withdraw = Callable[[Rows, Resolution, LogState], GivenUp | None]


def nothing_else(rows: Rows, resolution: Resolution, state: LogState) -> None:
    """Where nothing else is kept."""


@dataclass(frozen=True, slots=True)
class _Step:
    stream: StreamId
    start: bytes = b""  # what is swept next
    finding: object = None


@dataclass(slots=True)
class Switching:
    """`logs`: of the book. `resolutions`: what the store holds."""

    tokens: m.Tokens
    logs: dict[StreamId, LogState]
    resolutions: dict[StreamId, Resolution]
    withdraw: Withdraw = nothing_else
    _due: dict[StreamId, None] = field(default_factory=dict)
    _work: dict[m.Token, _Step] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._due |= dict.fromkeys(self.resolutions)  # a switch may have been interrupted

    def resolve(self, resolution: Resolution) -> None:
        self.resolutions[resolution.stream] = resolution
        self._due[resolution.stream] = None

    def due(self) -> list[StreamId]:
        """Whose logs are to be looked at, once nothing else is done with them."""
        return list(self._due)

    def behind(self, stream: StreamId) -> bool:
        """Whether the log here does not show yet that it is on the branch that was chosen."""
        resolution = self.resolutions.get(stream)
        if resolution is None:
            return False
        if stream in self._due or any(step.stream == stream for step in self._work.values()):
            return True
        state = self.logs.get(stream)
        return state is None or state.length < resolution.fork_length

    def begin(self, stream: StreamId, effects: Effects) -> bool:
        """Whether there is something to do: nothing else is done with the log before `handle` has
        said that this is over.
        """
        if stream not in self._due:
            return False
        del self._due[stream]
        state = self.logs.get(stream)
        if state is None:
            self._ask(stream, LogKeysOf(stream, b""), effects)
        else:
            look = Look(self.resolutions[stream], state, self.withdraw)
            self._ask(stream, look, effects)
        return True

    def handle(self, event: m.Event, effects: Effects) -> StreamId | None:
        """The stream with which this is over."""
        match event:
            case m.Answered(token, Looked() as looked) if token in self._work:
                return self._looked(self._work.pop(token).stream, looked, effects)
            case m.Answered(token, LogKeys(keys)) if token in self._work:
                return self._swept(self._work.pop(token).stream, keys, effects)
            case m.Persisted(token) if token in self._work:
                step = self._work.pop(token)
                if step.finding is not None:
                    effects.append(m.Emit(step.finding))
                return self._go_on(step.stream, step.start, effects)
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

    def _looked(self, stream: StreamId, looked: "Looked", effects: Effects) -> StreamId | None:
        state, given_up = self.logs[stream], looked.given_up
        writes = list(given_up.writes) if given_up else []
        if not self._is_chosen(state, looked.root):
            del self.logs[stream]
            effects.append(m.Emit(LogDropped(stream)))
            writes.append(Delete(log_key(stream)))
        if not writes:
            return self._go_on(stream, b"", effects)
        step = _Step(stream, finding=given_up.finding if given_up else None)
        self._persist(step, writes, effects)
        return None

    def _is_chosen(self, state: LogState, root: Hash | None) -> bool:
        resolution = self.resolutions[state.signed.head.stream]
        return resolution.covers(state) if root is None else root == resolution.chosen_root

    def _go_on(self, stream: StreamId, start: bytes, effects: Effects) -> StreamId | None:
        if stream not in self.logs:
            self._ask(stream, LogKeysOf(stream, start), effects)
            return None
        effects.append(m.Emit(Switched(stream)))
        return stream

    def _swept(
        self, stream: StreamId, keys: tuple[bytes, ...], effects: Effects
    ) -> StreamId | None:
        if keys:
            step = _Step(stream, start=keys[-1] + b"\0")
            self._persist(step, delete_rows(stream, keys), effects)
            return None
        effects.append(m.Emit(Switched(stream)))
        return stream

    def _ask(self, stream: StreamId, question: m.Question, effects: Effects) -> None:
        token = self.tokens.new()
        self._work[token] = _Step(stream)
        effects.append(m.Ask(token, question))

    def _persist(self, step: _Step, writes: list[Write], effects: Effects) -> None:
        token = self.tokens.new()
        self._work[token] = step
        effects.append(m.Persist(token, tuple(writes)))


# ---- questions about the store ----


@dataclass(frozen=True, slots=True)
class Looked:
    """`root`: at fork_length, if the log goes so far."""

    root: Hash | None
    given_up: GivenUp | None


@dataclass(frozen=True, slots=True)
class Look:
    """On which branch the log is, and what else is of the other."""

    resolution: Resolution
    state: LogState
    withdraw: Withdraw

    def answer(self, rows: Rows) -> Looked:
        resolution, root = self.resolution, None
        if self.state.length >= resolution.fork_length:
            root = root_at(rows, resolution.stream, resolution.fork_length)
        return Looked(root, self.withdraw(rows, resolution, self.state))


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
