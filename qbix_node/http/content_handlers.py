"""One method a path for contents of entries: parse the request, ask the node, print the answer."""

from contextlib import aclosing
from dataclasses import asdict
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from qbix_node.errors import BadInput
from qbix_node.http.answers import Streamed, json_answer
from qbix_node.http.content_api import ContentApi
from qbix_node.http.questions import Query, body_pieces, number_of, read_object, text_of
from qbix_node.streams.tree import LENGTH_MAX
from qbix_node.wire.references import StreamId, parse_stream
from qbix_node.wire.v8json import JsonValue

WAIT_S_MAX = 24 * 3600
PART_MAX = 2**33  # chunks of the largest content
BINARY = "application/octet-stream"


class ContentHandlers:
    def __init__(self, api: ContentApi) -> None:
        self._api = api

    async def append(self, request: Request, stream: StreamId, kind: str) -> Response:
        async with aclosing(body_pieces(request)) as pieces:
            place = await self._api.append(stream, kind, pieces)
        return json_answer(asdict(place), HTTPStatus.CREATED)

    async def content(self, request: Request) -> Response:
        query = Query(request, "stream", "index", "part", "wait_s")
        stream, index = parse_stream(query.text("stream")), query.number("index", 0)
        part = query.number("part", 0, most=PART_MAX) if query.text("part", "") else None
        wait_s = query.number("wait_s", 0, most=WAIT_S_MAX)
        size, pieces = await self._api.open(stream, index, part, wait_s)
        headers = {"Content-Length": str(size)}
        return Streamed(pieces, headers=headers, media_type=BINARY)

    async def drop(self, request: Request) -> Response:
        body = await read_object(request, "stream", "from", "to", "force")
        stream, first, stop = _range(body)
        force = body.get("force", False)
        if not isinstance(force, bool):
            raise BadInput("'force' is neither true nor false")
        return json_answer(asdict(await self._api.drop(stream, first, stop, force=force)))

    async def fetch(self, request: Request) -> Response:
        body = await read_object(request, "stream", "from", "to", "wait_s")
        stream, first, stop = _range(body)
        wait_s = number_of(body, "wait_s", 0, most=WAIT_S_MAX)
        return json_answer(asdict(await self._api.fetch(stream, first, stop, wait_s)))


def _range(body: dict[str, JsonValue]) -> tuple[StreamId, int, int]:
    """From one entry to another, both included; only the first, if there is no other."""
    stream = parse_stream(text_of(body, "stream"))
    first = number_of(body, "from", least=1, most=LENGTH_MAX)
    last = number_of(body, "to", first, least=1, most=LENGTH_MAX)
    if last < first:
        raise BadInput(f"from {first} to {last}: nothing lies between")
    return stream, first, last + 1
