"""One method a path for fork proofs."""

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from qbix_node.http.answers import json_answer
from qbix_node.http.fork_api import ForkApi
from qbix_node.http.questions import Query
from qbix_node.http.stream_handlers import BINARY


class ForkHandlers:
    def __init__(self, api: ForkApi) -> None:
        self._api = api

    async def forks(self, _: Request) -> Response:
        return json_answer([asdict(row) for row in self._api.forks()])

    async def proof(self, request: Request) -> Response:
        return Response(self._api.proof(Query(request, "id").text("id")), media_type=BINARY)
