"""One method a path for streams: parse the request, ask the node, print the answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from http import HTTPStatus

import trio
from starlette.requests import Request
from starlette.responses import Response

from qbix_node.errors import BadInput
from qbix_node.http.answers import Streamed, json_answer
from qbix_node.http.content_handlers import ContentHandlers
from qbix_node.http.questions import (
    Query,
    body_pieces,
    count_of,
    flag_of,
    items_of,
    read_body,
    read_object,
    text_of,
    texts_of,
)
from qbix_node.http.stream_api import NewOwner, NewStream, StreamApi, StreamDetails, StreamEntry
from qbix_node.streams.messages import ENTRIES_MAX
from qbix_node.streams.tree import LENGTH_MAX
from qbix_node.wire import v8json
from qbix_node.wire.references import StreamId, decode_base64, parse_feed, parse_stream
from qbix_node.wire.v8json import JsonValue

LOG_CHUNK = 100  # entries in memory at a time: 6 MiB of contents
LINES_BYTES_MAX = 512 * 1024  # of entries that are appended together
DEFAULT_KIND = "post"
BINARY = "application/octet-stream"


class StreamHandlers:
    def __init__(self, api: StreamApi, contents: ContentHandlers) -> None:
        self._api = api
        self._contents = contents

    async def streams(self, _: Request) -> Response:
        return json_answer([asdict(row) for row in self._api.streams()])

    async def show(self, request: Request) -> Response:
        details = await self._api.show(_stream(Query(request, "stream")))
        return json_answer(_flat(details))

    async def create(self, request: Request) -> Response:
        said = "readers", "owners", "threshold", "writers", "anybody_writes"
        body = await read_object(request, "kind", "uniqueness", *said)
        readers, writers = [
            [parse_feed(text) for text in texts_of(body, name)] for name in ("readers", "writers")
        ]
        wish = NewStream(
            *(text_of(body, "kind"), text_of(body, "uniqueness"), readers),
            *([_owner(each) for each in items_of(body, "owners")], count_of(body, "threshold")),
            *(writers, flag_of(body, "anybody_writes")),
        )
        return json_answer(_flat(await self._api.create(wish)), HTTPStatus.CREATED)

    async def append(self, request: Request) -> Response:
        query = Query(request, "stream", "kind", "lines")
        stream, kind = _stream(query), query.text("kind", DEFAULT_KIND)
        if not query.flag("lines"):
            return await self._contents.append(request, stream, kind)
        contents = (await read_body(request, LINES_BYTES_MAX)).split(b"\n")
        if contents[-1] == b"":
            contents.pop()  # the end of the last line
        if not 1 <= len(contents) <= ENTRIES_MAX:
            raise BadInput(f"the body has {len(contents)} lines, 1 to {ENTRIES_MAX} are taken")
        place = await self._api.append(stream, kind, contents)
        return json_answer(asdict(place), HTTPStatus.CREATED)

    async def resolve(self, request: Request) -> Response:
        body = await read_object(request, "stream", "root")
        root = _root(text_of(body, "root")) if "root" in body else None
        row = await self._api.resolve(parse_stream(text_of(body, "stream")), root)
        return json_answer(asdict(row))

    async def set_owners(self, request: Request) -> Response:
        body = await read_object(request, "stream", "owners", "threshold")
        owners = [_owner(each) for each in items_of(body, "owners")]
        stream, threshold = parse_stream(text_of(body, "stream")), count_of(body, "threshold")
        return json_answer(asdict(await self._api.set_owners(stream, owners, threshold)))

    async def resume(self, request: Request) -> Response:
        body = await read_object(request, "stream", "length")
        length = body.get("length")
        if not isinstance(length, int):
            raise BadInput("'length' is missing or no whole number")
        await self._api.resume(parse_stream(text_of(body, "stream")), length)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def log(self, request: Request) -> Response:
        query = Query(request, "stream", "from", "limit", "follow")
        stream, first = _stream(query), query.number("from", 1, least=1, most=LENGTH_MAX)
        limit, follow = query.number("limit", LENGTH_MAX), query.flag("follow")
        chunk = self._api.log(stream, first, min(limit, LOG_CHUNK))  # refused before a byte is sent
        lines = self._lines(stream, chunk, first, limit, follow=follow)
        return Streamed(lines, media_type="application/jsonl")

    async def _lines(
        self, stream: StreamId, chunk: list[StreamEntry], first: int, left: int, *, follow: bool
    ) -> AsyncGenerator[bytes]:
        while left:
            if chunk:
                yield b"".join(map(_line, chunk))
                first, left = first + len(chunk), left - len(chunk)
            elif follow:
                await self._api.wait_for(stream, first)
            else:
                return
            chunk = self._api.log(stream, first, min(left, LOG_CHUNK))

    async def prove(self, request: Request) -> Response:
        query = Query(request, "stream", "index")
        stream, index = _stream(query), query.number("index", 0)
        return Response(self._api.prove(stream, index), media_type=BINARY)

    async def export(self, request: Request) -> Response:
        frames = self._api.export(_stream(Query(request, "stream")))

        async def pieces() -> AsyncGenerator[bytes]:
            for frame in frames:
                yield frame
                await trio.lowlevel.checkpoint()

        return Streamed(pieces(), media_type=BINARY)

    async def import_(self, request: Request) -> Response:
        async with aclosing(body_pieces(request)) as pieces:
            return json_answer(asdict(await self._api.import_(pieces)))


def _flat(details: StreamDetails) -> dict[str, JsonValue]:
    """The row with what else was looked for."""
    found: dict[str, JsonValue] = asdict(details)
    row = found.pop("row")
    assert isinstance(row, dict)
    return {**row, **found}


def _owner(value: JsonValue) -> NewOwner:
    if not isinstance(value, dict) or not set(value) <= {"key", "weight"}:
        raise BadInput('an owner is written {"key": "@…", "weight": 1}')
    return NewOwner(parse_feed(text_of(value, "key")), count_of(value, "weight") or 1)


def _stream(query: Query) -> StreamId:
    return parse_stream(query.text("stream"))


def _root(text: str) -> bytes:
    root = decode_base64(text, 32)
    if root is None:
        raise BadInput(f"{text[:60]!r} is no root: 32 bytes in base64 are expected")
    return root


def _line(entry: StreamEntry) -> bytes:
    row = {name: value for name, value in asdict(entry).items() if value is not None}
    return v8json.compact(row) + b"\n"
