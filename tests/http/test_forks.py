"""What the control socket answers about fork proofs, and what it refuses."""

from dataclasses import asdict

import httpx

from qbix_node.http.app import control_app
from qbix_node.http.fork_api import ForkRow
from tests.http.memory_api import MemoryApi

ROW = ForkRow("ab+/=", "c", "@feed", 7, ["@feed"], resolved=False)


def client_of(api: MemoryApi) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(control_app(api))
    return httpx.AsyncClient(transport=transport, base_url="http://node")


async def test_proofs_are_listed_and_handed_over() -> None:
    api = MemoryApi()
    async with client_of(api) as control:
        assert (await control.get("/forks")).json() == []
        api.forks.rows.append(ROW)
        assert (await control.get("/forks")).json() == [asdict(ROW)]
        assert (await control.get("/status")).json()["forks"] == [asdict(ROW)]
        got = await control.get("/forks/proof", params={"id": "ab+/"})
        assert (got.content, got.headers["content-type"]) == (b"ab+/=", "application/octet-stream")


async def test_what_is_not_here_or_not_asked_for_rightly_is_refused() -> None:
    async with client_of(MemoryApi()) as control:
        assert (await control.get("/forks/proof", params={"id": "a"})).status_code == 409
        assert (await control.get("/forks/proof")).status_code == 400
