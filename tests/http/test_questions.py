"""Bodies and parameters of requests, whatever stands in them."""

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from qbix_node.errors import BadInput, Malformed
from qbix_node.http.questions import Query, read_object, text_of, texts_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["to", "content", "other"]), inner, max_size=3)
    ),
    max_leaves=6,
)
BODIES = st.binary() | JSON.map(json.dumps).map(str.encode)
NAMES = ["limit", "follow", "feed", "other", "%ff"]
PAIRS = st.tuples(st.sampled_from(NAMES), st.text(max_size=4) | st.integers().map(str))


def request(body: bytes, query: bytes = b"") -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/x", "headers": [], "query_string": query}
    return Request(scope, receive)


@given(BODIES)
async def test_any_body_is_an_object_of_known_members_or_refused(body: bytes) -> None:
    with suppress(BadInput, Malformed):
        found = await read_object(request(body), "to", "content")
        assert set(found) <= {"to", "content"}
        assert all(isinstance(text, str) for text in texts_of(found, "to"))
        assert isinstance(text_of(found, "content"), str)


@given(st.binary() | st.lists(PAIRS, max_size=3).map(lambda pairs: "&".join(map("=".join, pairs))))
def test_any_query_is_read_or_refused(query: bytes | str) -> None:
    raw = query.encode() if isinstance(query, str) else query
    with suppress(BadInput):
        asked = Query(request(b"", raw), "limit", "follow", "feed")
        assert 1 <= asked.number("limit", 5, least=1, most=9) <= 9
        assert asked.flag("follow") in {True, False}
        assert isinstance(asked.text("feed"), str)
