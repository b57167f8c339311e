"""Rows of the API from their JSON: the client's half of `dataclasses.asdict`."""

from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from qbix_node.errors import Malformed
from qbix_node.http.stream_api import StreamDetails
from qbix_node.wire.v8json import JsonValue

Row = TypeVar("Row")


def read_row(value: JsonValue, kind: type[Row]) -> Row:
    """Members that we don't know are passed over: the daemon may be newer. Raises Malformed."""
    row: Row = _read(value, kind)
    return row


def read_rows(value: JsonValue, kind: type[Row]) -> list[Row]:
    """Raises Malformed."""
    if not isinstance(value, list):
        raise Malformed(f"the daemon's answer is no list of {kind.__name__}")
    return [read_row(item, kind) for item in value]


def read_details(value: JsonValue) -> StreamDetails:
    """The row of a stream with what else was looked for, in one object. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed("the daemon's answer describes no stream")
    return read_row({"row": value, **value}, StreamDetails)


def _read(value: JsonValue, kind: Any) -> Any:  # noqa: ANN401  (follows the types of the fields)
    if isinstance(kind, type) and is_dataclass(kind):
        needed = {item.name for item in fields(kind) if item.default is MISSING}
        if not isinstance(value, dict) or not needed <= set(value):
            raise Malformed(f"the daemon's answer is no {kind.__name__}")
        hints = get_type_hints(kind).items()
        return kind(**{name: _read(value[name], hint) for name, hint in hints if name in value})
    if get_origin(kind) is list and isinstance(value, list):
        (item_kind,) = get_args(kind)
        return [_read(item, item_kind) for item in value]
    if value is not None and (rows := [e for e in get_args(kind) if is_dataclass(e)]):
        return _read(value, rows[0])
    if not _fits(value, kind):
        raise Malformed("the daemon's answer has a member of another type")
    return value


def _fits(value: JsonValue, kind: Any) -> bool:  # noqa: ANN401  (as above)
    origin = get_origin(kind)
    if origin is Literal:
        return value in get_args(kind)
    if origin in {Union, UnionType}:
        return any(_fits(value, each) for each in get_args(kind))
    if origin in {list, dict}:  # of JSON: what is in it has any type
        return isinstance(value, origin)
    return type(value) in ({int, float} if kind is float else {kind})
