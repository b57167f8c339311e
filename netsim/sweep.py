"""Many seeds of one job, one JSON line each, in a file that an interrupted sweep continues."""

import fcntl
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from netsim.verdict import Result, Verdict
from qbix_node.errors import BadInput, Malformed, Temporary
from qbix_node.wire import v8json
from qbix_node.wire.v8json import JsonValue

Hear = Callable[[Result], object]

_SAID = {"overrides": "--nodes or --set"}
IDENTITY = ("scenario", "scenario_sha256", "commit", "driver", "overrides")


@dataclass(frozen=True, slots=True)
class Shard:
    """Every `count`th seed, so that all shards have about the same work; the first is 1."""

    number: int = 1
    count: int = 1

    def of(self, seeds: range) -> range:
        return seeds[self.number - 1 :: self.count]

    @property
    def whole(self) -> bool:
        return self.count == 1


def _ignore(result: Result) -> None:
    pass


class ResultFile:
    """Open for one sweep at a time. Results are not kept: `hear` was told each of them."""

    def __init__(self, file: FileIO, hear: Hear) -> None:
        self._patience_s: dict[int, float] = {}  # the most that a seed had; inf: it is done
        self._file = file
        self._hear = hear

    def lacking(self, seeds: Iterable[int], patience_s: float) -> list[int]:
        """Those without a result, and those that were given up with less patience."""
        return [seed for seed in seeds if self._patience_s.get(seed, 0.0) < patience_s]

    def add(self, result: Result) -> None:
        """Raises Temporary."""
        left = v8json.compact(result) + b"\n"
        try:
            while left:  # what does not fit on the disk any more is refused by the next write
                left = left[self._file.write(left) :]
        except OSError as error:
            raise Temporary(f"{self._file.name}: {error.strerror}") from error
        self._count(result)

    def read_on(self, path: Path, identity: Result) -> None:
        """What is there already. Raises BadInput."""
        whole_bytes = 0
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    if number == 1 and not line.startswith(b"{"):
                        raise _foreign(path, 1)  # it is somebody's file, of one line without an end
                    # The sweep was killed in the middle of a line.
                    os.truncate(self._file.fileno(), whole_bytes)
                    break
                result = _parse(path, number, line)
                _refuse_others(path, result, identity)
                whole_bytes += len(line)
                self._count(result)

    def _count(self, result: Result) -> None:
        seed = result["seed"]
        assert isinstance(seed, int)
        self._patience_s[seed] = max(patience_of(result), self._patience_s.get(seed, 0.0))
        self._hear(result)

    def close(self) -> None:
        self._file.close()


def open_results(path: Path, identity: Result, hear: Hear = _ignore) -> ResultFile:
    """For reading what is there, and writing on. Raises BadInput, Temporary."""
    try:
        file = FileIO(path, "a+")  # without a buffer: nothing is left to be written at its end
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    with ExitStack() as refused:
        refused.callback(file.close)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Temporary(f"another sweep writes to {path}") from error
        results = ResultFile(file, hear)
        results.read_on(path, identity)
        refused.pop_all()
    return results


def read_results(paths: Iterable[Path]) -> Iterator[Result]:
    """Of one sweep or of its shards, as they are asked for. Raises BadInput."""
    first: Result | None = None
    for path in paths:
        for result in _read(path):
            first = first or result
            _refuse_others(path, result, first)
            yield result


def _read(path: Path) -> Iterator[Result]:
    number, line = 0, b"\n"
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):  # else a sweep was killed in the middle of it
                    yield _parse(path, number, line)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    if number == 0:
        raise BadInput(f"{path} is empty: there are no results")
    if number == 1 and not line.endswith(b"\n"):
        raise _foreign(path, 1)


def patience_of(result: Result) -> float:
    """After so many seconds it was given up; inf: it came to an end."""
    given = result.get("patience_s")
    return float(given) if isinstance(given, int | float) else math.inf


def _parse(path: Path, number: int, line: bytes) -> Result:
    try:
        value = v8json.parse(line.removesuffix(b"\n"), "a result")
    except Malformed as error:
        raise _foreign(path, number) from error
    if not isinstance(value, dict) or not isinstance(value.get("seed"), int):
        raise _foreign(path, number)
    if value.get("exit") not in list(Verdict):
        raise _foreign(path, number)
    return value


def _foreign(path: Path, number: int) -> BadInput:
    return BadInput(
        f"{path}, line {number}: this is no result of a run", hint="Is it another file?"
    )


def _refuse_others(path: Path, result: Result, expected: Result) -> None:
    for key in IDENTITY:
        if result.get(key) != expected.get(key):
            there, here = _said(result.get(key)), _said(expected.get(key))
            raise BadInput(
                f"{path} has results of another {_SAID.get(key, key)}: {there}, not {here}",
                hint="What stands together must be of one kind: choose another file.",
            )


def _said(value: JsonValue) -> JsonValue:
    """Overrides as the options that they were."""
    if not isinstance(value, dict):
        return value
    nodes, settings = value.get("nodes"), value.get("set")
    options = [] if nodes is None else [f"--nodes {nodes}"]
    if isinstance(settings, dict):
        options += [f"--set {key}={text}" for key, text in settings.items()]
    return " ".join(options) or "none of them"
