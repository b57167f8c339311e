"""Answers as JSON, refusals included: {"error": {"message", "hint", "exit_code"}}."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from qbix_node.errors import ExitCode, LocalError
from qbix_node.http.api import Entry
from qbix_node.wire import v8json
from qbix_node.wire.v8json import JsonValue

STATUS_OF = {
    ExitCode.REFUSED: HTTPStatus.CONFLICT,
    ExitCode.USAGE: HTTPStatus.BAD_REQUEST,
    ExitCode.BAD_INPUT: HTTPStatus.BAD_REQUEST,
    ExitCode.TEMPORARY: HTTPStatus.SERVICE_UNAVAILABLE,
}


def json_answer(value: JsonValue, status: int = HTTPStatus.OK) -> Response:
    body = v8json.compact(value) + b"\n"
    return Response(body, status, {"Cache-Control": "no-store"}, "application/json")


def refusal(message: str, status: int, *, hint: str = "", code: int = ExitCode.REFUSED) -> Response:
    told: JsonValue = {"message": message, "hint": hint, "exit_code": int(code)}
    return json_answer({"error": told}, status)


class Streamed(StreamingResponse):
    """Closes what it streams, also when the client leaves: trio wants its generators closed."""

    def __init__(self, pieces: AsyncGenerator[bytes], **named: Any) -> None:  # noqa: ANN401
        super().__init__(pieces, **named)
        self._pieces = pieces

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._pieces):
            await super().stream_response(send)


def entry_line(entry: Entry) -> bytes:
    line: dict[str, JsonValue] = {"key": entry.key, "value": entry.value}
    if entry.opened is not None:
        line["opened"] = entry.opened
    return v8json.compact(line) + b"\n"


# ---- what a handler raised ----


async def refuse(_: Request, error: Exception) -> Response:
    """A person's request that can't be carried out."""
    assert isinstance(error, LocalError)
    status = STATUS_OF.get(error.exit_code, HTTPStatus.INTERNAL_SERVER_ERROR)
    return refusal(str(error), status, hint=error.hint, code=error.exit_code)


async def refuse_malformed(_: Request, error: Exception) -> Response:
    """A body or an argument that is not what its place asks for."""
    return refusal(str(error), HTTPStatus.BAD_REQUEST, code=ExitCode.BAD_INPUT)


async def refuse_http(request: Request, error: Exception) -> Response:
    """No such path, or not with this method."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.scope['path']}: {error.detail}"
    hint = "docs/http-api.md lists what there is"
    return refusal(message, error.status_code, hint=hint, code=ExitCode.USAGE)


async def nobody_there(_: Request, __: Exception) -> Response:
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def fail(_: Request, __: Exception) -> Response:
    """A bug. hypercorn logs it (http.failed); who asked learns no details."""
    message = "a bug in the node; its log has the details"
    return refusal(message, HTTPStatus.INTERNAL_SERVER_ERROR, code=ExitCode.BUG)
