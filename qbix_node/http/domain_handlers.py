"""One method a path for domains."""

from dataclasses import asdict
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from qbix_node.http.answers import json_answer
from qbix_node.http.domain_api import DomainApi
from qbix_node.http.questions import Query, read_object, text_of, texts_of
from qbix_node.machines import PeerId
from qbix_node.wire.references import parse_feed


class DomainHandlers:
    def __init__(self, api: DomainApi) -> None:
        self._api = api

    async def published(self, _: Request) -> Response:
        return json_answer([asdict(row) for row in self._api.published()])

    async def lookup(self, request: Request) -> Response:
        return json_answer(asdict(await self._api.lookup(Query(request, "name").text("name"))))

    async def publish(self, request: Request) -> Response:
        body = await read_object(request, "name", "nodes")
        nodes = [PeerId(parse_feed(text)) for text in texts_of(body, "nodes")]
        done = await self._api.publish(text_of(body, "name"), nodes)
        return json_answer(asdict(done), HTTPStatus.CREATED)

    async def withdraw(self, request: Request) -> Response:
        await self._api.withdraw(text_of(await read_object(request, "name"), "name"))
        return Response(status_code=HTTPStatus.NO_CONTENT)
