"""What a request asks, parsed once: bounded JSON bodies and query parameters. Raises BadInput."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.requests import Request

from qbix_node.errors import BadInput
from qbix_node.wire import v8json
from qbix_node.wire.v8json import JsonValue

BODY_BYTES_MAX = 256 * 1024  # of a JSON request; a message has at most 8192 characters
SEQUENCE_MAX = 2**53


async def read_body(request: Request, bytes_max: int) -> bytes:
    body = bytearray()
    async with aclosing(request.stream()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > bytes_max:
                raise BadInput(f"{_path(request)}: the body has more than {bytes_max} bytes")
    return bytes(body)


async def read_object(request: Request, *names: str) -> dict[str, JsonValue]:
    """The JSON object of the body, with no members but these."""
    body = await read_body(request, BODY_BYTES_MAX)
    value = v8json.parse(body, f"{_path(request)}: the body")
    if not isinstance(value, dict):
        raise BadInput(f"{_path(request)}: the body is no JSON object")
    _only(value, names, _path(request))
    return value


def text_of(value: Mapping[str, JsonValue], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str):
        raise BadInput(f"{name!r} is missing or no text")
    return text


def items_of(value: Mapping[str, JsonValue], name: str) -> list[JsonValue]:
    items = value.get(name, [])
    if not isinstance(items, list):
        raise BadInput(f"{name!r} is no list")
    return items


def texts_of(value: Mapping[str, JsonValue], name: str) -> list[str]:
    return [text_of({name: text}, name) for text in items_of(value, name)]


def count_of(value: Mapping[str, JsonValue], name: str) -> int | None:
    """A number from 1 on; None where nothing, or null, is said."""
    number = value.get(name)
    if number is None:
        return None
    if type(number) is not int or not 1 <= number <= SEQUENCE_MAX:
        raise BadInput(f"{name!r} is no whole number from 1 on")
    return number


def flag_of(value: Mapping[str, JsonValue], name: str) -> bool:
    flag = value.get(name, False)
    if not isinstance(flag, bool):
        raise BadInput(f"{name!r} is neither true nor false")
    return flag


def number_of(
    value: Mapping[str, JsonValue],
    name: str,
    default: int | None = None,
    *,
    least: int = 0,
    most: int = SEQUENCE_MAX,
) -> int:
    number = value.get(name, default)
    if type(number) is not int:
        raise BadInput(f"{name!r} is missing or no whole number")
    if not least <= number <= most:
        raise BadInput(f"{name!r} is {number}: a number from {least} to {most} is expected")
    return number


class Query:
    """The query parameters; each at most once, and none that nobody knows."""

    def __init__(self, request: Request, *names: str) -> None:
        self._values = dict(request.query_params)
        _only(self._values, names, _path(request))
        if len(request.query_params.multi_items()) > len(self._values):
            raise BadInput(f"{_path(request)}: a parameter stands there twice")

    def text(self, name: str, default: str | None = None) -> str:
        if default is not None and name not in self._values:
            return default
        return text_of(self._values, name)

    def number(self, name: str, default: int, *, least: int = 0, most: int = SEQUENCE_MAX) -> int:
        text = self._values.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) <= 16):
            raise BadInput(f"{name}={text[:40]}: a whole number is expected")
        if not least <= int(text) <= most:
            raise BadInput(f"{name}={text}: a number from {least} to {most} is expected")
        return int(text)

    def flag(self, name: str) -> bool:
        return self.number(name, 0, most=1) == 1


def _path(request: Request) -> str:
    """Not from `request.url`, which takes no query but UTF-8."""
    path: str = request.scope["path"]
    return path


def _only(values: Mapping[str, object], names: tuple[str, ...], path: str) -> None:
    for name in values:
        if name not in names:
            known = ", ".join(names) or "none"
            raise BadInput(f"{path}: unknown member {name[:40]!r}; known: {known}")


async def body_pieces(request: Request) -> AsyncGenerator[bytes]:
    """The raw body as it comes; who reads it bounds it."""
    async with aclosing(request.stream()) as pieces:
        async for piece in pieces:
            if piece:
                yield piece
