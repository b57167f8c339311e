"""Processes that write to a store as fast as they can, to be killed or to have their power cut.

Several sequences grow at once, each write puts two keys, and small buffers make LevelDB write
tables all the time. `BusyWriter` is what a test sees. Behind it is one process that makes a new
writer by fork for every path on its standard input: that is fifty times faster than a new Python.
"""

import os
import select
import signal
import struct
import subprocess
import sys
from pathlib import Path

import trio

from qbix_node.crypto.boxes import sha256
from qbix_node.ports import Put, Store
from qbix_node.store.leveldb import LevelDbStore

SEQUENCES = 8
ACK = struct.Struct(">HI")  # which sequence, which number in it
STARTED, ENDED = 0xFFFE, 0xFFFF  # in place of a sequence; the number is that of the process
BUFFER_BYTES = 1 << 16


def value(sequence: int, number: int) -> bytes:
    return sha256(ACK.pack(sequence, number)) * 4


def newest(store: Store, sequence: int) -> int:
    """The number that the store has last of a sequence; they begin with 1."""
    start, stop = b"a" + ACK.pack(sequence, 0), b"a" + ACK.pack(sequence + 1, 0)
    rows = store.scan(start, stop, limit=1, reverse=True)
    return int(ACK.unpack(rows[0][0][1:])[1]) if rows else 0


async def grow(store: Store, sequence: int) -> None:
    number = newest(store, sequence)
    while True:
        number += 1
        name = ACK.pack(sequence, number)
        written = value(sequence, number)
        await store.write([Put(b"a" + name, written), Put(b"b" + name, written)])
        os.write(1, name)


async def write_on(order: str) -> None:
    path, synced = Path(order[1:]), order[0] == "+"
    options = {"write_buffer_bytes": BUFFER_BYTES, "free_bytes_min": 1 << 20}
    store = LevelDbStore.open(path, synced=synced, **options)
    async with store, trio.open_nursery() as nursery:
        for sequence in range(SEQUENCES):
            nursery.start_soon(grow, store, sequence)


def make_writers() -> None:
    """Each line of the standard input: + or - for with or without syncs, and a path."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.write(1, ACK.pack(STARTED, os.getpid()))
            trio.run(write_on, line.rstrip("\n"))
        os.waitpid(pid, 0)
        os.write(1, ACK.pack(ENDED, pid))


class BusyWriter:
    """One writer at a time. `acknowledged` has the last number of each sequence."""

    def __init__(self) -> None:
        self._maker = subprocess.Popen(
            [sys.executable, "-m", __name__],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid: int | None = None
        self.acknowledged: dict[int, int] = {}

    def __enter__(self) -> "BusyWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
        self._maker.communicate()

    def start(self, path: Path, *, synced: bool = True) -> None:
        assert self._maker.stdin is not None
        self._maker.stdin.write(f"{'+' if synced else '-'}{path}\n".encode())
        sequence, self.pid = self._read_one()
        assert sequence == STARTED

    def read(self, count: int) -> None:
        """Wait until so many more writes were acknowledged."""
        for _ in range(count):
            self._note(*self._read_one())

    def read_what_is_there(self) -> None:
        """All that the writer said before it was paused."""
        assert self._maker.stdout is not None
        while select.select([self._maker.stdout], [], [], 0)[0]:
            self._note(*self._read_one())

    def kill(self) -> None:
        """And read all that it said before."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGKILL)
        while (said := self._read_one()) != (ENDED, self.pid):
            self._note(*said)
        self.pid = None

    def _read_one(self) -> tuple[int, int]:
        assert self._maker.stdout is not None
        data = self._maker.stdout.read(ACK.size)
        assert data, "the writer ended by itself"
        sequence, number = ACK.unpack(data)
        return sequence, number

    def _note(self, sequence: int, number: int) -> None:
        assert sequence < SEQUENCES, "the writer ended by itself"
        assert number > self.acknowledged.get(sequence, 0)
        self.acknowledged[sequence] = number


def lost(store: Store, acknowledged: dict[int, int]) -> int:
    """How many acknowledged writes a store lacks. Fails if it has any write in part."""
    missing = 0
    for sequence in range(SEQUENCES):
        last = newest(store, sequence)
        missing += max(0, acknowledged.get(sequence, 0) - last)
        for key in (b"a", b"b"):
            start, stop = key + ACK.pack(sequence, 0), key + ACK.pack(sequence + 1, 0)
            rows = store.scan(start, stop, limit=10**7)
            names = [ACK.pack(sequence, number) for number in range(1, last + 1)]
            assert [row[0][1:] for row in rows] == names
            assert [row[1] for row in rows] == [value(*ACK.unpack(name)) for name in names]
    return missing


def lost_in(path: Path, acknowledged: dict[int, int]) -> int:
    """The same for a store that nobody had time to close."""
    store = LevelDbStore.open(path, free_bytes_min=0, write_buffer_bytes=BUFFER_BYTES)
    try:
        assert not store.was_clean
        return lost(store, acknowledged)
    finally:
        trio.run(store.aclose)


if __name__ == "__main__":
    make_writers()
