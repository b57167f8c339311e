"""Both applications without sockets: what they answer, and what they refuse."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
import trio
import trio.testing

from qbix_node.http.api import Entry
from qbix_node.http.app import control_app, status_app
from qbix_node.http.handlers import LOG_CHUNK
from qbix_node.wire.references import format_blob, format_feed
from tests.http.memory_api import ALICE, BLOB, MemoryApi

FEED = format_feed(ALICE)
PEER = "net:example.org:8008~shs:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


@pytest.fixture
async def control(api: MemoryApi) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(control_app(api), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        yield client


@pytest.fixture
async def page(api: MemoryApi) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(status_app(api))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8989") as client:
        yield client


def told(answer: httpx.Response) -> tuple[int, str, int]:
    error = answer.json()["error"]
    return answer.status_code, error["message"], error["exit_code"]


async def test_status_has_the_fields_that_programs_rely_on(control: httpx.AsyncClient) -> None:
    status = (await control.get("/status")).json()
    assert status.keys() >= {
        *("node_id", "address", "uptime_s", "peers", "streams", "feeds", "entries"),
        *("forks", "store", "epoch"),
    }
    assert status["store"] == {"bytes": 4096, "degraded": None}


async def test_health_tells_whether_the_node_works(
    api: MemoryApi, control: httpx.AsyncClient
) -> None:
    healthy = await control.get("/health")
    api.wrong.append("disk full")
    degraded = await control.get("/health")
    assert (healthy.status_code, healthy.json()) == (200, {"healthy": True, "wrong": []})
    assert (degraded.status_code, degraded.json()["wrong"]) == (503, ["disk full"])


async def test_metrics_are_in_the_format_of_prometheus(control: httpx.AsyncClient) -> None:
    answer = await control.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text == (
        "# HELP qbix_peers Peers.\n"
        "# TYPE qbix_peers gauge\n"
        'qbix_peers{way="in"} 2\n'
        'qbix_peers{way="out"} 3\n'
        "# HELP qbix_appended_total Messages.\n"
        "# TYPE qbix_appended_total counter\n"
        "qbix_appended_total 123456789\n"
    )


async def test_peers_are_added_and_listed(api: MemoryApi, control: httpx.AsyncClient) -> None:
    assert (await control.post("/peers", json={"address": PEER})).status_code == 204
    ((row,)) = (await control.get("/peers")).json()
    assert (row["address"], row["state"], row["outgoing"]) == (PEER, "connected", True)
    assert (await control.post("/peers/remove", json={"peer": row["id"]})).status_code == 204
    assert api.known == {}


async def test_what_the_node_refuses_comes_back_with_hint_and_exit_code(
    control: httpx.AsyncClient,
) -> None:
    refused = await control.post("/peers/remove", json={"peer": FEED})
    assert told(refused) == (409, "not a known peer", 1)
    assert refused.json()["error"]["hint"] == "qbix-node peer list"
    assert told(await control.post("/peers/block", json={"peer": FEED}))[::2] == (503, 75)


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/follow", b"{", "not JSON"),
        ("/follow", b"[]", "no JSON object"),
        ("/follow", b"{}", "'feed' is missing"),
        ("/follow", b'{"feed": 7}', "'feed' is missing or no text"),
        ("/follow", b'{"feed": "@x"}', "no feed id"),
        ("/follow", b'{"feed": "@x", "fed": 1}', "unknown member 'fed'; known: feed"),
        ("/feeds/resume", b'{"sequence": "1"}', "'sequence' is missing or no whole number"),
        ("/peers", b'{"address": "here"}', "no address of a peer"),
        ("/feeds/publish", b'{"content": {}, "to": "@x"}', "'to' is no list"),
        ("/feeds/publish", b'{"content": {}, "to": ["@x"]}', "no feed id"),
        ("/feeds/publish", b'{"content": ' + b"[" * 1000 + b"]" * 1000 + b"}", "nested"),
    ],
)
async def test_bad_bodies_are_refused_with_a_reason(
    control: httpx.AsyncClient, path: str, body: bytes, reason: str
) -> None:
    status, message, code = told(await control.post(path, content=body))
    assert (status, code) == (400, 65)
    assert reason in message


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "'feed' is missing"),
        ("feed=%40x", "no feed id"),
        (f"feed={FEED}&from=0", "from=0: a number from 1"),
        (f"feed={FEED}&from=-1", "from=-1: a whole number"),
        (f"feed={FEED}&from=٣", "a whole number"),
        (f"feed={FEED}&limit=99999999999999999999", "a whole number"),
        (f"feed={FEED}&follow=2", "a number from 0 to 1"),
        (f"feed={FEED}&form=1", "unknown member 'form'"),
        (f"feed={FEED}&from=1&from=2", "stands there twice"),
    ],
)
async def test_bad_queries_are_refused_with_a_reason(
    control: httpx.AsyncClient, query: str, reason: str
) -> None:
    answer = await control.get("/feeds/log?" + query.replace("+", "%2B"))
    status, message, code = told(answer)
    assert (status, code) == (400, 65)
    assert reason in message


async def test_unknown_paths_and_methods_are_told(control: httpx.AsyncClient) -> None:
    assert told(await control.get("/nowhere")) == (404, "GET /nowhere: Not Found", 2)
    assert told(await control.post("/status"))[::2] == (405, 2)


async def test_a_bug_is_answered_without_its_details(control: httpx.AsyncClient) -> None:
    answer = await control.post("/peers/unblock", json={"peer": FEED})
    assert told(answer) == (500, "a bug in the node; its log has the details", 70)
    assert "nobody thought of" not in answer.text


async def test_a_message_is_published_with_content_as_it_stands(
    api: MemoryApi, control: httpx.AsyncClient
) -> None:
    body = b'{"content": {"type": "post", "10": 1e21, "text": "\\ud800"}, "to": ["%s"]}'
    answer = await control.post("/feeds/publish", content=body % FEED.encode())
    assert answer.status_code == 201
    assert answer.content == (
        b'{"key":"%1","value":{"sequence":1,"content":{"10":1e+21,"type":"post",'
        b'"text":"\\ud800"}},"opened":["' + FEED.encode() + b'"]}\n'
    )


async def test_a_brought_identity_resumes_where_its_feed_ends(control: httpx.AsyncClient) -> None:
    assert told(await control.post("/feeds/resume", json={"sequence": 3}))[::2] == (409, 1)
    assert (await control.post("/feeds/resume", json={"sequence": 0})).status_code == 204


async def test_the_log_comes_as_lines_in_chunks(api: MemoryApi, control: httpx.AsyncClient) -> None:
    api.messages += [Entry(f"%{n}", {"sequence": n}) for n in range(1, 2 * LOG_CHUNK + 6)]
    answer = await control.get("/feeds/log", params={"feed": FEED, "from": 4})
    lines = [json.loads(line) for line in answer.content.splitlines()]
    assert [line["value"]["sequence"] for line in lines] == list(range(4, 2 * LOG_CHUNK + 6))
    assert max(api.logs_read) == LOG_CHUNK


async def test_the_log_ends_at_its_limit(api: MemoryApi, control: httpx.AsyncClient) -> None:
    api.messages += [Entry(f"%{n}", {"sequence": n}) for n in range(1, LOG_CHUNK + 50)]
    limited = await control.get("/feeds/log", params={"feed": FEED, "limit": LOG_CHUNK + 3})
    nothing = await control.get("/feeds/log", params={"feed": FEED, "limit": 0})
    assert len(limited.content.splitlines()) == LOG_CHUNK + 3
    assert nothing.content == b""


async def test_a_followed_log_waits_for_what_comes(
    api: MemoryApi,
    control: httpx.AsyncClient,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    answers: list[httpx.Response] = []

    async def tail() -> None:
        params: dict[str, str | int] = {"feed": FEED, "limit": 3, "follow": 1}
        answers.append(await control.get("/feeds/log", params=params))

    await api.publish({"type": "first"}, [])
    nursery.start_soon(tail)
    await trio.sleep(1)
    assert answers == []
    await api.publish({"type": "second"}, [])
    await api.publish({"type": "third"}, [])
    await trio.sleep(1)
    assert len(answers[0].content.splitlines()) == 3


async def test_a_log_that_can_not_be_read_is_refused_before_the_first_byte(
    control: httpx.AsyncClient,
) -> None:
    other = format_feed(bytes(32))
    assert told(await control.get("/feeds/log", params={"feed": other}))[::2] == (409, 1)


async def test_a_blob_goes_in_and_comes_out(control: httpx.AsyncClient) -> None:
    added = await control.post("/blobs", content=b"some bytes")
    assert (added.status_code, added.json()["bytes"]) == (201, 10)
    name = added.json()["blob"]
    answer = await control.get("/blobs/content", params={"blob": name})
    assert (answer.content, answer.headers["content-length"]) == (b"some bytes", "10")
    assert (await control.get("/blobs")).json() == [{"blob": name, "bytes": 10}]


async def test_a_blob_is_removed_once(control: httpx.AsyncClient) -> None:
    body = {"blob": (await control.post("/blobs", content=b"some bytes")).json()["blob"]}
    removed = await control.post("/blobs/remove", json=body)
    assert removed.json() == {**body, "removed": True, "unwanted": False}
    assert (await control.get("/blobs")).json() == []
    again = told(await control.post("/blobs/remove", json=body))
    assert again == (409, "neither here nor wanted", 1)


async def test_a_blob_that_does_not_come_in_time_is_a_temporary_refusal(
    control: httpx.AsyncClient, autojump_clock: trio.testing.MockClock
) -> None:
    params: dict[str, str | int] = {"blob": format_blob(BLOB), "wait_s": 30}
    assert told(await control.get("/blobs/content", params=params))[::2] == (503, 75)


# ---- the status page's port ----


async def test_the_page_stands_alone(page: httpx.AsyncClient) -> None:
    answer = await page.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in answer.text


async def test_the_page_has_its_data_beside_it(page: httpx.AsyncClient) -> None:
    for path in ("/status", "/health", "/metrics"):
        assert (await page.get(path)).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8989", "127.0.0.1", "127.0.0.2:80", "[::1]", "[::1]:8989"]
)
async def test_loopback_names_are_answered(page: httpx.AsyncClient, host: str) -> None:
    assert (await page.get("/status", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8989", "localhost.evil.example", "10.0.0.1", "", "["]
)
async def test_other_names_are_not(page: httpx.AsyncClient, host: str) -> None:
    """A site that lets its name point to 127.0.0.1 could read the status otherwise."""
    assert (await page.get("/status", headers={"Host": host})).status_code == 421


@pytest.mark.parametrize(
    "path", ["/follow", "/unfollow", "/peers", "/peers/block", "/feeds/publish", "/blobs"]
)
async def test_nothing_can_be_changed_there(page: httpx.AsyncClient, path: str) -> None:
    assert (await page.post(path, content=b"{}")).status_code == 404
    assert (await page.get("/feeds/log")).status_code == 404


async def test_looking_is_all_that_can_be_done_there(page: httpx.AsyncClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await page.request(method, "/status")).status_code == 405
