"""Many seeds of one job, one JSON line each, in a file that an interrupted sweep continues."""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from netsim.verdict import Result
from qbix_node.errors import BadInput, Malformed, Temporary
from qbix_node.wire import v8json

Hear = Callable[[Result], object]

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

    def __init__(self, file: BinaryIO, hear: Hear) -> None:
        self.seeds: set[int] = set()  # of which there is a result
        self._file = file
        self._hear = hear

    def add(self, result: Result) -> None:
        """Raises Temporary."""
        try:
            self._file.write(v8json.compact(result) + b"\n")
            self._file.flush()
        except OSError as error:
            raise Temporary(f"{self._file.name}: {error.strerror}") from error
        self._count(result)

    def read_on(self, path: Path, identity: Result) -> None:
        """What is there already. Raises BadInput."""
        whole_bytes = 0
        self._file.seek(0)
        for number, line in enumerate(self._file, 1):
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
        self.seeds.add(seed)
        self._hear(result)

    def close(self) -> None:
        self._file.close()


def open_results(path: Path, identity: Result, hear: Hear = _ignore) -> ResultFile:
    """For reading what is there, and writing on. Raises BadInput, Temporary."""
    try:
        file = Path.open(path, "a+b")
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
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line.endswith(b"\n"):  # else a sweep was killed in the middle of it
                        result = _parse(path, number, line)
                        first = first or result
                        _refuse_others(path, result, first)
                        yield result
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from error


def _parse(path: Path, number: int, line: bytes) -> Result:
    try:
        value = v8json.parse(line.removesuffix(b"\n"), "a result")
    except Malformed as error:
        raise _foreign(path, number) from error
    if not isinstance(value, dict) or not isinstance(value.get("seed"), int):
        raise _foreign(path, number)
    return value


def _foreign(path: Path, number: int) -> BadInput:
    return BadInput(
        f"{path}, line {number}: this is no result of a run", hint="Is it another file?"
    )


def _refuse_others(path: Path, result: Result, expected: Result) -> None:
    for key in IDENTITY:
        if result.get(key) != expected.get(key):
            raise BadInput(
                f"{path} has results of another {key}: {result.get(key)}, not {expected.get(key)}",
                hint="What stands together must be of one kind: choose another file.",
            )
