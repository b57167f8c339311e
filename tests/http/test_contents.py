"""What the control socket answers about contents, and what it refuses."""

from collections.abc import AsyncIterator

import httpx
import pytest

from qbix_node.http.app import control_app
from qbix_node.http.draining import Draining
from qbix_node.http.stream_api import NewStream
from qbix_node.wire.references import format_feed, format_stream
from tests.http.memory_api import ALICE, MemoryApi
from tests.http.memory_contents import PART_BYTES
from tests.http.memory_streams import STREAM

NAME = format_stream(STREAM)
ABSENT = format_stream(bytes(32))


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


@pytest.fixture
async def control(api: MemoryApi) -> AsyncIterator[httpx.AsyncClient]:
    await api.streams.create(NewStream("test", "gossip"))
    for content in (b"one", b"two", b"three"):
        await api.streams.append(STREAM, "post", [content])
    served = Draining(control_app(api))
    transport = httpx.ASGITransport(served, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        yield client


def told(answer: httpx.Response) -> tuple[int, str, int]:
    error = answer.json()["error"]
    return answer.status_code, error["message"], error["exit_code"]


async def test_a_content_of_any_size_is_taken_piece_by_piece(
    api: MemoryApi, control: httpx.AsyncClient
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(50_000)

    query = {"stream": NAME, "kind": "film"}
    answer = await control.post("/streams/append", content=pieces(), params=query)
    assert (answer.status_code, answer.json()["stop"]) == (201, 5)
    assert api.contents.pieces == 100
    kind, content = api.streams.contents[STREAM][4]
    assert (kind, len(content)) == ("film", 5_000_000)


async def test_contents_come_with_their_length_whole_or_in_parts(
    control: httpx.AsyncClient,
) -> None:
    content = bytes(range(2 * PART_BYTES + 3))
    await control.post("/streams/append", content=content, params={"stream": NAME})
    query: dict[str, str | int] = {"stream": NAME, "index": 4}
    whole = await control.get("/streams/content", params=query)
    assert (whole.content, whole.headers["content-length"]) == (content, str(len(content)))
    parts = [
        (await control.get("/streams/content", params={**query, "part": part})).content
        for part in range(3)
    ]
    assert (b"".join(parts), len(parts[2])) == (content, 3)


async def test_contents_are_dropped_and_fetched(api: MemoryApi, control: httpx.AsyncClient) -> None:
    some: dict[str, object] = {"stream": NAME, "from": 1, "to": 2}
    assert told(await control.post("/streams/drop", json=some)) == (409, "nobody has it", 1)
    done = await control.post("/streams/drop", json={**some, "force": True})
    assert done.json() == {"stream": NAME, "contents": 2, "bytes": 6, "peers": []}
    query: dict[str, str | int] = {"stream": NAME, "index": 1}
    assert told(await control.get("/streams/content", params=query))[0] == 409
    late = await control.get("/streams/content", params={**query, "wait_s": 3})
    assert told(late) == (503, "it did not come within 3 s", 75)
    one = await control.post("/streams/fetch", json={"stream": NAME, "from": 2})
    assert one.json() == {"stream": NAME, "asked": 1, "missing": 1, "peers": ["@a"]}
    both = await control.post("/streams/fetch", json={**some, "wait_s": 5})
    assert (both.json()["asked"], both.json()["missing"]) == (2, 0)


@pytest.mark.parametrize("path", ["/streams/drop", "/streams/fetch"])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"stream": NAME}, "'from' is missing"),
        ({"stream": NAME, "from": 0}, "'from' is 0"),
        ({"stream": NAME, "from": True}, "'from' is missing or no whole number"),
        ({"stream": NAME, "from": 2**30}, "'from' is 1073741824"),
        ({"stream": NAME, "from": 3, "to": 2}, "nothing lies between"),
        ({"stream": "@x", "from": 3}, "no stream id"),
        ({"stream": NAME, "from": 1, "colour": "red"}, "unknown member 'colour'"),
    ],
)
async def test_ranges_that_are_none_are_refused(
    control: httpx.AsyncClient, path: str, body: dict[str, object], reason: str
) -> None:
    status, message, code = told(await control.post(path, json=body))
    assert (status, code) == (400, 65)
    assert reason in message


async def test_other_members_have_their_types(control: httpx.AsyncClient) -> None:
    body = {"stream": NAME, "from": 1}
    forced = await control.post("/streams/drop", json={**body, "force": 1})
    assert told(forced) == (400, "'force' is neither true nor false", 65)
    waited = await control.post("/streams/fetch", json={**body, "wait_s": "long"})
    assert "'wait_s'" in told(waited)[1]
    absent = await control.post("/streams/drop", json={**body, "stream": ABSENT, "force": True})
    assert told(absent)[0] == 409


async def test_streams_are_followed_without_contents(
    api: MemoryApi, control: httpx.AsyncClient
) -> None:
    bare = {"feed": NAME, "headers_only": True}
    assert (await control.post("/follow", json=bare)).status_code == 204
    assert api.streams.headers_only == {STREAM}
    feed = await control.post("/follow", json={"feed": format_feed(ALICE), "headers_only": True})
    assert (feed.status_code, "classic feed" in told(feed)[1]) == (400, True)
    odd = await control.post("/follow", json={"feed": NAME, "headers_only": "yes"})
    assert told(odd)[:2] == (400, "'headers_only' is neither true nor false")
    heads = await control.post("/follow", json={"feed": NAME, "heads_only": True})
    assert heads.status_code == 204
    assert api.streams.heads_only == {STREAM}
    both = await control.post("/follow", json={**bare, "heads_only": True})
    assert told(both)[:2] == (400, "give either 'headers_only' or 'heads_only'")
    feed = await control.post("/follow", json={"feed": format_feed(ALICE), "heads_only": True})
    assert feed.status_code == 400
