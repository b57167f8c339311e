"""Files that commands write: a new one is beside the old one until it is whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from qbix_node.errors import Temporary, UsageError


class OutFile(click.Path):
    """Where something can be written, which is seen before it takes its time to be made."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        path = Path(os.fsdecode(super().convert(str(value), param, ctx)))
        folder = path.resolve().parent
        if path.exists() and not path.is_file():
            self.fail(f"{path}: a regular file is expected", param, ctx)
        if not folder.is_dir():
            self.fail(f"{path}: there is no folder {folder}", param, ctx)
        if not os.access(path if path.exists() else folder, os.W_OK):
            self.fail(f"{path}: nobody may write there as you", param, ctx)
        return path


def refuse_overwriting(out: Path | None, *sources: Path) -> None:
    """Raises UsageError."""
    if out is not None and out.exists():
        for source in sources:
            if source.exists() and source.samefile(out):
                raise UsageError(
                    f"{out} is what is read: it would be overwritten", hint="choose another name"
                )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write to, which takes the place of `path` in the end. Raises Temporary: nothing
    has changed then.
    """
    whole = path.resolve()
    part = whole.with_name(f".{whole.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(whole)
    except OSError as error:
        raise Temporary(f"{path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
