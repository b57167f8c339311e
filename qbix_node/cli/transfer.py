"""Long bodies on their way between a file and the daemon."""

from collections.abc import Iterator
from pathlib import Path

from qbix_node.cli.output import Progress, size_text
from qbix_node.errors import BadInput, Temporary


def counted(
    pieces: Iterator[bytes], progress: Progress, size: int | None = None
) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        done += len(piece)
        progress.at(size_text(done) + (f" of {size_text(size)}" if size is not None else ""))
        yield piece


def write_file(pieces: Iterator[bytes], path: Path) -> None:
    """Whole or not at all under its name."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.writelines(pieces)
        partial.replace(path)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: there is no such folder") from error
    except OSError as error:
        raise Temporary(f"{path}: can't be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
