"""The demo's processes: daemons that say when they are ready, ended by their process id only."""

import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trio

from qbix_node.daemon.home import Home
from qbix_node.wire import v8json
from qbix_node.wire.v8json import JsonValue

START_S = 20.0
STOP_S = 10.0
ANSWER_S = 20.0
COMMAND = [sys.executable, "-m", "qbix_node"]


class StepFailedError(Exception):
    """Something that the demo promises did not happen."""


@dataclass(slots=True)
class Node:
    """One daemon, its home and its control socket. `start` and `kill` may alternate."""

    name: str
    home: Home
    log: Path
    port: int
    id: str = ""
    address: str = ""
    page: str = ""
    process: trio.Process | None = None
    _http: httpx.AsyncClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(self.home.control_socket))
        self._http = httpx.AsyncClient(
            transport=transport, base_url="http://node", timeout=ANSWER_S, trust_env=False
        )

    async def init(self, network_key: str) -> None:
        options = ["--listen", f"127.0.0.1:{self.port}", "--network-key", network_key]
        command = [*COMMAND, "--home", str(self.home.root), "init", *options]
        made = await trio.run_process(
            [*command, "--status-page", "127.0.0.1:0"],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        if made.returncode != 0:
            raise StepFailedError(f"init of {self.name}: {made.stderr.decode().strip()}")

    async def start(self) -> None:
        with _ReadySocket() as ready, self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches the demo only, which then ends the daemons.
            self.process = await trio.lowlevel.open_process(
                [*COMMAND, "--home", str(self.home.root), "run"],
                stdin=None,
                stderr=log,
                stdout=log,
                env=os.environ | {"NOTIFY_SOCKET": ready.address},
                start_new_session=True,
            )
            await self._wait_until(ready, self.process)
        match await self.get("/status"):
            case {"node_id": str(node_id), "address": str(address), "status_page": str(page)}:
                self.id, self.address, self.page = node_id, address, page
            case other:
                raise StepFailedError(f"{self.name} has a status without id or address: {other}")

    async def _wait_until(self, ready: "_ReadySocket", process: trio.Process) -> None:
        async def end_with_it(scope: trio.CancelScope) -> None:
            await process.wait()
            scope.cancel()

        with trio.move_on_after(START_S) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(end_with_it, scope)
                await ready.wait()
                nursery.cancel_scope.cancel()
                return
        ended = process.returncode
        what = f"ended with {ended}" if ended is not None else f"is not ready after {START_S:.0f} s"
        raise StepFailedError(f"{self.name} {what}{self._reason()}")

    def _reason(self) -> str:
        """That the node gave for its end, if it did."""
        said = self.log.read_text(errors="replace").splitlines()
        reasons = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
        return f": {reasons[-1]}" if reasons else ""

    async def kill(self) -> None:
        """As a power button would: nothing is tidied up."""
        assert self.process
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Its exit code."""
        assert self.process
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        with trio.move_on_after(STOP_S):
            return await self.process.wait()
        self.process.kill()
        return await self.process.wait()

    async def end(self) -> None:
        """Whatever happened before."""
        if self.process and self.process.returncode is None:
            await self.stop()

    async def close(self) -> None:
        await self._http.aclose()

    # ---- its API ----

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> JsonValue:
        return self._read(await self._ask("GET", path, params=params), path)

    async def post(self, path: str, body: JsonValue) -> JsonValue:
        return self._read(await self._ask("POST", path, content=v8json.compact(body)), path)

    async def upload(
        self, path: str, data: bytes, params: Mapping[str, str | int] | None = None
    ) -> JsonValue:
        return self._read(await self._ask("POST", path, params=params, content=data), path)

    async def raw(self, path: str, params: Mapping[str, str | int]) -> bytes:
        return (await self._ask("GET", path, params=params)).content

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, params=params, content=content)
        except httpx.TransportError as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise StepFailedError(
                f"{self.name} did not answer {method} {path}: {reason}"
            ) from error
        if answer.is_error:
            raise StepFailedError(f"{self.name} refused {method} {path}: {answer.text.strip()}")
        return answer

    def _read(self, answer: httpx.Response, path: str) -> JsonValue:
        if not answer.content:
            return None
        return v8json.parse(answer.content, f"the answer of {self.name} to {path}")


class _ReadySocket:
    """What systemd does: a datagram READY=1 tells that the daemon serves."""

    def __init__(self) -> None:
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bound.bind("")  # Linux picks a free abstract name
        self.address = "@" + bound.getsockname()[1:].decode()
        self._socket = trio.socket.from_stdlib_socket(bound)

    def __enter__(self) -> "_ReadySocket":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def wait(self) -> None:
        while b"READY=1" not in (await self._socket.recv(4096)).splitlines():
            pass


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody used a moment ago; a node must find its own again."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
