"""Read one blob from a peer into a draft, and no byte more than it announced (spec/blobs.md 3)."""

from collections.abc import Awaitable, Callable
from functools import partial

from qbix_node.blobs.files import Draft
from qbix_node.blobs.messages import Get
from qbix_node.net.link import BodyKind, Link
from qbix_node.runtime import Executor
from qbix_node.wire.references import format_blob
from qbix_node.wire.v8json import JsonValue


class WrongBytes(Exception):
    """A peer sends what it was not asked for."""


async def download(
    link: Link, get: Get, draft: Draft, executor: Executor, progress: Callable[[], Awaitable[None]]
) -> None:
    """Raises WrongBytes, RemoteError, Temporary."""
    wish: JsonValue = {"key": format_blob(get.blob), "max": get.size}
    stream = await link.open("blobs.get", [wish], "source")
    try:
        while bodies := await stream.receive_many():
            pieces = [body.data for body in bodies]
            if any(body.kind != BodyKind.BINARY for body in bodies):
                raise WrongBytes("it sent something else than bytes")
            if draft.size + sum(map(len, pieces)) > get.size:
                raise WrongBytes(f"it sent more than the {get.size} bytes that it announced")
            await executor.run(partial(draft.write, pieces))
            await progress()
    finally:
        await stream.end()
    if draft.blob != get.blob:
        raise WrongBytes(f"it sent {draft.size} bytes that have another hash")
