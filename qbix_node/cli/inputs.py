"""Files that commands read, bounded; - is stdin."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from qbix_node.errors import BadInput

PIECE_BYTES = 64 * 1024


def read_input(path: str, bytes_max: int) -> bytes:
    """Raises BadInput."""
    with open_input(path) as file:
        data = file.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise BadInput(f"{path}: has more than {bytes_max} bytes")
    return data


def open_input(path: str) -> BinaryIO:
    """Raises BadInput."""
    if path == "-":
        return sys.stdin.buffer
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise BadInput(f"{path}: can't be read: {error.strerror}") from error


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece
