"""Many seeds of one job, one JSON line each, in a file that an interrupted sweep continues."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from netsim.verdict import Result
from qbix_node.errors import BadInput, Malformed, Temporary
from qbix_node.wire import v8json

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


class ResultFile:
    """Open for one sweep at a time."""

    def __init__(self, file: BinaryIO, results: list[Result]) -> None:
        self.results = results  # in the order of the file
        self._file = file

    def add(self, result: Result) -> None:
        """Raises Temporary."""
        try:
            self._file.write(v8json.compact(result) + b"\n")
            self._file.flush()
        except OSError as error:
            raise Temporary(f"{self._file.name}: {error.strerror}") from error
        self.results.append(result)

    def close(self) -> None:
        self._file.close()


def open_results(path: Path, identity: Result) -> ResultFile:
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
        results = _read_on(file, path, identity)
        refused.pop_all()
    return ResultFile(file, results)


def _read_on(file: BinaryIO, path: Path, identity: Result) -> list[Result]:
    file.seek(0)
    whole, newline, torn = file.read().rpartition(b"\n")
    results = _parse(path, whole)
    for result in results:
        _refuse_others(path, result, identity)
    if torn and not (results or torn.startswith(b"{")):
        raise _foreign(path, 1)  # it is somebody's file, of one line without an end
    if torn:  # the sweep was killed in the middle of a line
        os.truncate(file.fileno(), len(whole) + len(newline))
    return results


def read_results(paths: Iterable[Path]) -> list[Result]:
    """Of one sweep or of its shards. Raises BadInput."""
    found: list[Result] = []
    for path in paths:
        try:
            whole = path.read_bytes().rpartition(b"\n")[0]
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from error
        for result in _parse(path, whole):
            _refuse_others(path, result, found[0] if found else result)
            found.append(result)
    return found


def _parse(path: Path, lines: bytes) -> list[Result]:
    return list(_each(path, lines.split(b"\n") if lines else []))


def _each(path: Path, lines: list[bytes]) -> Iterator[Result]:
    for number, line in enumerate(lines, 1):
        try:
            value = v8json.parse(line, "a result")
        except Malformed as error:
            raise _foreign(path, number) from error
        if not isinstance(value, dict) or not isinstance(value.get("seed"), int):
            raise _foreign(path, number)
        yield value


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
