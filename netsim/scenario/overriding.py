"""Replaces single values of a scenario's document: --set workload.messages=3."""

import copy
import tomllib
from collections.abc import Mapping

from qbix_node.errors import BadInput


def override(document: Mapping[str, object], changes: Mapping[str, str]) -> Mapping[str, object]:
    """Keys are dotted; an item of a list is meant by its place (fault.0.for_s). Values are TOML,
    or a text without its quotes.
    """
    changed = copy.deepcopy(dict(document))
    for key, text in changes.items():
        *path, last = key.split(".")
        place: object = changed
        for name in path:
            place = _enter(place, name, key)
        _set(place, last, _value(text), key)
    return changed


def _enter(place: object, name: str, key: str) -> object:
    if isinstance(place, dict):
        return place.setdefault(name, {})
    return _list(place, name, key)[int(name)]


def _set(place: object, name: str, value: object, key: str) -> None:
    if isinstance(place, dict):
        place[name] = value
    else:
        _list(place, name, key)[int(name)] = value


def _list(place: object, name: str, key: str) -> list[object]:
    if not isinstance(place, list):
        raise BadInput(f"--set {key}: there is nothing within what stands before {name!r}")
    if not (name.isascii() and name.isdigit() and int(name) < len(place)):
        raise BadInput(f"--set {key}: a place from 0 to {len(place) - 1} is expected, not {name!r}")
    return place


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
