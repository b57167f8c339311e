"""The scenarios that come with the simulator, and files of others."""

from importlib.resources import files
from pathlib import Path

from qbix_node.errors import BadInput

_LIBRARY = files("netsim.scenario") / "library"
_SUFFIX = ".toml"
FILE_BYTES_MAX = 64 << 20


def names() -> list[str]:
    return sorted(
        each.name.removesuffix(_SUFFIX)
        for each in _LIBRARY.iterdir()
        if each.name.endswith(_SUFFIX)
    )


def read(name_or_path: str) -> tuple[str, str]:
    """Its name for messages, and the text: of the library, or of a file (what ends in .toml or
    names a folder). Raises BadInput.
    """
    if name_or_path in names():
        return name_or_path, (_LIBRARY / f"{name_or_path}{_SUFFIX}").read_text(encoding="utf-8")
    path = Path(name_or_path)
    if path.suffix != _SUFFIX and path.parent == Path():
        raise BadInput(
            f"there is no scenario {name_or_path!r}",
            hint="`list` names those of the library; a file of your own ends in .toml",
        )
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise BadInput(f"{path}: a scenario has at most {FILE_BYTES_MAX >> 20} MiB")
        return str(path), path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is no UTF-8 text") from None
