"""Many seeds of one job, one JSON line each, in a file that an interrupted sweep continues."""

import fcntl
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from netsim.verdict import Result, Verdict
from qbix_node.errors import BadInput, Malformed, Temporary
from qbix_node.wire import v8json
from qbix_node.wire.v8json import JsonValue

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


class ResultFile:
    """Open for one sweep at a time."""

    def __init__(self, file: FileIO, results: list[Result]) -> None:
        self.results = results  # in the order of the file
        self._file = file

    def add(self, result: Result) -> None:
        """Raises Temporary."""
        left = v8json.compact(result) + b"\n"
        try:
            while left:  # what does not fit on the disk any more is refused by the next write
                left = left[self._file.write(left) :]
        except OSError as error:
            raise Temporary(f"{self._file.name}: {error.strerror}") from error
        self.results.append(result)

    def close(self) -> None:
        self._file.close()


def open_results(path: Path, identity: Result) -> ResultFile:
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
        results = _read_on(file, path, identity)
        refused.pop_all()
    return ResultFile(file, results)


def _read_on(file: FileIO, path: Path, identity: Result) -> list[Result]:
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
            whole, _, torn = path.read_bytes().rpartition(b"\n")
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from error
        results = _parse(path, whole)
        if not results:
            raise _foreign(path, 1) if torn else BadInput(f"{path} is empty: there are no results")
        for result in results:
            _refuse_others(path, result, found[0] if found else result)
        found += results
    return decided(found)


def decided(results: Sequence[Result]) -> list[Result]:
    """Without the attempts at a seed that were given up, where a later one had more patience."""
    patience_s: dict[object, float] = {}
    for result in results:
        seed = result["seed"]
        patience_s[seed] = max(patience_of(result), patience_s.get(seed, 0.0))
    return [each for each in results if patience_of(each) == patience_s[each["seed"]]]


def patience_of(result: Result) -> float:
    """After so many seconds it was given up; inf: it came to an end."""
    given = result.get("patience_s")
    return float(given) if isinstance(given, int | float) else math.inf


def gaps(seeds: Iterable[int]) -> list[int]:
    """Those that lack between the first and the last."""
    there = set(seeds)
    return sorted(set(range(min(there), max(there))) - there)


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
        if value.get("exit") not in list(Verdict):
            raise _foreign(path, number)
        yield value


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
