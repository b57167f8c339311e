"""One method a path for the DHT."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from qbix_node.http.answers import json_answer
from qbix_node.http.dht_api import DhtApi
from qbix_node.http.questions import Query
from qbix_node.wire.references import is_stream, parse_feed, parse_stream


class DhtHandlers:
    def __init__(self, api: DhtApi) -> None:
        self._api = api

    async def table(self, _: Request) -> Response:
        return json_answer([asdict(row) for row in self._api.table()])

    async def lookup(self, request: Request) -> Response:
        name = Query(request, "id").text("id")
        if is_stream(name):
            found = await self._api.lookup_stream(parse_stream(name))
        else:
            found = await self._api.lookup_feed(parse_feed(name))
        return json_answer(asdict(found))
