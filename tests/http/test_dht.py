"""The DHT and domains over HTTP."""

from dataclasses import asdict

import httpx
import pytest

from qbix_node.http.app import control_app
from qbix_node.wire.references import StreamId, format_feed, format_stream
from tests.http.memory_api import ALICE, MemoryApi
from tests.http.memory_dht import NODE, PLACE
from tests.http.memory_domains import KEY

STREAM = format_stream(StreamId(b"s" * 32))
PEER = format_feed(ALICE)


def client_of(api: MemoryApi) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(control_app(api))
    return httpx.AsyncClient(transport=transport, base_url="http://node")


async def test_streams_and_nodes_are_looked_up() -> None:
    async with client_of(MemoryApi()) as control:
        found = (await control.get("/dht/lookup", params={"id": STREAM})).json()
        assert (found["id"], found["node"], found["providers"]) == (STREAM, None, [asdict(PLACE)])
        found = (await control.get("/dht/lookup", params={"id": NODE})).json()
        assert (found["id"], found["node"], found["providers"]) == (NODE, asdict(PLACE), [])
        assert (await control.get("/dht/table")).json()[0]["node"] == NODE
        assert (await control.get("/status")).json()["dht"]["contacts"] == 1


@pytest.mark.parametrize("name", ["", "%", "@short.ed25519", "ssb:feed/qbix-v1/short", "alice"])
async def test_what_is_no_id_is_not_looked_up(name: str) -> None:
    async with client_of(MemoryApi()) as control:
        assert (await control.get("/dht/lookup", params={"id": name})).status_code == 400


async def test_a_peer_is_added_by_its_key_alone() -> None:
    api = MemoryApi()
    async with client_of(api) as control:
        assert (await control.post("/peers", json={"address": PEER})).status_code == 204
        assert (await control.get("/peers")).json()[0]["id"] == PEER
        assert (await control.post("/peers", json={"address": "@x"})).status_code == 400


async def test_domains_are_published_looked_up_and_withdrawn() -> None:
    async with client_of(MemoryApi()) as control:
        published = {"name": "example.org", "key": KEY, "nodes": [NODE]}
        body = {"name": "example.org", "nodes": [NODE]}
        done = await control.post("/domains/publish", json=body)
        assert (done.status_code, done.json()) == (201, published)
        assert (await control.get("/domains")).json() == [published]
        found = (await control.get("/domains/lookup", params={"name": "example.org"})).json()
        assert (found["key"], found["confirmed_by"], found["nodes"]) == (KEY, None, [NODE])
        name = {"name": "example.org"}
        assert (await control.post("/domains/withdraw", json=name)).status_code == 204
        assert (await control.post("/domains/withdraw", json=name)).status_code == 409
        assert (await control.get("/domains")).json() == []


@pytest.mark.parametrize("nodes", ["example.org", [1], ["net:example.org:8008~shs:x"]])
async def test_what_names_no_nodes_is_not_published(nodes: object) -> None:
    async with client_of(MemoryApi()) as control:
        body = {"name": "example.org", "nodes": nodes}
        assert (await control.post("/domains/publish", json=body)).status_code == 400
