"""What a person does with a node: carries out the operations of the plan."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from netsim.asking import blob_content, blob_of, content_of
from netsim.plan import Do, Operation
from netsim.site import Site
from netsim.streams import PlannedStream, entries_of
from netsim.world import World
from qbix_node.daemon.node import Node
from qbix_node.errors import LocalError
from qbix_node.feeds.messages import Readers
from qbix_node.wire.references import BlobId


async def carry_out(operation: Operation, node: Node, world: World) -> None:
    """A refusal is read by the person and has no consequence."""
    try:
        if operation.do in _BLOBS:
            await _on_blobs(operation, node)
        elif operation.do in _STREAMS:
            await _on_streams(operation, node, world.streams.about(operation))
        elif operation.do is Do.PUBLISH:
            target = None if operation.target is None else world.sites[operation.target]
            readers = Readers((target.feed,)) if target else None
            await node.replication.publish(content_of(operation), readers)
        elif operation.target is not None:
            await _on_others(operation.do, node, world.sites[operation.target])
    except LocalError:
        pass


_BLOBS = (Do.ADD_BLOB, Do.WANT_BLOB, Do.UNWANT_BLOB, Do.REMOVE_BLOB)
_STREAMS = (Do.CREATE_STREAM, Do.APPEND_STREAM, Do.FOLLOW_STREAM, Do.UNFOLLOW_STREAM)


async def _on_others(do: Do, node: Node, other: Site) -> None:
    match do:
        case Do.FOLLOW:
            await node.replication.follow(other.feed)
        case Do.UNFOLLOW:
            await node.replication.unfollow(other.feed)
        case Do.BLOCK:
            await node.block(other.peer)
        case Do.UNBLOCK:
            await node.unblock(other.peer)
        case Do.ADD_PEER:
            await node.network.add_peer(other.address)
        case Do.REMOVE_PEER:
            await node.network.remove_peer(other.peer)
        case _:
            raise AssertionError(f"not done to another node: {do}")


async def _on_blobs(operation: Operation, node: Node) -> None:
    blob = blob_of(operation)
    match operation.do:
        case Do.ADD_BLOB:
            async with aclosing(_pieces(blob_content(operation))) as pieces:
                await node.blobs.add(pieces)
        case Do.WANT_BLOB:
            await node.blobs.want(blob, patience_s=0)
        case Do.UNWANT_BLOB:
            await node.blobs.unwant(blob)
        case _:
            await _remove(node, blob)


async def _on_streams(operation: Operation, node: Node, stream: PlannedStream) -> None:
    match operation.do:
        case Do.CREATE_STREAM:
            await node.streams.create(stream.genesis)
        case Do.APPEND_STREAM:
            await node.streams.append(stream.id, entries_of(operation))
        case Do.FOLLOW_STREAM:
            await node.streams.follow(stream.id)
        case _:
            await node.streams.unfollow(stream.id)


async def _remove(node: Node, blob: BlobId) -> None:
    await node.blobs.unwant(blob)  # first, so that it doesn't come again
    if node.blobs.has(blob):
        await node.blobs.remove(blob)


async def _pieces(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content
