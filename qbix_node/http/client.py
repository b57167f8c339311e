"""Ask the daemon over its control socket. Its refusals come back as the errors they were there."""

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from qbix_node import errors
from qbix_node.errors import ExitCode, LocalError, NotRunning
from qbix_node.http.socket_path import check_socket_path
from qbix_node.wire import v8json
from qbix_node.wire.v8json import JsonValue

CONNECT_S = 5.0
ANSWER_S = 60.0  # a full disk may hold up a write for long, but people want to know

_ERRORS: Mapping[int, type[LocalError]] = {
    kind.exit_code: kind
    for kind in (errors.UsageError, errors.BadInput, errors.Temporary, errors.ConfigError)
}

Parameters = Mapping[str, str | int]


class Bug(LocalError):
    """The daemon answered something that it never should."""

    exit_code = ExitCode.BUG


class ControlClient:
    """Blocking; one connection, kept between requests."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)),
            base_url="http://node",
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            trust_env=False,
        )

    def __enter__(self) -> Self:
        """Raises NotRunning, ConfigError."""
        check_socket_path(self._path)
        with socket.socket(socket.AF_UNIX) as knock:
            try:
                knock.connect(str(self._path))
            except OSError as error:
                raise NotRunning(
                    f"no daemon answers at {self._path}: {error.strerror or error}",
                    hint="start it: qbix-node run; another home is named with --home DIR",
                ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, params: Parameters | None = None) -> JsonValue:
        with self._told():
            return _value(self._http.get(path, params=params))

    def post(self, path: str, body: JsonValue) -> JsonValue:
        with self._told():
            headers = {"Content-Type": "application/json"}
            return _value(self._http.post(path, content=v8json.compact(body), headers=headers))

    def upload(
        self, path: str, body: bytes | Iterable[bytes], params: Parameters | None = None
    ) -> JsonValue:
        with self._told():
            return _value(self._http.post(path, content=body, params=params))

    def lines(self, path: str, params: Parameters) -> Iterator[bytes]:
        """The lines of a long answer as they come, without their ends; waits for ever."""
        rest = b""
        with self._stream(path, params) as answer:
            for piece in answer.iter_raw():
                *lines, rest = (rest + piece).split(b"\n")
                yield from lines

    @contextmanager
    def download(self, path: str, params: Parameters) -> Iterator[tuple[int, Iterator[bytes]]]:
        """The size and the bytes of a long answer."""
        with self._stream(path, params) as answer:
            yield int(answer.headers["content-length"]), answer.iter_raw()

    @contextmanager
    def pieces(self, path: str, params: Parameters) -> Iterator[Iterator[bytes]]:
        """The bytes of a long answer whose size nobody knows before."""
        with self._stream(path, params) as answer:
            yield answer.iter_raw()

    @contextmanager
    def _stream(self, path: str, params: Parameters) -> Iterator[httpx.Response]:
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        with self._told(), self._http.stream("GET", path, params=params, timeout=timeout) as answer:
            if answer.is_error:
                answer.read()
                raise _refusal(answer)
            yield answer

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong between us and the daemon, as a sentence with the next step."""
        try:
            yield
        except httpx.TimeoutException as error:
            raise errors.Temporary(
                f"the daemon did not answer within {ANSWER_S:.0f} s",
                hint="it may still do what was asked; qbix-node status tells how it is",
            ) from error
        except httpx.TransportError as error:
            raise NotRunning(
                f"the daemon went away while it answered ({type(error).__name__})",
                hint="its log says why; what it had not confirmed may or may not have been done",
            ) from error


def _value(answer: httpx.Response) -> JsonValue:
    if answer.is_error:
        raise _refusal(answer)
    return v8json.parse(answer.content, "the daemon's answer") if answer.content else None


def _refusal(answer: httpx.Response) -> LocalError:
    match v8json.parse(answer.content or b"null", "the daemon's refusal"):
        case {"error": {"message": str(message), "hint": str(hint), "exit_code": int(code)}}:
            kind = Bug if code == ExitCode.BUG else _ERRORS.get(code, LocalError)
            return kind(message, hint=hint)
        case _:
            return Bug(f"the daemon answered HTTP {answer.status_code} without a reason")
