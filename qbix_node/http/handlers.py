"""One method a path: parse the request, ask the node, print the answer (docs/http-api.md)."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from qbix_node.errors import BadInput
from qbix_node.http.answers import Streamed, entry_line, json_answer
from qbix_node.http.api import Api, BlobRow, Entry, FeedRow, PeerRow
from qbix_node.http.metrics import CONTENT_TYPE, render_metrics
from qbix_node.http.page import PAGE, PAGE_HEADERS
from qbix_node.http.questions import (
    SEQUENCE_MAX,
    Query,
    body_pieces,
    read_object,
    text_of,
    texts_of,
)
from qbix_node.machines import PeerId
from qbix_node.net.address import parse_address
from qbix_node.wire.references import (
    FeedId,
    is_feed,
    is_stream,
    parse_blob,
    parse_feed,
    parse_stream,
)
from qbix_node.wire.v8json import JsonValue

LOG_CHUNK = 100  # messages in memory at a time, whatever the length of the log
WAIT_S_MAX = 24 * 3600


class Handlers:
    def __init__(self, api: Api) -> None:
        self._api = api

    # ---- looking; also on the status page's port ----

    async def page(self, _: Request) -> Response:
        return Response(PAGE, headers=PAGE_HEADERS, media_type="text/html")

    async def status(self, _: Request) -> Response:
        return json_answer(asdict(await self._api.status()))

    async def health(self, _: Request) -> Response:
        wrong = await self._api.health()
        status = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
        return json_answer({"healthy": not wrong, "wrong": list(wrong)}, status)

    async def metrics(self, _: Request) -> Response:
        return Response(render_metrics(await self._api.metrics()), media_type=CONTENT_TYPE)

    # ---- peers ----

    async def peers(self, _: Request) -> Response:
        return _rows(self._api.peers())

    async def add_peer(self, request: Request) -> Response:
        name = text_of(await read_object(request, "address"), "address")
        if is_feed(name):
            await self._api.add_key(PeerId(parse_feed(name)))
        else:
            await self._api.add_peer(parse_address(name))
        return _done()

    async def remove_peer(self, request: Request) -> Response:
        await self._api.remove_peer(await _peer(request))
        return _done()

    async def block(self, request: Request) -> Response:
        await self._api.block(await _peer(request))
        return _done()

    async def unblock(self, request: Request) -> Response:
        await self._api.unblock(await _peer(request))
        return _done()

    # ---- feeds ----

    async def feeds(self, _: Request) -> Response:
        return _rows(self._api.feeds())

    async def following(self, _: Request) -> Response:
        return json_answer([*self._api.following(), *self._api.streams.following()])

    async def follow(self, request: Request) -> Response:
        body = await read_object(request, "feed", "headers_only", "heads_only")
        name = text_of(body, "feed")
        headers_only, heads_only = _flag(body, "headers_only"), _flag(body, "heads_only")
        if headers_only and heads_only:
            raise BadInput("give either 'headers_only' or 'heads_only'")
        if is_stream(name) and heads_only:
            await self._api.streams.hear_of(parse_stream(name))
        elif is_stream(name):
            await self._api.streams.follow(parse_stream(name), headers_only=headers_only)
        elif headers_only or heads_only:
            raise BadInput("a classic feed can't be followed without its contents")
        else:
            await self._api.follow(parse_feed(name))
        return _done()

    async def unfollow(self, request: Request) -> Response:
        name = text_of(await read_object(request, "feed"), "feed")
        if is_stream(name):
            await self._api.streams.unfollow(parse_stream(name))
        else:
            await self._api.unfollow(parse_feed(name))
        return _done()

    async def publish(self, request: Request) -> Response:
        body = await read_object(request, "content", "to")
        recipients = [parse_feed(text) for text in texts_of(body, "to")]
        entry = await self._api.publish(body.get("content"), recipients)
        return Response(entry_line(entry), HTTPStatus.CREATED, media_type="application/json")

    async def resume(self, request: Request) -> Response:
        sequence = (await read_object(request, "sequence")).get("sequence")
        if not isinstance(sequence, int):
            raise BadInput("'sequence' is missing or no whole number")
        self._api.resume(sequence)
        return _done()

    async def log(self, request: Request) -> Response:
        query = Query(request, "feed", "from", "limit", "private", "follow")
        feed = parse_feed(query.text("feed"))
        reading = _LogReading(self._api, feed, private=query.flag("private"))
        first = query.number("from", 1, least=1)
        limit = query.number("limit", SEQUENCE_MAX)
        chunk = reading.read(first, limit)  # here, because a refusal must precede the first byte
        lines = reading.lines(chunk, first, limit, follow=query.flag("follow"))
        return Streamed(lines, media_type="application/jsonl")

    # ---- blobs ----

    async def blobs(self, _: Request) -> Response:
        return _rows(self._api.blobs())

    async def add_blob(self, request: Request) -> Response:
        row = await self._api.add_blob(body_pieces(request))
        return json_answer(asdict(row), HTTPStatus.CREATED)

    async def remove_blob(self, request: Request) -> Response:
        blob = parse_blob(text_of(await read_object(request, "blob"), "blob"))
        return json_answer(asdict(await self._api.remove_blob(blob)))

    async def blob(self, request: Request) -> Response:
        query = Query(request, "blob", "wait_s")
        blob = parse_blob(query.text("blob"))
        if patience_s := query.number("wait_s", 0, most=WAIT_S_MAX):
            await self._api.want_blob(blob, patience_s)
        size, pieces = await self._api.read_blob(blob)
        headers = {"Content-Length": str(size)}
        return StreamingResponse(pieces, 200, headers, "application/octet-stream")


class _LogReading:
    """One walk through a feed's stored messages, a chunk at a time."""

    def __init__(self, api: Api, feed: FeedId, *, private: bool) -> None:
        self._api = api
        self._feed = feed
        self._private = private

    def read(self, first: int, limit: int) -> list[Entry]:
        count = min(limit, LOG_CHUNK)
        return self._api.log(self._feed, first, count, private=self._private)

    async def lines(
        self, chunk: list[Entry], first: int, left: int, *, follow: bool
    ) -> AsyncGenerator[bytes]:
        while left:
            if chunk:
                yield b"".join(map(entry_line, chunk))
                first, left = first + len(chunk), left - len(chunk)
            elif follow:
                await self._api.wait_beyond(self._feed, first - 1)
            else:
                return
            chunk = self.read(first, left)


def _rows(rows: Sequence[PeerRow] | Sequence[FeedRow] | Sequence[BlobRow]) -> Response:
    return json_answer([asdict(row) for row in rows])


def _done() -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _peer(request: Request) -> PeerId:
    return PeerId(parse_feed(text_of(await read_object(request, "peer"), "peer")))


def _flag(body: dict[str, JsonValue], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise BadInput(f"{name!r} is neither true nor false")
    return value
