"""Is anything missing that LevelDB would silently do without? (spec/storage.md)

A MANIFEST that lost its end opens without an error, on an older list of tables, and LevelDB then
deletes the tables that are not on it. What gives it away: the log that the MANIFEST names is gone
while a newer one is there, or the logs do not go on where the MANIFEST ends. Checksums are left to
LevelDB, which refuses on them by itself; but its repair takes over what fails them, so that
`sound_bytes` says where to cut a log before.

Formats: doc/log_format.md, db/version_edit.cc and db/write_batch.cc of LevelDB 1.22.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

BLOCK_BYTES = 32768
HEADER_BYTES = 7  # checksum 4, length 2, kind 1

ZERO, FULL, FIRST, _MIDDLE, LAST = range(5)  # kinds of records

# Fields of a version edit by tag: n a number (varint), b bytes with their length before them.
EDIT_FIELDS = {1: "b", 2: "n", 3: "n", 4: "n", 5: "nb", 6: "nn", 7: "nnnbb", 9: "n"}
LOG_NUMBER, LAST_SEQUENCE = 2, 4

CRC32C_TABLE = list(range(256))
for _ in range(8):
    CRC32C_TABLE = [each >> 1 ^ (0x82F63B78 if each & 1 else 0) for each in CRC32C_TABLE]


def find_gap(database: Path) -> str | None:
    """What is missing, as a sentence, or None. What can't be read is left to LevelDB."""
    try:
        manifest = database / (database / "CURRENT").read_text().strip()
        edits = read_edits(manifest.read_bytes())
    except (OSError, ValueError):
        return None
    if LOG_NUMBER not in edits:
        return None
    logs = sorted(
        number
        for number in (
            int(each.stem) for each in database.glob("[0-9]*.log") if each.stem.isdigit()
        )
        if number >= edits[LOG_NUMBER]
    )
    if logs and logs[0] != edits[LOG_NUMBER]:
        return f"{manifest.name} is older than {logs[0]:06}.log: its end is lost"
    next_sequence = edits.get(LAST_SEQUENCE, 0) + 1
    for number in logs:
        path = database / f"{number:06}.log"
        for first, count in read_batches(path.read_bytes()):
            if first > next_sequence:
                return f"{path.name} does not go on where what is before it ends"
            next_sequence = max(next_sequence, first + count)
    return None


def read_edits(manifest: bytes) -> dict[int, int]:
    """The newest value of each number that stands alone in its edit, by tag."""
    newest: dict[int, int] = {}
    for record in read_records(manifest):
        try:
            newest |= dict(_numbers(record))
        except (IndexError, KeyError):
            break
    return newest


def read_batches(log: bytes) -> Iterator[tuple[int, int]]:
    """First sequence number and count of each batch."""
    for record in read_records(log):
        if len(record) < 12:
            return
        yield struct.unpack_from("<QI", record)


def read_records(log: bytes) -> Iterator[bytes]:
    """The records of a log or MANIFEST, up to the first that is not whole."""
    parts: list[bytes] = []
    for _, kind, body in _fragments(log):
        parts = [body] if kind in (FULL, FIRST) else [*parts, body]
        if kind in (FULL, LAST):
            yield b"".join(parts)


def sound_bytes(log: bytes) -> int:
    """Where the last record ends before the first with a wrong checksum. Slow: for repairs."""
    sound = 0
    for at, kind, body in _fragments(log):
        checksum = _crc32c(bytes([kind]) + body)
        masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
        if log[at : at + 4] != masked.to_bytes(4, "little"):
            break
        if kind in (FULL, LAST):
            sound = at + HEADER_BYTES + len(body)
    return sound


def _fragments(log: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Place, kind and body of each piece of a record, up to the first that is cut short."""
    at = 0
    while at + HEADER_BYTES <= len(log):
        room = BLOCK_BYTES - at % BLOCK_BYTES
        length, kind = struct.unpack_from("<HB", log, at + 4) if room >= HEADER_BYTES else (0, ZERO)
        if kind == ZERO and length == 0:  # nothing more in this block
            at += room
            continue
        body = log[at + HEADER_BYTES : at + HEADER_BYTES + length]
        if len(body) < length or length > room - HEADER_BYTES:
            return
        yield at, kind, body
        at += HEADER_BYTES + length


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _numbers(edit: bytes) -> Iterator[tuple[int, int]]:
    """Tag and value of each field that is one number."""
    at = 0
    while at < len(edit):
        tag, at = _varint(edit, at)
        fields = EDIT_FIELDS[tag]
        for kind in fields:
            value, at = _varint(edit, at)
            if kind == "b":
                at += value
        if fields == "n":
            yield tag, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] >= 0x80:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
    return value | data[at] << shift, at + 1
