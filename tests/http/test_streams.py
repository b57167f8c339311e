"""What the control socket answers about streams, and what it refuses."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
import trio
import trio.testing

from qbix_node.http.app import control_app
from qbix_node.http.draining import Draining
from qbix_node.http.stream_api import NewOwner, NewStream
from qbix_node.http.stream_handlers import LINES_BYTES_MAX, LOG_CHUNK
from qbix_node.wire.references import FeedId, encode_base64, format_feed, format_stream
from tests.http.memory_api import ALICE, MemoryApi
from tests.http.memory_streams import STREAM
from tests.streams.logs import BOB as BOBS_KEYS

BOB = FeedId(BOBS_KEYS.public)

NAME = format_stream(STREAM)


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


@pytest.fixture
async def control(api: MemoryApi) -> AsyncIterator[httpx.AsyncClient]:
    # As it is served: what is refused before all of it was read is taken all the same.
    served = Draining(control_app(api))
    transport = httpx.ASGITransport(served, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        body = {"kind": "test", "uniqueness": "gossip", "readers": [format_feed(ALICE)]}
        made = await client.post("/streams/create", json=body)
        assert (made.status_code, made.json()["stream"]) == (201, NAME)
        yield client


def told(answer: httpx.Response) -> tuple[int, str, int]:
    error = answer.json()["error"]
    return answer.status_code, error["message"], error["exit_code"]


async def append(control: httpx.AsyncClient, body: bytes, **query: str | int) -> httpx.Response:
    return await control.post("/streams/append", content=body, params={"stream": NAME, **query})


async def test_streams_are_listed_and_shown(control: httpx.AsyncClient) -> None:
    (row,) = (await control.get("/streams")).json()
    assert (row["kind"], row["uniqueness"], row["readers"]) == (
        *("test", "gossip"),
        [format_feed(ALICE)],
    )
    shown = (await control.get("/streams/show", params={"stream": NAME})).json()
    assert shown == {
        **row,
        "contents_missing": 2,
        "contents_dropped": 1,
        "branches": [],
        "signs": False,
        "signed_length": None,
        "proposal": None,
    }
    assert (await control.get("/status")).json()["streams"] == 1


async def test_what_is_asked_of_a_new_stream_reaches_the_node(
    api: MemoryApi, control: httpx.AsyncClient
) -> None:
    body = {
        "kind": "minutes",
        "uniqueness": "none",
        "threshold": 3,
        "anybody_writes": True,
        "owners": [{"key": format_feed(ALICE), "weight": 2}, {"key": format_feed(BOB)}],
        "writers": [format_feed(BOB)],
    }
    made = await control.post("/streams/create", json=body)
    assert (made.status_code, made.json()["proposal"]) == (201, None)
    owners = [NewOwner(ALICE, 2), NewOwner(BOB, 1)]
    assert api.streams.wishes[-1] == NewStream("minutes", "none", [], owners, 3, [BOB], True)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ({"owners": "@a"}, "'owners' is no list"),
        ({"owners": ["@a"]}, "an owner is written"),
        ({"owners": [{"key": "@a"}]}, "'@a' is no feed id"),
        ({"owners": [{"weight": 1}]}, "'key' is missing"),
        ({"owners": [{"key": format_feed(ALICE), "weight": 0}]}, "'weight' is no whole number"),
        ({"owners": [{"key": format_feed(ALICE), "wait": 1}]}, "an owner is written"),
        ({"threshold": 1.5}, "'threshold' is no whole number"),
        ({"threshold": True}, "'threshold' is no whole number"),
        ({"anybody_writes": 1}, "'anybody_writes' is neither"),
        ({"writers": ["@a"]}, "'@a' is no feed id"),
        ({"color": "red"}, "unknown member 'color'"),
    ],
)
async def test_a_new_stream_that_is_not_understood_is_refused(
    api: MemoryApi, control: httpx.AsyncClient, member: dict[str, object], reason: str
) -> None:
    body = {"kind": "test", "uniqueness": "gossip", **member}
    status, message, code = told(await control.post("/streams/create", json=body))
    assert (status, code) == (400, 65)
    assert reason in message
    assert len(api.streams.wishes) == 1  # that of the fixture


async def test_a_branch_is_chosen_by_its_root_or_as_it_is_here(control: httpx.AsyncClient) -> None:
    root = encode_base64(bytes(range(32)))
    for body, chosen in (({}, encode_base64(b"r" * 32)), ({"root": root}, root)):
        answer = await control.post("/streams/resolve", json={"stream": NAME, **body})
        assert (answer.status_code, answer.json()["resolved_root"]) == (200, chosen)


async def test_owners_are_named_with_their_weights(control: httpx.AsyncClient) -> None:
    key = format_feed(bytes(range(32)))
    body = {"stream": NAME, "owners": [{"key": key, "weight": 2}], "threshold": 1}
    answer = await control.post("/streams/owners", json=body)
    assert answer.status_code == 200, answer.text
    row = answer.json()
    assert (row["owners"], row["weights"], row["threshold"]) == ([key], [2], 1)
    for wrong in ({"owners": [{"key": key, "weight": 0}]}, {"owners": key}, {"threshold": "1"}):
        answer = await control.post("/streams/owners", json={**body, **wrong})
        assert told(answer)[0::2] == (400, 65)


@pytest.mark.parametrize("root", ["", "AAAA", "A" * 44, 7])
async def test_what_is_no_root_is_refused(control: httpx.AsyncClient, root: object) -> None:
    answer = await control.post("/streams/resolve", json={"stream": NAME, "root": root})
    assert told(answer)[0::2] == (400, 65)


async def test_the_body_is_the_content(control: httpx.AsyncClient) -> None:
    content = bytes(range(256))
    answer = await append(control, content, kind="picture")
    assert (answer.status_code, answer.json()) == (
        *(201, {"stream": NAME, "first": 1, "stop": 2, "entries": 1}),
    )
    got = await control.get("/streams/content", params={"stream": NAME, "index": 1})
    assert got.content == content


@pytest.mark.parametrize("body", [b"a\n\nb\r\n", b"a\n\nb\r"])
async def test_with_lines_each_line_is_an_entry(
    api: MemoryApi, control: httpx.AsyncClient, body: bytes
) -> None:
    assert (await append(control, body, lines=1)).json()["stop"] == 4
    assert api.streams.contents[STREAM][1:] == [("post", each) for each in (b"a", b"", b"b\r")]


@pytest.mark.parametrize(
    ("body", "query", "reason"),
    [
        (bytes(LINES_BYTES_MAX + 1), {"lines": 1}, "more than 524288 bytes"),
        (b"\n" * 257, {"lines": 1}, "the body has 257 lines"),
        (b"", {"lines": 1}, "the body has 0 lines"),
        (b"", {"stream": "@x"}, "'@x' is no stream id"),
        (b"", {"color": "red"}, "unknown member 'color'"),
    ],
)
async def test_bodies_that_are_too_large_or_not_understood_are_refused(
    control: httpx.AsyncClient, body: bytes, query: dict[str, str | int], reason: str
) -> None:
    status, message, code = told(await append(control, body, **query))
    assert (status, code) == (400, 65)
    assert reason in message


async def test_a_log_is_read_in_pieces_and_within_its_limits(
    api: MemoryApi, control: httpx.AsyncClient
) -> None:
    count = 2 * LOG_CHUNK + 5
    for _ in range(count):
        await api.streams.append(STREAM, "post", [b"hello"])
    answer = await control.get("/streams/log", params={"stream": NAME})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["index"] for line in lines] == list(range(1, count + 1))
    assert "base64" not in lines[0]
    part: dict[str, str | int] = {"stream": NAME, "from": 3, "limit": 2}
    two = (await control.get("/streams/log", params=part)).text.splitlines()
    assert [json.loads(line)["index"] for line in two] == [3, 4]


async def test_a_log_is_followed(
    api: MemoryApi, control: httpx.AsyncClient, autojump_clock: trio.testing.MockClock
) -> None:
    async def later() -> None:
        await trio.sleep(5)
        await api.streams.append(STREAM, "post", [b"one"])
        await trio.sleep(5)
        await api.streams.append(STREAM, "post", [b"two"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(later)
        query: dict[str, str | int] = {"stream": NAME, "follow": 1, "limit": 2}
        answer = await control.get("/streams/log", params=query)
    assert [json.loads(line)["text"] for line in answer.text.splitlines()] == ["one", "two"]


async def test_streams_and_feeds_are_followed_alike(
    api: MemoryApi, control: httpx.AsyncClient
) -> None:
    feed = format_feed(ALICE)
    for name in (NAME, feed):
        assert (await control.post("/follow", json={"feed": name})).status_code == 204
    assert (await control.get("/following")).json() == [feed, NAME]
    assert (await control.post("/unfollow", json={"feed": NAME})).status_code == 204
    assert (api.streams.followed, api.followed) == (set(), {ALICE})
    status, message, _ = told(await control.post("/follow", json={"feed": NAME[:-1]}))
    assert (status, "is no stream id" in message) == (400, True)


async def test_exports_and_proofs_come_as_bytes(control: httpx.AsyncClient) -> None:
    export = await control.get("/streams/export", params={"stream": NAME})
    assert export.content == b"qbix stream 1\nframes"
    proof = await control.get("/streams/prove", params={"stream": NAME, "index": 7})
    assert proof.content == b"proof of 7"
    other = {"stream": format_stream(bytes(32))}
    assert told(await control.get("/streams/export", params=other))[0] == 409


async def test_an_import_is_taken_piece_by_piece(
    api: MemoryApi, control: httpx.AsyncClient
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(1000)

    answer = await control.post("/streams/import", content=pieces())
    assert answer.json() == {
        "stream": NAME,
        "added": 3000,
        "length": 1,
        "contents": 0,
        "proofs": 0,
        "resolved": False,
    }
    assert api.streams.imported == [1000, 1000, 1000]
    refused = await control.post("/streams/import", content=b"damaged")
    assert told(refused) == (400, "frame 1: damaged", 65)


async def test_an_own_stream_is_resumed_at_its_length(control: httpx.AsyncClient) -> None:
    async def resume(**body: object) -> tuple[int, int]:
        answer = await control.post("/streams/resume", json=body)
        return told(answer)[::2] if answer.is_error else (answer.status_code, 0)

    assert await resume(stream=NAME, length=7) == (409, 1)
    assert await resume(stream=NAME, length="1") == (400, 65)
    assert await resume(stream="x", length=1) == (400, 65)
    assert await resume(stream=NAME, length=1) == (204, 0)
    (row,) = (await control.get("/streams")).json()
    assert row["doubt"] is None
