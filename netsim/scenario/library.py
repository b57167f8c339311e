"""The scenarios that come with the simulator, and files of others."""

import difflib
from importlib.resources import files
from pathlib import Path

from netsim.scenario.scenario import Scenario, load
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


def load_named(name: str) -> Scenario:
    """One of the library, which is found by the name of its file: so it is to call itself. Raises
    BadInput.
    """
    scenario = load(read(name)[1], name)
    if scenario.name != name:
        raise BadInput(f"{name}: name: {name!r}, as its file, is expected, not {scenario.name!r}")
    return scenario


def read(name_or_path: str) -> tuple[str, str]:
    """Its name for messages, and the text: of the library, or of a file (what ends in .toml or
    names a folder). Raises BadInput.
    """
    if name_or_path in names():
        return name_or_path, (_LIBRARY / f"{name_or_path}{_SUFFIX}").read_text(encoding="utf-8")
    path = Path(name_or_path)
    if path.suffix != _SUFFIX and path.parent == Path():
        near = difflib.get_close_matches(name_or_path, names(), 1)
        meant = f"; is {near[0]} meant?" if near else ""
        raise BadInput(
            f"there is no scenario {name_or_path!r}{meant}",
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
